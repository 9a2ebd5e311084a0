package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
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
	const most = 4000 // allocations; 2,600 of 120 commands and their flags
	if n := testing.AllocsPerRun(5, func() { newRoot() }); n > most {
		t.Errorf("%.0f allocations, %d at most", n, most)
	}
}
