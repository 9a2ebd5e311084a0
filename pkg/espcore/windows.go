package espcore

import "github.com/slipway-gateway/slipway/pkg/symbol"

// Xtensa's windowed ABI. A call rotates the register window by 4, 8 or 12; the return address keeps that number in its
// top two bits, in place of the address's own, which are those of the region where all code lies. Registers that were
// rotated out lie on the stack: a0 to a3 of a frame in the 16 bytes below its callee's stack pointer (the base-save
// area), and a4 up in the area below the stack pointer of its own caller. Before it dumps, the device spills them all.
// The sources are the Xtensa ISA reference manual, 4.7.1 and 8.1, and xtensa_vectors.S of ESP-IDF.

const (
	xtensaCode = 0x40000000 // the region of all code of the ESP32, S2 and S3
	returnMask = 0x3FFFFFFF // what a return address has of the address
	entryByte  = 0x36       // first byte of ENTRY
)

// xtensaReturn is the code to which ra leads.
func xtensaReturn(ra uint32) uint32 { return xtensaCode | ra&returnMask }

func (w *walker) walkXtensa(t *task) []step {
	if t.yielded {
		return w.walkYielded(t)
	}
	first := w.first(t.context.pc, t.context.general)
	window := t.context.ps() >> 16 & 3 // PS.CALLINC
	if w.isUnentered(first.pc) {
		return w.walkUnentered(first, window, HowWindow)
	}
	if w.program.place(first.pc) == nowhere {
		if steps := w.walkFromNowhere(first, window); steps != nil {
			return steps
		}
	}
	return w.walkWindows([]step{first})
}

// isUnentered reports whether the task stopped at an ENTRY that it had not executed: the window is still the caller's.
func (w *walker) isUnentered(pc uint32) bool {
	var b [1]byte
	if w.program.ix != nil && !w.program.ix.HasCode() { // ENTRY is what a function begins with
		s, ok := w.program.function(pc)
		return ok && s.Addr == pc
	}
	return w.program.text(pc, b[:]) && b[0] == entryByte
}

// walkUnentered steps to the caller in whose window the task still is.
func (w *walker) walkUnentered(first step, window uint32, how How) []step {
	sp, _ := first.state.Registers.Get(xtensaSP)
	first.state.CFA, first.state.HasCFA = sp, true
	ra, ok := first.state.Registers.Get(4 * int(window))
	if !ok || window == 0 {
		return []step{first}
	}
	caller := w.step(xtensaReturn(ra), how)
	caller.state.Registers = first.state.Registers
	if ra == 0 { // a task that has not begun; GDB shows its missing caller too
		return []step{first, caller}
	}
	if !w.accepts(&first, caller.pc) {
		return []step{first}
	}
	return w.walkWindows([]step{first, caller})
}

// walkFromNowhere finds the caller where the processor jumped to no code, as through a null pointer to a function: then
// too nobody has executed an ENTRY. Nil where the window does not look like that. GDB loses the caller.
func (w *walker) walkFromNowhere(first step, window uint32) []step {
	ra, ok := first.state.Registers.Get(4 * int(window))
	if !ok || window == 0 || !w.program.mayFollowCall(xtensaReturn(ra)) {
		return nil
	}
	return w.walkUnentered(first, window, HowInferred)
}

// walkWindows walks on from the last of steps, of which the window is known.
func (w *walker) walkWindows(steps []step) []step {
	for len(steps) < maxWalked && w.tire() {
		at := &steps[len(steps)-1]
		ra, ok := at.state.Registers.Get(xtensaRA)
		if !ok || ra == 0 {
			break
		}
		callSize := int(ra>>30) * 4
		caller := w.step(xtensaReturn(ra), HowWindow)
		if callSize == 0 || !w.accepts(at, caller.pc) {
			break
		}
		if w.program.place(caller.pc) == behindCode {
			caller.wasInterrupted()
		}
		spilled := w.spilled(at, &caller, callSize)
		steps = append(steps, caller)
		if !spilled {
			break
		}
	}
	return steps
}

// spilled finds the registers of the caller of at; false where the walk ends with it.
func (w *walker) spilled(at, caller *step, callSize int) bool {
	sp, ok := at.state.Registers.Get(xtensaSP)
	if !ok {
		return false
	}
	var regs symbol.Registers
	if !w.restore(&regs, 0, 4, sp-16) {
		w.warn("the stack is not in the dump from 0x%08x on", sp-16)
		return false
	}
	callerSP, _ := regs.Get(xtensaSP)
	if callerSP <= sp && !w.isInterruptEntry(at.lookup) { // interrupts have a stack of their own
		w.warn("the stack is broken: 0x%08x is said to lie above 0x%08x", callerSP, sp)
		return false
	}
	at.state.CFA, at.state.HasCFA = callerSP, true
	if above, ok := w.dump.memory.word(callerSP - 12); ok {
		w.restore(&regs, 4, callSize-4, above-4*uint32(callSize))
	}
	caller.state.Registers = regs
	return true
}

// restore takes n registers from first on from the stack.
func (w *walker) restore(regs *symbol.Registers, first, n int, addr uint32) bool {
	for i := range n {
		v, ok := w.dump.memory.word(addr + 4*uint32(i))
		if !ok {
			return false
		}
		regs.Set(first+i, v)
	}
	return true
}

// walkYielded walks the stack of a task that gave up the processor by itself. vPortYield saves the pc of its caller, but
// as a0 to a3 those of that one's caller: of three functions the middle one is lost. It is the one that the call before
// the next return address calls. The device clears the region of pc, and in an ELF dump the window of a0.
func (w *walker) walkYielded(t *task) []step {
	first := w.first(xtensaReturn(t.context.pc), symbol.Registers{})
	ra, _ := t.context.general.Get(xtensaRA)
	if ra == 0 || !w.accepts(&first, xtensaReturn(ra)) {
		return []step{first}
	}
	target, window, ok := w.program.xtensaCall(xtensaReturn(ra))
	if !ok {
		const call8 = 2 // what compilers use, for want of the code
		window = call8
	}
	lost := step{how: HowInferred, name: "??", state: symbol.State{Memory: w.dump.memory.read}}
	if s, ok := w.program.function(target); ok && target != 0 {
		lost.name = symbol.Demangle(s.Name)
	}
	lost.state.Registers = t.context.general
	lost.state.Registers.Set(xtensaRA, ra&returnMask|window<<30)
	return w.walkWindows([]step{first, lost})
}
