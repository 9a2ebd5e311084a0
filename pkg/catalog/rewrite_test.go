package catalog

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/durable/powercut"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// holdings are all records that a catalog has.
func holdings(t *testing.T, c *Catalog) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, c.view(func(txn *badger.Txn) error {
		return each(txn, "", "", false, func(key string, item *badger.Item) error {
			return item.Value(func(v []byte) error { all[key] = string(v); return nil })
		})
	}))
	for _, own := range []string{keyStopped, keySequence} {
		delete(all, own)
	}
	return all
}

// tablesIn counts the tables in a folder.
func tablesIn(t *testing.T, dir string) int {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*"+tableSuffix))
	must(t, err)
	return len(tables)
}

func rename(t *testing.T, c *Catalog, name string) {
	t.Helper()
	_, err := c.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error { m.Name = name; return nil })
	must(t, err)
}

// scattered makes a catalog with so many small tables, in which each but the first replaces and deletes what is in others, and
// closes it.
func scattered(t *testing.T, dir string, tables int) map[string]string {
	t.Helper()
	var held map[string]string
	for n := range tables {
		c, err := Open(settled(t, dir))
		must(t, err)
		if n == 0 {
			must(t, errors.Join(c.Rebuilt(t.Context()), c.AddModel(t.Context(), fleet.Model{Code: "pump"})))
		}
		rename(t, c, fmt.Sprint(n))
		must(t, recordMany(t, c, 100*n, 100))
		if n > 0 {
			for _, d := range manyDumps(100*(n-1), 50) {
				must(t, c.RemoveDump(t.Context(), d.Device, d.Name()))
			}
		}
		held = holdings(t, c)
		must(t, c.Close())
	}
	if n := tablesIn(t, dir); n < tables {
		t.Fatalf("%d tables, want %d", n, tables)
	}
	return held
}

// tidyNow has keep merge tables, and waits until it has.
func tidyNow(t *testing.T, c *Catalog) {
	t.Helper()
	c.grown <- struct{}{}
	until(t, "tables that are merged", func() bool {
		db, err := c.store.borrow()
		if err != nil {
			return false
		}
		defer c.store.mu.RUnlock()
		n, _ := recentTables(db)
		return n < mostNew
	})
}

func compareHoldings(t *testing.T, when string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for key, value := range want {
		if other, found := got[key]; !found || other != value {
			t.Errorf("%s: %s is %q, want %q", when, key, other, value)
		}
	}
	for key := range got {
		if _, found := want[key]; !found {
			t.Errorf("%s: %s is there again", when, key)
		}
	}
}

func TestBadgerItselfMergesNoTables(t *testing.T) {
	c := open(t, t.TempDir())
	if o := c.store.db.Opts(); o.NumCompactors != 0 || o.CompactL0OnClose || o.NumLevelZeroTables < 100*mostTables {
		t.Errorf("it has %d compactors, merges at %d tables, at its end: %v", o.NumCompactors, o.NumLevelZeroTables, o.CompactL0OnClose)
	}
}

// duringMerge calls begin once, in a merge of Badger's own, when a table is built and not written, and end when one is over.
type duringMerge struct {
	quiet
	once       *sync.Once
	begin, end func()
}

func (d duringMerge) Debugf(f string, a ...any) {
	if strings.Contains(f, "LOG Compact. Added") {
		d.once.Do(d.begin)
	}
	if strings.Contains(f, "Compaction for level") {
		d.end()
	}
}

// The same disk, which has no inode left when a table of a merge is to be written: with Badger's own merges records are
// gone, and with ours none is.
func TestBadgersOwnMergeLosesWhatItCannotWrite(t *testing.T) {
	for _, own := range []bool{true, false} {
		disk := t.TempDir()
		if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=512m,nr_inodes=100"); err != nil {
			t.Skipf("a small disk cannot be mounted here (%v): run as root to see what one without inodes does", err)
		}
		t.Cleanup(func() { must(t, unix.Unmount(disk, 0)) })
		o := settled(t, filepath.Join(disk, "catalog"))
		must(t, os.MkdirAll(o.Dir, 0o700))
		var taken, over atomic.Bool
		var taking sync.WaitGroup
		others := 0
		takeAll := func() {
			for ; ; others++ {
				f, err := os.Create(filepath.Join(disk, fmt.Sprint(others)))
				if err != nil {
					return
				}
				must(t, f.Close())
			}
		}
		take := func() { // also those that are given back meanwhile
			takeAll()
			taking.Go(func() {
				for !over.Load() {
					takeAll()
				}
			})
			taken.Store(true)
		}
		end := func() { over.Store(taken.Load()) }
		s := settings(o, func(error) {})
		if own {
			s = s.WithNumCompactors(2).WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(3).
				WithLogger(duringMerge{quiet{o.Logger, func(error) {}}, new(sync.Once), take, end})
		}
		db, err := badger.Open(s)
		must(t, err)
		written := 0
		for ; !taken.Load() && written < 100; written++ {
			err := db.Update(func(txn *badger.Txn) error {
				for i := range 20 {
					must(t, txn.Set(fmt.Appendf(nil, "%d/%d", written, i), make([]byte, 16<<10)))
				}
				return nil
			})
			if err != nil && taken.Load() {
				break // there was no inode for a log either, and it is not acknowledged
			}
			must(t, err)
		}
		if !own {
			take()
			if _, err := o.rewrite(db, func() error { return nil }); err == nil {
				t.Error("tables were merged on a disk without an inode")
			}
			end()
		}
		until(t, "the end of the merge", over.Load)
		taking.Wait()
		for n := range others { // Badger's last table needs one
			must(t, os.Remove(filepath.Join(disk, fmt.Sprint(n))))
		}
		must(t, db.Close())
		lost := 0
		if db, err = badger.Open(settings(o, func(error) {})); err != nil {
			lost = 20 * written
		} else {
			must(t, db.View(func(txn *badger.Txn) error {
				for n := range 20 * written {
					if _, err := txn.Get(fmt.Appendf(nil, "%d/%d", n/20, n%20)); err != nil {
						lost++
					}
				}
				return nil
			}))
			must(t, db.Close())
		}
		t.Logf("Badger's own merges %v: %d of %d records are lost", own, lost, 20*written)
		if own != (lost > 0) {
			t.Errorf("Badger's own merges %v: %d of %d records are lost", own, lost, 20*written)
		}
	}
}

func TestTablesAreMergedIntoFewAndNoRecordChanges(t *testing.T) {
	dir := t.TempDir()
	held := scattered(t, dir, mostNew)
	c, err := Open(settled(t, dir))
	must(t, err)
	version := c.store.db.MaxVersion()
	tidyNow(t, c)
	compareHoldings(t, "merged", holdings(t, c), held)
	must(t, c.view(func(txn *badger.Txn) error { // one by one, also those without a value
		for key := range held {
			if _, err := txn.Get([]byte(key)); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		return nil
	}))
	if tablesIn(t, dir) > 1 {
		t.Errorf("%d tables are left", tablesIn(t, dir))
	}
	if now := c.store.db.MaxVersion(); now < version {
		t.Errorf("transactions are counted from %d, and were from %d", now, version)
	}
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
	held = holdings(t, c)
	must(t, c.Close())
	c = open(t, dir)
	compareHoldings(t, "opened again", holdings(t, c), held)
	checkEvents(t, c)
	checkIndexes(t, c)
	must(t, c.Verify(t.Context()))
	if _, err := os.Stat(filepath.Join(dir, rewrittenDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the new tables is left: %v", err)
	}
}

// The newest transaction may have deleted only: its number must not come twice, and a table that says it and is nobody's any
// more is no newer one.
func TestTheNumberOfATransactionThatOnlyDeletesIsKept(t *testing.T) {
	dir := t.TempDir()
	held := scattered(t, dir, mostNew)
	db, err := badger.Open(settings(settled(t, dir), func(error) {}))
	must(t, err)
	must(t, db.Update(func(txn *badger.Txn) error { return txn.Delete([]byte(modelKey("pump"))) }))
	must(t, db.Close())
	delete(held, modelKey("pump"))
	db, err = badger.Open(settings(settled(t, dir), func(error) {}))
	must(t, err)
	version := db.MaxVersion()
	r, err := settled(t, dir).rewrite(db, func() error { return nil })
	must(t, err)
	must(t, db.Close())
	old := copyOf(t, dir)
	must(t, r.takePlace(dir))
	c, err := Open(settled(t, dir)) // with the old tables beside the new ones, as after a kill
	must(t, err)
	if now := c.store.db.MaxVersion(); now < version {
		t.Errorf("transactions are counted from %d, and were from %d", now, version)
	}
	compareHoldings(t, "merged", holdings(t, c), held)
	must(t, c.Close())
	if tablesIn(t, old) <= tablesIn(t, dir) {
		t.Error("nothing was merged: this test tests nothing")
	}
}

// copyOf copies a folder of files.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.Mkdir(to, 0o700))
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			_, err := copySparse(filepath.Join(dir, e.Name()), filepath.Join(to, e.Name()), 1<<30)
			must(t, err)
		}
	}
	return to
}

func TestReadersAndWritersGoOnWhileTablesAreMerged(t *testing.T) {
	dir := t.TempDir()
	scattered(t, dir, mostNew)
	c, err := Open(settled(t, dir))
	must(t, err)
	stop := make(chan struct{})
	var going sync.WaitGroup
	var written atomic.Int64
	for n := range 3 {
		going.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if m, err := c.Model("pump"); err != nil || m.Code != "pump" {
					t.Errorf("%+v, %v", m, err)
					return
				}
				if err := c.AddModel(t.Context(), fleet.Model{Code: fleet.ModelCode(fmt.Sprintf("m%d_%d", n, i))}); err != nil {
					t.Errorf("model %d: %v", i, err)
					return
				}
				written.Add(1)
			}
		})
	}
	before := c.store.db
	tidyNow(t, c)
	n := written.Load()
	until(t, "changes behind it", func() bool { return written.Load() > n+10 })
	close(stop)
	going.Wait()
	if !before.IsClosed() || c.Fault() != "" {
		t.Errorf("the store of before is closed: %v; fault %q", before.IsClosed(), c.Fault())
	}
	must(t, c.Close())
	c = open(t, dir)
	models, err := c.Models()
	if err != nil || int64(len(models)) != written.Load()+1 {
		t.Errorf("%d models of %d, %v", len(models), written.Load()+1, err)
	}
	checkEvents(t, c)
}

func TestWhatIsDeletedIsGivenBackToTheDisk(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(settled(t, dir))
	must(t, err)
	const records = 20_000
	key := func(i int) string { return fmt.Sprintf("z/%06d", i) }
	must(t, c.inPieces(t.Context(), records, false, func(x *tx, i int) error { return x.set(key(i), make([]byte, 1024)) }))
	must(t, c.inPieces(t.Context(), records*9/10, false, func(x *tx, i int) error { x.delete(key(i)); return nil }))
	must(t, c.Close())
	before := bytesOfTables(t, dir)
	c, err = Open(settled(t, dir))
	must(t, err)
	held := holdings(t, c)
	byHand(c, func() {
		c.tidied = time.Now().Add(-2 * deadAfter)
		if !c.tidy() {
			t.Fatal("the catalog is to be closed")
		}
	})
	compareHoldings(t, "given back", holdings(t, c), held)
	must(t, c.Close())
	if after := bytesOfTables(t, dir); after > before/4 {
		t.Errorf("%d bytes of tables, and %d before: of 20,000 records 2,000 are left", after, before)
	}
}

// byHand has do in place of the committer and of keep.
func byHand(c *Catalog, do func()) {
	c.end()
	c.stop, c.done, c.kept = make(chan struct{}), make(chan struct{}), make(chan struct{})
	defer func() {
		go c.commit()
		go c.keep()
	}()
	do()
}

func bytesOfTables(t *testing.T, dir string) (n int64) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*"+tableSuffix))
	must(t, err)
	for _, path := range tables {
		info, err := os.Stat(path)
		must(t, err)
		n += info.Size()
	}
	return n
}

func TestAStartThatIsRefusedAgainAndAgainLeavesNoMoreTables(t *testing.T) {
	dir := t.TempDir()
	most, files := 0, 0
	for range 200 {
		c, err := Open(settled(t, dir))
		must(t, err)
		must(t, c.Close()) // refused behind the catalog: the stop is noted, in a table of its own
		entries, err := os.ReadDir(dir)
		must(t, err)
		most, files = max(most, tablesIn(t, dir)), max(files, len(entries))
	}
	if most < mostNew || most > 2*mostNew+1 || files > 2*mostNew+10 {
		t.Errorf("up to %d tables, in %d files", most, files)
	}
}

func TestWithoutRoomTheTablesStayAsTheyAreUpToALimit(t *testing.T) {
	dir := t.TempDir()
	held := scattered(t, dir, 2*mostNew)
	// One table under many names is as many tables.
	l, err := readList(dir)
	must(t, err)
	last, err := lastTable(dir)
	must(t, err)
	for id := last + 1; len(l.tables) <= mostTables; id++ {
		must(t, os.Link(table.NewFilename(last, dir), table.NewFilename(id, dir)))
		l.tables[id] = &pb.ManifestChange{Id: id}
	}
	must(t, l.write(dir))
	var free atomic.Int64
	o := settled(t, dir)
	o.Space = func() (int64, int64, error) { return free.Load(), 1 << 40, nil }
	free.Store(o.Reserve + tableRoom/2)
	c, err := Open(o)
	must(t, err)
	compareHoldings(t, "without room", holdings(t, c), held)
	want(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}), fleet.ErrFull)
	if n := tablesIn(t, dir); n != mostTables+1 {
		t.Errorf("%d tables", n)
	}
	free.Store(1 << 40)
	c.grown <- struct{}{}
	until(t, "changes", func() bool { return c.AddModel(t.Context(), fleet.Model{Code: "fan"}) == nil })
	if n := tablesIn(t, dir); n > 1 {
		t.Errorf("%d tables once there is room", n)
	}
	must(t, c.Close())
}

// halting is a disk that ends the process at its n-th call, or refuses that.
type halting struct {
	durable.Kernel
	left   atomic.Int64
	refuse error // nil: the process is killed
}

func (d *halting) halts() error {
	if d.left.Add(-1) != 0 {
		return nil
	}
	if d.refuse == nil {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	return d.refuse
}

func (d *halting) Create(dir, pattern string) (*os.File, error) {
	if err := d.halts(); err != nil {
		return nil, err
	}
	return d.Kernel.Create(dir, pattern)
}

func (d *halting) Sync(f *os.File) error { return errors.Join(d.halts(), d.Kernel.Sync(f)) }

func (d *halting) Rename(from, to string) error {
	if err := d.halts(); err != nil {
		return err
	}
	return d.Kernel.Rename(from, to)
}

func (d *halting) MakeDir(dir string, mode os.FileMode) error {
	if err := d.halts(); err != nil {
		return err
	}
	return d.Kernel.MakeDir(dir, mode)
}

func (d *halting) SyncDir(dir string) error { return errors.Join(d.halts(), d.Kernel.SyncDir(dir)) }

// tidyAndDie opens a catalog that merges its tables then, and is killed at the n-th step on the disk.
func tidyAndDie(dir string, arguments []string) error {
	disk := &halting{}
	var n int64
	if _, err := fmt.Sscan(arguments[0], &n); err != nil {
		return err
	}
	disk.left.Store(n)
	defer durable.Use(disk)()
	c, err := Open(unattended(dir))
	if err != nil {
		return err
	}
	return c.Close()
}

func TestAKillBetweenAnyTwoStepsOfAMergeLosesNothing(t *testing.T) {
	dir := t.TempDir()
	scattered(t, dir, 2*mostNew)
	o := settled(t, dir)
	o.Space = func() (int64, int64, error) { return o.Reserve, 1 << 40, nil } // so that it merges nothing yet
	c, err := Open(o)
	must(t, err)
	rename(t, c, "of a log")
	held, whole := holdings(t, c), copyOf(t, dir) // as a kill leaves it
	must(t, c.Close())
	merged, unmerged := 0, 0
	for step := 1; ; step++ {
		dir := copyOf(t, whole)
		cmd := child("tidy", dir, fmt.Sprint(step))
		out, err := cmd.CombinedOutput()
		if err == nil {
			break // it has no more steps
		}
		if cmd.ProcessState.Exited() {
			t.Fatalf("step %d: %v\n%s", step, err, out)
		}
		// The tables that it finds are merged at this start, or were.
		if tablesIn(t, dir) > 2*mostNew || !listHas(t, dir, lowestLevel) {
			unmerged++
		} else {
			merged++
		}
		c, err := Open(settled(t, dir))
		if err != nil {
			t.Fatalf("after a kill at step %d: %v", step, err)
		}
		compareHoldings(t, fmt.Sprintf("a kill at step %d", step), holdings(t, c), held)
		must(t, c.Close())
		if t.Failed() {
			return
		}
		if n := tablesIn(t, dir); n > 2*mostNew {
			t.Errorf("a kill at step %d: %d tables", step, n)
		}
		if _, err := os.Stat(filepath.Join(dir, rewrittenDir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a kill at step %d: the folder of the new tables is left: %v", step, err)
		}
	}
	t.Logf("killed %d times before the list was changed and %d times behind", unmerged, merged)
	if merged == 0 || unmerged < 10 {
		t.Errorf("killed %d times before the list was changed and %d times behind", unmerged, merged)
	}
}

// listHas reports a table on a level.
func listHas(t *testing.T, dir string, level uint32) bool {
	t.Helper()
	l, err := readList(dir)
	must(t, err)
	for _, c := range l.tables {
		if c.Level == level {
			return true
		}
	}
	return false
}

func TestAnErrorInAnyStepOfAMergeLosesNothingAndItIsDoneLater(t *testing.T) {
	dir := t.TempDir()
	held := scattered(t, dir, mostNew)
	steps := 0
	for refused := true; refused && !t.Failed(); {
		steps++
		o := settled(t, copyOf(t, dir))
		c, err := Open(o)
		must(t, err)
		disk := &halting{refuse: syscall.ENOSPC}
		byHand(c, func() {
			restore := durable.Use(disk)
			disk.left.Store(int64(steps))
			going := c.tidy()
			restore()
			refused = disk.left.Load() <= 0
			compareHoldings(t, fmt.Sprintf("refused at step %d", steps), holdings(t, c), held)
			c.untidy = time.Time{}
			if !going || !c.tidy() {
				t.Error("the catalog is to be closed")
			}
		})
		compareHoldings(t, fmt.Sprintf("refused at step %d, and done then", steps), holdings(t, c), held)
		until(t, "changes", func() bool { return c.Fault() == "" })
		must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
		must(t, c.Close())
		if n := tablesIn(t, o.Dir); n > 3 {
			t.Errorf("refused at step %d: %d tables are left", steps, n)
		}
	}
	if steps < 15 {
		t.Errorf("a merge has %d steps", steps)
	}
}

// rotting is a disk that changes a byte of each table that it syncs.
type rotting struct {
	durable.Kernel
	on      atomic.Bool
	changed atomic.Int64
}

func (d *rotting) Rename(from, to string) error {
	if d.on.Load() && strings.HasSuffix(to, tableSuffix) && filepath.Base(filepath.Dir(to)) == rewrittenDir {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		d.changed.Add(1)
		if err := os.WriteFile(from, b, 0o600); err != nil {
			return err
		}
	}
	return d.Kernel.Rename(from, to)
}

func TestTablesThatAreNotWhatTheStoreHoldsDoNotTakeItsPlace(t *testing.T) {
	dir := t.TempDir()
	held := scattered(t, dir, 2*mostNew)
	disk := &rotting{}
	disk.on.Store(true)
	defer durable.Use(disk)()
	c, err := Open(settled(t, dir))
	disk.on.Store(false)
	must(t, err)
	compareHoldings(t, "rotten", holdings(t, c), held)
	if n := tablesIn(t, dir); n < 2*mostNew || disk.changed.Load() == 0 {
		t.Errorf("%d tables, of %d new ones a byte was changed", n, disk.changed.Load())
	}
	db := c.store.db
	r, err := c.options.rewrite(db, func() error { return nil })
	must(t, err)
	rename(t, c, "other")
	txn := db.NewTransaction(false)
	if err := r.compare(c.options, newRecords(txn, 0), func() error { return nil }); err == nil {
		t.Error("another record is taken for the same")
	}
	txn.Discard()
	r.drop()
	must(t, c.Close())
}

func TestAMergeTakesLittleMemory(t *testing.T) {
	const most = 24 << 20 // what a table is built in takes 8 MiB
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	// Written past the catalog, which counts and compares as it records: a merge reads tables, whoever has filled them.
	change := c.store.db.NewWriteBatch()
	for _, d := range manyDumps(0, 60_000) {
		dump, err := encode(d)
		must(t, err)
		waiting, err := encode(crash.Crash{
			Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: crash.Waiting, DeclaredVersion: d.FirmwareVersion,
		})
		must(t, err)
		must(t, change.Set([]byte(dumpKey(d.Device, d.Name())), dump))
		must(t, change.Set([]byte(dumpTimeKey(d.Device, d.Name())), nil))
		must(t, change.Set([]byte(crashKey(d.Device, d.Name())), waiting))
		must(t, change.Set([]byte(stateKey(crash.Waiting, d.Device, d.Name())), nil))
	}
	must(t, change.Flush())
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	byHand(c, func() {
		before, peak := inUse(), uint64(0)
		o := c.options
		o.Space = func() (int64, int64, error) { // is asked while a table is whole, and not written
			peak = max(peak, inUse())
			return c.options.Space()
		}
		r, err := o.rewrite(c.store.db, func() error { return nil })
		must(t, err)
		tables, of := r.tables, len(r.of)
		r.drop()
		took := int64(peak) - int64(min(before, inUse())) // a memtable that was being written at the beginning is in neither
		t.Logf("%d tables of %d, %d bytes more in use at most", tables, of, took)
		if took > most || took < 1<<20 || tables < 5 {
			t.Errorf("%d tables take %d bytes", tables, took)
		}
	})
}

func TestAMergeWaitsForASlowReaderAndNobodyElseDoes(t *testing.T) {
	dir := t.TempDir()
	scattered(t, dir, mostNew)
	c := open(t, dir)
	first := c.store.db
	tried := func() bool { // the new tables are there, and nothing more is done to them
		l, err := readList(filepath.Join(dir, rewrittenDir))
		return err == nil && len(l.tables) > 0
	}
	must(t, c.view(func(txn *badger.Txn) error {
		c.grown <- struct{}{}
		until(t, "new tables", tried)
		for n := range 20 {
			if _, err := c.Model("pump"); err != nil {
				t.Error(err)
			}
			must(t, c.AddModel(t.Context(), fleet.Model{Code: fleet.ModelCode(fmt.Sprintf("m%d", n))}))
		}
		if _, err := has(txn, modelKey("pump")); err != nil || first.IsClosed() {
			t.Errorf("%v; the store is closed: %v", err, first.IsClosed())
		}
		return nil
	}))
	until(t, "merged tables", first.IsClosed)
	if models, err := c.Models(); err != nil || len(models) != 21 {
		t.Errorf("%d models, %v", len(models), err)
	}
}

// A log that is left may be older than what was deleted: a record that the new tables do not say is deleted would be back.
func TestNewTablesDoNotTakeTheirPlaceBesideALog(t *testing.T) {
	dir := t.TempDir()
	held := scattered(t, dir, mostNew)
	db, err := badger.Open(settings(settled(t, dir), func(error) {}))
	must(t, err)
	r, err := settled(t, dir).rewrite(db, func() error { return nil })
	must(t, err)
	must(t, db.Close())
	log := filepath.Join(dir, logName(1))
	must(t, os.WriteFile(log, []byte("left"), 0o600))
	if err := r.takePlace(dir); err == nil {
		t.Error("they did")
	}
	must(t, os.Remove(log))
	c := open(t, dir)
	compareHoldings(t, "beside a log", holdings(t, c), held)
}

func TestTheListOfNewTablesLastsAPowerCut(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "catalog")
	held := scattered(t, dir, mostNew)
	db, err := badger.Open(settings(settled(t, dir), func(error) {}))
	must(t, err)
	r, err := settled(t, dir).rewrite(db, func() error { return nil })
	must(t, err)
	must(t, db.Close())
	record := powercut.Record(t, root)
	must(t, r.takePlace(dir))
	record.Acknowledge("merged")
	record.Cut(t, func(t *testing.T, root string, _ []string) {
		c, err := Open(settled(t, filepath.Join(root, "catalog")))
		must(t, err)
		compareHoldings(t, "cut", holdings(t, c), held)
		must(t, c.Close())
	})
}

// A start that is refused after a kill closes Badger, which removes its log. The next one must not miss that.
func TestAStartThatIsRefusedAfterAKillLooksLikeNoLostLog(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(settled(t, dir))
	must(t, err)
	must(t, c.update(t.Context(), func(x *tx) error { x.mark(keyRestoring); return nil }))
	killed := copyOf(t, dir)
	must(t, c.Close())
	for range 2 {
		_, err := Open(settled(t, killed))
		var bad *DamagedError
		if err == nil || errors.As(err, &bad) || !strings.Contains(err.Error(), "restore") {
			t.Errorf("%v", err)
		}
	}
}
