//go:build faults

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// long is the length by hand, SLIPWAY_FAULTS=long; .ci/run takes the short one, five minutes for all rows.
var long = os.Getenv("SLIPWAY_FAULTS") == "long"

// times is how often a row does its fault.
func times(short, longer int) int {
	if long {
		return longer
	}
	return short
}

// fault is one row of the table: what was done to the gateway, and that somebody would notice if it lost something.
// Each TestFaults… makes its rows with newFault. Where a test has rows on several disks, those run beside each other: each has
// its disk, its gateway and its fleet.
type fault struct {
	t            *testing.T
	name, where  string
	rounds       int
	result       string // "" until it is known
	control      string
	skip, failed bool
}

var (
	rows  sync.Mutex // guards table
	table []*fault
)

// newFault adds a row. The test has to set both by found and noticed before it ends.
func newFault(t *testing.T, name, where string, rounds int) *fault {
	t.Helper()
	f := &fault{t: t, name: name, where: where, rounds: rounds}
	rows.Lock()
	table = append(table, f)
	rows.Unlock()
	t.Cleanup(func() {
		f.failed, f.skip = t.Failed(), t.Skipped()
		if f.skip || f.failed {
			return
		}
		if f.result == "" || f.control == "" {
			f.failed = true
			t.Errorf("the row %q, %s has no result or no control", name, where)
		}
	})
	return f
}

// found is what the fault did: a short sentence with its figures.
func (f *fault) found(format string, args ...any) { f.result = fmt.Sprintf(format, args...) }

// noticed is the control: the same check on a gateway from which what keeps the promise was taken out. What it noticed is
// "" where it noticed nothing, and then the row proves nothing and fails. A row may have several.
func (f *fault) noticed(without, what string) {
	f.t.Helper()
	if what == "" {
		what = "NOTHING NOTICED"
		f.t.Errorf("%s: %s: the control noticed nothing", f.name, without)
	}
	if f.control != "" {
		f.control += "; "
	}
	f.control += without + ": " + what
}

// needsRoot skips a row that mounts something. Where somebody is root, what does not work is a failure.
func (f *fault) needsRoot() {
	f.t.Helper()
	if os.Geteuid() != 0 {
		f.result = "skipped: needs root"
		f.t.Skip("a loop mount needs root")
	}
}

func init() {
	conclude = func(code int) int {
		printTable(os.Stdout)
		os.RemoveAll(sharedDir)
		for _, f := range table {
			if f.failed && code == 0 {
				code = 1
			}
		}
		return code
	}
}

func printTable(out io.Writer) {
	if len(table) == 0 {
		return // the program slipway, or a list of tests
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nFAULT\tWHERE\tROUNDS\tRESULT\tCONTROL")
	for _, f := range table {
		result := f.result
		switch {
		case f.failed:
			result = strings.TrimSuffix("FAILED: "+result, ": ")
		case f.skip && result == "":
			result = "skipped"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", f.name, f.where, f.rounds, result, f.control)
	}
	w.Flush() //nolint:errcheck // of a terminal
}
