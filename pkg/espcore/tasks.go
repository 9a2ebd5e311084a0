package espcore

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// layout is where a build of FreeRTOS keeps what in a TCB: it depends on the configuration, so DWARF says. Absent members
// are not known.
type layout map[string]uint32

const (
	memberName     = "pcTaskName"
	memberTop      = "pxTopOfStack"
	memberStack    = "pxStack"
	memberEnd      = "pxEndOfStack"
	memberPriority = "uxPriority"
)

func findLayout(ix *symbol.Index) layout {
	const name = "tskTaskControlBlock"
	members := []string{memberName, memberTop, memberStack, memberEnd, memberPriority}
	if all, ok := ix.Offsets(name, members...); ok {
		return all
	}
	out := layout{}
	for _, m := range members {
		if one, ok := ix.Offsets(name, m); ok {
			out[m] = one[m]
		}
	}
	return out
}

// control is what a TCB says.
type control struct {
	name              string
	top, start, end   uint32 // of the stack: where the task was last switched out, the lowest and the highest address
	hasTop, hasBounds bool
	priority          *uint32
}

func (n *decoder) control(t *task) control {
	var c control
	member := func(name string) (uint32, bool) {
		offset, ok := n.layout[name]
		if !ok || t.badTCB {
			return 0, false
		}
		return n.dump.memory.word(t.tcb + offset)
	}
	if offset, ok := n.layout[memberName]; ok && !t.badTCB {
		if b, ok := n.dump.memory.find(t.tcb + offset); ok {
			c.name = taskName(b)
		}
	}
	c.top, c.hasTop = member(memberTop)
	start, ok1 := member(memberStack)
	end, ok2 := member(memberEnd)
	if ok1 && ok2 && end > start && end-start < mostStack {
		c.start, c.end, c.hasBounds = start, end, true
	}
	if p, ok := member(memberPriority); ok && p < mostPriorities {
		c.priority = &p
	}
	return c
}

// mostPriorities is more than any build has: configMAX_PRIORITIES is 25 in ESP-IDF.
const mostPriorities = 64

// taskName reads a name as FreeRTOS keeps it: characters that can be printed, and a NUL. Anything else is no name.
func taskName(b []byte) string {
	b = b[:min(len(b), maxNameLength)]
	end := bytes.IndexByte(b, 0)
	if end < 0 || !utf8.Valid(b[:end]) {
		return ""
	}
	name := string(b[:end])
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return name
}

// checkLayout looks whether the ELF's layout is that of this dump's TCBs, where the dump's hash does not say that it is
// the right ELF. Of another build's layout nothing is used: what it gives looks like names and priorities.
func (n *decoder) checkLayout() {
	if n.report.ELFMatch == Exact || len(n.layout) == 0 {
		return
	}
	fits, asked := 0, 0
	for i := range n.dump.tasks {
		t := &n.dump.tasks[i]
		if _, ok := n.dump.memory.find(t.tcb); !ok || t.badTCB {
			continue
		}
		asked++
		if n.isPlausible(t) {
			fits++
		}
	}
	if fits == asked || n.report.ELFMatch == Unknown && 2*fits > asked { // some may be damaged
		return
	}
	n.layout = nil
	n.warn("the ELF lays a task's control block out otherwise than the dump: names, priorities and stack sizes were left out")
}

// isPlausible judges a TCB by what every one has: a name, a priority in bounds, and its stack pointer within its stack.
func (n *decoder) isPlausible(t *task) bool {
	c := n.control(t)
	for member, ok := range map[string]bool{
		memberName: c.name != "" && (t.name == "" || t.name == c.name), memberPriority: c.priority != nil,
	} {
		if _, known := n.layout[member]; known && !ok {
			return false
		}
	}
	if c.hasBounds {
		const near = 64 << 10 // it may have outgrown it
		return c.hasTop && c.top <= c.end && (c.top >= c.start || c.start-c.top < near)
	}
	_, start := n.layout[memberStack]
	_, end := n.layout[memberEnd]
	_, inDump := n.dump.segment(c.top)
	if start && end {
		return false
	}
	return !c.hasTop || inDump || t.fake
}

// mostStack is larger than any stack: external RAM has at most 32 MiB. What a TCB says beyond is nonsense.
const mostStack = 32 << 20

func (n *decoder) task(t *task, crashed bool) Task {
	c := n.control(t)
	out := Task{
		Name: t.name, TCB: Hex(t.tcb), Crashed: crashed, Corrupt: t.fake || t.badTCB, Priority: c.priority,
	}
	if out.Name == "" {
		out.Name = c.name
	}
	if t.fake {
		n.warn("the stack of the task %q was corrupt: the device did not dump it", out.Name)
	}
	n.walker.warn = func(format string, args ...any) {
		n.warn("task %q: %s", out.Name, fmt.Sprintf(format, args...))
	}
	n.measure(&out, t, &c)
	steps := n.walker.walk(t)
	out.Frames, out.LeftOut = n.frames(steps)
	if crashed {
		n.report.Registers = n.registers(t)
		if n.dump.InISR && c.hasTop {
			out.Interrupted = n.interrupted(c.top, steps.steps)
		}
	}
	return out
}

// measure tells how much of its stack a task uses. That of a task that waits is what its TCB says, which esp-coredump
// prints. The crashed task's TCB still has where it was last switched out: there it is the stack pointer at the crash.
// But one that crashed in an interrupt handler stood on the interrupt's stack, so its TCB is right again.
func (n *decoder) measure(out *Task, t *task, c *control) {
	sp, ok := c.top, c.hasTop
	if own, known := n.stackPointer(t); known && (!ok || out.Crashed && !n.dump.InISR) {
		sp, ok = own, true
	}
	if !ok || t.fake {
		return
	}
	if !c.hasBounds {
		if s, found := n.dump.segment(sp); found {
			out.StackUsed = int64(s.end() - sp)
		}
		return
	}
	out.StackSize = int64(c.end - c.start)
	const near = 64 << 10 // a stack pointer farther below the stack is not of this stack
	if sp <= c.end && (sp >= c.start || c.start-sp < near) {
		out.StackUsed = int64(c.end - sp)
		out.Overflow = sp < c.start
	}
}

// stackPointer is where the registers have it. Of a task that yielded they only have its caller's.
func (n *decoder) stackPointer(t *task) (uint32, bool) {
	switch {
	case t.fake || t.yielded:
		return 0, false
	case n.program.machine == symbol.Xtensa:
		return t.context.general.Get(xtensaSP)
	}
	return t.context.general.Get(riscvSP)
}

func (d *Dump) segment(addr uint32) (segment, bool) {
	for _, s := range d.memory.segments {
		if s.has(addr) {
			return s, true
		}
	}
	return segment{}, false
}

// registers are all registers of the crashed task.
func (n *decoder) registers(t *task) Registers {
	out := t.context.registers(n.program.machine)
	if n.program.machine == symbol.RISCV && len(n.dump.exception) == 0 {
		return append(out, n.dump.riscvException(t)...)
	}
	return append(out, n.dump.exception...)
}

// interrupted walks from the frame that an interrupt has left on the stack of the task that it interrupted. Xtensa's
// windows lead there by themselves.
func (n *decoder) interrupted(top uint32, steps []step) []Frame {
	b, ok := n.dump.memory.find(top)
	if !ok {
		return nil
	}
	t := task{}
	if n.program.machine == symbol.Xtensa {
		t.context = xtensaFrame(b)
	} else {
		t.context = riscvContext(b)
	}
	if t.context.short || !n.program.isCode(t.context.pc) {
		return nil
	}
	for _, s := range steps {
		if s.known && s.pc == t.context.pc {
			return nil
		}
	}
	frames, _ := n.frames(n.walker.walk(&t))
	return frames
}
