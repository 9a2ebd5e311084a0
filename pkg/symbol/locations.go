package symbol

// expressionAt gives the expression of an attribute that holds at pc: the expression itself, or the entry of a
// location list (.debug_loc to DWARF 4, .debug_loclists from 5 on). An empty list entry at pc, which compilers write
// for what holds before the first instruction only, counts where atEntry asks for the value at the function's entry.
func (u *unit) expressionAt(v value, pc uint32, atEntry bool) ([]byte, bool) {
	if v.isExpression() {
		return v.block, true
	}
	if u.version < 5 {
		return u.oldLocation(v.num, pc, atEntry)
	}
	off := v.num
	if v.form == formLoclistx {
		rel, ok := u.indexed(u.x.loclists, u.loclists, v.num, u.offsetSize())
		if !ok {
			return nil, false
		}
		off = u.loclists + rel
	}
	list := lister{u: u, c: cursor{data: u.x.loclists.from(off)}, base: u.lowPC}
	var fallback []byte
	for u.x.tire(1) && list.nextLocation() {
		expr := list.c.bytes(list.c.uleb())
		switch {
		case list.c.bad:
			return nil, false
		case list.all:
			fallback = expr
		case holds(list.lo, list.hi, pc, atEntry):
			return expr, true
		}
	}
	return fallback, fallback != nil
}

func (u *unit) oldLocation(off uint64, pc uint32, atEntry bool) ([]byte, bool) {
	c := cursor{data: u.x.loc.from(off)}
	base := u.lowPC
	for u.x.tire(1) {
		lo, hi := uint32(c.uint(int(u.addrSize))), uint32(c.uint(int(u.addrSize)))
		if c.bad || (lo == 0 && hi == 0) {
			return nil, false
		}
		if lo == 0xffffffff {
			base = hi
			continue
		}
		expr := c.bytes(uint64(c.u16()))
		if c.bad {
			return nil, false
		}
		if holds(base+lo, base+hi, pc, atEntry) {
			return expr, true
		}
	}
	return nil, false
}

func holds(lo, hi, pc uint32, atEntry bool) bool {
	return pc >= lo && pc < hi || atEntry && lo == hi && pc == lo
}

// fetch gives the size bytes of a value where an expression located it.
func (e *evaluation) fetch(at location, size uint64) ([]byte, error) {
	if len(e.pieces) > 0 {
		return e.assemble(size)
	}
	return e.fetchOne(at, size)
}

func (e *evaluation) fetchOne(at location, size uint64) ([]byte, error) {
	switch at.kind {
	case inMemory:
		b := make([]byte, size)
		if !e.x.read(e.state, at.addr, b) {
			return nil, memoryError{at.addr}
		}
		return b, nil
	case inRegister:
		if b, ok := e.state.registerBytes(at.reg, size); ok {
			return b, nil
		}
	case isOperand:
		if size <= uint64(at.op.size) {
			return at.op.bytes()[:size], nil
		}
	case isBytes:
		if size <= uint64(len(at.data)) {
			return at.data[:size], nil
		}
	}
	return nil, errUnknown
}

// assemble puts a value together that lies in pieces.
func (e *evaluation) assemble(size uint64) ([]byte, error) {
	var whole []byte
	for _, p := range e.pieces {
		if uint64(len(whole)) >= size {
			break
		}
		n := min(p.size, size-uint64(len(whole)))
		b, err := e.fetchOne(p.location, n)
		if err != nil {
			return nil, err
		}
		whole = append(whole, b...)
	}
	if uint64(len(whole)) < size {
		return nil, errUnknown
	}
	return whole, nil
}

// bytes is the operand as it would lie in memory.
func (o operand) bytes() []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(o.num >> (8 * i))
	}
	return b
}
