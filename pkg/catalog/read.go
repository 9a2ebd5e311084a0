package catalog

import (
	"encoding/json"
	"errors"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

// errStop ends an iteration early.
var errStop = errors.New("stop")

// itemsRead counts the records and keys that were read.
var itemsRead atomic.Int64

// Reads is how many records and keys this process has read of catalogs: tests of other packages hold it against a bound.
func Reads() int64 { return itemsRead.Load() }

// get reads one record.
func get(txn *badger.Txn, key string, record any) (found bool, err error) {
	item, found, err := look(txn, key)
	if err != nil || !found {
		return false, err
	}
	return true, read(item, record)
}

func look(txn *badger.Txn, key string) (item *badger.Item, found bool, err error) {
	itemsRead.Add(1)
	item, err = txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	return item, err == nil, err
}

func read(item *badger.Item, record any) error {
	return item.Value(func(b []byte) error { return json.Unmarshal(b, record) })
}

func has(txn *badger.Txn, key string) (bool, error) {
	_, found, err := look(txn, key)
	return found, err
}

// find reads one record in a transaction of its own.
func (c *Catalog) find(key string, record any) (found bool, err error) {
	err = c.view(func(txn *badger.Txn) error {
		found, err = get(txn, key, record)
		return err
	})
	return found, err
}

// each calls yield for the keys below a prefix in order, behind after where it is not "", or backwards before it.
func each(txn *badger.Txn, prefix, after string, backwards bool, yield func(key string, item *badger.Item) error) error {
	o := badger.DefaultIteratorOptions
	o.Prefix = []byte(prefix)
	o.PrefetchValues = false
	o.Reverse = backwards
	it := txn.NewIterator(o)
	defer it.Close()
	start := prefix
	switch {
	case after != "":
		start = after
	case backwards:
		start = prefix + "\xff" // behind every key: they are ASCII
	}
	for it.Seek([]byte(start)); it.Valid(); it.Next() {
		key := string(it.Item().Key())
		itemsRead.Add(1)
		if key == after {
			continue
		}
		err := yield(key, it.Item())
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list reads the records below a prefix.
func list[T any](c *Catalog, prefix string) ([]T, error) {
	var all []T
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, prefix, "", false, func(_ string, item *badger.Item) error {
			var one T
			if err := read(item, &one); err != nil {
				return err
			}
			all = append(all, one)
			return nil
		})
	})
	return all, err
}

// count counts the keys below a prefix.
func (c *Catalog) count(prefix string) (int, error) {
	n := 0
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, prefix, "", false, func(string, *badger.Item) error { n++; return nil })
	})
	return n, err
}
