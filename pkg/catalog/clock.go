package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// LastKnownTime is a time that has passed for certain, as it was noted last.
func (c *Catalog) LastKnownTime() (time.Time, error) { return c.time(keyClock) }

// NoteTime notes that a time has passed. A gateway may boot without a clock.
func (c *Catalog) NoteTime(now time.Time) error { return c.setTime(keyClock, now) }

// Restored is when the catalog was made of a backup, zero for never.
func (c *Catalog) Restored() (time.Time, error) { return c.time(keyRestored) }

func (c *Catalog) noteStop() error { return c.setTime(keyStopped, c.options.Now()) }

func (c *Catalog) time(key string) (at time.Time, err error) {
	err = c.view(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(key))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		micros, err := readNumber(item)
		at = time.UnixMicro(int64(micros)).UTC()
		return err
	})
	return at, err
}

func (c *Catalog) setTime(key string, at time.Time) error {
	op := newOperation(func(t *tx) error { return t.set(key, number(uint64(at.UnixMicro()))) })
	op.frees = key == keyStopped // so that a stop on a tight disk is still a clean one
	return c.run(context.Background(), op)
}
