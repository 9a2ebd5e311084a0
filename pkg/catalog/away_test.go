package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A Badger that complains while it is opened is no better than the one before it.
func TestAStoreThatFailsBeforeItIsHandedOutIsOpenedOnceMore(t *testing.T) {
	o, broken := flaky(t, t.TempDir())
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	broken.Store(true) // keep waits, and the test opens
	c.store.fail(errors.New("msync: input/output error"))
	until(t, "taken note of", func() bool { return c.Fault() != "" })
	c.store.begin()
	c.store.fail(errors.New("the new one cannot write its table"))
	if err := c.store.give(c.store.db); err == nil || c.Fault() == "" {
		t.Errorf("it was handed out: %v; fault %q", err, c.Fault())
	}
	broken.Store(false)
	until(t, "changes again", func() bool { return c.Fault() == "" })
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
	must(t, c.Close())
}

func TestACommitterWhoseStoreWasTakenAwayTouchesItNoMore(t *testing.T) {
	o, broken := flaky(t, t.TempDir())
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	broken.Store(true)
	c.store.fail(errors.New("msync: input/output error"))
	c.store.writing.Lock()
	before := c.ahead
	c.ahead = nil // as keep leaves it
	want(t, c.prepare(), fleet.ErrFull)
	c.ahead = before
	c.store.writing.Unlock()
	broken.Store(false)
	until(t, "changes again", func() bool { return c.Fault() == "" })
	must(t, c.Close())
}

func TestACloseWhileTheStoreIsAwayEnds(t *testing.T) {
	o, broken := flaky(t, t.TempDir())
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	broken.Store(true)
	old := c.store.db
	c.end()
	c.store.fail(errors.New("msync: input/output error"))
	c.store.take()
	must(t, c.closeBadger()) // as after an import that could not be undone
	broken.Store(false)
	must(t, c.options.noteClosed())
	must(t, old.Close())
}

// What keeps the room for Badger's tables goes on as long as a Badger that is left, and ends with one that is closed.
func TestABadgerThatIsLeftOnAFullDiskIsGivenRoomUntilTheProcessEnds(t *testing.T) {
	var free, given atomic.Int64
	free.Store(math.MaxInt64)
	o := settled(t, t.TempDir())
	o.Space = func() (int64, int64, error) { return free.Load(), math.MaxInt64, nil }
	o.Short = func() { given.Add(1) }
	c, err := Open(o)
	must(t, err)
	free.Store(0)
	must(t, c.Close())
	before := given.Load()
	c.tables.begin()
	until(t, "room", func() bool { return given.Load() > before })
	free.Store(math.MaxInt64)
	must(t, errors.Join(c.options.noteClosed(), c.closeBadger()))
}

func TestASlowReaderOfAllEventsDoesNotKeepTheStoreFromBeingOpenedAgain(t *testing.T) {
	c := open(t, t.TempDir())
	for _, code := range []fleet.ModelCode{"pump", "fan", "valve"} {
		must(t, c.AddModel(t.Context(), fleet.Model{Code: code}))
	}
	n := 0
	must(t, c.ExportEvents(func(event.Link) error { return nil }, func([]byte) error {
		if n++; n == 2 {
			c.store.fail(errors.New("msync: input/output error"))
			until(t, "changes again", func() bool { return c.Fault() == "" })
			must(t, c.AddModel(t.Context(), fleet.Model{Code: "later"}))
		}
		return nil
	}))
	if n != 3 {
		t.Errorf("%d events of one moment, want 3", n)
	}
}

func TestAllEventsAreExportedPageByPage(t *testing.T) {
	c := open(t, t.TempDir())
	const all = 40
	for range all {
		must(t, c.Record(t.Context(), event.GatewayStarted, fleet.Object{Type: "gateway"}, map[string]string{"x": string(make([]byte, 20_000))}))
	}
	var next uint64
	must(t, c.ExportEvents(func(l event.Link) error { next = l.Seq + 1; return nil }, func(raw []byte) error {
		var e fleet.Event
		must(t, json.Unmarshal(raw, &e))
		if e.Seq != next {
			t.Errorf("event %d, want %d", e.Seq, next)
		}
		next++
		return nil
	}))
	if next != all+1 {
		t.Errorf("up to %d", next)
	}
}

// unreadable puts a folder in a table's place: it is opened, and each read of it fails.
func unreadable(t *testing.T, dir string) (restore func()) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*"+tableSuffix))
	must(t, err)
	if len(tables) == 0 {
		t.Fatal("no table")
	}
	aside := filepath.Join(t.TempDir(), "aside")
	must(t, errors.Join(os.Rename(tables[0], aside), os.Mkdir(tables[0], 0o700)))
	return func() { must(t, errors.Join(os.Remove(tables[0]), os.Rename(aside, tables[0]))) }
}

func TestATableThatCannotBeReadIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.Close())
	restore := unreadable(t, dir)
	var bad *DamagedError
	if _, err := Open(settled(t, dir)); err == nil || errors.As(err, &bad) || !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a start: %v", err)
	}
	restore()
	c = open(t, dir)
	restore = unreadable(t, dir)
	if err := c.Verify(context.Background()); err == nil || errors.As(err, &bad) || c.Trouble() != "" || c.Unread() == "" {
		t.Errorf("in the background: %v; trouble %q, unread %q", err, c.Trouble(), c.Unread())
	}
	if _, err := c.Whole(); err == nil || c.Trouble() != "" {
		t.Errorf("it may be backed up: %v; trouble %q", err, c.Trouble())
	}
	restore()
	if err := c.Verify(context.Background()); err != nil || c.Unread() != "" {
		t.Errorf("once it can be read: %v, %q", err, c.Unread())
	}
}

// unsynced is a disk that does not sync, while it fails, that the catalog is closed.
type unsynced struct {
	durable.Kernel
	failing atomic.Bool
	asked   atomic.Int64
}

func (d *unsynced) SyncDir(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, openFile)); err != nil && d.failing.Load() {
		d.asked.Add(1)
		return syscall.EIO
	}
	return d.Kernel.SyncDir(dir)
}

// A kill behind a Badger that was closed, which the disk takes for open, would be a log that is lost.
func TestBadgerIsNotClosedBeforeTheDiskKnowsThatItIs(t *testing.T) {
	disk := &unsynced{}
	defer durable.Use(disk)()
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	first := c.store.db
	disk.failing.Store(true)
	c.store.fail(errors.New("msync: input/output error"))
	until(t, "two failed syncs", func() bool { return disk.asked.Load() > 1 })
	if first.IsClosed() {
		t.Error("it was closed")
	}
	if _, err := c.Model("pump"); err != nil {
		t.Errorf("nobody can read meanwhile: %v", err)
	}
	disk.failing.Store(false)
	until(t, "changes again", func() bool { return c.Fault() == "" })
}
