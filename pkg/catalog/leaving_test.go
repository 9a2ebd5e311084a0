package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// fewFiles opens a catalog in a process that may have so many files, and says how that ended.
func fewFiles(dir string, arguments []string) error {
	most, err := strconv.ParseUint(arguments[0], 10, 32)
	if err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		return err
	}
	c, err := Open(unattended(dir))
	var bad *DamagedError
	switch {
	case errors.As(err, &bad):
		fmt.Println("damaged", err)
		return nil
	case err != nil:
		fmt.Println("refused", err)
		return nil
	}
	fmt.Println("opened")
	return c.Close()
}

// startWith is a start of a process that may open so many files, and what it printed.
func startWith(t *testing.T, dir string, files int) (out []byte, err error) {
	t.Helper()
	var text bytes.Buffer
	cmd := child("few", dir, strconv.Itoa(files))
	cmd.Stdout, cmd.Stderr = &text, &text
	must(t, cmd.Start())
	hung := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	err = cmd.Wait()
	if !hung.Stop() {
		t.Fatalf("a start with %d files waits for ever:\n%s", files, text.Bytes())
	}
	return text.Bytes(), err
}

// Badger's Open waits for ever for the fourth table that it cannot open.
func TestAProcessThatMayNotOpenAllTablesDoesNotLetBadgerTry(t *testing.T) {
	dir := t.TempDir()
	scattered(t, dir, mostNew)
	if out, _ := startWith(t, dir, 14); !strings.HasPrefix(string(out), "refused") || !strings.Contains(string(out), "open "+dir+": too many open files") {
		t.Errorf("%s", out)
	}
}

func TestAProcessThatMayOpenNoMoreFilesTakesNoCatalogForDamaged(t *testing.T) {
	whole := t.TempDir()
	held := scattered(t, whole, mostNew)
	fate := map[string]int{}
	for most := 6; most < 60; most += 2 {
		dir := copyOf(t, whole)
		out, err := startWith(t, dir, most)
		said, _, _ := strings.Cut(string(out), " ")
		fate[strings.TrimSpace(said)]++
		if strings.HasPrefix(string(out), "damaged") {
			t.Errorf("%d files: %s", most, out)
		}
		c, err2 := Open(settled(t, dir))
		if err2 != nil {
			t.Fatalf("after a start with %d files (%s, %v): %v", most, out, err, err2)
		}
		compareHoldings(t, fmt.Sprintf("after a start with %d files", most), holdings(t, c), held)
		must(t, c.Close())
	}
	if fate["refused"] == 0 || fate["opened"] == 0 {
		t.Errorf("the starts were %v", fate)
	}
}

func TestTheKernelsWordIsNoDamage(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EIO, unix.ENOSPC} {
		if !ofKernel(fmt.Errorf("while mapping a table: %w", errno)) {
			t.Errorf("%v is taken for damage", errno)
		}
	}
	if ofKernel(errors.New("checksum mismatch")) {
		t.Error("damage is not taken for it")
	}
}

// onCopy is a catalog that is read from a copy, and whose disk takes changes once writable is called.
func onCopy(t *testing.T, before func(Options)) (c *Catalog, writable func()) {
	t.Helper()
	o, take := readOnlyDisk(t)
	crashed(t, o, 500)
	if before != nil {
		before(o)
	}
	take(false)
	c, err := Open(o)
	must(t, err)
	return c, func() { take(true) }
}

func TestABackupIsMadeOfACopy(t *testing.T) {
	c, _ := onCopy(t, nil)
	var b bytes.Buffer
	if _, err := c.Whole(); err != nil {
		t.Error(err)
	}
	must(t, c.Backup(&b))
	if n, err := CheckBackup(&b); err != nil || n < 500 {
		t.Errorf("%d records, %v", n, err)
	}
	must(t, c.Close())
}

// refusing is a disk that refuses some syncs and renames of the catalog's own folder.
type refusing struct {
	durable.Kernel
	dir   string
	which func(name string) error
}

func (d *refusing) Rename(from, to string) error {
	if filepath.Dir(to) == d.dir {
		if err := d.which(filepath.Base(to)); err != nil {
			return err
		}
	}
	return d.Kernel.Rename(from, to)
}

// The catalog itself is opened, and then the note that it is open cannot be written; it is tried again until it can.
func TestACatalogThatCannotTakeTheCopysPlaceIsTriedAgain(t *testing.T) {
	disk := &refusing{}
	failures := make(chan struct{}, 100)
	left := 2
	disk.which = func(name string) error {
		if name == openFile && left > 0 {
			left--
			failures <- struct{}{}
			return syscall.EIO
		}
		return nil
	}
	defer durable.Use(disk)()
	c, writable := onCopy(t, func(o Options) { disk.dir = o.Dir })
	writable()
	for range 2 {
		<-failures
		if m, err := c.Model("pump"); err != nil || m.Code != "pump" {
			t.Errorf("%+v, %v", m, err)
		}
	}
	until(t, "changes", func() bool { return c.Fault() == "" })
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
	must(t, c.Close())
}

// What fails while readers have the catalog already, and the committer does not, gives them the copy again.
func TestACatalogThatFailsBeforeItIsTrustedIsReplacedByTheCopyAgain(t *testing.T) {
	disk := &refusing{}
	failures := make(chan struct{}, 100)
	left := 2
	var opened atomic.Pointer[Catalog]
	disk.which = func(name string) error {
		if name == openFile && left > 0 {
			left--
			opened.Load().store.fail(errors.New("msync: input/output error")) // Badger says so in another goroutine
			failures <- struct{}{}
		}
		return nil
	}
	defer durable.Use(disk)()
	c, writable := onCopy(t, func(o Options) { disk.dir = o.Dir })
	opened.Store(c)
	writable()
	for range 2 {
		<-failures
		if m, err := c.Model("pump"); err != nil || m.Code != "pump" {
			t.Errorf("%+v, %v", m, err)
		}
		want(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}), fleet.ErrFull)
	}
	until(t, "changes", func() bool { return c.Fault() == "" })
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
	must(t, c.Close())
}

// Whoever restores a catalog, or makes another one, in the moment in which nobody has it, is not answered for by a copy of the
// one before.
func TestAnotherCatalogDoesNotTakeTheCopysPlace(t *testing.T) {
	for name, change := range map[string]func(*badger.Txn) error{
		"a restore that was cut off": func(txn *badger.Txn) error { return txn.Set([]byte(keyRestoring), nil) },
		"a newer schema":             func(txn *badger.Txn) error { return txn.Set([]byte(keySchema), number(Schema+1)) },
		"an older schema":            func(txn *badger.Txn) error { return txn.Set([]byte(keySchema), number(Schema-1)) },
		"none":                       func(txn *badger.Txn) error { return txn.Delete([]byte(keySchema)) },
	} {
		t.Run(name, func(t *testing.T) {
			c, writable := onCopy(t, nil)
			c.end() // the test is keep
			c.stop, c.done, c.kept = make(chan struct{}), make(chan struct{}), make(chan struct{})
			writable()
			c.standIn.unlock()
			o := c.options
			must(t, o.prepare())
			db, err := badger.Open(settings(o, func(error) {}))
			must(t, err)
			must(t, db.Update(change))
			must(t, errors.Join(o.noteClosed(), db.Close()))
			for range 2 {
				if err := c.leaveStandIn(); err == nil || errors.Is(err, ErrInUse) {
					t.Errorf("it did: %v", err)
				}
				if _, err := Lock(o.Dir); !errors.Is(err, ErrInUse) {
					t.Errorf("somebody else can have it: %v", err)
				}
				if m, err := c.Model("pump"); err != nil || m.Code != "pump" {
					t.Errorf("%+v, %v", m, err)
				}
			}
			go c.commit()
			go c.keep()
			must(t, c.Close())
		})
	}
}

// An import that a kill has cut off is undone once the catalog takes changes.
func TestAnImportThatWasCutOffIsUndoneBehindACopy(t *testing.T) {
	c, writable := onCopy(t, func(o Options) {
		must(t, o.prepare())
		db, err := badger.Open(settings(o, func(error) {}))
		must(t, err)
		note, err := encode([]fleet.DeviceKey{"abcdefgh"})
		must(t, err)
		must(t, db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(importKey(0)), note) }))
		must(t, errors.Join(o.noteClosed(), db.Close()))
	})
	writable()
	until(t, "changes", func() bool { return c.Fault() == "" })
	until(t, "no import", func() bool { n, err := c.count(importPrefix); return err == nil && n == 0 })
	must(t, c.Close())
}

// An import that cannot be undone keeps nothing else from being stored, and is left to the next start.
func TestAnImportThatCannotBeUndoneIsLeftToTheNextStart(t *testing.T) {
	c, writable := onCopy(t, func(o Options) {
		must(t, o.prepare())
		db, err := badger.Open(settings(o, func(error) {}))
		must(t, err)
		must(t, db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(importKey(0)), []byte("no list")) }))
		must(t, errors.Join(o.noteClosed(), db.Close()))
	})
	writable()
	until(t, "changes", func() bool { return c.Fault() == "" })
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
	until(t, "an end of it", func() bool {
		if !c.importing.TryLock() {
			return false
		}
		c.importing.Unlock()
		return true
	})
	if n, err := c.count(importPrefix); err != nil || n != 1 {
		t.Errorf("%d notes of it, %v", n, err)
	}
	must(t, c.Close())
	if _, err := Open(c.options); err == nil {
		t.Error("the next start takes it for undone")
	}
}

func TestARestoreThatWasCutOffIsNotReadFromACopy(t *testing.T) {
	o, writable := readOnlyDisk(t)
	crashed(t, o, 0)
	must(t, o.prepare())
	db, err := badger.Open(settings(o, func(error) {}))
	must(t, err)
	must(t, db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(keyRestoring), nil) }))
	must(t, errors.Join(o.noteClosed(), db.Close()))
	writable(false)
	if c, err := Open(o); err == nil || !strings.Contains(err.Error(), "restore") {
		t.Errorf("%v", err)
		must(t, c.Close())
	}
	if _, err := os.Stat(o.StandIn); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a copy is left: %v", err)
	}
}

func TestACopyIsNeverPutOnTheCatalogsOwnDisk(t *testing.T) {
	o, writable := readOnlyDisk(t)
	crashed(t, o, 0)
	free := o.Space
	writable(true)
	o.Space = func() (int64, int64, error) { return 0, 1 << 40, nil }
	o.StandIn = filepath.Join(filepath.Dir(o.Dir), "standin")
	_, err := Open(o)
	want(t, err, ErrNoStandIn)
	if _, err := os.Stat(o.StandIn); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was begun: %v", err)
	}
	o.Space = free
	must(t, os.Mkdir(o.StandIn, 0o700)) // as a kill leaves it
	c, err := Open(o)
	must(t, err)
	if _, err := os.Stat(o.StandIn); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a kill has left stays: %v", err)
	}
	must(t, c.Close())
}

type unwatched struct{ DeviceWatcher }

// Two batches that wait behind each other: after the first the store is not trusted any more, and the second touches nothing.
func TestABatchBehindOneAfterWhichTheStoreFailedIsRefused(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	first := newOperation(nil)
	second := newOperation(func(x *tx) error {
		for n := range mostWrites {
			must(t, x.set(fmt.Sprintf("z/2/%d", n), nil))
		}
		return nil
	})
	byHand(c, func() {
		c.ops = make(chan *operation, 1)
		c.ops <- second
		var w DeviceWatcher = unwatched{}
		defer c.watcher.Store(c.watcher.Swap(&w))
		first.do = func(x *tx) error { // told once it is stored, and before the next batch
			x.news = append(x.news, func(DeviceWatcher) { c.store.fail(errors.New("msync: input/output error")) })
			return x.set("z/1", make([]byte, 16))
		}
		c.commitBatches(first)
		must(t, <-first.done)
		want(t, <-second.done, fleet.ErrFull)
		c.ops = make(chan *operation)
	})
	until(t, "changes", func() bool { return c.Fault() == "" })
	if n, err := c.count("z/2/"); err != nil || n != 0 {
		t.Errorf("%d records of it, %v", n, err)
	}
}
