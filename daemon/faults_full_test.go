//go:build faults

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/testdata/lasting"
)

// takeAll is another process that takes every block at once, those that ext4 keeps for root too. empty gives them back.
func (d *disk) takeAll() {
	d.t.Helper()
	f, err := os.OpenFile(d.path("ballast"), os.O_CREATE|os.O_WRONLY, 0o600) // the name that empty knows
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for size, piece := int64(0), int64(1<<30); piece >= 4096; {
		if err := unix.Fallocate(int(f.Fd()), 0, size, piece); err != nil {
			piece /= 2
		} else {
			size += piece
		}
	}
}

// newDisk is one of a kind that a gateway has room on.
func newDisk(t *testing.T, kind string) *disk {
	t.Helper()
	if kind == "tmpfs" {
		return newTmpfs(t, 768<<20, 0)
	}
	return newLoop(t, kind, 768<<20)
}

func newPlantOn(t *testing.T, d *disk, program string) *plant {
	t.Helper()
	g := newGateway(t, d.path("state"), forLoad("listen.http="+lasting.Address(t))...)
	g.program = program
	g.start()
	p := &plant{t, d, g, newLoad(t, g)}
	p.ballast(true)
	return p
}

// ballast waits until the gateway has it, or has given it up.
func (p *plant) ballast(there bool) {
	p.t.Helper()
	p.g.within(testPatience, fmt.Sprintf("ballast there: %v", there), func() bool {
		info, err := os.Stat(p.d.path("state", "ballast"))
		return there == (err == nil && info.Size() == 64<<20)
	})
}

// fatten begins a load that fills logs, and so makes tables: by configurations of 8 KiB.
func (p *plant) fatten(round int) {
	p.l.begin(round)
	fat := `{"deviceName":"` + strings.Repeat("x", 8<<10) + `"}`
	for i := range 4 {
		d := p.l.devices[1+i%2]
		p.l.each(func(int) { p.l.asked(http.StatusOK, "PUT", "/api/devices/"+d.Key+"/config", p.l.admin, []byte(fat)) })
	}
}

// taken takes the whole disk under load for a while, and says how the gateway ended, "" while it goes on.
func (p *plant) taken(round int) (ended string) {
	p.t.Helper()
	p.fatten(round)
	p.l.until(1 + rand.IntN(60))
	ended = p.during(time.Second, p.d.takeAll) // and what the gateway gives up, too
	p.d.empty()
	if ended == "" {
		p.l.until(10) // it takes what comes again
	}
	p.l.end()
	return ended
}

// during does something again and again for as long as a disk takes nothing, and says how the gateway ended meanwhile, "" where
// it goes on.
func (p *plant) during(d time.Duration, do func()) (ended string) {
	for over := time.After(d); ; { // not a wait
		do()
		select {
		case err := <-p.g.ended:
			p.g.cmd = nil
			return fmt.Sprint(err)
		case <-over:
			return ""
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// check is load's; but whoever uploads on a full disk has older dumps rotated away for it, whole pairs.
func (p *plant) check(since int) {
	p.t.Helper()
	for _, gone := range p.l.lost(since) {
		if !rotated(gone) {
			p.t.Errorf("acknowledged and lost: %s", gone)
		}
	}
	p.l.tidy()
	if trace := goTrace(p.g.log.String()); trace != "" {
		p.t.Errorf("a Go trace in the log:\n%s", trace)
	}
}

func rotated(gone string) bool {
	return strings.HasPrefix(gone, "dump ") && strings.Contains(gone, "no such file")
}

// TestFaultsADiskThatIsTakenAtOnceEndsNoGateway takes all blocks of the disk under a gateway that a fleet asks, and gives
// them back. Badger maps what it writes as sparse files, and whoever writes to such a file on a full disk ends by SIGBUS.
// On tmpfs a write takes too little time for the control to be caught in one; pkg/catalog has a test of its own there.
func TestFaultsADiskThatIsTakenAtOnceEndsNoGateway(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			row := newFault(t, "the disk taken at once", kind, times(5, 50))
			row.needsRoot()
			p := newPlantOn(t, newDisk(t, kind), "")
			for round := range row.rounds {
				if ended := p.taken(round); ended != "" {
					t.Fatalf("round %d: the gateway ended: %s\n%s", round, ended, p.g.log)
				}
				p.check(round - 1)
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			p.check(0)
			row.found("0 ended, %d acknowledged, none lost", p.l.answers())
			p.close()
			row.noticed("logs that are sparse", endOf(t, kind, "pkg/catalog/ahead.go",
				"err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)", "err := error(nil)"))
		})
	}
}

// endOf is how a program ends from which something was taken out, "" where it goes on.
func endOf(t *testing.T, kind, file, with, instead string) string {
	t.Helper()
	p := newPlantOn(t, newDisk(t, kind), sharedWithout(t, file, with, instead))
	defer p.close()
	for round := range 5 * mostControlCuts {
		if ended := p.taken(round); ended != "" {
			return fmt.Sprintf("%s in round %d", p.endWord(), round+1)
		}
	}
	return ""
}

// endWord is by what the gateway has ended.
func (p *plant) endWord() string {
	if strings.Contains(p.g.log.String(), "SIGBUS") {
		return "SIGBUS"
	}
	return "ended"
}

// TestFaultsAStartOnAFullDiskServes starts a gateway on a disk that has not a block left. It gives up its ballast, serves
// what can be read, and makes the ballast again when there is room.
func TestFaultsAStartOnAFullDiskServes(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs", "tmpfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			row := newFault(t, "a start on a full disk", kind, times(2, 10))
			row.needsRoot()
			p := newPlantOn(t, newDisk(t, kind), "")
			for round := range row.rounds {
				p.l.begin(round)
				p.l.until(40)
				p.l.end()
				p.g.end() // a kill leaves logs that the start has to read
				p.d.takeAll()
				p.g.start()
				p.ballast(false)
				p.check(0)
				p.d.empty()
				p.ballast(true)
				if t.Failed() {
					t.Fatalf("in round %d\n%s", round, p.g.log)
				}
			}
			p.l.begin(row.rounds)
			p.l.until(10)
			p.l.end()
			p.check(0)
			row.found("all served, %d acknowledged, none lost", p.l.answers())
			p.close()
			row.noticed("no ballast given up", startOf(t, kind, "pkg/gateway/ballast.go", "b.lighten(0)", "_ = b"))
		})
	}
}

// startOf is how a start on a full disk ends of a program from which something was taken out, "" where it serves and has given up
// its ballast: a start that keeps it serves as well, from a copy that takes no changes.
func startOf(t *testing.T, kind, file, with, instead string) string {
	t.Helper()
	p := newPlantOn(t, newDisk(t, kind), sharedWithout(t, file, with, instead))
	defer p.close()
	p.g.end()
	p.d.takeAll()
	if err := p.g.tryStart(); err != nil {
		return "no start"
	}
	if info, err := os.Stat(p.d.path("state", "ballast")); err == nil && info.Size() == 64<<20 {
		return "it is kept"
	}
	return ""
}
