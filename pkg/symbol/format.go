package symbol

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }
func hex(v uint64) string     { return "0x" + strconv.FormatUint(v, 16) }

// format prints the bytes of a value of a type as GDB does.
func (p *printer) format(t typ, b []byte) string {
	v := littleEndian(b)
	switch t.kind {
	case kindInteger, kindCharacter:
		text := number(t, v)
		if t.textual() {
			c := v & (1<<(8*t.size) - 1)
			if t.die.unit != nil && t.die.unit.isRust() {
				return text + " '" + rustCharacter(c) + "'"
			}
			text += " " + t.prefix + "'" + character(c, '\'') + "'"
		}
		return text
	case kindBoolean:
		switch v {
		case 0:
			return "false"
		case 1:
			return "true"
		}
		return decimal(v)
	case kindFloat:
		return float(v, t.size)
	case kindEnum:
		return t.die.enumerator(t, v)
	case kindPointer:
		return p.pointer(t, uint32(v))
	case kindReference:
		return p.reference(t, uint32(v))
	case kindFunction:
		return hex(v)
	}
	return OptimizedOut
}

func number(t typ, v uint64) string {
	if !t.signed {
		return decimal(v)
	}
	return strconv.FormatInt(extend(v, t.size), 10)
}

// extend reads the lower bytes of a number as signed.
func extend(v, size uint64) int64 {
	shift := 64 - 8*min(size, 8)
	return int64(v<<shift) >> shift
}

// float prints like C's %.9g and %.17g.
func float(v, size uint64) string {
	f, digits := math.Float64frombits(v), 17
	switch size {
	case 4:
		f, digits = float64(math.Float32frombits(uint32(v))), 9
	case 8:
	default:
		return OptimizedOut
	}
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f != f && size == 4:
		return "nan(" + hex(v&(1<<23-1)) + ")"
	case f != f:
		return "nan(" + hex(v&(1<<52-1)) + ")"
	}
	return strconv.FormatFloat(f, 'g', digits, 64)
}

// maxEnumerators bounds the names of an enumeration that are looked at.
const maxEnumerators = 1 << 14

// enumerator prints a value of an enumeration: its name, the names of its bits where each stands for bits of its own,
// else the number.
func (d die) enumerator(t typ, v uint64) string {
	type flag struct {
		name string
		bits uint64
	}
	var flags []flag
	var all uint64
	var exact string
	flagged, count, negative := true, 0, false
	mask := uint64(1)<<(8*min(t.size, 8)) - 1
	d.children(func(c die) bool {
		a, ok := c.attr(attrConstValue)
		if c.tag() != tagEnumerator || !ok {
			return true
		}
		n := a.num
		if a.form == formSdata || a.form == formImplicit {
			negative = negative || int64(n) < 0
		}
		n &= mask
		if n == v && exact == "" {
			exact = c.name()
		}
		if n != 0 && (all&n != 0 || negative) {
			flagged = false
		}
		if n != 0 {
			all |= n
			flags = append(flags, flag{c.name(), n})
		}
		if bits.OnesCount64(n) > 1 && !contiguous(n) {
			flagged = false
		}
		count++
		return count < maxEnumerators
	})
	if exact != "" {
		return d.enumeratorScope() + exact
	}
	if !flagged || count == 0 {
		if negative {
			return strconv.FormatInt(extend(v, t.size), 10)
		}
		return decimal(v)
	}
	if v == 0 {
		return "0"
	}
	scope := d.enumeratorScope()
	var parts []string
	for _, f := range flags {
		if v&f.bits != 0 {
			parts = append(parts, scope+f.name)
			v &^= f.bits
		}
	}
	if v != 0 {
		parts = append(parts, "unknown: "+hex(v))
	}
	return "(" + strings.Join(parts, " | ") + ")"
}

func contiguous(n uint64) bool {
	n >>= bits.TrailingZeros64(n)
	return n&(n+1) == 0
}

// enumeratorScope is what stands before an enumerator's name in C++.
func (d die) enumeratorScope() string {
	if d.unit.isRust() {
		return d.qualified(d.name()) + "::"
	}
	if !d.unit.isCPlusPlus() {
		return ""
	}
	if d.flag(attrEnumClass) {
		return d.qualified(d.name()) + "::"
	}
	return d.qualified("")
}

// pointer prints an address, the function or variable there, and a string that it points to.
func (p *printer) pointer(t typ, addr uint32) string {
	text := hex(uint64(addr))
	to := t.die.typeOf()
	if name := p.x.symbolic(addr); name != "" {
		text += " " + name
	}
	if to.textual() && addr != 0 && !t.die.unit.isRust() {
		text += " " + p.string(to, addr)
	}
	return text
}

// reference prints the address and what is there.
func (p *printer) reference(t typ, addr uint32) string {
	to := t.die.typeOf()
	if to.kind == kindAggregate {
		return "..."
	}
	text := "@" + hex(uint64(addr)) + ": "
	if to.size == 0 || to.size > maxScalar || to.kind == kindReference {
		return text + OptimizedOut
	}
	b := make([]byte, to.size)
	if !p.x.read(p.state, addr, b) {
		return text + "<error: " + memoryError{addr}.Error() + ">"
	}
	return text + p.format(to, b)
}
