package espcore

import "github.com/slipway-gateway/slipway/pkg/symbol"

// search finds the callers of a frame of which nothing says how it was called: code in ROM, assembler, or no code at
// all. What it finds is right or nothing: a return address is believed only when from there call-frame information
// leads to the root of the stack, or to its very top. GDB stops at such frames.
func (w *walker) search(at *step, innermost bool) []step {
	if innermost && w.program.place(at.pc) == nowhere {
		if found := w.callerByRegister(at); found != nil {
			return found
		}
	}
	ways := []bool{false, true}
	if _, wrapped := w.program.ix.Lookup("vPortTaskWrapper"); wrapped { // every task's root says that it is one
		ways = ways[:1]
	}
	sp, ok := at.state.Registers.Get(riscvSP)
	for _, w.unmarked = range ways {
		if innermost {
			if found := w.searchFromRegister(at); found != nil {
				return found
			}
		}
		for guesses := range 2 { // ROM may call back into the app, which calls into ROM again
			if found := w.scan(sp, at.state.Registers, guesses); ok && found != nil {
				return found
			}
		}
	}
	if innermost {
		return w.callerByRegister(at)
	}
	return nil
}

// searchFromRegister tries the return register, which is good until the innermost function calls. How much stack that
// function has taken is to be found out.
func (w *walker) searchFromRegister(at *step) []step {
	const deepest = 8 // times 16 bytes: frames of leaf functions are small
	ra, _ := at.state.Registers.Get(riscvRA)
	ra &^= 1
	if !w.program.mayFollowCall(ra) && w.program.place(ra) != rom {
		return nil
	}
	sp, _ := at.state.Registers.Get(riscvSP)
	for k := range uint32(deepest) {
		caller := w.step(ra, HowCFI)
		if k > 0 {
			caller.how = HowScan
		}
		caller.state.Registers = kept(at.state.Registers, sp+16*k)
		if chain, ok := w.chain(caller, 0); ok {
			return chain
		}
	}
	return nil
}

// callerByRegister is the caller that the return register names, though nothing leads from there to a root.
func (w *walker) callerByRegister(at *step) []step {
	ra, _ := at.state.Registers.Get(riscvRA)
	if !w.program.mayFollowCall(ra &^ 1) {
		return nil
	}
	caller := w.step(ra&^1, HowCFI)
	if w.program.place(at.pc) != nowhere {
		return []step{caller}
	}
	// Who jumped to no code has taken no stack there: the caller needs no proof that it leads to a root.
	sp, _ := at.state.Registers.Get(riscvSP)
	caller.state.Registers = kept(at.state.Registers, sp)
	return w.walkRISCV([]step{*at, caller})[1:]
}

// scan searches the stack from sp on. How far the caller's frame begins behind its return address depends on what else
// the callee saved: the multiples of 16 bytes up to three are tried.
func (w *walker) scan(sp uint32, regs symbol.Registers, guesses int) []step {
	const farthest = 3
	stack, ok := w.dump.memory.find((sp + 3) &^ 3)
	if !ok {
		return nil
	}
	sp = (sp + 3) &^ 3
	for i := range maxScanned {
		ra, ok := words(stack).at(i)
		if !ok {
			break
		}
		if w.program.place(ra) != behindCall {
			continue
		}
		slot := sp + 4*uint32(i)
		for k := range uint32(farthest + 1) {
			caller := w.step(ra, HowScan)
			caller.state.Registers = kept(regs, (slot+4+15)&^15+16*k)
			if chain, ok := w.chain(caller, guesses); ok {
				return chain
			}
			if w.left <= 0 {
				return nil
			}
		}
	}
	return nil
}

// kept is what may be left of a frame's registers behind code that nobody knows.
func kept(regs symbol.Registers, sp uint32) symbol.Registers {
	for n := 1; n < len(riscvNames); n++ {
		if !keptByCallees(n) {
			regs.Forget(n)
		}
	}
	regs.Set(riscvSP, sp)
	return regs
}

// chain walks from a guess to the root; all of it is worth no more than the guess, and nothing where it does not arrive.
// On the way it may guess that many times again.
func (w *walker) chain(first step, guesses int) ([]step, bool) {
	quiet := *w
	quiet.warn = func(string, ...any) {}
	defer func() { w.left = quiet.left }()
	steps := []step{first}
	for len(steps) < maxWalked {
		at := &steps[len(steps)-1]
		caller, end := quiet.unwind(at, false)
		switch {
		case end == atRoot, end == atZero && w.unmarked && quiet.isTop(at):
			return steps, true
		case end == walked:
			caller.how = first.how
			steps = append(steps, caller)
			continue
		case end == blind && guesses > 0:
			if sp, ok := at.state.Registers.Get(riscvSP); ok {
				if more := quiet.scan(sp, at.state.Registers, guesses-1); more != nil {
					return append(steps, more...), true
				}
			}
		}
		return nil, false
	}
	return nil, false
}

// isTop reports whether a frame lies at the upper end of its stack. Without CONFIG_FREERTOS_TASK_FUNCTION_WRAPPER that
// is all there is to know a task's function by: its return address is 0, like much else on a stack. Above it are only
// the thread-local variables.
func (w *walker) isTop(s *step) bool {
	const threadLocal = 256 // ESP-IDF itself has some dozen bytes of them
	if !s.state.HasCFA {
		return false
	}
	above, ok := w.dump.memory.find(s.state.CFA - 4)
	return ok && len(above) <= threadLocal
}
