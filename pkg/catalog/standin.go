package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	// mostStandIn bounds a stand-in: it lies in memory, of which a gateway has 512 MB.
	mostStandIn = 64 << 20

	// standInRoom is what Badger writes beside the copied files before it only reads them: a table of each log that a kill has
	// left, three at most, and what it keeps for values.
	standInRoom = 32 << 20
)

// ErrNoStandIn is a catalog on a disk that takes nothing, of which no copy could be made.
var ErrNoStandIn = errors.New("the catalog is not read, as its disk takes nothing")

// standIn is a copy of a catalog whose disk takes nothing, which answers for it. Badger replays its logs into tables
// before it reads anything, and refuses to open for reading what was not stopped in order. So the copy is opened once for
// writing, closed, and opened for reading only: from then on it needs no room.
type standIn struct {
	dir    string
	locked *os.File // the catalog's own folder
}

// takesNothing is ErrFull where a catalog cannot be opened for writing, and says why. A file is tried, too: ext4 after an
// error is read-only, and says so only to who writes.
func (o Options) takesNothing() error {
	probe, err := os.CreateTemp(o.Dir, ".probe*")
	if err == nil {
		probe.Close()
		os.Remove(probe.Name()) // nobody takes one that stays for a file of the catalog
	} else if errors.Is(err, unix.EROFS) {
		return fleet.Full("the disk of the catalog in %s is read-only", o.Dir)
	} else if err = fleet.OfDisk(err); errors.Is(err, fleet.ErrFull) {
		return err
	}
	free, _, err := o.Space()
	if err == nil && free < o.Reserve/2 {
		err = fleet.Full("less than %d MiB is free for the catalog in %s: make room", o.Reserve>>21, o.Dir)
	}
	return err
}

// openStandIn opens a copy of the catalog for reading, and says why to whoever would change something.
//
// Errors: [ErrNoStandIn] where none can be made, and those of [Open].
func openStandIn(o Options, why error) (*Catalog, error) {
	if err := checkSchemaFile(o.Dir); err != nil {
		return nil, err
	}
	c := newCatalog(o)
	if err := c.openStandIn(); err != nil {
		c.tables.end()
		return nil, err
	}
	c.store.doubt(fleet.Full("the catalog takes no changes, and is read from a copy until it can: %v", why))
	o.Logger.Warn("catalog read from a copy", "dir", o.Dir, "copy", o.StandIn, "reason", why)
	go c.commit()
	go c.keep()
	return c, nil
}

func (c *Catalog) openStandIn() (err error) {
	o := c.options
	c.standIn = &standIn{dir: o.StandIn}
	defer func() {
		if err != nil {
			c.standIn.remove()
			c.standIn = nil
		}
	}()
	if err := c.standIn.lock(o.Dir); err != nil {
		return err
	}
	entries, err := c.standIn.locked.ReadDir(-1)
	if err != nil {
		return err
	}
	if blank(entries) {
		return fleet.Full("there is no catalog in %s, and none can be made: the disk takes nothing", o.Dir)
	}
	if err := o.check(entries); err != nil {
		return err
	}
	if err := c.standIn.copy(o, entries); err != nil {
		return err
	}
	c.fromCopy.Store(true)
	if c.store.db, err = o.openCopied(); err != nil {
		return err
	}
	if err := c.adoptStandIn(); err != nil {
		return errors.Join(err, c.store.db.Close())
	}
	return nil
}

// copy copies what holds records. Zeros are left out, of which logs are full.
func (s *standIn) copy(o Options, entries []fs.DirEntry) error {
	s.empty() // that a kill has left
	if err := s.roomFor(o.Dir, entries); err != nil {
		return fmt.Errorf("%w: %w", ErrNoStandIn, err)
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrNoStandIn, err)
	}
	left := int64(mostStandIn)
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		n, err := copySparse(filepath.Join(o.Dir, e.Name()), filepath.Join(s.dir, e.Name()), left)
		if errors.Is(err, fleet.ErrFull) {
			return fmt.Errorf("%w: a copy of it would take more than %d MiB", ErrNoStandIn, mostStandIn>>20)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNoStandIn, err)
		}
		left -= n
	}
	if err := errors.Join(mendList(s.dir), Options{Dir: s.dir}.removeLogs()); err != nil {
		return fmt.Errorf("%w: %w", ErrNoStandIn, err)
	}
	return nil
}

// roomFor says why the copy is not begun: it would lie on the catalog's own disk, or there is no room for it.
func (s *standIn) roomFor(dir string, entries []fs.DirEntry) error {
	var of, to unix.Stat_t
	var disk unix.Statfs_t
	beside := filepath.Dir(s.dir)
	if err := errors.Join(unix.Stat(dir, &of), unix.Stat(beside, &to), unix.Statfs(beside, &disk)); err != nil {
		return err
	}
	if of.Dev == to.Dev {
		return fmt.Errorf("%s is on the same disk", s.dir)
	}
	need := int64(standInRoom)
	for _, e := range entries {
		var stat unix.Stat_t
		if e.Type().IsRegular() && unix.Stat(filepath.Join(dir, e.Name()), &stat) == nil {
			need += min(stat.Size, int64(stat.Blocks)*512) //nolint:unconvert // 32 bits wide on ARM
		}
	}
	if free := int64(disk.Bavail) * int64(disk.Bsize); free < need { //nolint:unconvert // 32 bits wide on ARM
		return fmt.Errorf("it would take %d MiB, and %d are free in %s", need>>20, free>>20, beside)
	}
	return nil
}

// copySparse copies a file without its blocks of zeros, and says how many bytes it wrote. ErrFull is more than most.
func copySparse(from, to string, most int64) (written int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	block, zeros := make([]byte, 4096), make([]byte, 4096)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, block)
		if n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
			if written += int64(n); written > most {
				return written, fleet.ErrFull
			}
			if _, err := out.WriteAt(block[:n], at); err != nil {
				return written, err
			}
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return written, out.Truncate(at)
		case err != nil:
			return written, err
		}
	}
}

// openCopied has Badger make tables of the copied logs, and then open them for reading only.
func (o Options) openCopied() (*badger.DB, error) {
	o.Dir = o.StandIn
	var failed error
	whole := settings(o, func(err error) { failed = errors.Join(failed, err) }).WithSyncWrites(false)
	db, err := o.openWith(whole)
	if err == nil {
		err = errors.Join(db.Close(), failed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStandIn, err)
	}
	db, err = o.openWith(whole.WithReadOnly(true))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStandIn, err)
	}
	return db, nil
}

// adoptStandIn is adopt without a change. A catalog of an older schema is not read: what it would be upgraded to is not on
// the disk.
func (c *Catalog) adoptStandIn() error {
	err := c.store.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(keySchema))
		if err != nil {
			return fmt.Errorf("%w: its schema: %w", ErrNoStandIn, err)
		}
		schema, err := readNumber(item)
		if err != nil {
			return err
		}
		switch {
		case schema > Schema:
			return &NewerError{"the catalog in " + c.options.Dir, int(schema)}
		case schema < Schema:
			return fmt.Errorf("%w: it has schema %d, and cannot be upgraded to %d", ErrNoStandIn, schema, Schema)
		}
		if err := c.refuseRestoring(txn); err != nil {
			return err
		}
		c.created, err = has(txn, keyNew)
		return err
	})
	if err != nil {
		return err
	}
	c.schema = Schema
	c.stopped, err = c.time(keyStopped)
	return err
}

// leaveStandIn opens the catalog itself, beside the copy, and has it answer once it is whole.
func (c *Catalog) leaveStandIn() (err error) {
	c.standIn.unlock() // Badger takes the same lock
	defer func() {
		if err != nil {
			err = errors.Join(err, c.standIn.lock(c.options.Dir)) // nobody else is to open it meanwhile
		}
	}()
	if err := c.options.prepare(); err != nil {
		return err
	}
	c.store.begin()
	c.tables.begin() // of the logs that it finds
	db, err := c.options.openBadger(c.store.fail)
	if err != nil {
		return err
	}
	if err := c.isCopied(db); err != nil {
		return errors.Join(err, c.closeOther(db))
	}
	copied, err := c.readFrom(db)
	if err != nil {
		return errors.Join(err, c.closeOther(db))
	}
	c.importing.Lock() // until one that was cut off is undone
	ahead, err := c.adoptAgain()
	if err == nil {
		err = c.trustIn(ahead)
	}
	if err != nil {
		c.importing.Unlock()
		c.store.swap(copied)
		if ahead != nil {
			err = errors.Join(err, ahead.drop())
		}
		return errors.Join(err, c.closeOther(db))
	}
	if err := copied.Close(); err != nil {
		c.options.Logger.Debug("copy closed with an error", "error", err)
	}
	c.standIn.remove()
	c.standIn = nil
	c.fromCopy.Store(false)
	c.undoImportLater()
	return nil
}

// isCopied says why the catalog that was opened is not the one of which there is a copy: somebody may have restored, removed
// or upgraded it in the moment in which nobody had it.
func (c *Catalog) isCopied(db *badger.DB) error {
	return db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(keySchema))
		if err != nil {
			return fmt.Errorf("the catalog in %s is another one: its schema: %w", c.options.Dir, err)
		}
		schema, err := readNumber(item)
		if err != nil {
			return err
		}
		if schema > Schema {
			return &NewerError{"the catalog in " + c.options.Dir, int(schema)}
		}
		if schema < Schema {
			return fmt.Errorf("the catalog in %s is another one: it has schema %d, and is upgraded by a start only", c.options.Dir, schema)
		}
		return c.refuseRestoring(txn)
	})
}

// readFrom has readers read from another store, once nobody reads from the one before: who comes meanwhile does not wait.
func (c *Catalog) readFrom(db *badger.DB) (before *badger.DB, err error) {
	for {
		before, ok := c.store.trySwap(db)
		if ok {
			return before, nil
		}
		if !c.rest(lookEvery) {
			return nil, errClosed
		}
	}
}

// closeOther closes a store that nobody reads from or writes to, unless the catalog is to be closed.
func (c *Catalog) closeOther(db *badger.DB) error {
	if !c.noteClosed() {
		return nil
	}
	_, err := c.shut(db)
	return err
}

// undoImportLater undoes one that was cut off, while keep looks after the store. The caller has locked importing.
func (c *Catalog) undoImportLater() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.importing.Unlock()
		return // the next start does
	}
	c.later.Go(func() {
		defer c.importing.Unlock()
		if err := c.undoImport(context.Background()); err != nil {
			c.options.Logger.Warn("import of devices that was cut off is not undone: the next start does that", "error", err)
		}
	})
}

// trustIn has the committer write to the catalog that readers have, unless that has failed already.
func (c *Catalog) trustIn(ahead *ahead) error {
	c.store.writing.Lock()
	defer c.store.writing.Unlock()
	err := c.store.trust()
	if err == nil {
		c.ahead = ahead
	}
	return err
}

// adoptAgain is adopt of a catalog whose copy was adopted: it has the same records.
func (c *Catalog) adoptAgain() (*ahead, error) {
	if err := c.adoptFiles(); err != nil {
		return nil, err
	}
	ahead, err := openAhead(c.options.Dir)
	if err != nil {
		return nil, err
	}
	return ahead, c.options.noteOpen()
}

// remove removes the copy and frees the catalog's own folder.
func (s *standIn) remove() {
	s.unlock()
	s.empty()
}

// lock keeps everybody from the catalog's own folder, unless it does already.
func (s *standIn) lock(dir string) (err error) {
	if s.locked == nil {
		s.locked, err = Lock(dir)
	}
	return err
}

func (s *standIn) unlock() {
	if s.locked != nil {
		s.locked.Close()
		s.locked = nil
	}
}

func (s *standIn) empty() {
	os.RemoveAll(s.dir) // what stays the next start removes
}
