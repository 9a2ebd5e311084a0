package corpus_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/symbol"
	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

// score counts GDB's frames, and those that Slipway has the same: function, file, line and arguments.
type score struct{ equal, all int }

func (s score) String() string { return fmt.Sprintf("%d/%d", s.equal, s.all) }

func (s *score) add(other score) {
	s.equal += other.equal
	s.all += other.all
}

func TestCorpusFramesAreThoseThatGDBPrints(t *testing.T) {
	table := map[string]map[string]score{} // program, build
	var own, others score
	var extra, stale, more int
	for _, d := range everything(t) {
		c := comparison{t: t, dump: &d}
		for _, task := range d.GDB {
			c.task(task)
		}
		if table[d.Program] == nil {
			table[d.Program] = map[string]score{}
		}
		cell := table[d.Program][d.Build.Name]
		cell.add(c.score)
		table[d.Program][d.Build.Name] = cell
		extra, stale, more = extra+c.extra, stale+c.stale, more+c.more
		if d.Build.Paths == corpus.Own {
			own.add(c.score)
		} else {
			others.add(c.score)
		}
	}
	total := own
	total.add(others)
	for line := range strings.Lines(render(table)) {
		t.Logf("figure: %s", strings.TrimSpace(line))
	}
	t.Logf("figure: frames equal to GDB's of all: %s; of builds in somebody's own folders %s, of the container's, a reproducible"+
		" build's and PlatformIO's %s", total, own, others)
	t.Logf("figure: beside these: %d frames more, found by scanning or concluded; %d arguments that GDB does not know, and %d left"+
		" out that GDB took from registers which a call may have changed", extra, more, stale)
}

func render(table map[string]map[string]score) string {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "frames equal to GDB's")
	for _, b := range corpus.Builds {
		fmt.Fprint(w, "\t"+b.Name)
	}
	fmt.Fprintln(w)
	var programs []string
	for p := range table {
		programs = append(programs, p)
	}
	slices.Sort(programs)
	for _, p := range programs {
		fmt.Fprint(w, p)
		for _, b := range corpus.Builds {
			fmt.Fprint(w, "\t"+table[p][b.Name].String())
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // into memory
	return out.String()
}

// comparison is of one dump.
type comparison struct {
	t    *testing.T
	dump *decoded
	score
	extra       int // frames that GDB has not, and that are marked as found otherwise
	stale, more int // see verdict
}

const nobodyKnows = "??"

// task compares frame by frame. What GDB has no name for counts for nobody; behind it GDB may have given up.
func (c *comparison) task(want corpus.Task) {
	c.t.Helper()
	i := slices.IndexFunc(c.dump.report.Tasks, func(t espcore.Task) bool { return uint32(t.TCB) == want.TCB })
	if i < 0 {
		c.errorf("no task 0x%08x", want.TCB)
		return
	}
	got := c.dump.report.Tasks[i]
	at, gaveUp, below := 0, false, false
	regs := registers(c.dump.Core, want.TCB)
	next := func() *corpus.Frame {
		for at < len(want.Frames) && want.Frames[at].Function == nobodyKnows {
			at, gaveUp = at+1, true
		}
		if at == len(want.Frames) {
			return nil
		}
		return &want.Frames[at]
	}
	for _, f := range got.Frames {
		w, innermost := next(), !below
		below = below || !f.Inlined
		switch {
		case f.Function == nobodyKnows:
		case w == nil || f.How == espcore.HowInferred || f.How == espcore.HowScan && f.Function != w.Function:
			if c.extra++; f.How != espcore.HowScan && f.How != espcore.HowInferred && !gaveUp {
				c.errorf("task %q has a frame more: %s", got.Name, show(&f))
			}
		default:
			c.all++
			args := compareArguments(arguments(&f), argumentsGDB(w), regs, innermost)
			c.stale, c.more = c.stale+args.stale, c.more+args.more
			if samePlace(&f, w) && args.equal {
				c.equal++
			} else {
				c.errorf("task %q:\n\t%s, and GDB says\n\t%s", got.Name, show(&f), showGDB(w))
			}
			at++
		}
	}
	for w := next(); w != nil; w = next() {
		c.all++
		c.errorf("task %q has no %s", got.Name, showGDB(w))
		at++
	}
}

func (c *comparison) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: %s: %s", c.dump.Build.Name, c.dump.Cause(), fmt.Sprintf(format, args...))
}

// samePlace compares what people read. Of GDB's spelling two things are not asked for: a source that the compiler was given
// by a relative path is complete here, and functions that GDB names by their linkage name have their parameters there.
func samePlace(f *espcore.Frame, w *corpus.Frame) bool {
	file := f.File == w.File || w.File != "" && !strings.HasPrefix(w.File, "/") && strings.HasSuffix(f.File, "/"+w.File)
	function := f.Function == w.Function || withoutParameters(f.Function) == withoutParameters(w.Function)
	return function && file && f.Line == w.Line
}

func withoutParameters(function string) string {
	var out strings.Builder
	depth := 0
	for _, c := range strings.ReplaceAll(function, "operator()", "operator") {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth == 0:
			out.WriteRune(c)
		}
	}
	return strings.TrimSuffix(out.String(), " const")
}

func arguments(f *espcore.Frame) []argument {
	var args []argument
	for _, a := range f.Args {
		args = append(args, argument{a.Name, a.Value})
	}
	return args
}

// gdbError is what GDB prints for an argument of which it knows no better. It is no value, and behind a value no more.
const gdbError = "<error reading variable: value has been optimized out>"

func argumentsGDB(f *corpus.Frame) []argument {
	var args []argument
	for _, a := range f.Args {
		if a.Value != gdbError || !strings.HasSuffix(a.Name, "@entry") {
			args = append(args, argument{a.Name, strings.ReplaceAll(a.Value, gdbError, symbol.OptimizedOut)})
		}
	}
	return args
}

func text(args []argument) string {
	var out []string
	for _, a := range args {
		out = append(out, a.name+"="+a.value)
	}
	return strings.Join(out, ", ")
}

func show(f *espcore.Frame) string {
	return fmt.Sprintf("%s (%s) at %s:%d", f.Function, text(arguments(f)), f.File, f.Line)
}

func showGDB(f *corpus.Frame) string {
	return fmt.Sprintf("%s (%s) at %s:%d", f.Function, text(argumentsGDB(f)), f.File, f.Line)
}
