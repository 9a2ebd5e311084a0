package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Bounds of one transaction. Badger refuses one that reaches 15 % of the memtable, 629,145 bytes or 6,553 writes.
const (
	mostBatch  = 128 // operations
	mostBytes  = 512 << 10
	mostWrites = 4096
)

var errClosed = errors.New("the catalog is closed")

// operation is one change, waiting for the committer.
type operation struct {
	do    func(*tx) error
	by    event.By
	frees bool // it makes room, or ends the process: half of the reserve is enough for it
	done  chan error
}

func newOperation(do func(*tx) error) *operation {
	return &operation{do: do, done: make(chan error, 1)}
}

// update runs a change in the committer and returns when it is on stable storage.
func (c *Catalog) update(ctx context.Context, do func(*tx) error) error {
	return c.run(ctx, newOperation(do))
}

func (c *Catalog) run(ctx context.Context, op *operation) error {
	op.by = event.ActorOf(ctx)
	select {
	case c.ops <- op:
		return <-op.done // what is handed in is done, whoever stops waiting
	case <-c.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit is the committer: the one goroutine that writes.
func (c *Catalog) commit() {
	defer close(c.done)
	beat := time.NewTicker(5 * time.Second)
	defer beat.Stop()
	for {
		c.options.Beat()
		select {
		case op := <-c.ops:
			c.store.lockForWriting()
			c.commitBatches(op)
			c.store.writing.Unlock()
		case <-c.stop:
			if c.store.trusted() == nil {
				c.copyCounts()
			}
			return
		case <-beat.C:
			if c.store.trusted() == nil {
				c.copyCounts()
			}
		}
	}
}

// commitBatches commits an operation together with those that wait behind it, as many as a transaction takes, and tells all
// of them what has become of them when that is on stable storage. A log that did not sync once may say that it did the
// second time: after an error nothing is committed until the store was opened again.
func (c *Catalog) commitBatches(op *operation) {
	db, err := c.store.forWriting()
	if err != nil {
		op.done <- err
		return
	}
	var free int64
	measured := false // once a batch, and anew after a refusal: whoever was refused may have made room
	b := c.newBatch(db)
	for op != nil {
		if !measured {
			free, _, err = c.options.Space()
			measured = true
		}
		t := &tx{txn: b.txn, now: c.options.Now(), writes: map[string][]byte{}, by: op.by}
		after := b.ledger
		refusal := err
		if refusal == nil {
			refusal = c.room(free, op.frees)
		}
		if refusal == nil && len(b.ops) == 0 {
			refusal = c.prepare()
		}
		if refusal == nil {
			refusal = op.do(t)
		}
		if refusal == nil {
			after, refusal = c.enter(b, t)
		}
		if refusal == nil {
			refusal = t.fits()
		}
		if refusal == nil && !b.takes(t) {
			err := c.commitBatch(b)
			if err == nil {
				err = c.store.trusted() // else it may have been taken away, and closed, while it kept the commit
			}
			if err != nil {
				op.done <- err
				return
			}
			b = c.newBatch(db) // what t has read is still so: nobody else writes
			refusal = c.prepare()
		}
		if refusal != nil {
			measured = false
			b.refuse(op, refusal)
		} else {
			b.ledger = after
			if err := b.add(op, t); err != nil {
				c.endBatch(b, err) //nolint:errcheck // it is told to those who wait
				return
			}
		}
		op = nil
		if len(b.ops)+len(b.refused) < mostBatch && b.bytes < mostBytes {
			select {
			case op = <-c.ops:
			default:
			}
		}
	}
	if c.commitBatch(b) == nil {
		_ = c.prepare() // asked again before the next batch, which is refused where there is no room
	}
}

// prepare makes sure that Badger finds the blocks for a batch, whatever others do to the disk. A store that was taken away
// while it kept a commit is not touched any more.
func (c *Catalog) prepare() error {
	if err := c.store.trusted(); err != nil {
		return err
	}
	taken, err := c.ahead.keep()
	if taken {
		c.tables.begin() // of the log that is full now
		select {
		case c.grown <- struct{}{}:
		default:
		}
	}
	return err
}

// room refuses commits below the reserve: on a full disk Badger's mapped files end the process by SIGBUS. What makes
// room may go on for a while: else a disk that others have filled could never be rotated empty.
func (c *Catalog) room(free int64, frees bool) error {
	least := c.options.Reserve
	if frees {
		least /= 2
	}
	if free < least {
		return fleet.Full("less than %d MiB is free: the catalog accepts no changes until there is room", c.options.Reserve>>20)
	}
	if c.crowded.Load() {
		return fleet.Full("the catalog has more than %d tables, and no room to merge them: it accepts no changes until there is", mostTables)
	}
	return nil
}

// batch is one transaction of Badger's.
type batch struct {
	txn     *badger.Txn
	ledger  *ledger // of the events, with the batch's own; nil: nobody has asked for it
	ops     []*operation
	refused []refusal
	events  []fleet.Event
	changed map[string]bool                      // nouns: see tx
	tell    func([]fleet.Event, map[string]bool) // once they are on stable storage
	bytes   int
	writes  int
	listed  []indexWrite // of groups
	news    []func(DeviceWatcher)
	inform  func([]func(DeviceWatcher)) // likewise
}

func (c *Catalog) newBatch(db *badger.DB) *batch {
	return &batch{txn: db.NewTransaction(true), changed: map[string]bool{}, tell: c.announce, inform: c.inform}
}

func (b *batch) takes(t *tx) bool {
	return len(b.ops) == 0 || b.bytes+t.bytes <= mostBytes && b.writes+len(t.order) <= mostWrites
}

// refusal is an operation that is refused, perhaps as what it has read of the batch's own changes says.
type refusal struct {
	op     *operation
	reason error
}

// refuse has a refusal told with the batch: before that what it says may not be so yet, and nobody could read it, such as that a
// device is there already.
func (b *batch) refuse(op *operation, reason error) {
	if len(b.ops) == 0 { // it has read what is on stable storage
		op.done <- reason
		return
	}
	b.refused = append(b.refused, refusal{op, reason})
}

// add puts an operation's writes into the transaction. If one write fails, the
// transaction holds part of the operation: the whole batch is discarded and every caller gets the error.
func (b *batch) add(op *operation, t *tx) error {
	b.ops = append(b.ops, op)
	b.events = append(b.events, t.events...)
	for _, noun := range t.changed {
		b.changed[noun] = true
	}
	b.bytes += t.bytes
	b.writes += len(t.order)
	b.news = append(b.news, t.news...)
	if listed := t.indexWrites(); len(listed) > 0 {
		b.listed = append(b.listed, listed...)
		b.changed["crash"] = true // counts of a known one, too
	}
	return t.flush(b.txn)
}

// commitBatch makes the operations durable and tells those who wait.
func (c *Catalog) commitBatch(b *batch) error {
	if err := c.store.trusted(); err != nil {
		return c.endBatch(b, err)
	}
	c.store.commits.Store(true)
	err := b.txn.Commit()
	if err == nil && c.store.trusted() == nil { // else it may have been taken away while it kept the commit
		err = c.ahead.kept()
	}
	c.store.commits.Store(false)
	return c.endBatch(b, err)
}

func (c *Catalog) endBatch(b *batch, err error) error {
	b.txn.Discard()
	if err != nil {
		c.store.fail(fmt.Errorf("commit to the catalog: %w", err))
		err = c.store.trusted()
		if len(b.listed) > 0 {
			c.listed.forget()
		}
	} else {
		c.listed.take(b.listed)
		b.inform(b.news)
		b.tell(b.events, b.changed)
	}
	for _, op := range b.ops {
		op.done <- err
	}
	for _, r := range b.refused {
		if err != nil {
			r.reason = err
		}
		r.op.done <- r.reason
	}
	return err
}
