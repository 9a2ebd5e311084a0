package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is what go test -json writes: see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of the output of a build
	Elapsed                       float64
}

// place is where output belongs; without a test it is the package's own.
type place struct{ pkg, test string }

// account keeps what each test says until it is known whether that is to be printed.
type account struct {
	out     io.Writer
	said    map[place]*strings.Builder
	ended   int
	skipped map[string]map[string]int // tests by reason and package
	figures []string
	slow    []slowTest
}

// slowTest is one that took long, as a whole.
type slowTest struct {
	place
	seconds float64
}

// A test that takes this many seconds is told of at the end, where it is among the slowest: so a suite that grows too long shows why.
const (
	leastSlow = 2
	mostSlow  = 15
)

func newAccount(out io.Writer) *account {
	return &account{out: out, said: map[place]*strings.Builder{}, skipped: map[string]map[string]int{}}
}

// logged is a line of t.Log: indented, with the file and the line.
var logged = regexp.MustCompile(`^ +[A-Za-z0-9_]+\.go:\d+: (.*)`)

func (a *account) note(e event) {
	at := place{e.Package, e.Test}
	if (e.Action == "pass" || e.Action == "fail") && e.Test != "" && !strings.Contains(e.Test, "/") && e.Elapsed >= leastSlow {
		a.slow = append(a.slow, slowTest{at, e.Elapsed})
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(a.out, e.Output)
	case "output":
		a.hear(at, e.Output)
	case "fail":
		a.ended++
		fmt.Fprint(a.out, a.take(at))
	case "skip":
		a.skip(at)
	case "pass":
		if e.Test != "" {
			a.ended++
		}
		a.take(at)
	}
}

func (a *account) hear(at place, output string) {
	if at.test == "" && (strings.HasPrefix(output, "ok  \t") || strings.HasPrefix(output, "?   \t") || strings.HasPrefix(output, "\t")) {
		fmt.Fprint(a.out, output) // a package's line
		return
	}
	if strings.HasPrefix(output, "=== ") || output == "PASS\n" {
		return
	}
	if m := logged.FindStringSubmatch(output); m != nil {
		if figure, ok := strings.CutPrefix(m[1], "figure: "); ok {
			a.figures = append(a.figures, figure)
		}
	}
	if a.said[at] == nil {
		a.said[at] = &strings.Builder{}
	}
	a.said[at].WriteString(output)
}

func (a *account) take(at place) string {
	said := a.said[at]
	delete(a.said, at)
	if said == nil {
		return ""
	}
	return said.String()
}

func (a *account) skip(at place) {
	said := a.take(at)
	if at.test == "" { // a package without tests
		return
	}
	a.ended++
	reason := "no reason is given"
	for line := range strings.Lines(said) {
		if m := logged.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			reason = m[1] // the last one: t.Skip ends the test
		}
	}
	if a.skipped[reason] == nil {
		a.skipped[reason] = map[string]int{}
	}
	a.skipped[reason][at.pkg]++
}

// end prints what was still being said when go test ended, the figures, the slowest tests, and what was skipped.
func (a *account) end() {
	for _, at := range slices.SortedFunc(maps.Keys(a.said), func(x, y place) int { return cmp.Or(cmp.Compare(x.pkg, y.pkg), cmp.Compare(x.test, y.test)) }) {
		fmt.Fprint(a.out, a.take(at))
	}
	for _, f := range a.figures {
		fmt.Fprintln(a.out, f)
	}
	slices.SortFunc(a.slow, func(x, y slowTest) int { return cmp.Or(cmp.Compare(y.seconds, x.seconds), cmp.Compare(x.test, y.test)) })
	for _, one := range a.slow[:min(len(a.slow), mostSlow)] {
		fmt.Fprintf(a.out, "%6.1f s: %s of %s\n", one.seconds, one.test, one.pkg[strings.LastIndexByte(one.pkg, '/')+1:])
	}
	skipped := 0
	for _, packages := range a.skipped {
		for _, n := range packages {
			skipped += n
		}
	}
	if skipped == 0 {
		fmt.Fprintf(a.out, "%d tests ended, none was skipped\n", a.ended)
		return
	}
	fmt.Fprintf(a.out, "%d tests ended, %d of them were skipped:\n", a.ended, skipped)
	for _, reason := range slices.Sorted(maps.Keys(a.skipped)) {
		packages := a.skipped[reason]
		for _, pkg := range slices.Sorted(maps.Keys(packages)) {
			fmt.Fprintf(a.out, "%6d in %s: %s\n", packages[pkg], short(pkg), reason)
		}
	}
}

// short is a package without the module's path.
func short(pkg string) string {
	return strings.TrimPrefix(pkg, "github.com/slipway-gateway/slipway/")
}
