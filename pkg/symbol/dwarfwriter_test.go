package symbol

import (
	"encoding/binary"
	"fmt"
)

// dwarfWriter makes one unit of debugging information for tests, in each version from 2 to 5.
type dwarfWriter struct {
	version int
	root    *node
	// sections of which entries give offsets; a test appends to them
	ranges, rnglists, loc, loclists, str, lineStr, strOffsets, addr, line []byte
}

// node is an entry to be.
type node struct {
	tag      uint16
	attrs    []attribute
	children []*node
	off      uint32 // in the unit, once written
}

type attribute struct {
	name, form uint16
	value      any // int, uint32, string, []byte (block), *node (reference)
}

func tree(tag uint16, parts ...any) *node {
	n := &node{tag: tag}
	for _, p := range parts {
		switch p := p.(type) {
		case attribute:
			n.attrs = append(n.attrs, p)
		case *node:
			n.children = append(n.children, p)
		case []*node:
			n.children = append(n.children, p...)
		}
	}
	return n
}

func named(name string) attribute { return attribute{attrName, formString, name} }

func ref(name uint16, to *node) attribute { return attribute{name, formRef4, to} }

func at(name, form uint16, v any) attribute { return attribute{name, form, v} }

func lowHigh(lo, n int) []attribute {
	return []attribute{{attrLowPC, formAddr, lo}, {attrHighPC, formData4, n}}
}

// code is a function or block with addresses.
func code(tag uint16, lo, n int, parts ...any) *node {
	d := tree(tag, parts...)
	d.attrs = append(d.attrs, lowHigh(lo, n)...)
	return d
}

func baseType(name string, size, enc int) *node {
	return tree(tagBaseType, named(name), at(attrByteSize, formData1, size), at(attrEncoding, formData1, enc))
}

// addString puts a string into .debug_str and gives its offset.
func (w *dwarfWriter) addString(s string) int {
	off := len(w.str)
	w.str = append(append(w.str, s...), 0)
	return off
}

// unit writes .debug_info and .debug_abbrev.
func (w *dwarfWriter) unit() (info, abbrev []byte) {
	for range 2 { // twice, for the references forward
		head := le.AppendUint16([]byte{0, 0, 0, 0}, uint16(w.version))
		if w.version >= 5 {
			head = append(head, 1, 4, 0, 0, 0, 0)
		} else {
			head = append(head, 0, 0, 0, 0, 4)
		}
		code := 0
		info, abbrev = w.write(head, nil, w.root, &code)
		abbrev = append(abbrev, 0)
		le.PutUint32(info, uint32(len(info)-4))
	}
	return info, abbrev
}

func (w *dwarfWriter) write(info, abbrev []byte, n *node, code *int) ([]byte, []byte) {
	n.off = uint32(len(info))
	*code++
	info = binary.AppendUvarint(info, uint64(*code))
	abbrev = binary.AppendUvarint(abbrev, uint64(*code))
	abbrev = binary.AppendUvarint(abbrev, uint64(n.tag))
	if len(n.children) > 0 {
		abbrev = append(abbrev, 1)
	} else {
		abbrev = append(abbrev, 0)
	}
	for _, a := range n.attrs {
		abbrev = binary.AppendUvarint(abbrev, uint64(a.name))
		abbrev = binary.AppendUvarint(abbrev, uint64(a.form))
		if a.form == formImplicit {
			abbrev = appendSleb(abbrev, int64(a.value.(int)))
		}
		info = appendValue(info, a)
	}
	abbrev = append(abbrev, 0, 0)
	for _, c := range n.children {
		info, abbrev = w.write(info, abbrev, c, code)
	}
	if len(n.children) > 0 {
		info = append(info, 0)
	}
	return info, abbrev
}

func appendValue(b []byte, a attribute) []byte {
	var num uint64
	switch v := a.value.(type) {
	case int:
		num = uint64(v)
	case uint32:
		num = uint64(v)
	case string:
		return append(append(b, v...), 0)
	case *node:
		num = uint64(v.off)
	case []byte:
		switch a.form {
		case formBlock1:
			b = append(b, byte(len(v)))
		case formBlock2:
			b = le.AppendUint16(b, uint16(len(v)))
		default:
			b = binary.AppendUvarint(b, uint64(len(v)))
		}
		return append(b, v...)
	}
	switch n := fixedSize(a.form); {
	case a.form == formSdata:
		return appendSleb(b, int64(num))
	case n >= 0:
		var raw [16]byte
		le.PutUint64(raw[:], num)
		return append(b, raw[:n]...)
	case a.form == formUdata, a.form == formRefUdata, a.form == formStrx, a.form == formAddrx, a.form == formLoclistx, a.form == formRnglistx:
		return binary.AppendUvarint(b, num)
	}
	panic(fmt.Sprintf("form %#x", a.form))
}

func appendSleb(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// elf puts the unit into an ELF with code from 0x1000 to 0x2000.
func (w *dwarfWriter) elf() *elfWriter {
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x1000))
	info, abbrev := w.unit()
	e.add(".debug_info", info)
	e.add(".debug_abbrev", abbrev)
	for name, data := range map[string][]byte{
		".debug_ranges": w.ranges, ".debug_rnglists": w.rnglists, ".debug_loc": w.loc, ".debug_loclists": w.loclists,
		".debug_str": w.str, ".debug_line_str": w.lineStr, ".debug_str_offsets": w.strOffsets, ".debug_addr": w.addr,
		".debug_line": w.line,
	} {
		if len(data) > 0 {
			e.add(name, data)
		}
	}
	return e
}

// words is a list of 32-bit numbers.
func words(v ...uint32) []byte {
	var b []byte
	for _, n := range v {
		b = le.AppendUint32(b, n)
	}
	return b
}

// join puts bytes together: numbers below 256, slices and strings.
func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case string:
			b = append(append(b, p...), 0)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}
