package espcore

import "strings"

// Kind is the sort of a crash; a fault's is "fault:" and its cause.
type Kind string

// The kinds other than faults.
const (
	KindAbort             Kind = "abort"
	KindAssert            Kind = "assert"
	KindStackOverflow     Kind = "stack_overflow"
	KindTaskWatchdog      Kind = "task_wdt"
	KindInterruptWatchdog Kind = "int_wdt"
	KindCache             Kind = "cache"
	KindMemory            Kind = "memory" // a load, a store or a fetch that failed: which of them is the compiler's choice of order
)

// Starved is a task, or another user of the task watchdog, that did not feed it in time.
type Starved struct {
	Name string `json:"name"`
	CPU  string `json:"cpu"` // "CPU 0", "CPU 0/1" of one that is not pinned; "" where the text does not say
}

const (
	watchdogCaption = "Task watchdog got triggered"
	overflowBefore  = "stack overflow in task "
	overflowBehind  = " has been detected"
)

// panicKinds are the beginnings, or parts, of the texts of ESP-IDF's panic handler.
var panicKinds = []struct {
	text string
	kind Kind
}{
	{watchdogCaption, KindTaskWatchdog},
	{overflowBefore, KindStackOverflow},
	{"Stack protection fault", KindStackOverflow},
	{"Stack canary watchpoint triggered", KindStackOverflow},
	{"assert failed:", KindAssert},
	{"assertion \"", KindAssert},
	{"Interrupt wdt timeout", KindInterruptWatchdog},
	{"Cache error", KindCache},
	{"Cache disabled but cached memory region accessed", KindCache},
}

// panicKind is what a panic text tells; any other text comes from an abort.
func panicKind(text string) Kind {
	for _, p := range panicKinds {
		if strings.Contains(text, p.text) {
			return p.kind
		}
	}
	return KindAbort
}

// starved reads the watchdog's list, one " - name (CPU 0)" a line.
func starved(text string) []Starved {
	_, list, ok := strings.Cut(text, watchdogCaption)
	if !ok {
		return nil
	}
	var out []Starved
	for line := range strings.Lines(list) {
		entry, ok := strings.CutPrefix(strings.TrimSpace(line), "- ")
		if !ok || len(out) == maxTasks {
			continue
		}
		s := Starved{Name: entry}
		if at := strings.LastIndex(entry, " ("); at > 0 && strings.HasSuffix(entry, ")") {
			s.Name, s.CPU = entry[:at], entry[at+2:len(entry)-1]
		}
		out = append(out, s)
	}
	return out
}

// overflowed is the task that the panic text says has outgrown its stack.
func overflowed(text string) (string, bool) {
	_, rest, ok := strings.Cut(text, overflowBefore)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, overflowBehind)
	return strings.TrimSpace(name), ok
}
