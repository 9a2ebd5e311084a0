package espcore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// explain says what kind of crash it was, and why. The panic text wins; then functions on the stack that are only there
// after an abort, whatever the raw cause says, as abort ends in an illegal instruction or access; then the cause.
func (n *decoder) explain() {
	c := xtensaCause(n.report.Registers)
	if n.program.machine == symbol.RISCV {
		c = riscvCause(n.report.Registers)
	}
	task := n.report.crashed()
	kind, called := abortKind(task)
	switch {
	case n.report.Panic != "":
		n.report.Kind = panicKind(n.report.Panic)
		if n.report.Kind == KindAbort && called {
			n.report.Kind = kind
		}
		n.report.Reason = n.report.Panic
	case called:
		n.report.Kind = kind
		n.report.Reason = abortReasons[kind]
	case c.kind == KindMemory:
		n.report.Kind = KindMemory
		n.report.Reason = faultReason(c, n.report.Registers)
	case c.kind != "":
		n.report.Kind = c.kind
		n.report.Reason = c.name
	default:
		n.report.Kind = faultKind(c)
		n.report.Reason = faultReason(c, n.report.Registers)
	}
	if k := n.report.Kind; k == KindAbort || k == KindAssert {
		n.addTold(task)
	}
	if !called && n.report.Panic == "" { // else it is only how the panic handler stops the processor
		n.report.Cause = c.name
	}
	n.flagOverflow(task)
}

// addTold puts what the stack says behind the reason, or in its place where the reason says only that it was an abort.
func (n *decoder) addTold(task *Task) {
	text := n.told(task)
	switch {
	case text == "" || strings.Contains(n.report.Panic, "assert"): // which has the same in other words
	case n.report.Panic == "":
		n.report.Reason = text
	default:
		n.report.Reason += "\n" + text
	}
}

// aborters are functions that are on the stack after an abort of some kind; the first that is found counts.
var aborters = []struct {
	function string
	kind     Kind
}{
	{"vApplicationStackOverflowHook", KindStackOverflow},
	{"task_wdt_timeout_handling", KindTaskWatchdog},
	{"task_wdt_isr", KindTaskWatchdog},
	{"__assert_func", KindAssert},
	{"panic_abort", KindAbort},
	{"abort", KindAbort},
}

var abortReasons = map[Kind]string{
	KindStackOverflow: "A stack overflow was detected",
	KindTaskWatchdog:  "The task watchdog was not fed in time",
	KindAssert:        "An assertion failed",
	KindAbort:         "abort() was called",
}

func abortKind(t *Task) (Kind, bool) {
	if t == nil {
		return "", false
	}
	for _, a := range aborters {
		if slices.ContainsFunc(t.Frames, func(f Frame) bool { return f.Function == a.function }) {
			return a.kind, true
		}
	}
	return "", false
}

func faultKind(c cause) Kind {
	if c.name == "" {
		return "fault:unknown"
	}
	return Kind("fault:" + c.name)
}

func faultReason(c cause, regs Registers) string {
	pc, hasPC := regs.Get("pc")
	switch {
	case c.name == "":
		return "unknown: the dump does not say"
	case c.hasAddr:
		return fmt.Sprintf("%s at the address 0x%08x", c.name, c.address)
	case hasPC:
		return fmt.Sprintf("%s at the pc 0x%08x", c.name, pc)
	}
	return c.name
}

// flagOverflow marks the task that the panic text, or the stack guard of the processor, names.
func (n *decoder) flagOverflow(crashed *Task) {
	name, named := overflowed(n.report.Panic)
	for i := range n.report.Tasks {
		if t := &n.report.Tasks[i]; named && t.Name == name && name != "" {
			t.Overflow = true
		}
	}
	if crashed != nil && n.report.Kind == KindStackOverflow && !named && !n.report.InISR {
		crashed.Overflow = true
	}
	for _, t := range n.report.Tasks {
		if t.Overflow && !strings.Contains(n.report.Reason, "verflow") {
			n.warn("the task %q has outgrown its stack", t.Name)
		}
	}
}
