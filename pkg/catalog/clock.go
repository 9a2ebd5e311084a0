package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// LastKnownTime is a time that has passed for certain, as it was noted last.
func (c *Catalog) LastKnownTime() (time.Time, error) { return c.time(keyClock) }

// NoteTime notes that a time has passed. A gateway may boot without a clock.
func (c *Catalog) NoteTime(now time.Time) error { return c.setTime(keyClock, now) }

func (c *Catalog) time(key string) (at time.Time, err error) {
	err = c.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(key))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error {
			if len(b) == 8 {
				at = time.UnixMicro(int64(binary.BigEndian.Uint64(b)))
			}
			return nil
		})
	})
	return at, err
}

func (c *Catalog) setTime(key string, at time.Time) error {
	return c.update(context.Background(), func(t *tx) error {
		return t.set(key, binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())))
	})
}
