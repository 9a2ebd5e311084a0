package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each batch of dumps has a worker of its own, and each line of a script a command: all are this program, and pay for what its
// packages do before main. The page once parsed its views and packed its scripts there, which took a worker 40 ms.
func TestNoPackageMakesMuchBeforeMain(t *testing.T) {
	const most = 256 << 10 // bytes allocated: a few patterns and tables
	cmd := exec.Command("slipway", "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var told bytes.Buffer
	cmd.Stderr = &told
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	inits := regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, \S+ ms clock, (\d+) bytes`).FindAllStringSubmatch(told.String(), -1)
	if len(inits) < 10 {
		t.Fatalf("what packages do before main is not told:\n%s", told.String())
	}
	for _, one := range inits {
		if size, err := strconv.Atoi(one[2]); strings.Contains(one[1], "/slipway/") && (err != nil || size > most) {
			t.Errorf("%s allocates %s bytes before main, %d at most", one[1], one[2], most)
		}
	}
}

// The tree of commands is made for each of them, and for each worker. The values that a shell completes once cost 5 ms there.
func TestTheTreeOfCommandsIsCheaplyMade(t *testing.T) {
	for _, c := range []struct {
		line []string
		most float64 // allocations
	}{
		{nil, 4000},                       // 2,600 of 120 commands and their flags
		{[]string{"--format=json"}, 4000}, // and of what could be any of them
		{[]string{"worker"}, 100},
		{[]string{"decode", "core.dmp"}, 100},
	} {
		if n := testing.AllocsPerRun(5, func() { newRoot(c.line...) }); n > c.most {
			t.Errorf("%q: %.0f allocations, %.0f at most", c.line, n, c.most)
		} else {
			t.Logf("%q: %.0f", c.line, n)
		}
	}
}

// A command that is made alone is what it is among all others.
func TestACommandOfALineIsTheOneOfTheWholeTree(t *testing.T) {
	whole, _ := newRoot()
	for _, c := range commands() {
		alone, _ := newRoot(c.name, "--help")
		if subs := alone.Commands(); len(subs) != 1 || subs[0].Name() != c.name {
			t.Errorf("a line that begins with %q has %d commands", c.name, len(subs))
			continue
		}
		var want, got []string
		describe := func(all *[]string) func(*cobra.Command) {
			return func(cmd *cobra.Command) {
				cmd.InheritedFlags()
				*all = append(*all, cmd.CommandPath()+cmd.Long+cmd.Example+cmd.UsageString())
			}
		}
		among, _, err := whole.Find([]string{c.name})
		if err != nil {
			t.Fatal(err)
		}
		walk(among, describe(&want))
		walk(alone.Commands()[0], describe(&got))
		if !slices.Equal(got, want) {
			t.Errorf("%s alone is\n%s\namong all others\n%s", c.name, got, want)
		}
	}
}
