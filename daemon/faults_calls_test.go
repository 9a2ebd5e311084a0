//go:build faults

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// writeCalls are the system calls by which the gateway changes a disk or waits for it, but for write, which also is what it
// says to clients and to its own event loop, and openat, which has rows of its own.
const writeCalls = "pwrite64,fsync,fdatasync,msync,renameat,renameat2,linkat,unlinkat,mkdirat,fallocate,ftruncate"

// injected is a program that runs the gateway with an error in place of the n-th call of each name of each of its threads.
func injected(t *testing.T, dir, program, calls, errno string, n int) string {
	t.Helper()
	return injectedAs(t, dir, program, fmt.Sprintf("--seccomp-bpf -e signal=none -e trace=%[1]s -e inject=%[1]s:error=%[2]s:when=%[3]d", calls, errno, n))
}

// injectedAs is injected, with the words of strace for what fails.
func injectedAs(t *testing.T, dir, program, words string) string {
	t.Helper()
	path := filepath.Join(dir, "injected")
	script := fmt.Sprintf("#!/bin/sh\nexec strace -D -f -qqq -o /dev/null %s %s \"$@\"\n", words, program)
	// A child that another row begins meanwhile would have the script open for writing, and the kernel runs no such file.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFaultsACallThatIsRefusedWhileTheCatalogIsOpenedAgainLosesNothing has the kernel refuse an early call again and again: with
// Badger's own merges of tables that took the catalog in one of ten rounds.
func TestFaultsACallThatIsRefusedWhileTheCatalogIsOpenedAgainLosesNothing(t *testing.T) {
	slipway, err := exec.LookPath("slipway")
	if err != nil {
		t.Fatal(err)
	}
	row := newFault(t, "ENOSPC from the n-th call that writes, n from 3 to 9", "ext4", times(7, 210))
	row.needsRoot()
	p := newPlantOn(t, newDisk(t, "ext4"), "")
	p.l.begin(0)
	p.l.until(20)
	p.l.end()
	merges := 0
	for round := range row.rounds {
		n := 3 + round%7
		p.g.stop()
		p.afflicted(1+round, slipway, writeCalls, "ENOSPC", n)
		said := p.g.log.String()
		p.g.start()
		merges += strings.Count(said+p.g.log.String(), "tables of the catalog merged")
		p.check(0)
		if t.Failed() {
			t.Fatalf("round %d, at call %d\n%s", round, n, said)
		}
	}
	row.found("%d acknowledged, none lost; tables were merged %d times", p.l.answers(), merges)
	if !long {
		row.control = "Badger merges tables by itself: in the long length, and TestBadgersOwnMergeLosesWhatItCannotWrite"
		return
	}
	merging := without(t, "pkg/catalog/badger.go", "WithNumCompactors(0)", "WithNumCompactors(2)",
		"WithNumLevelZeroTables(1 << 20)", "WithNumLevelZeroTables(2)", "WithNumLevelZeroTablesStall(1 << 21)", "WithNumLevelZeroTablesStall(3)",
		"WithCompactL0OnClose(false)", "WithCompactL0OnClose(true)")
	noticed := ""
	for round := 0; round < 100 && noticed == ""; round++ {
		p.g.stop()
		p.afflicted(row.rounds+1+round, merging, writeCalls, "ENOSPC", 3+round%7)
		p.g.program = ""
		if err := p.g.tryStart(); err != nil {
			noticed = fmt.Sprintf("no start in round %d", round+1)
		} else if gone := p.l.lost(0); len(gone) > 0 {
			noticed = fmt.Sprintf("%d lost in round %d", len(gone), round+1)
		}
	}
	row.noticed("Badger merges tables by itself", noticed)
}

// afflicted starts the gateway with such errors, lets the fleet ask it and ends it. It says what became of it.
func (p *plant) afflicted(round int, program, calls, errno string, n int) (became string) {
	p.t.Helper()
	p.g.program = injected(p.t, p.d.dir, program, calls, errno, n)
	defer func() { p.g.program = "" }()
	if err := p.g.tryStart(); err != nil {
		return "no start"
	}
	p.l.begin(round)
	p.l.within(40, 5*time.Second)
	p.l.end()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // it polls; each thread has its errors
		select {
		case <-p.g.ended: //nolint:errcheck // how it ended is in its log
			p.g.cmd = nil
			return "ended"
		default:
		}
		wrong := p.l.served()
		if wrong == "" {
			p.g.end()
			return "served"
		}
		if time.Now().After(end) {
			p.t.Logf("%s at call %d: %s", errno, n, wrong)
			p.g.end()
			return "away"
		}
	}
}

// TestFaultsAListOfTablesThatIsNotSyncedLosesNothing has the kernel refuse a sync of the catalog's list of tables, once of each
// thread: Badger then deletes the table that it has named there and makes it again, under another number. What stays is a name
// without a file, at which the start after a stop or a kill must not take fright.
func TestFaultsAListOfTablesThatIsNotSyncedLosesNothing(t *testing.T) {
	slipway, err := exec.LookPath("slipway")
	if err != nil {
		t.Fatal(err)
	}
	row := newFault(t, "ENOSPC from a sync of the list of tables, then a stop or a kill", "ext4", times(4, 60))
	row.needsRoot()
	p := newPlantOn(t, newDisk(t, "ext4"), "")
	p.l.begin(0)
	p.l.until(20)
	p.l.end()
	list := "-P " + filepath.Join(p.g.state, "catalog", "MANIFEST") + " -e signal=none -e trace=fsync"
	round := func(n int, program string) error {
		p.g.stop()
		p.g.program = injectedAs(t, p.d.dir, program, fmt.Sprintf("%s -e inject=fsync:error=ENOSPC:when=%d", list, 1+n%2))
		if err := p.g.tryStart(); err == nil {
			p.l.begin(1 + n)
			p.l.within(20, 5*time.Second)
			p.l.end()
			if n%4 < 2 {
				p.g.stop()
			} else {
				p.g.end()
			}
		}
		if p.g.program = ""; program != slipway {
			p.g.program = program
		}
		return p.g.tryStart()
	}
	for n := range row.rounds {
		if err := round(n, slipway); err != nil {
			t.Fatalf("round %d: %v\n%s", n, err, p.g.log)
		}
		p.check(0)
		if t.Failed() {
			t.Fatalf("round %d\n%s", n, p.g.log)
		}
	}
	row.found("%d acknowledged, none lost", p.l.answers())
	frightened := without(t, "pkg/catalog/list.go", "l.passesOver(dir, id)", "false")
	noticed := ""
	for n := range 8 {
		if err := round(row.rounds+n, frightened); err != nil {
			noticed = fmt.Sprintf("no start in round %d", n+1)
			break
		}
	}
	row.noticed("a name without a file is a lost table", noticed)
}

// spread are n values up to most, closer at the beginning.
func spread(n, most int) []int {
	values := make([]int, 0, n)
	for i := 1; i <= n; i++ {
		values = append(values, max(i, most*i*i/(n*n)))
	}
	return values
}

// TestFaultsAnErrorOfACallThatWritesLosesNothing has the kernel refuse the n-th call of each name that writes, at a start and
// while a fleet asks, once of each thread. The gateway serves on, or ends without a trace and starts again; nothing that
// was acknowledged is lost either way.
func TestFaultsAnErrorOfACallThatWritesLosesNothing(t *testing.T) {
	slipway, err := exec.LookPath("slipway")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		errno, what, calls string
		short, longer      []int
	}{
		{"EIO", "that writes", writeCalls, spread(12, 60), spread(100, 100)},
		{"ENOSPC", "that writes", writeCalls, []int{3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 26, 33, 41, 50, 60}, spread(100, 100)},
		{"EIO", "that opens", "openat", spread(6, 200), spread(300, 300)},
	} {
		t.Run(of.errno+" "+of.what, func(t *testing.T) {
			t.Parallel()
			values, errno := of.short, of.errno
			if long {
				values = of.longer
			}
			row := newFault(t, fmt.Sprintf("%s from the n-th call %s", errno, of.what), "ext4", len(values))
			row.needsRoot()
			p := newPlantOn(t, newDisk(t, "ext4"), "")
			p.l.begin(0)
			p.l.until(20)
			p.l.end()
			fate := map[string]int{}
			for round, n := range values {
				p.g.stop()
				fate[p.afflicted(1+round, slipway, of.calls, errno, n)]++
				if trace := goTrace(p.g.log.String()); trace != "" {
					t.Errorf("a Go trace in the log:\n%s", trace)
				}
				said := p.g.log.String()
				p.g.start()
				p.check(0)
				if t.Failed() {
					t.Fatalf("%s at call %d\n%s", errno, n, said)
				}
			}
			row.found("%d served on; until the next start %d ended, %d were away for 30 s and %d did not start; %d acknowledged, none lost",
				fate["served"], fate["ended"], fate["away"], fate["no start"], p.l.answers())
			deaf := sharedWithout(t, "pkg/durable/disk.go", "unix.RENAME_NOREPLACE); err != nil {", "unix.RENAME_NOREPLACE); false {")
			noticed := ""
			for n := 1; n <= mostControlCuts && noticed == ""; n++ {
				p.g.stop()
				p.afflicted(len(values)+n, deaf, "renameat2", errno, n)
				p.g.start()
				if gone := p.l.lost(len(values) + 1); len(gone) > 0 {
					noticed = fmt.Sprintf("%d lost at call %d", len(gone), n)
				}
			}
			p.close()
			row.noticed("nobody looks at the error of a rename", noticed)
		})
	}
}
