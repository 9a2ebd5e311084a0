// Package catalog stores the gateway's records in Badger: models, devices, secrets, builds, dumps, crashes, groups and
// operators' tokens. What it has acknowledged survives a power cut.
//
// All changes go through one committer, which gathers what arrives at once into one transaction: a sync of flash costs
// milliseconds, and Badger does not share it by itself. Conflicts (a name that is taken) are checked inside.
//
// It knows the three ways in which Badger was seen to lose a gateway, see [Open], and stores nothing over 32 KiB, so
// that the value log is never used. It trusts its own folder, but no backup: see [Restore].
package catalog

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Options are the folder and its neighbours.
type Options struct {
	Dir        string
	Reserve    int64 // bytes that must stay free: on a full disk Badger dies by SIGBUS, and again when it is opened
	Space      func() (free, total int64, err error)
	Short      func() // gives up at once what is kept for a full disk, as Badger has no room for what it writes; nil: nothing is
	Logger     *slog.Logger
	Now        func() time.Time
	KeepEvents time.Duration // age at which events go; 0: never by age
	MostEvents int64         // bytes of all events; 0: 64 MiB
	Beat       func()        // a sign of life of the committer, at least every five seconds

	// StandIn is a folder that is made, on another disk, for a copy of the catalog where its own disk takes nothing; ""
	// makes none.
	StandIn string

	// MayBegin says why no catalog may be made where there is none: whoever has keys and firmware had a catalog. Nil
	// makes one.
	MayBegin func() error

	// BeforeUpgrade backs up a catalog of an older schema before anything is written, and names the backup. Going back
	// is restoring it. Nil makes none.
	BeforeUpgrade func(*Catalog) (backup string, err error)
}

// Catalog is the open store. Its methods may be called at once.
type Catalog struct {
	options Options
	ahead   *ahead // the committer's
	tables  *tables
	ops     chan *operation
	stop    chan struct{} // closed: the committer is to end
	done    chan struct{} // closed: it has ended
	watcher atomic.Pointer[DeviceWatcher]
	kept    chan struct{} // closed: keep has ended
	created bool
	schema  int // as it is on disk
	stopped time.Time
	feed    event.Feed
	decoded decodedModels
	hints   *event.Hints
	wanted  keptWanted
	trouble atomic.Pointer[string] // that it was found damaged
	unread  atomic.Pointer[string] // that it could not be read
	copied  Counts                 // that are in the folder; the committer's
	standIn *standIn               // answers while the catalog's disk takes nothing; keep's, once that runs

	uncopied bool        // the journal knows that they could not be written; the committer's
	fromCopy atomic.Bool // a stand-in answers

	grown   chan struct{} // of one: Badger has begun another log; the committer's word to keep
	tidied  time.Time     // when tables were merged last, or the catalog was opened; keep's
	untidy  time.Time     // when that failed last, zero: it did not; keep's
	crowded atomic.Bool   // there are more tables than there may be

	listed    groupIndex     // what lists of groups go by
	store     store          // Badger, and whether it is to be trusted
	importing sync.Mutex     // one import at a time
	mu        sync.Mutex     // guards closed; later.Add is called under mu and only while closed is false, so Close can wait
	later     sync.WaitGroup // records that nobody waits for
	closed    bool
}

// Open opens the catalog, or makes it. Before that it does what Badger does not: it opens none on a disk without half of
// its reserve, which takes the logs that it allocates and the tables of those that it finds, and deletes the empty log
// files that a kill leaves and that Badger would refuse for ever.
//
// Where the disk takes nothing it opens a copy in StandIn: every change is ErrFull until there is room, and then the
// catalog itself is opened.
//
// Errors: ErrFull where the disk takes nothing and there is no StandIn, [ErrNoStandIn], [NewerError], [DamagedError], what
// MayBegin says, and a catalog that another process has open.
func Open(o Options) (*Catalog, error) {
	if err := o.takesNothing(); errors.Is(err, fleet.ErrFull) && o.StandIn != "" {
		return openStandIn(o, err)
	} else if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkSchemaFile(o.Dir); err != nil {
		return nil, err
	}
	if err := o.prepare(); err != nil {
		return nil, err
	}
	if o.StandIn != "" {
		os.RemoveAll(o.StandIn) // a kill has left it: who has the catalog's lock is the only one to have one
	}
	c := newCatalog(o)
	c.tables.begin() // of the logs that it finds
	var err error
	if c.store.db, err = o.openBadger(c.store.fail); err != nil {
		c.tables.end()
		return nil, err
	}
	err = c.adopt()
	if err == nil {
		err = c.tidyBeforehand()
	}
	if err == nil {
		c.ahead, err = openAhead(o.Dir)
	}
	if err == nil {
		err = o.noteOpen()
	}
	if err != nil {
		return nil, errors.Join(err, c.giveUp())
	}
	go c.commit()
	go c.keep()
	if err := c.undoImport(context.Background()); err != nil {
		c.end()
		return nil, errors.Join(err, c.giveUp())
	}
	return c, nil
}

// giveUp closes the store of a catalog that is not to be opened after all, unless it cannot be noted that it is closed: a kill
// may have left the note that it is open, and without its log, which Badger removes, it would be taken for damaged.
func (c *Catalog) giveUp() error {
	if err := c.options.noteClosed(); err != nil {
		c.tables.end()
		return err
	}
	return c.closeBadger()
}

// newCatalog is one that is not open yet.
func newCatalog(o Options) *Catalog {
	if o.Short == nil {
		o.Short = func() {}
	}
	c := &Catalog{
		options: o, hints: event.NewHints(), tables: newTables(o), ops: make(chan *operation), stop: make(chan struct{}), done: make(chan struct{}), kept: make(chan struct{}),
	}
	c.store.failed, c.grown = make(chan struct{}, 1), make(chan struct{}, 1)
	c.tidied = time.Now()
	return c
}

// Created reports that what the catalog knows of files has to be rebuilt from disk: it was made by this Open, or by an
// earlier one after which [Catalog.Rebuilt] was never called.
func (c *Catalog) Created() bool { return c.created }

// Rebuilt notes that it has been. A kill in the middle of the first start then repeats the rebuilding.
func (c *Catalog) Rebuilt(ctx context.Context) error {
	if !c.created {
		return nil // a start on a full disk has nothing to store
	}
	return c.update(ctx, func(t *tx) error {
		t.delete(keyNew)
		return nil
	})
}

// LastStop is when the catalog was last closed in order, zero for never. A kill since does not clear it: what was whole
// on the disk then is whole now.
func (c *Catalog) LastStop() time.Time { return c.stopped }

// Close waits for what was handed in, notes that the stop was clean, and closes the store. On a disk that is all but
// writing its tables then is what ends in SIGBUS. Whoever looks after their room goes on as long as Badger does.
// writing its tables then is what ends in SIGBUS.
func (c *Catalog) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return nil
	}
	c.later.Wait()
	err := c.noteStop()
	c.end()
	if c.standIn != nil {
		defer c.standIn.remove()
		return c.closeBadger()
	}
	if err == nil {
		err = c.store.trusted() // it may have failed since, and be closed already
	}
	if errors.Is(err, fleet.ErrFull) || errors.Is(err, fleet.ErrAway) {
		c.options.Logger.Warn("catalog not closed", "reason", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.options.noteClosed(); err != nil {
		return err
	}
	return c.closeBadger()
}

// closeBadger is the end of the store. Nothing is committed any more.
func (c *Catalog) closeBadger() error {
	defer c.tables.end()
	var err error
	if c.ahead != nil {
		err = c.ahead.drop()
	}
	if c.store.db == nil { // it was closed to be opened again
		return err
	}
	return errors.Join(err, c.store.db.Close())
}

// end stops the committer and keep.
func (c *Catalog) end() {
	close(c.stop)
	<-c.done
	<-c.kept
}
