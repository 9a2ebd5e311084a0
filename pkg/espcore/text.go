package espcore

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report for people: what happened, then each task as GDB's backtrace shows it.
func (r *Report) WriteText(w io.Writer) error {
	t := &text{}
	t.head(r)
	t.registers(r.Registers)
	for i := range r.Tasks {
		t.task(i+1, &r.Tasks[i])
	}
	if len(r.Tasks) == 0 {
		t.line("No task is in this dump.")
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// text puts foreign text on a terminal without letting it steer the terminal.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) {
	t.WriteString(visible(fmt.Sprintf(format, args...)) + "\n")
}

func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func (t *text) head(r *Report) {
	chip := r.Chip
	if chip == "" {
		chip = r.Architecture
	}
	if r.ChipRevision != "" {
		chip += " " + r.ChipRevision
	}
	t.line("Core dump of an %s, container %s, checksum %s", chip, r.Container, r.Integrity)
	if r.App != nil {
		t.line("App:         %s %s, ESP-IDF %s", r.App.Project, r.App.Version, r.App.IDFVersion)
	}
	t.line("Symbols:     %s", r.symbols())
	for i, part := range strings.Split(r.Reason, "\n") {
		label := "Reason:"
		if i > 0 {
			label = ""
		}
		t.line("%-12s %s", label, part)
	}
	if c := r.crashed(); c != nil {
		where := ""
		if r.InISR {
			where = ", in an interrupt handler"
		}
		t.line("Crashed:     task %q%s", c.Name, where)
	}
	if r.Cause != "" && !strings.Contains(r.Reason, r.Cause) {
		t.line("Cause:       %s", r.Cause)
	}
	for _, s := range r.Starved {
		t.line("Starved:     task %q on %s", s.Name, s.CPU)
	}
	t.line("Fingerprint: %s", r.Fingerprint)
	for _, w := range r.Warnings {
		t.line("Warning:     %s", w)
	}
	t.line("")
}

func (r *Report) symbols() string {
	switch r.ELFMatch {
	case Exact:
		return "exact, the ELF of this dump (" + r.ELFSHA256 + ")"
	case Mismatch:
		return "MISMATCH, the ELF is not the one of this dump (" + r.ELFSHA256 + ")"
	case Unknown:
		return "unknown, the dump does not say which ELF is its own"
	}
	if r.ELFSHA256 == "" {
		return "missing, and the dump does not say which ELF is its own"
	}
	return "missing, give the ELF whose SHA-256 begins with " + r.ELFSHA256
}

// registers are shown in columns, row by row.
func (t *text) registers(regs Registers) {
	if len(regs) == 0 {
		return
	}
	const columns = 4
	t.line("Registers of the crashed task:")
	table := tabwriter.NewWriter(t, 0, 0, 1, ' ', 0)
	for i, reg := range regs {
		end := "\t"
		if (i+1)%columns == 0 || i+1 == len(regs) {
			end = "\n"
		}
		fmt.Fprintf(table, "  %s\t%s%s", reg.Name, reg.Value, end)
	}
	table.Flush() //nolint:errcheck // it writes to a strings.Builder, which cannot fail
	t.line("")
}

func (t *text) task(number int, task *Task) {
	about := []string{"TCB " + task.TCB.String()}
	if task.Priority != nil {
		about = append(about, fmt.Sprintf("priority %d", *task.Priority))
	}
	switch {
	case task.StackSize > 0:
		about = append(about, fmt.Sprintf("stack %d of %d bytes", task.StackUsed, task.StackSize))
	case task.StackUsed > 0:
		about = append(about, fmt.Sprintf("stack %d bytes", task.StackUsed))
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{task.Crashed, "CRASHED"}, {task.Overflow, "STACK OVERFLOW"}, {task.Corrupt, "CORRUPT"}} {
		if flag.set {
			about = append(about, flag.name)
		}
	}
	t.line("Thread %d %q (%s):", number, task.Name, strings.Join(about, ", "))
	t.frames(task.Frames, task.LeftOut)
	if len(task.Interrupted) > 0 {
		t.line("<interrupted here>")
		t.frames(task.Interrupted, nil)
	}
	t.line("")
}

func (t *text) frames(frames []Frame, gap *LeftOut) {
	number := 0
	for i := range frames {
		if gap != nil && i == gap.After {
			t.line("... %d frames were left out ...", gap.Count)
			number += gap.Count
		}
		t.line("#%-2d %s", number, frames[i].String())
		number++
	}
	if len(frames) == 0 {
		t.line("(no frames)")
	}
}

// String is the frame as GDB's backtrace shows it; a frame that GDB would not find says how it was.
func (f *Frame) String() string {
	var s strings.Builder
	if f.PC != nil {
		s.WriteString(f.PC.String() + " in ")
	}
	args := make([]string, len(f.Args))
	for i, a := range f.Args {
		args[i] = a.Name + "=" + a.Value
	}
	s.WriteString(f.Function + " (" + strings.Join(args, ", ") + ")")
	if f.File != "" {
		fmt.Fprintf(&s, " at %s:%d", f.File, f.Line)
	}
	switch f.How {
	case HowScan, HowInferred:
		s.WriteString(" [" + string(f.How) + "]")
	}
	return s.String()
}
