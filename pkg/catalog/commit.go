package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Bounds of one transaction; Badger's own is 15 % of the memtable.
const (
	mostBatch  = 128
	mostBytes  = 512 << 10
	mostRecord = 32 << 10
)

// operation is one change, waiting for the committer.
type operation struct {
	do   func(*tx) error
	done chan error
}

// tx is one operation's view inside a batch: it reads what earlier operations of the batch wrote, and what it writes
// counts only when it succeeds.
type tx struct {
	txn    *badger.Txn
	writes map[string][]byte // nil value: deleted
	order  []string
	bytes  int
}

// update runs a change in the committer and returns when it is on stable storage.
func (c *Catalog) update(ctx context.Context, do func(*tx) error) error {
	op := &operation{do: do, done: make(chan error, 1)}
	select {
	case c.ops <- op:
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-op.done // what is handed in is done, whoever stops waiting
}

// commit is the committer: the one goroutine that writes.
func (c *Catalog) commit() {
	defer close(c.done)
	beat := time.NewTicker(5 * time.Second)
	defer beat.Stop()
	for {
		c.Beat()
		select {
		case op, open := <-c.ops:
			if !open {
				return
			}
			c.commitBatch(op)
		case <-beat.C:
		}
	}
}

// commitBatch commits an operation together with those that wait behind it.
func (c *Catalog) commitBatch(op *operation) {
	if err := c.room(); err != nil {
		op.done <- err
		return
	}
	txn := c.db.NewTransaction(true)
	defer txn.Discard()
	var waiting []*operation
	bytes := 0
	for op != nil {
		t := &tx{txn: txn, writes: map[string][]byte{}}
		err := op.do(t)
		if err == nil {
			err = t.flush()
		}
		if err != nil {
			op.done <- err
		} else {
			bytes += t.bytes
			waiting = append(waiting, op)
		}
		op = nil
		if len(waiting) < mostBatch && bytes < mostBytes {
			select {
			case next, open := <-c.ops:
				if open {
					op = next
				}
			default:
			}
		}
	}
	err := txn.Commit()
	if err != nil {
		err = fmt.Errorf("commit to the catalog: %w", err)
		c.Fatal(err) // a log that did not sync once may say that it did the second time
	}
	for _, op := range waiting {
		op.done <- err
	}
}

// room refuses commits below the reserve: on a full disk Badger's mapped files end the process by SIGBUS.
func (c *Catalog) room() error {
	free, _, err := c.Space()
	if err != nil {
		return err
	}
	if free < c.Reserve {
		return fleet.Full("less than %d MiB is free: the catalog takes no changes until there is room", c.Reserve>>20)
	}
	return nil
}

func (t *tx) flush() error {
	for _, key := range t.order {
		var err error
		if value := t.writes[key]; value == nil {
			err = t.txn.Delete([]byte(key))
		} else {
			err = t.txn.Set([]byte(key), value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) set(key string, value []byte) error {
	if len(value) > mostRecord {
		return fleet.Refused("a record of %d bytes: at most %d are stored", len(value), mostRecord)
	}
	t.write(key, append([]byte{}, value...))
	return nil
}

func (t *tx) delete(key string) { t.write(key, nil) }

func (t *tx) write(key string, value []byte) {
	if _, again := t.writes[key]; !again {
		t.order = append(t.order, key)
	}
	t.writes[key] = value
	t.bytes += len(key) + len(value)
}

func (t *tx) put(key string, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return t.set(key, b)
}

// get reads a record; found is false where there is none.
func (t *tx) get(key string, record any) (found bool, err error) {
	if value, written := t.writes[key]; written {
		if value == nil {
			return false, nil
		}
		return true, json.Unmarshal(value, record)
	}
	return get(t.txn, key, record)
}

func (t *tx) has(key string) (bool, error) {
	if value, written := t.writes[key]; written {
		return value != nil, nil
	}
	_, err := t.txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// keys lists the keys below a prefix, in order, this operation's own writes included.
func (t *tx) keys(prefix string) ([]string, error) {
	var keys []string
	err := each(t.txn, prefix, "", false, func(key string, _ *badger.Item) error {
		if value, written := t.writes[key]; !written || value != nil {
			keys = append(keys, key)
		}
		return nil
	})
	for _, key := range t.order {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix && t.writes[key] != nil {
			keys = insert(keys, key)
		}
	}
	return keys, err
}
