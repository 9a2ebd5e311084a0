package catalog

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

const (
	tryEvery   = time.Second           // the disk may be back
	mostPause  = 30 * time.Second      // between two tries, once it is not the disk that fails
	steady     = time.Minute           // a store that lasts as long was worth opening
	lookEvery  = 10 * time.Millisecond // whether a commit has ended
	mostCommit = time.Second           // after which Badger is taken to wait for a table of its own
)

// keep closes the store after a failed sync and opens it again, in this process, until that works. Badger itself would go
// on: it would sync the same file again, and believe what that says. A stand-in it replaces likewise.
func (c *Catalog) keep() {
	defer close(c.kept)
	var opened time.Time
	pause := tryEvery
	look := time.NewTicker(lookAround)
	defer look.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.grown:
			if !c.tidy() {
				return
			}
			continue
		case <-look.C:
			if !c.tidy() {
				return
			}
			continue
		case <-c.store.failed:
		}
		c.options.Logger.Debug("catalog takes no changes", "error", c.store.trusted())
		pause = min(2*pause, mostPause)
		if time.Since(opened) > steady {
			pause = tryEvery
		}
		again := c.reopen
		if c.standIn != nil {
			again = c.replaceStandIn
		}
		if !again(pause) {
			return
		}
		opened = time.Now()
		c.options.Logger.Debug("catalog takes changes again")
	}
}

// reopen returns when the store was opened again, or false when the catalog is to be closed.
func (c *Catalog) reopen(pause time.Duration) bool {
	if !c.rest(pause) || !c.waitForDisk() {
		return false
	}
	old := c.store.db // only keep replaces it
	if !c.noteClosed() || !c.takeFromAll() {
		return false
	}
	return c.closeAndOpen(old, pause, nil)
}

// closeAndOpen returns when the store, which nobody has any more, was opened again, or false when the catalog is to be closed.
// While it is closed r takes its place, unless that is nil.
func (c *Catalog) closeAndOpen(old *badger.DB, pause time.Duration, r *rewritten) bool {
	tables := tablesOf(old)
	if err := c.ahead.drop(); err != nil {
		c.options.Logger.Debug("catalog closed with an error", "error", err)
	}
	ended, err := c.shut(old)
	if !ended {
		return false
	}
	if r != nil {
		if err == nil {
			err = r.takePlace(c.options.Dir)
		}
		c.noteTidied(err)
	}
	for {
		err := c.openAgain(&tables)
		if err == nil {
			return true
		}
		c.store.fail(err) // for an exchange nothing has failed until now
		c.options.Logger.Error("catalog not opened again", "error", err, "again_in", pause)
		if !c.rest(pause) || !c.waitForDisk() {
			return false
		}
		if !ofKernel(err) {
			pause = min(2*pause, mostPause)
		}
	}
}

// replaceStandIn returns when the catalog itself answers, or false when it is to be closed.
func (c *Catalog) replaceStandIn(pause time.Duration) bool {
	for c.rest(pause) && c.waitForDisk() {
		err := c.leaveStandIn()
		if err == nil {
			c.options.Logger.Info("catalog takes changes again", "dir", c.options.Dir)
			return true
		}
		pause = min(2*pause, mostPause)
		c.options.Logger.Error("catalog not opened again", "error", err, "again_in", pause)
	}
	return false
}

// noteClosed returns once the disk knows that the catalog is not open: Badger is closed after that only, as a kill in between
// would look like a log that is lost, and the next start would refuse the catalog.
func (c *Catalog) noteClosed() bool {
	for {
		err := c.options.noteClosed()
		if err == nil {
			return true
		}
		c.options.Logger.Debug("catalog not closed yet", "error", err)
		if !c.rest(tryEvery) || !c.waitForDisk() {
			return false
		}
	}
}

func (c *Catalog) rest(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-c.stop:
		return false
	}
}

// waitForDisk returns when the catalog's folder takes a new file.
func (c *Catalog) waitForDisk() bool {
	for c.diskWorks() != nil {
		if !c.rest(tryEvery) {
			return false
		}
	}
	return true
}

func (c *Catalog) diskWorks() error {
	free, _, err := c.options.Space()
	if err != nil {
		return err
	}
	if err := c.room(free, false); err != nil {
		return err
	}
	return durable.Probe(c.options.Dir)
}

// takeFromAll takes the store from its readers and from the committer, who end first. A commit that Badger keeps ends when
// Badger is closed.
func (c *Catalog) takeFromAll() bool {
	c.store.take()
	for waited := time.Duration(0); ; waited += lookEvery {
		if c.store.writing.TryLock() { // nobody begins anew: the store is not trusted
			c.store.writing.Unlock()
			return true
		}
		if waited > mostCommit && c.store.commits.Load() {
			return true
		}
		if !c.rest(lookEvery) {
			return false
		}
	}
}

// shut closes Badger, which writes its tables first, and where that fails tries again for ever. With an error it has ended, too.
func (c *Catalog) shut(old *badger.DB) (ended bool, err error) {
	closed := make(chan error, 1)
	go func() { closed <- old.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			c.options.Logger.Debug("catalog closed with an error", "error", err)
		}
		return true, err
	case <-c.stop:
		return false, nil
	}
}

// openAgain opens what was closed. Tables are those that it had, and those of a Badger that it has closed again.
func (c *Catalog) openAgain(tables *map[uint64]bool) error {
	if err := renewList(c.options.Dir, *tables); err != nil {
		return err
	}
	if err := c.options.removeLogs(); err != nil {
		return err
	}
	c.store.begin()
	c.tables.begin() // of the logs that it finds
	db, err := c.options.openBadger(c.store.fail)
	if err != nil {
		return err
	}
	ahead, err := openAhead(c.options.Dir)
	if err == nil {
		err = c.options.noteOpen()
	}
	if err == nil {
		err = c.handOut(db, ahead)
	}
	if err == nil {
		return nil
	}
	*tables = tablesOf(db)
	if ahead != nil {
		err = errors.Join(err, ahead.drop())
	}
	if c.noteClosed() {
		_, closed := c.shut(db)
		err = errors.Join(err, closed)
	}
	return err
}

// handOut gives the committer and the readers another Badger, unless that has failed already.
func (c *Catalog) handOut(db *badger.DB, ahead *ahead) error {
	c.store.writing.Lock() // a commit that Badger kept has ended by now, or is about to
	defer c.store.writing.Unlock()
	err := c.store.give(db)
	if err == nil {
		c.ahead = ahead
	}
	return err
}
