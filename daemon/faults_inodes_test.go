//go:build faults

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// takeInodes is another process that takes every inode. empty gives them back.
func (d *disk) takeInodes() {
	d.t.Helper()
	dir := d.path("ballast")
	if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, unix.ENOSPC) {
		d.t.Fatal(err)
	}
	for {
		f, err := os.CreateTemp(dir, "")
		if errors.Is(err, unix.ENOSPC) {
			return
		}
		if err != nil {
			d.t.Fatal(err)
		}
		f.Close()
	}
}

// newFewInodes is a disk with room for more bytes than files.
func newFewInodes(t *testing.T, kind string) *disk {
	t.Helper()
	const inodes = 1500
	if kind == "tmpfs" {
		return newTmpfs(t, 768<<20, inodes)
	}
	return newLoop(t, kind, 768<<20, "-N", strconv.Itoa(inodes))
}

// TestFaultsADiskWithoutInodesEndsNoGateway takes all inodes under a gateway that a fleet asks, and before a start.
func TestFaultsADiskWithoutInodesEndsNoGateway(t *testing.T) {
	for _, kind := range []string{"ext4", "tmpfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			running := newFault(t, "out of inodes while it runs", kind, times(2, 20))
			running.needsRoot()
			p := newPlantOn(t, newFewInodes(t, kind), "")
			var longest time.Duration
			for round := range running.rounds {
				p.l.begin(round)
				p.l.until(20)
				ended := p.during(500*time.Millisecond, p.d.takeInodes)
				p.l.end()
				if ended != "" {
					t.Fatalf("round %d: the gateway ended: %s\n%s", round, ended, p.g.log)
				}
				p.d.takeInodes()
				p.reads("inodes")
				p.d.empty()
				longest = max(longest, p.takes(time.Now()))
				p.check(0)
			}
			running.found("all served, takes again after %.1f s at most; %d acknowledged, none lost", longest.Seconds(), p.l.answers())

			start := newFault(t, "a start without inodes", kind, times(1, 10))
			longest = 0
			for range start.rounds {
				p.g.end()
				p.d.takeInodes()
				p.g.start()
				p.reads("inodes")
				p.d.empty()
				longest = max(longest, p.takes(time.Now()))
				p.g.restart() // what a kill has left goes
				p.check(0)
			}
			start.found("all served, takes again after %.1f s at most; none lost", longest.Seconds())

			p.g.stop()
			p.d.takeInodes()
			start.noticed("without a copy of the catalog", p.startWithoutStandIn())
			p.d.empty()
			p.g.program = sharedWithout(t, "pkg/gateway/disk.go", "min(freeBytes(stat), freeInodes(stat)<<20)", "freeBytes(stat)")
			p.g.start()
			p.d.takeInodes()
			running.noticed("nobody counts them", p.l.refused(""))
			p.g.program = ""
			p.close()
		})
	}
}

// fill takes the disk bit by bit, as a log does that nobody rotates: the last 96 MiB in steps of 1 MiB.
func (d *disk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.path("ballast"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &stat); err != nil {
		d.t.Fatal(err)
	}
	size := max(0, int64(stat.Bavail)*stat.Bsize-96<<20)
	for step := size; step > 0; step = 1 << 20 {
		if err := unix.Fallocate(int(f.Fd()), 0, size-step, step); err != nil {
			return
		}
		size += 1 << 20
		time.Sleep(5 * time.Millisecond) // how slowly it fills, not a wait
	}
}

// TestFaultsADiskThatFillsSlowlyEndsNoGateway lets another program fill the disk while a fleet asks the gateway.
func TestFaultsADiskThatFillsSlowlyEndsNoGateway(t *testing.T) {
	careless := sync.OnceValue(func() string { return compiledWithoutReserve(t) })
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			row := newFault(t, "the disk filled slowly", kind, times(1, 20))
			row.needsRoot()
			p := newPlantOn(t, newDisk(t, kind), "")
			for round := range row.rounds {
				if ended := p.filled(round); ended != "" {
					t.Fatalf("round %d: the gateway ended: %s\n%s", round, ended, p.g.log)
				}
				p.check(0)
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			row.found("0 ended, %d acknowledged, none lost", p.l.answers())
			p.g.program = careless()
			p.g.restart()
			noticed := ""
			for round := row.rounds; round < row.rounds+mostControlCuts && noticed == ""; round++ {
				if noticed = p.filled(round); noticed != "" {
					noticed = fmt.Sprintf("%s in round %d", p.endWord(), round-row.rounds+1)
				}
			}
			p.g.program = ""
			p.close()
			row.noticed("without the reserve and with sparse logs", noticed)
		})
	}
}

// filled fills the disk under load, holds it full for a moment and empties it. It says how the gateway ended, "" while it
// goes on.
func (p *plant) filled(round int) (ended string) {
	p.t.Helper()
	p.fatten(round)
	p.d.fill()
	ended = p.during(300*time.Millisecond, p.d.takeAll)
	p.d.empty()
	if ended == "" {
		p.l.until(10)
	}
	p.l.end()
	return ended
}

func compiledWithoutReserve(t *testing.T) (program string) {
	t.Helper()
	return compiled(t, map[string]string{
		"pkg/catalog/commit.go": changed(t, "pkg/catalog/commit.go", "if free < least {", "if false {"),
		"pkg/catalog/ahead.go": changed(t, "pkg/catalog/ahead.go",
			"err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)", "err := error(nil)"),
	})
}
