package catalog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// flaky are the options of a catalog on a disk that takes nothing while broken is set.
func flaky(t *testing.T, dir string) (o Options, broken *atomic.Bool) {
	broken = &atomic.Bool{}
	o = settled(t, dir)
	space := o.Space
	o.Space = func() (int64, int64, error) {
		if broken.Load() {
			return 0, 0, io.ErrShortWrite
		}
		return space()
	}
	return o, broken
}

// until waits for a condition; the deadline only bounds a hang.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestAfterAFailedSyncTheCatalogIsReadWritesNothingAndIsOpenedAgain(t *testing.T) {
	o, broken := flaky(t, t.TempDir())
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	first := c.store.db
	broken.Store(true)
	c.store.fail(errors.New("msync: input/output error"))
	for range 3 {
		err := c.AddModel(t.Context(), fleet.Model{Code: "fan"})
		want(t, err, fleet.ErrFull)
		if !strings.Contains(err.Error(), "input/output error") || c.Fault() != err.Error() {
			t.Errorf("%v; trouble %q", err, c.Fault())
		}
	}
	if m, err := c.Model("pump"); err != nil || m.Code != "pump" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := c.Model("fan"); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("a change was stored after the failure: %v", err)
	}
	broken.Store(false)
	until(t, "changes again", func() bool { return c.Fault() == "" })
	if c.store.db == first || !first.IsClosed() {
		t.Error("Badger was not closed: it would sync the same file again")
	}
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
	if m, err := c.Models(); err != nil || len(m) != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	must(t, c.Close())
	if c = open(t, o.Dir); c.LastStop().IsZero() {
		t.Error("the stop was not clean")
	}
}

func TestAWriteThatFailsIsARefusalAndTheCatalogComesBack(t *testing.T) {
	c := open(t, t.TempDir())
	want(t, c.update(t.Context(), func(x *tx) error { return x.set("", nil) }), fleet.ErrFull) // Badger takes no such key
	want(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}), fleet.ErrFull)
	until(t, "changes again", func() bool { return c.Fault() == "" })
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
}

func TestAStopAfterAFailedSyncIsNoCleanOneAndLosesNothing(t *testing.T) {
	o, broken := flaky(t, t.TempDir())
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	broken.Store(true)
	c.store.fail(errors.New("msync: input/output error"))
	must(t, c.Close())
	broken.Store(false) // else Badger would wait with its last compaction
	must(t, c.options.noteClosed())
	must(t, c.store.db.Close()) // what the end of the process does to the lock
	c = open(t, o.Dir)
	if _, err := c.Model("pump"); err != nil || !c.LastStop().IsZero() {
		t.Errorf("%v; stopped %v", err, c.LastStop())
	}
}

func TestReadersNoticeNothingOfAStoreThatIsReplaced(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if m, err := c.Models(); err != nil || len(m) != 1 {
					t.Errorf("%d models, %v", len(m), err)
					return
				}
			}
		})
	}
	for range 3 {
		c.store.fail(errors.New("compaction failed"))
		until(t, "changes again", func() bool { return c.Fault() == "" })
	}
	close(stop)
	readers.Wait()
}

// A sync of the list that failed leaves a table in it that Badger has deleted: it would refuse the catalog for ever.
func TestATableThatBadgerListedAndDeletedIsLeftOutAndALostOneIsNot(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.Close()) // writes a table
	db, err := badger.Open(settings(settled(t, dir), func(error) {}))
	must(t, err)
	had := tablesOf(db)
	must(t, db.Close())
	list := filepath.Join(dir, badger.ManifestFilename)
	before, err := os.ReadFile(list)
	must(t, err)
	ghost, err := listEntry(&pb.ManifestChangeSet{Changes: []*pb.ManifestChange{{Op: pb.ManifestChange_CREATE, Id: 99}}})
	must(t, err)
	must(t, os.WriteFile(list, append(before, ghost...), 0o600))
	if db, err := badger.Open(settings(settled(t, dir), func(error) {})); err == nil {
		t.Error("Badger opens it as it is: this test tests nothing", db.Close())
	}
	must(t, renewList(dir, had))
	c = open(t, dir)
	if _, err := c.Model("pump"); err != nil {
		t.Error(err)
	}
	must(t, c.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	must(t, err)
	for _, path := range tables {
		id, _ := table.ParseFileID(path)
		had[id] = true
		must(t, os.Remove(path))
	}
	must(t, renewList(dir, had))
	if _, err := Open(settled(t, dir)); err == nil {
		t.Error("a table that is lost is not noticed")
	}
}

// A merge whose entry could not be synced is one that did not take place: Badger has deleted what it made and goes on with the
// tables that it merged, and the entry in its list says that those are nobody's.
func TestTablesOfAMergeThatDidNotTakePlaceAreNotLost(t *testing.T) {
	for name, again := range map[string]func(dir string, had map[uint64]bool) error{
		"the store is opened again": renewList,
		"a start after a kill":      func(string, map[uint64]bool) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir)
			must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
			must(t, c.Close()) // writes a table
			l, err := readList(dir)
			must(t, err)
			had := map[uint64]bool{}
			merge := []*pb.ManifestChange{{Op: pb.ManifestChange_CREATE, Id: 99, Level: 6}}
			for id := range l.tables {
				had[id] = true
				merge = append(merge, &pb.ManifestChange{Op: pb.ManifestChange_DELETE, Id: id})
			}
			entry, err := listEntry(&pb.ManifestChangeSet{Changes: merge})
			must(t, err)
			f, err := os.OpenFile(filepath.Join(dir, manifestFile), os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.Write(entry)
			must(t, errors.Join(err, f.Close()))
			must(t, os.WriteFile(table.NewFilename(99, dir), nil, 0o600)) // Badger has emptied it, and could not remove it
			must(t, again(dir, had))
			if c, err = Open(settled(t, dir)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Model("pump"); err != nil {
				t.Error(err)
			}
			must(t, c.Close())
		})
	}
}
