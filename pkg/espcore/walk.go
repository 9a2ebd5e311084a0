package espcore

import (
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// How says how a frame was found.
type How string

// The ways to a frame.
const (
	HowPC       How = "pc"       // where the processor stopped
	HowWindow   How = "window"   // by Xtensa's register windows
	HowCFI      How = "cfi"      // by call-frame information
	HowScan     How = "scan"     // by searching the stack for return addresses; the chain above it was verified
	HowInferred How = "inferred" // must have been there, but nothing of it is left
	HowTail     How = "tail"     // jumped to the next function and left no frame
)

// step is one frame while a stack is walked: a physical one, or one that is only concluded.
type step struct {
	pc     uint32 // where it stopped, or to where its callee returns
	lookup uint32 // an address inside the instruction
	how    How
	known  bool   // pc is
	name   string // of a frame without a pc
	state  symbol.State
}

// walker walks the stacks of one dump.
type walker struct {
	dump    *Dump
	program *program
	left    int // steps until all walks end
	warn    func(format string, args ...any)

	unmarked bool // a stack may end without a mark, see isTop
}

// tire counts a step; false when the report has cost enough.
func (w *walker) tire() bool {
	w.left--
	return w.left > 0
}

// stack is what was found on a task's stack, innermost first: both ends of it, where it was too long.
type stack struct {
	steps   []step
	gap     int // so many steps are before those that were left out
	leftOut int // their number
}

// walk gives a task's frames.
func (w *walker) walk(t *task) stack {
	if t.fake {
		return stack{}
	}
	var steps []step
	switch {
	case len(t.backtrace) > 0:
		steps = w.listed(t)
	case w.program.machine == symbol.Xtensa:
		steps = w.walkXtensa(t)
	default:
		steps = w.walkRISCV([]step{w.first(t.context.pc, t.context.general)})
	}
	inner, outer := steps, []step(nil)
	s := stack{leftOut: len(steps) - mostInnermost - mostOutermost}
	if s.leftOut > 0 {
		inner, outer = steps[:mostInnermost+1], steps[len(steps)-mostOutermost:]
	}
	inner, outer = w.linked(inner), w.linked(outer)
	if s.leftOut <= 0 {
		return stack{steps: inner, gap: len(inner)}
	}
	s.gap = len(inner) - 1 // the last one is only there to be the caller of the one before
	s.steps = slices.Concat(inner[:s.gap], outer)
	return s
}

// linked inserts what tail calls removed, and lets each frame know its caller.
func (w *walker) linked(steps []step) []step {
	if w.program.machine != symbol.Xtensa {
		steps = w.withTailCalls(steps)
	}
	for i := range steps {
		if i+1 < len(steps) {
			steps[i].state.Caller = &steps[i+1].state
		}
	}
	return steps
}

// first is the innermost frame.
func (w *walker) first(pc uint32, regs symbol.Registers) step {
	s := w.step(pc, HowPC)
	s.lookup, s.state.Lookup, s.state.Registers = pc, pc, regs
	return s
}

// step is a frame to which its callee returns; what is in its registers is not known yet.
func (w *walker) step(pc uint32, how How) step {
	return step{
		pc: pc, lookup: pc - 1, how: how, known: true,
		state: symbol.State{PC: pc, Lookup: pc - 1, Memory: w.dump.memory.read},
	}
}

// accepts judges a return address: a stack that leads to where no call leads is broken from there on. Only the entry of
// an interrupt or exception "returns" to whatever was interrupted.
func (w *walker) accepts(callee *step, pc uint32) bool {
	switch w.program.place(pc) {
	case behindCall, rom, anywhere:
		return true
	case behindCode:
		if w.isInterruptEntry(callee.lookup) {
			return true
		}
	}
	if pc != 0 {
		w.warn("the stack is broken: the code at 0x%08x cannot have been called from 0x%08x", callee.pc, pc)
	}
	return false
}

// interruptEntries begin the names of the assembler routines through which interrupts and exceptions come in.
var interruptEntries = []string{"_xt_", "xt_", "_interrupt_handler", "_panic_handler", "_UserException", "_KernelException"}

func (w *walker) isInterruptEntry(pc uint32) bool {
	s, ok := w.program.function(pc)
	if !ok {
		return false
	}
	for _, prefix := range interruptEntries {
		if strings.HasPrefix(s.Name, prefix) {
			return true
		}
	}
	return false
}

// wasInterrupted says that a frame did not call but was interrupted: its instruction at pc was still to be done.
func (s *step) wasInterrupted() {
	s.lookup, s.state.Lookup = s.pc, s.pc
}
