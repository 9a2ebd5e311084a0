package espcore

import "github.com/slipway-gateway/slipway/pkg/symbol"

// RISC-V has no frame that could be walked without knowing the code: the compiler's call-frame information says how to
// undo each function's prologue. Assembler mostly has none, and the ROM's is not in the app's ELF: there the stack is
// searched, see scan.go.

// walkRISCV walks up from the last of steps.
func (w *walker) walkRISCV(steps []step) []step {
	for len(steps) < maxWalked {
		at := &steps[len(steps)-1]
		caller, end := w.unwind(at, len(steps) == 1)
		switch end {
		case walked:
			steps = append(steps, caller)
			if w.program.place(caller.pc) == nowhere { // the missing caller of a task that has not begun
				return steps
			}
		case blind:
			found := w.search(at, len(steps) == 1)
			return append(steps, found[:min(len(found), maxWalked-len(steps))]...)
		case overwritten: // a buffer that grew over its frame: farther out the stack is mostly whole
			found := w.scan(at.state.CFA, at.state.Registers, 0)
			return append(steps, found[:min(len(found), maxWalked-len(steps))]...)
		default:
			return steps
		}
	}
	return steps
}

// ending is how an attempt to step to the caller ended.
type ending int

const (
	walked      ending = iota
	atRoot             // there is no caller
	atZero             // the return address is 0: there is no caller, or nothing was there to be read
	broken             // no caller could be true
	overwritten        // what lies where the return address was leads nowhere
	blind              // nothing says where the caller is
)

// unwind steps to the caller by call-frame information.
func (w *walker) unwind(at *step, innermost bool) (step, ending) {
	if !w.tire() {
		return step{}, broken
	}
	if w.program.ix == nil {
		return w.unwindWithoutSymbols(at, innermost)
	}
	if innermost && w.program.place(at.pc) == nowhere { // nothing describes what is no code
		return step{}, blind
	}
	rules, ok := w.program.ix.CFI(at.lookup)
	if !ok {
		return step{}, blind
	}
	switch rules.Kind(rules.Return) {
	case symbol.Undefined:
		return step{}, atRoot
	case symbol.Unspecified:
		if !innermost { // whoever called must have saved it: the row is not to be trusted
			return step{}, blind
		}
	}
	up, ok := w.program.ix.Unwind(&at.state, rules)
	if !ok || !up.HasReturn {
		w.warn("the stack is not in the dump above 0x%08x", at.pc)
		return step{}, broken
	}
	at.state.CFA, at.state.HasCFA = up.CFA, true
	if sp, _ := at.state.Registers.Get(riscvSP); up.CFA < sp || up.CFA == sp && !innermost {
		w.warn("the stack is broken: 0x%08x is said to lie above 0x%08x", up.CFA, sp)
		return step{}, broken
	}
	pc := up.Return &^ 1
	caller := w.step(pc, HowCFI)
	caller.state.Registers = afterCall(up)
	if pc == 0 {
		if innermost { // as GDB shows it
			return caller, walked
		}
		return step{}, atZero
	}
	if !rules.Signal && !w.accepts(at, pc) {
		return step{}, overwritten
	}
	if rules.Signal || w.program.place(pc) == behindCode {
		caller.wasInterrupted()
	}
	return caller, walked
}

// unwindWithoutSymbols knows the one thing that can be known without code: what the return register held.
func (w *walker) unwindWithoutSymbols(at *step, innermost bool) (step, ending) {
	ra, ok := at.state.Registers.Get(riscvRA)
	if !innermost || !ok || w.program.place(ra) == nowhere {
		return step{}, broken
	}
	return w.step(ra&^1, HowCFI), walked
}

// afterCall is what a caller still has in its registers: those that callees keep, and what the callee restored.
func afterCall(up symbol.Unwound) symbol.Registers {
	regs := up.Registers
	for n := 1; n < len(riscvNames); n++ {
		if !keptByCallees(n) && up.Restored&(1<<n) == 0 {
			regs.Forget(n)
		}
	}
	return regs
}

// keptByCallees knows sp, gp, tp and s0 to s11.
func keptByCallees(n int) bool {
	return n >= riscvSP && n <= riscvTP || n == 8 || n == 9 || n >= 18 && n <= 27
}

// withTailCalls inserts the functions that jumped to the next one and so left no frame: where a frame's call leads to
// another function than the one that it called.
func (w *walker) withTailCalls(steps []step) []step {
	if w.program.ix == nil || len(steps) == 0 {
		return steps
	}
	out := steps[:1:1]
	for i := 1; i < len(steps); i++ {
		if callee, ok := w.program.function(steps[i-1].lookup); ok {
			for _, pc := range w.program.ix.TailCalls(steps[i].pc, callee.Addr) {
				out = append(out, w.step(pc, HowTail))
			}
		}
		out = append(out, steps[i])
	}
	return out
}
