package symbol

import "math"

// stepTyped executes the operations that name a base type, of DWARF 5 and the GNU extensions before it.
func (e *evaluation) stepTyped(op uint8, c *cursor) error {
	switch op {
	case opConvert, opGNUConvert, opReinterpret, opGNUReinterpret:
		t, err := e.baseType(c.uleb())
		if err != nil {
			return err
		}
		top, err := e.pop()
		if err != nil {
			return err
		}
		switch {
		case op == opReinterpret || op == opGNUReinterpret:
			e.push(t.of(top.num))
		case t.float || top.float:
			return e.convertFloat(top, t)
		default:
			e.push(t.of(top.wide()))
		}
		return nil
	case opRegvalType, opGNURegvalType:
		n := register(c.uleb())
		t, err := e.baseType(c.uleb())
		if err != nil {
			return err
		}
		b, ok := e.state.registerBytes(n, uint64(t.size))
		if !ok {
			return errUnknown
		}
		e.push(t.of(littleEndian(b)))
		return nil
	case opConstType, opGNUConstType:
		t, err := e.baseType(c.uleb())
		e.push(t.of(littleEndian(c.bytes(uint64(c.u8())))))
		return err
	case opDerefType, opGNUDerefType:
		size := int(c.u8())
		t, err := e.baseType(c.uleb())
		if err != nil {
			return err
		}
		return e.deref(size, t)
	}
	return errUnknown
}

// convertFloat converts to or from floating point.
func (e *evaluation) convertFloat(from operand, to operandType) error {
	var v float64
	switch {
	case from.float && from.size == 4:
		v = float64(math.Float32frombits(uint32(from.num)))
	case from.float:
		v = math.Float64frombits(from.num)
	case from.unsigned:
		v = float64(from.num)
	default:
		v = float64(from.signed())
	}
	switch {
	case to.float && to.size == 4:
		e.push(to.of(uint64(math.Float32bits(float32(v)))))
	case to.float:
		e.push(to.of(math.Float64bits(v)))
	case v >= -1<<63 && v < 1<<63:
		e.push(to.of(uint64(int64(v))))
	default:
		return errUnknown
	}
	return nil
}

// baseType reads a base type by its offset in the unit; 0 is the generic one.
func (e *evaluation) baseType(off uint64) (operandType, error) {
	if off == 0 {
		return generic, nil
	}
	if e.unit == nil || off >= e.unit.end-e.unit.off {
		return operandType{}, errUnknown
	}
	d, ok := e.unit.entry(e.unit.off + off)
	if !ok || d.tag() != tagBaseType {
		return operandType{}, errUnknown
	}
	size, _ := d.attr(attrByteSize)
	enc, _ := d.attr(attrEncoding)
	t := operandType{size: uint8(min(size.num, 255)), typed: true}
	switch enc.num {
	case encSigned, encSignedChar:
	case encUnsigned, encUnsignedChar, encBoolean, encAddress, encUTF:
		t.unsigned = true
	case encFloat:
		t.float, t.unsigned = true, true
		if t.size != 4 && t.size != 8 {
			return operandType{}, errUnknown
		}
	default:
		return operandType{}, errUnknown
	}
	switch t.size {
	case 1, 2, 4, 8:
		return t, nil
	}
	return operandType{}, errUnknown
}
