package symbol

// pushCFA pushes the frame's canonical frame address.
func (e *evaluation) pushCFA() error {
	s := e.state
	if s.HasCFA {
		e.push(e.generic(uint64(s.CFA)))
		return nil
	}
	if e.unit == nil { // the CFA cannot be computed from itself
		return errUnknown
	}
	rules, ok := e.x.CFI(s.Lookup)
	if !ok || !e.x.tire(maxFrameSteps/64) {
		return errUnknown
	}
	cfa, ok := e.x.cfa(s, &rules)
	if !ok {
		return errUnknown
	}
	e.push(e.generic(uint64(cfa)))
	return nil
}

// pushFrameBase pushes an address relative to the function's frame base.
func (e *evaluation) pushFrameBase(off int64) error {
	if e.function.unit == nil {
		return errUnknown
	}
	u := e.function.unit
	v, ok := e.function.attr(attrFrameBase)
	if !ok {
		return errUnknown
	}
	expr, ok := u.expressionAt(v, e.state.Lookup, false)
	if !ok {
		return errUnknown
	}
	base := e.nested(u, e.state, die{}) // without a function: a frame base cannot count from itself
	at, err := base.locate(expr)
	if err != nil {
		return err
	}
	switch at.kind {
	case inRegister:
		return e.pushRegister(at.reg, off)
	case inMemory:
		e.push(e.generic(uint64(at.addr) + uint64(off)))
		return nil
	}
	return errUnknown
}
