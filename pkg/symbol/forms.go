package symbol

// value is an attribute's value, not yet looked up in the sections to which it refers.
type value struct {
	form  uint16
	num   uint64 // number, address, offset or index; of a signed form its two's complement
	block []byte // of a block, an expression or a string in place
}

// fixedSize tells how many bytes a form takes in 32-bit DWARF with 4-byte addresses, -1 where that varies.
func fixedSize(form uint16) int {
	switch form {
	case formFlagPresent, formImplicit:
		return 0
	case formData1, formFlag, formRef1, formStrx1, formAddrx1:
		return 1
	case formData2, formRef2, formStrx2, formAddrx2:
		return 2
	case formStrx3, formAddrx3:
		return 3
	case formAddr, formData4, formStrp, formRefAddr, formRef4, formSecOffset, formLineStrp, formStrx4, formAddrx4,
		formRefSup4, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return 4
	case formData8, formRef8, formRefSig8, formRefSup8:
		return 8
	case formData16:
		return 16
	}
	return -1
}

// readValue reads a value of the given form. An unknown form makes the cursor bad: nothing behind it can be found.
func (e encoding) readValue(c *cursor, form uint16, implicit int64) value {
	if form == formIndirect {
		if form = narrow(c.uleb()); form == formIndirect || form == formImplicit {
			c.bad = true
		}
	}
	v := value{form: form}
	switch form {
	case formAddr:
		v.num = c.uint(int(e.addrSize))
	case formFlagPresent:
		v.num = 1
	case formImplicit:
		v.num = uint64(implicit)
	case formStrp, formSecOffset, formLineStrp, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		v.num = c.offset(e.dwarf64)
	case formRefAddr:
		if e.version <= 2 { // version 2 gave it the size of an address
			v.num = c.uint(int(e.addrSize))
		} else {
			v.num = c.offset(e.dwarf64)
		}
	case formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrx, formGNUStrx:
		v.num = c.uleb()
	case formSdata:
		v.num = uint64(c.sleb())
	case formString:
		v.block = c.cstring()
	case formBlock, formExprloc:
		v.block = c.bytes(c.uleb())
	case formBlock1:
		v.block = c.bytes(uint64(c.u8()))
	case formBlock2:
		v.block = c.bytes(uint64(c.u16()))
	case formBlock4:
		v.block = c.bytes(uint64(c.u32()))
	case formData16:
		v.block = c.bytes(16)
	default:
		n := fixedSize(form)
		if n < 0 {
			c.bad = true
			return value{}
		}
		v.num = c.uint(n)
	}
	return v
}

// isConstant tells a number from an offset: DW_AT_high_pc and DW_AT_data_member_location may be either.
func (v value) isConstant() bool {
	switch v.form {
	case formData1, formData2, formData4, formData8, formSdata, formUdata, formImplicit:
		return true
	}
	return false
}

// isExpression tells an expression in place from a location list.
func (v value) isExpression() bool {
	switch v.form {
	case formExprloc, formBlock, formBlock1, formBlock2, formBlock4:
		return true
	}
	return false
}

// bytes gives a string's bytes, nil where it is none or cannot be found.
func (u *unit) bytes(v value) []byte {
	x := u.x
	switch v.form {
	case formString:
		return v.block
	case formStrp:
		return x.str.cstring(v.num)
	case formLineStrp:
		return x.lineStr.cstring(v.num)
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4:
		if off, ok := u.indexed(x.strOffsets, u.strOffsets, v.num, u.offsetSize()); ok {
			return x.str.cstring(off)
		}
	}
	return nil
}

// stringIs compares a string without looking for its end.
func (u *unit) stringIs(v value, want string) bool {
	if v.form == formStrp {
		b := u.x.str.slice(v.num, uint64(len(want))+1)
		return b != nil && string(b[:len(want)]) == want && b[len(want)] == 0
	}
	return string(u.bytes(v)) == want
}

func (u *unit) string(v value) string { return string(u.bytes(v)) }

// address gives an address, directly or from .debug_addr.
func (u *unit) address(v value) (uint32, bool) {
	switch v.form {
	case formAddr:
		return uint32(v.num), true
	case formAddrx, formGNUAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4:
		return u.addrx(v.num)
	}
	return 0, false
}

func (u *unit) addrx(i uint64) (uint32, bool) {
	a, ok := u.indexed(u.x.addr, u.addrBase, i, uint64(u.addrSize))
	return uint32(a), ok
}

// indexed reads element i of a table of numbers that begins at base.
func (u *unit) indexed(s *section, base, i, size uint64) (uint64, bool) {
	if i > s.len() || base > s.len() {
		return 0, false
	}
	b := s.slice(base+i*size, size)
	if b == nil {
		return 0, false
	}
	return littleEndian(b), true
}

// reference gives the entry to which a value refers, in its own unit or another one.
func (u *unit) reference(v value) (die, bool) {
	switch v.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata:
		if v.num >= u.end-u.off {
			return die{}, false
		}
		return u.entry(u.off + v.num)
	case formRefAddr:
		if other := u.x.unitAt(v.num); other != nil {
			return other.entry(v.num)
		}
	case formRefSig8:
		if other := u.x.typeUnits[v.num]; other != nil {
			return other.entry(other.off + other.typeOff)
		}
	}
	return die{}, false
}
