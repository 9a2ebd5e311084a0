package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// On a disk that is full Badger dies by SIGBUS. So this test would not fail but end the test binary.
func TestARealDiskThatFillsUpIsRefusedAndComesBack(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=112m"); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): run as root to see what a full one does", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(disk, 0)) })
	o := settled(t, filepath.Join(disk, "catalog"))
	o.Space = func() (int64, int64, error) {
		var s unix.Statfs_t
		err := unix.Statfs(disk, &s)
		return int64(s.Bavail * uint64(s.Bsize)), int64(s.Blocks * uint64(s.Bsize)), err
	}
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))

	// Others take what is free, but for the reserve and a few of Badger's tables.
	free, _, err := o.Space()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(disk, "others"), make([]byte, free-o.Reserve-12<<20), 0o600))

	var recorded []fleet.Dump
	for err == nil {
		piece := make([]fleet.Dump, 1000)
		for i := range piece {
			piece[i] = fleet.Dump{
				Device: keyOf(i % 100), Model: "pump", FirmwareVersion: "1.0",
				UploadedAt: noon.Add(time.Duration(len(recorded)+i) * time.Second),
			}
		}
		if err = c.RecordDumps(t.Context(), piece); err == nil {
			recorded = append(recorded, piece...)
		}
	}
	want(t, err, fleet.ErrFull)
	// They take a quarter of the reserve too, and dumps must still be forgotten.
	free, _, err = o.Space()
	must(t, err)
	more := filepath.Join(disk, "more")
	must(t, os.WriteFile(more, make([]byte, free-o.Reserve*3/4), 0o600))
	for _, d := range recorded[:500] {
		must(t, c.RemoveDump(t.Context(), d.Device, d.Name()))
	}
	must(t, c.Close())
	free, _, err = o.Space()
	must(t, err)
	rest := filepath.Join(disk, "rest") // and then so much that a start has no room
	must(t, os.WriteFile(rest, make([]byte, free-o.Reserve/4), 0o600))
	_, err = Open(o)
	want(t, err, fleet.ErrFull)

	must(t, errors.Join(os.Remove(more), os.Remove(rest)))
	o.Reserve = 1 << 20 // room that somebody made
	if c, err = Open(o); err != nil {
		t.Fatal(err)
	}
	for _, d := range recorded[500:] {
		if _, err := c.Dump(d.Device, d.Name()); err != nil {
			t.Fatal(fmt.Errorf("acknowledged before the disk was full: %w", err))
		}
	}
	must(t, c.Close())
}
