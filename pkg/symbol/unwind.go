package symbol

// Unwound is a step to the caller by call-frame rules.
type Unwound struct {
	CFA       uint32
	Registers Registers // the caller's; one without a rule keeps the callee's value, the stack pointer is the CFA
	Restored  uint32    // bit n is set where the row has a rule for register n
	Return    uint32    // the return address where HasReturn
	HasReturn bool
}

// Unwind steps to the caller. False where the CFA cannot be computed from what s knows. A register whose rule cannot
// be followed, as its memory is not in the dump, is unknown in the result.
func (x *Index) Unwind(s *State, rules Rules) (Unwound, bool) {
	cfa, ok := x.cfa(s, &rules)
	if !ok {
		return Unwound{}, false
	}
	u := Unwound{CFA: cfa, Registers: s.Registers}
	u.Registers.Set(x.stackPointer(), cfa)
	for n := range registerCount {
		r := &rules.regs[n]
		if r.kind == Unspecified {
			continue
		}
		u.Restored |= 1 << n
		if v, ok := x.recover(s, &rules, r, n, cfa); ok {
			u.Registers.Set(n, v)
		} else {
			u.Registers.Forget(n)
		}
	}
	if rules.Return >= 0 && rules.Return < ruleColumns {
		r := &rules.regs[rules.Return]
		if r.kind == Unspecified {
			u.Return, u.HasReturn = s.Registers.Get(rules.Return)
		} else {
			u.Return, u.HasReturn = x.recover(s, &rules, r, rules.Return, cfa)
		}
	}
	return u, true
}

// stackPointer is the DWARF number of the stack pointer: a1 or x2.
func (x *Index) stackPointer() int {
	if x.machine == Xtensa {
		return 1
	}
	return 2
}

// cfa computes the canonical frame address of a row.
func (x *Index) cfa(s *State, rules *Rules) (uint32, bool) {
	switch rules.cfa.kind {
	case CFAPlus:
		v, ok := s.Registers.Get(rules.cfa.reg)
		return v + uint32(rules.cfa.num), ok
	case IsExpression:
		return x.frameExpression(s, rules, rules.cfa.expr, nil)
	}
	return 0, false
}

func (x *Index) recover(s *State, rules *Rules, r *rule, n int, cfa uint32) (uint32, bool) {
	switch r.kind {
	case SameValue:
		return s.Registers.Get(n)
	case AtCFA:
		return x.word(s, cfa+uint32(r.num))
	case CFAPlus:
		return cfa + uint32(r.num), true
	case InRegister:
		return s.Registers.Get(r.reg)
	case AtExpression:
		at, ok := x.frameExpression(s, rules, r.expr, &cfa)
		if !ok {
			return 0, false
		}
		return x.word(s, at)
	case IsExpression:
		return x.frameExpression(s, rules, r.expr, &cfa)
	}
	return 0, false
}

// frameExpression evaluates an expression of call-frame information; a register's begins with the CFA on the stack.
func (x *Index) frameExpression(s *State, rules *Rules, expr []byte, cfa *uint32) (uint32, bool) {
	e := evaluation{x: x, enc: rules.enc, state: s, budget: new(int)}
	*e.budget = maxSteps
	if cfa != nil {
		e.push(e.generic(uint64(*cfa)))
	}
	if e.run(expr) != nil {
		return 0, false
	}
	top, err := e.pop()
	return uint32(top.num), err == nil
}

func (x *Index) word(s *State, addr uint32) (uint32, bool) {
	var b [4]byte
	if !x.read(s, addr, b[:]) {
		return 0, false
	}
	return uint32(littleEndian(b[:])), true
}

// read takes memory from the dump, else from the ELF.
func (x *Index) read(s *State, addr uint32, buf []byte) bool {
	if s.Memory != nil && s.Memory(addr, buf) {
		return true
	}
	return x.Text(addr, buf)
}
