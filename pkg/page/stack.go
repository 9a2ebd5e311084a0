package page

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// stack is a report as the page shows it: the crashed task first and open, its own frames standing out, what the framework
// did between them folded.
type stack struct {
	Reason    []string // its lines behind the first, which stands above
	Crashed   string   // the task, "" where the dump does not say
	InISR     bool
	Tasks     []task
	Registers []register
	Warnings  []string
	Legend    []legend // of the marks that are there
	Text      string   // the whole as a person pastes it into a ticket
}

// task is one, with its frames in runs.
type task struct {
	Name string
	Open bool   // the crashed one
	Note string // what is odd, and how much of its stack it used
	Top  string // its innermost frame of the application's own, else its innermost
	Runs []run
}

// run are frames one after the other that are all of the application's own, or none.
type run struct {
	Own    bool
	Gap    int // frames that were left out before it
	Frames []frameRow
}

// Folded is what stands on a run that is closed.
func (r run) Folded() string {
	return fmt.Sprintf("%s of the framework: %s", plural(len(r.Frames), "frame", "frames"), r.Frames[0].Function)
}

// frameRow is one function of a backtrace.
type frameRow struct {
	Function string
	Place    string // "test_core_dump.c:14"
	File     string // the whole path
	Own      bool
	Marks    []string
	PC       string
	Args     []espcore.Argument
}

type legend struct{ Mark, Means string }

type register struct{ Name, Value string }

// meanings of the marks, in the order of the legend.
var meanings = []legend{
	{"inlined", "the compiler has put it into the function below"},
	{"scan", "found by searching the stack for return addresses: it was called, maybe not just now"},
	{"inferred", "it must have been there, and nothing of it is left on the stack"},
	{"tail", "it jumped to the function above and left no frame"},
	{"ROM", "in the chip's ROM"},
}

// stackOf reads a report as it is stored; ok is false where it is none.
func stackOf(report []byte, text string) (s stack, ok bool) {
	var r espcore.Report
	if json.Unmarshal(report, &r) != nil {
		return stack{}, false
	}
	s = stack{Reason: strings.Split(r.Reason, "\n")[1:], InISR: r.InISR, Warnings: r.Warnings, Text: text}
	seen := map[string]bool{}
	for i := range r.Tasks {
		t := taskOf(&r.Tasks[i], seen)
		if t.Open {
			s.Crashed = t.Name
		}
		s.Tasks = append(s.Tasks, t)
	}
	for _, m := range meanings {
		if seen[m.Mark] {
			s.Legend = append(s.Legend, m)
		}
	}
	for _, one := range r.Registers {
		s.Registers = append(s.Registers, register{one.Name, one.Value.String()})
	}
	return s, true
}

func taskOf(t *espcore.Task, seen map[string]bool) task {
	made := task{Name: t.Name, Open: t.Crashed, Note: noteOf(t)}
	frames := t.Frames
	if len(t.Interrupted) > 0 {
		frames = append(frames[:len(frames):len(frames)], t.Interrupted...)
	}
	for i, f := range frames {
		row := rowOf(f, seen)
		gap := 0
		if t.LeftOut != nil && i == t.LeftOut.After && i > 0 {
			gap = t.LeftOut.Count
		}
		if n := len(made.Runs); n == 0 || made.Runs[n-1].Own != row.Own || gap > 0 {
			made.Runs = append(made.Runs, run{Own: row.Own, Gap: gap})
		}
		last := &made.Runs[len(made.Runs)-1]
		last.Frames = append(last.Frames, row)
		if made.Top == "" && row.Own {
			made.Top = row.Function
		}
	}
	if made.Top == "" && len(frames) > 0 {
		made.Top = frames[0].Function
	}
	return made
}

func noteOf(t *espcore.Task) string {
	var parts []string
	if t.Overflow {
		parts = append(parts, "it has outgrown its stack")
	}
	if t.Corrupt {
		parts = append(parts, "its stack was found destroyed")
	}
	if t.StackSize > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d bytes of stack", t.StackUsed, t.StackSize))
	}
	return strings.Join(parts, ", ")
}

func rowOf(f espcore.Frame, seen map[string]bool) frameRow {
	row := frameRow{Function: f.Function, File: f.File, Own: f.InApp, Args: f.Args}
	if f.File != "" {
		row.Place = path.Base(f.File)
		if f.Line > 0 {
			row.Place += fmt.Sprintf(":%d", f.Line)
		}
	}
	if f.PC != nil {
		row.PC = f.PC.String()
	}
	mark := func(m string) {
		row.Marks = append(row.Marks, m)
		seen[m] = true
	}
	if f.Inlined {
		mark("inlined")
	}
	switch f.How {
	case espcore.HowScan, espcore.HowInferred, espcore.HowTail:
		mark(string(f.How))
	}
	if f.ROM {
		mark("ROM")
	}
	return row
}
