package symbol

// operandType is the base type of a value on the stack. The generic type is an address's; GDB takes it as signed.
type operandType struct {
	size     uint8 // bytes: 1, 2, 4 or 8
	unsigned bool
	typed    bool // named by the expression, not generic
	float    bool // IEEE 754; nothing is calculated with it
}

var generic = operandType{size: 4}

// operand is a value on the stack, its bits above its size are zero.
type operand struct {
	operandType
	num uint64
}

func (t operandType) of(v uint64) operand {
	return operand{t, v & (1<<(8*uint(t.size)) - 1)}
}

func (e *evaluation) generic(v uint64) operand { return generic.of(v) }

// signed is the value of the bits in two's complement.
func (o operand) signed() int64 {
	shift := 64 - 8*uint(o.size)
	return int64(o.num<<shift) >> shift
}

// wide is the value extended to 64 bits as its type says.
func (o operand) wide() uint64 {
	if o.unsigned {
		return o.num
	}
	return uint64(o.signed())
}

func (e *evaluation) constant(op uint8, c *cursor) uint64 {
	switch op {
	case opConst1u:
		return uint64(c.u8())
	case opConst1s:
		return uint64(int8(c.u8()))
	case opConst2u:
		return uint64(c.u16())
	case opConst2s:
		return uint64(int16(c.u16()))
	case opConst4u, opConst4s:
		return uint64(c.u32())
	case opConst8u, opConst8s:
		return c.u64()
	case opConstu:
		return c.uleb()
	}
	return uint64(c.sleb())
}

func (e *evaluation) shuffle(op uint8, c *cursor) error {
	n := len(e.stack)
	need := map[uint8]int{opDup: 1, opDrop: 1, opOver: 2, opSwap: 2, opRot: 3}[op]
	index := 0
	if op == opPick {
		index = int(c.u8())
		need = index + 1
	}
	if n < need {
		return errUnknown
	}
	s := e.stack
	switch op {
	case opDup:
		e.push(s[n-1])
	case opDrop:
		e.stack = s[:n-1]
	case opOver:
		e.push(s[n-2])
	case opPick:
		e.push(s[n-1-index])
	case opSwap:
		s[n-1], s[n-2] = s[n-2], s[n-1]
	case opRot:
		s[n-1], s[n-2], s[n-3] = s[n-2], s[n-3], s[n-1]
	}
	return nil
}

// calculate does arithmetic, logic and comparisons.
func (e *evaluation) calculate(op uint8, c *cursor) error {
	b, err := e.pop()
	if err != nil || b.float {
		return errUnknown
	}
	switch op {
	case opAbs:
		if b.signed() < 0 && !b.unsigned {
			b = b.of(-b.num)
		}
		e.push(b)
		return nil
	case opNeg:
		e.push(b.of(-b.num))
		return nil
	case opNot:
		e.push(b.of(^b.num))
		return nil
	case opPlusUint:
		e.push(b.of(b.num + c.uleb()))
		return nil
	}
	a, err := e.pop()
	if err != nil || a.float {
		return errUnknown
	}
	if op >= opEq {
		e.push(e.generic(compare(op, a, b)))
		return nil
	}
	v, ok := arithmetic(op, a, b)
	if !ok {
		return errUnknown
	}
	e.push(a.of(v))
	return nil
}

func compare(op uint8, a, b operand) uint64 {
	less, equal := a.wide() < b.wide(), a.wide() == b.wide()
	if !a.unsigned {
		less = a.signed() < b.signed()
	}
	yes := false
	switch op {
	case opEq:
		yes = equal
	case opNe:
		yes = !equal
	case opLt:
		yes = less
	case opLe:
		yes = less || equal
	case opGt:
		yes = !less && !equal
	case opGe:
		yes = !less
	}
	if yes {
		return 1
	}
	return 0
}

func arithmetic(op uint8, a, b operand) (uint64, bool) {
	switch op {
	case opAnd:
		return a.num & b.num, true
	case opOr:
		return a.num | b.num, true
	case opXor:
		return a.num ^ b.num, true
	case opPlus:
		return a.num + b.num, true
	case opMinus:
		return a.num - b.num, true
	case opMul:
		return a.num * b.num, true
	case opShl:
		return a.num << min(b.num, 64), true
	case opShr:
		return a.num >> min(b.num, 64), true
	case opShra:
		return uint64(a.signed() >> min(b.num, 63)), true
	}
	if b.num == 0 {
		return 0, false
	}
	switch {
	case op == opDiv && a.unsigned:
		return a.num / b.num, true
	case op == opDiv:
		return uint64(a.signed() / b.signed()), true
	case a.unsigned || !a.typed: // DW_OP_mod of generic values is unsigned
		return a.num % b.num, true
	}
	return uint64(a.signed() % b.signed()), true
}

// deref replaces the address on top by what lies there.
func (e *evaluation) deref(size int, t operandType) error {
	top, err := e.pop()
	if err != nil {
		return err
	}
	var b [8]byte
	if size < 1 || size > len(b) {
		return errUnknown
	}
	if !e.x.read(e.state, uint32(top.num), b[:size]) {
		return memoryError{uint32(top.num)}
	}
	e.push(t.of(littleEndian(b[:size])))
	return nil
}

// registerBytes gives the first size bytes of register n and those behind it.
func (s *State) registerBytes(n int, size uint64) ([]byte, bool) {
	if size > 4*registerCount {
		return nil, false
	}
	b := make([]byte, 0, size+4)
	for ; uint64(len(b)) < size; n++ {
		v, ok := s.Registers.Get(n)
		if !ok {
			return nil, false
		}
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return b[:size], true
}
