package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// blocks is what a file has of the disk, in bytes, and its size.
func blocks(t *testing.T, path string) (allocated, size int64) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Blocks * 512, info.Size()
}

// recordMany records dumps of about 1 KiB in one batch.
func recordMany(t *testing.T, c *Catalog, from, n int) error {
	t.Helper()
	return c.RecordDumps(t.Context(), manyDumps(from, n))
}

func manyDumps(from, n int) []fleet.Dump {
	piece := make([]fleet.Dump, n)
	for i := range piece {
		piece[i] = fleet.Dump{
			Device: keyOf((from + i) % 100), Model: "pump", FirmwareVersion: "1.0",
			UploadedAt: noon.Add(time.Duration(from+i) * time.Second),
		}
	}
	return piece
}

func TestTheLogsThatBadgerWritesNextHaveTheirBlocks(t *testing.T) {
	o := settled(t, t.TempDir())
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	first, err := lastLog(o.Dir)
	must(t, err)
	for n, last := 0, first; last < first+3; n += 500 {
		must(t, recordMany(t, c, n, 500))
		last, err = lastLog(o.Dir)
		must(t, err)
		allocated, size := blocks(t, filepath.Join(o.Dir, logName(last)))
		if size == 0 && allocated < logRoom { // not yet made while Badger begins one
			t.Fatalf("log %d, the next: %d bytes are allocated", last, allocated)
		}
		if allocated, _ := blocks(t, filepath.Join(o.Dir, logName(last-1))); allocated < logRoom {
			t.Fatalf("log %d, in use: %d bytes are allocated", last-1, allocated)
		}
	}
	if allocated, size := blocks(t, filepath.Join(o.Dir, badger.ManifestFilename)); allocated < size+manifestRoom-4096 {
		t.Errorf("the list of tables has %d bytes, and %d are allocated", size, allocated)
	}
	must(t, c.Close())
	logs, err := filepath.Glob(filepath.Join(o.Dir, "*.mem"))
	must(t, err)
	if len(logs) > 0 {
		t.Errorf("left after the end: %q", logs)
	}
}

// Without the blocks this test would not fail but end the test binary by SIGBUS.
func TestABatchThatFitsIntoTheLogIsStoredWhenTheDiskHasNotABlockLeft(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): run as root to see what a full one does", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(disk, 0)) })
	o := settled(t, filepath.Join(disk, "catalog"))
	c, err := Open(o) // it believes that there is room, as one does that looked a moment before
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	taker, err := os.Create(filepath.Join(disk, "taker"))
	must(t, err)
	for size, piece := int64(0), int64(64<<20); piece >= 4096; {
		if err := unix.Fallocate(int(taker.Fd()), 0, size, piece); err != nil {
			piece /= 2
		} else {
			size += piece
		}
	}
	for n := 0; n < 1500; n += 500 {
		must(t, recordMany(t, c, n, 500))
	}
	must(t, errors.Join(taker.Close(), os.Remove(taker.Name())))
	must(t, c.Close())
	c, err = Open(o)
	must(t, err)
	for n := range 1500 {
		d := fleet.Dump{Device: keyOf(n % 100), UploadedAt: noon.Add(time.Duration(n) * time.Second)}
		if _, err := c.Dump(d.Device, d.Name()); err != nil {
			t.Fatal(fmt.Errorf("acknowledged while the disk was full: %w", err))
		}
	}
	must(t, c.Close())
}

func TestWhatIsKeptIsGivenUpWhileATableIsWrittenWithoutRoom(t *testing.T) {
	o := settled(t, t.TempDir())
	var free, given atomic.Int64
	o.Space = func() (int64, int64, error) { return free.Load(), 1 << 40, nil }
	o.Short = func() { given.Add(1) }
	free.Store(tableRoom)
	w := newTables(o)
	defer w.end()
	w.begin()
	if given.Load() != 0 {
		t.Error("what is kept was given up while there was room")
	}
	free.Store(0) // somebody takes the room while the table is written
	until(t, "what is kept", func() bool { return given.Load() > 0 })
}
