package catalog

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// store is Badger as readers and the committer see it, and whether it is trusted. After a sync that failed it is not: it
// writes nothing more, its readers go on, and keep closes it and opens another one.
type store struct {
	mu   sync.RWMutex  // guards db and back; each read holds it shared, and no read lies in another one
	db   *badger.DB    // nil: closed, and not open again yet
	back chan struct{} // closed once db is there

	faults sync.Mutex    // guards fault, over, anew and early
	fault  error         // what failed first, nil while Badger is trusted
	over   chan struct{} // closed once an exchange is over, for which nothing has failed; nil: there is none
	anew   bool          // another Badger is being opened, and is not handed out yet
	early  error         // what that one has failed with already
	failed chan struct{} // of one: fault was set

	writing sync.Mutex  // held while operations are read, written and committed
	commits atomic.Bool // Badger has a transaction. It may keep it for as long as it cannot write a table
}

// fail notes that something was not stored. What the disk holds is not known from then on.
func (s *store) fail(err error) {
	s.doubt(fleet.Full("the catalog takes no changes, as its disk failed (%v): it is read, and opened again once the disk works", err))
}

// doubt has every change refused, unless it is already.
func (s *store) doubt(refusal error) {
	s.faults.Lock()
	defer s.faults.Unlock()
	if s.anew && s.early == nil {
		s.early = refusal
	}
	if s.over != nil { // it is about to be opened again
		s.fault = refusal
		s.endExchange()
	}
	if s.fault != nil {
		return
	}
	s.fault = refusal
	select {
	case s.failed <- struct{}{}:
	default:
	}
}

// trusted is nil, or the refusal of a change.
func (s *store) trusted() error {
	s.faults.Lock()
	defer s.faults.Unlock()
	return s.fault
}

// errAway is what a read gets between the old store and the new one, where that takes longer than readAfter.
func errAway() error { return fleet.Away("the catalog is being opened again") }

const readAfter = 2 * time.Second

// borrow returns the store for reading, until mu is unlocked.
func (s *store) borrow() (*badger.DB, error) {
	var late <-chan time.Time
	for {
		s.mu.RLock()
		if s.db != nil {
			return s.db, nil
		}
		back := s.back
		s.mu.RUnlock()
		if late == nil {
			late = time.After(readAfter)
		}
		select {
		case <-back:
		case <-late:
			return nil, errAway()
		}
	}
}

// forWriting returns the store, or why nothing is written. It stays open for whoever holds writing.
func (s *store) forWriting() (*badger.DB, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.db, s.trusted()
}

// take takes the store from its readers, who end first. Those who come meanwhile wait.
func (s *store) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db, s.back = nil, make(chan struct{})
}

// begin says that what fails from now on is another Badger, which is being opened.
func (s *store) begin() {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.anew, s.early = true, nil
}

// give hands out a store that is trusted, or returns what has failed since begin.
func (s *store) give(db *badger.DB) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.Lock()
	defer s.faults.Unlock()
	if err := s.mayTrust(); err != nil {
		return err
	}
	s.db = db
	close(s.back)
	return nil
}

// trust is give where readers have the store already.
func (s *store) trust() error {
	s.faults.Lock()
	defer s.faults.Unlock()
	return s.mayTrust()
}

// mayTrust has changes accepted again unless something has failed since begin. The caller holds faults.
func (s *store) mayTrust() error {
	s.anew = false
	if s.early == nil {
		s.fault = nil
		s.endExchange()
	}
	return s.early
}

// takeIdle is take for an exchange, unless somebody reads, writes or doubts the store at this moment. Whoever comes then
// waits; no change is refused unless the exchange takes longer than readAfter, or fails.
func (s *store) takeIdle() bool {
	if !s.writing.TryLock() {
		return false
	}
	defer s.writing.Unlock()
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	s.faults.Lock()
	defer s.faults.Unlock()
	if s.fault != nil {
		return false
	}
	s.fault, s.over = errAway(), make(chan struct{})
	s.db, s.back = nil, make(chan struct{})
	return true
}

// endExchange lets those go on who wait for it. The caller holds faults.
func (s *store) endExchange() {
	if s.over != nil {
		close(s.over)
		s.over = nil
	}
}

// lockForWriting locks writing, and waits first for an exchange.
func (s *store) lockForWriting() {
	for waits := true; ; waits = false {
		s.writing.Lock()
		s.faults.Lock()
		over := s.over
		s.faults.Unlock()
		if over == nil || !waits {
			return
		}
		s.writing.Unlock()
		select {
		case <-over:
		case <-time.After(readAfter):
		}
	}
}

// swap has readers read from another store, and returns the one before when nobody reads from it any more.
func (s *store) swap(db *badger.DB) (before *badger.DB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.db = s.db, db
	return before
}

// trySwap is swap, unless somebody reads at this moment.
func (s *store) trySwap(db *badger.DB) (before *badger.DB, ok bool) {
	if !s.mu.TryLock() {
		return nil, false
	}
	defer s.mu.Unlock()
	before, s.db = s.db, db
	return before, true
}

// view reads in a transaction.
func (c *Catalog) view(read func(*badger.Txn) error) error {
	db, err := c.store.borrow()
	if err != nil {
		return err
	}
	defer c.store.mu.RUnlock()
	return db.View(read)
}

// Fault says that the catalog takes no changes and why, "" when it does, or will in a moment.
func (c *Catalog) Fault() string {
	if err := c.store.trusted(); err != nil && !errors.Is(err, fleet.ErrAway) {
		return err.Error()
	}
	return ""
}
