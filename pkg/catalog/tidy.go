package catalog

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const (
	lookAround = time.Minute      // how often somebody looks, besides each time that Badger is about to write a table
	deadAfter  = 24 * time.Hour   // after which it is, where anything was written
	untidyFor  = 10 * time.Minute // after a rewriting that failed
	mostTurn   = time.Minute      // for a moment in which nobody reads or writes
)

// recentTables are those that Badger has written since tables were merged, and the number at which they are to be.
func recentTables(db *badger.DB) (n, most int) {
	merged := 0
	for _, t := range db.Tables() {
		if t.Level == 0 {
			n++
		} else {
			merged++
		}
	}
	return n, max(mostNew, merged/2)
}

// tidy merges tables where that is due, while the catalog is read and written, and returns false when it is to be closed.
// Where it does not work all stays as it is, and it is tried again later.
func (c *Catalog) tidy() bool {
	if c.standIn != nil || c.store.trusted() != nil || time.Since(c.untidy) < untidyFor && !c.crowded.Load() {
		return true
	}
	db := c.store.db // only keep replaces it
	n, most := recentTables(db)
	if n < most && (n < 2 || time.Since(c.tidied) < deadAfter) {
		return true
	}
	r, err := c.options.rewrite(db, func() error {
		select {
		case <-c.stop:
			return errClosed
		default:
			return c.store.trusted()
		}
	})
	if err != nil {
		c.noteTidied(err)
		c.crowded.Store(n > mostTables)
		return true
	}
	for waited := time.Duration(0); !c.takeIdle(); waited += lookEvery {
		if waited > mostTurn || c.store.trusted() != nil {
			r.drop()
			return true
		}
		if !c.rest(lookEvery) {
			r.drop()
			return false
		}
	}
	if !c.noteClosed() {
		return false
	}
	return c.closeAndOpen(db, tryEvery, r)
}

// takeIdle takes the store for an exchange, unless somebody has it at this moment. Once the catalog is being closed nobody
// does: whoever notes the stop finds it.
func (c *Catalog) takeIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && c.store.takeIdle()
}

// tidyBeforehand is tidy for a start. It does so only where tables are left over that a process which runs for a while would
// have merged: starts that are refused behind the catalog, one after the other.
func (c *Catalog) tidyBeforehand() error {
	n, most := recentTables(c.store.db)
	if n < 2*most {
		return nil
	}
	r, err := c.options.rewrite(c.store.db, c.store.trusted)
	if err != nil {
		c.noteTidied(err)
		c.crowded.Store(n > mostTables)
		return nil
	}
	if err := c.options.noteClosed(); err != nil {
		r.drop()
		c.noteTidied(err)
		return nil
	}
	tables := tablesOf(c.store.db)
	err = c.store.db.Close()
	c.store.db = nil
	if err == nil {
		err = r.takePlace(c.options.Dir)
	}
	c.noteTidied(err)
	if err := renewList(c.options.Dir, tables); err != nil {
		return err
	}
	c.store.db, err = c.options.openBadger(c.store.fail)
	return err
}

// noteTidied remembers how a rewriting ended. What fails again is said once.
func (c *Catalog) noteTidied(err error) {
	switch {
	case errors.Is(err, errClosed):
	case err == nil:
		c.options.Logger.Info("tables of the catalog merged")
		c.tidied, c.untidy = time.Now(), time.Time{}
		c.crowded.Store(false)
	case c.untidy.IsZero():
		c.options.Logger.Warn("tables of the catalog not merged: it goes on with those that it has", "error", err)
		c.untidy = time.Now()
	default:
		c.options.Logger.Debug("tables of the catalog not merged", "error", err)
		c.untidy = time.Now()
	}
}
