package catalog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// readOnlyDisk mounts a disk that a test makes read-only and writable again.
func readOnlyDisk(t *testing.T) (o Options, writable func(bool)) {
	t.Helper()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("a disk cannot be mounted here (%v): run as root to see what a read-only one does", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(disk, 0)) })
	o = settled(t, filepath.Join(disk, "catalog"))
	o.StandIn = filepath.Join(t.TempDir(), "standin")
	return o, func(yes bool) {
		flags := uintptr(unix.MS_REMOUNT)
		if !yes {
			flags |= unix.MS_RDONLY
		}
		must(t, unix.Mount("tmpfs", disk, "tmpfs", flags, ""))
	}
}

// recordAndDie records so many dumps, and is killed.
func recordAndDie(dir string, arguments []string) error {
	records, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	c, err := Open(unattended(dir))
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := errors.Join(c.Rebuilt(ctx), c.AddModel(ctx, fleet.Model{Code: "pump"})); err != nil {
		return err
	}
	for n := 0; n < records; n += 500 {
		if err := c.RecordDumps(ctx, manyDumps(n, 500)); err != nil {
			return err
		}
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// crashed leaves a folder as a kill does: with logs that were never made tables.
func crashed(t *testing.T, o Options, records int) {
	t.Helper()
	cmd := child("die", o.Dir, strconv.Itoa(records))
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.Exited() {
		t.Fatalf("the child was not killed: %v\n%s", err, out)
	}
}

func TestACatalogOnAReadOnlyDiskIsReadAndTakesChangesOnceTheDiskDoes(t *testing.T) {
	for _, records := range []int{0, 6_000} {
		o, writable := readOnlyDisk(t)
		crashed(t, o, records)
		writable(false)
		before := filesOf(t, o.Dir)
		c, err := Open(o)
		must(t, err)
		if m, err := c.Model("pump"); err != nil || m.Code != "pump" {
			t.Errorf("%+v, %v", m, err)
		}
		if n, err := c.count(dumpPrefix); err != nil || n != records {
			t.Errorf("%d dumps of %d, %v", n, records, err)
		}
		err = c.AddModel(t.Context(), fleet.Model{Code: "fan"})
		want(t, err, fleet.ErrFull)
		if c.Fault() == "" || c.Fault() != err.Error() {
			t.Errorf("trouble %q, refusal %v", c.Fault(), err)
		}
		if after := filesOf(t, o.Dir); after != before {
			t.Errorf("the folder was\n%s\nand is\n%s", before, after)
		}
		writable(true)
		until(t, "changes again", func() bool { return c.Fault() == "" })
		must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
		if n, err := c.count(dumpPrefix); err != nil || n != records {
			t.Errorf("%d dumps of %d, %v", n, records, err)
		}
		until(t, "the copy gone", func() bool { _, err := os.Stat(o.StandIn); return errors.Is(err, os.ErrNotExist) })
		must(t, c.Close())
		c = open(t, o.Dir)
		if m, err := c.Models(); err != nil || len(m) != 2 || c.LastStop().IsZero() {
			t.Errorf("%d models, stopped %v, %v", len(m), c.LastStop(), err)
		}
		must(t, c.Close())
	}
}

// filesOf lists a folder.
func filesOf(t *testing.T, dir string) (list string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		list += e.Name() + "\n"
	}
	return list
}

func TestAStopWhileACopyAnswersLeavesNothingOfIt(t *testing.T) {
	o, writable := readOnlyDisk(t)
	crashed(t, o, 500)
	writable(false)
	for range 2 {
		c, err := Open(o)
		must(t, err)
		must(t, c.Close())
		if _, err := os.Stat(o.StandIn); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the copy is left: %v", err)
		}
	}
}

func TestACatalogOfWhichNoCopyCanBeMadeIsNotRead(t *testing.T) {
	o, writable := readOnlyDisk(t)
	crashed(t, o, 0)
	big := make([]byte, mostStandIn)
	for i := range big {
		big[i] = 1
	}
	must(t, os.WriteFile(filepath.Join(o.Dir, "big"), big, 0o600))
	writable(false)
	_, err := Open(o)
	want(t, err, ErrNoStandIn)
	if _, err := os.Stat(o.StandIn); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a copy is left: %v", err)
	}
	writable(true)
	must(t, os.Remove(filepath.Join(o.Dir, "big")))
	writable(false)
	none := o
	none.StandIn = ""
	_, err = Open(none)
	want(t, err, fleet.ErrFull)
	if err := unix.Mount("tmpfs", filepath.Dir(o.StandIn), "tmpfs", 0, "size=16m"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(o)
	must(t, unix.Unmount(filepath.Dir(o.StandIn), 0))
	want(t, err, ErrNoStandIn)
}

func TestAReadOnlyDiskWithoutACatalogIsNoNewGateway(t *testing.T) {
	o, writable := readOnlyDisk(t)
	must(t, os.MkdirAll(o.Dir, 0o700))
	writable(false)
	_, err := Open(o)
	want(t, err, fleet.ErrFull)
}
