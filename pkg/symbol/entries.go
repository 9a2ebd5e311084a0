package symbol

// What a function was given when it was called: DW_OP_entry_value and the name@entry that GDB prints. The answer is in
// the caller, where the compiler described the call with the parameters' values in terms of what survives the call.

// matcher says which parameter of a call is meant.
type matcher struct {
	reg    int // passed in this register, where not negative
	off    int64
	stack  bool // passed on the stack at off from the canonical frame address
	param  die
	byName bool // the callee's parameter entry itself
}

// pushEntry pushes the value that a register had on entry.
func (e *evaluation) pushEntry(expr []byte) error {
	reg, ok := plainRegister(expr)
	if !ok {
		return errUnknown
	}
	v, err := e.entryValue(matcher{reg: reg})
	if err != nil {
		return err
	}
	e.push(v)
	return nil
}

// pushParameter pushes the value that a parameter of another function had on entry, by its entry in the unit.
func (e *evaluation) pushParameter(off uint64) error {
	if e.unit == nil || off >= e.unit.end-e.unit.off {
		return errUnknown
	}
	d, ok := e.unit.entry(e.unit.off + off)
	if !ok {
		return errUnknown
	}
	v, err := e.entryValue(matcher{reg: -1, param: d, byName: true})
	if err != nil {
		return err
	}
	e.push(v)
	return nil
}

// entryValue evaluates, in the caller, what it passed to the function of this frame.
func (e *evaluation) entryValue(m matcher) (operand, error) {
	caller := e.state.Caller
	if caller == nil || e.depth >= maxEntries {
		return operand{}, errUnknown
	}
	x := e.x
	site, function, ok := x.callSite(caller.PC)
	if !ok {
		return operand{}, errUnknown
	}
	at := &evaluation{
		x: x, enc: site.unit.encoding, unit: site.unit, state: caller, function: function,
		budget: e.budget, depth: e.depth + 1,
	}
	if !at.calls(site, e.state.Lookup) {
		return operand{}, errUnknown
	}
	var expr []byte
	site.children(func(p die) bool {
		if !x.tire(1) {
			return false
		}
		if (p.tag() == tagCallSiteParameter || p.tag() == tagGNUCallParameter) && x.matches(p, m) {
			v, ok := p.either(attrCallValue, attrGNUCallValue)
			if e.referred {
				v, ok = p.either(attrCallData, attrGNUCallData)
			}
			if ok && v.isExpression() {
				expr = v.block
			}
			return false
		}
		return true
	})
	if expr == nil {
		return operand{}, errUnknown
	}
	return at.value(expr)
}

// calls tells whether a call reaches the function in which pc lies, and whether it is the only way there.
func (e *evaluation) calls(site die, pc uint32) bool {
	callee, ok := e.x.function(pc)
	if !ok {
		return false
	}
	entry, ok := callee.lowest()
	if !ok {
		return false
	}
	target, ok := site.callTarget()
	if expr, indirect := site.targetExpression(); indirect {
		v, err := e.nested(e.unit, e.state, e.function).value(expr)
		target, ok = uint32(v.num), err == nil
	}
	return ok && target == entry && !e.x.callsItself(entry)
}

// matches compares a parameter of a call with the one that is wanted.
func (x *Index) matches(p die, m matcher) bool {
	if m.byName {
		to, ok := p.refer(attrCallParameter)
		if !ok {
			to, ok = p.refer(attrAbstractOrigin)
		}
		return ok && to.unit == m.param.unit && to.off == m.param.off
	}
	v, ok := p.attr(attrLocation)
	if !ok || !v.isExpression() {
		return false
	}
	if m.stack {
		off, ok := baseOffset(v.block, opBreg0+uint8(x.stackPointer()))
		return ok && off == m.off
	}
	reg, ok := plainRegister(v.block)
	return ok && reg == m.reg
}

// plainRegister knows the expression that is a register and nothing else, perhaps with its type.
func plainRegister(expr []byte) (int, bool) {
	c := cursor{data: expr}
	op := c.u8()
	switch {
	case op >= opReg0 && op < opBreg0:
		return int(op - opReg0), !c.bad && c.left() == 0
	case op == opRegx, op == opRegvalType, op == opGNURegvalType:
		n := register(c.uleb())
		if op != opRegx {
			c.uleb()
		}
		return n, !c.bad && c.left() == 0
	}
	return 0, false
}

// baseOffset knows the expression that is an offset from the base that op names, and nothing else.
func baseOffset(expr []byte, op uint8) (int64, bool) {
	c := cursor{data: expr}
	ok := c.u8() == op
	off := c.sleb()
	return off, ok && !c.bad && c.left() == 0
}

// parameterAtEntry is the value that a parameter with a location had when its function was called: what is in its
// register or stack slot at the function's first instruction.
func (e *evaluation) parameterAtEntry(u *unit, v value, entry uint32) (operand, error) {
	expr, ok := u.expressionAt(v, entry, true)
	if !ok {
		return operand{}, errUnknown
	}
	if reg, ok := plainRegister(expr); ok {
		return e.entryValue(matcher{reg: reg})
	}
	if off, ok := baseOffset(expr, opFbreg); ok {
		return e.entryValue(matcher{reg: -1, off: off, stack: true})
	}
	return operand{}, errUnknown
}
