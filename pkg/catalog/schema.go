package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

// Schema is the version of the keys and records of this package. A catalog of a newer one is refused.
const Schema = 2

// NewerError is a catalog or a backup that a newer Slipway has written.
type NewerError struct {
	What string // "the catalog in /var/lib/slipway/catalog"
	Have int    // its schema
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s has schema %d and this slipway knows %d at most: install the newer slipway again, or restore an older backup into an empty folder",
		e.What, e.Have, Schema)
}

// schemaFile repeats the schema where a package script reads it without opening the store, and where Open reads it
// before Badger touches anything.
const schemaFile = "SCHEMA"

func checkSchemaFile(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, schemaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	have, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err == nil && have > Schema {
		return &NewerError{"the catalog in " + dir, have}
	}
	return nil
}

// writeSchemaFile replaces the file whole, and only when it says something else.
func writeSchemaFile(dir string) error {
	want := strconv.Itoa(Schema) + "\n"
	path := filepath.Join(dir, schemaFile)
	if have, err := os.ReadFile(path); err == nil && string(have) == want {
		return nil
	}
	return durable.WriteFile(path, []byte(want), 0o644)
}

// adopt checks the schema of an old catalog and writes that of a new one.
func (c *Catalog) adopt() error {
	c.schema = Schema
	err := c.store.db.Update(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(keySchema))
		if errors.Is(err, badger.ErrKeyNotFound) {
			if err := c.options.mayBegin(); err != nil {
				return err
			}
			c.created = true
			return errors.Join(txn.Set([]byte(keyNew), nil), txn.Set([]byte(keySchema), number(Schema)))
		}
		if err != nil {
			return err
		}
		schema, err := readNumber(item)
		if err != nil {
			return err
		}
		if c.schema = int(schema); c.schema > Schema {
			return &NewerError{"the catalog in " + c.options.Dir, c.schema}
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
	if c.schema < Schema {
		if err := c.upgrade(); err != nil {
			return fmt.Errorf("upgrade the catalog in %s from schema %d to %d: %w", c.options.Dir, c.schema, Schema, err)
		}
		c.schema = Schema
	}
	if err := c.adoptFiles(); err != nil {
		return err
	}
	c.stopped, err = c.time(keyStopped)
	return err
}

// adoptFiles writes the schema beside the records, and makes the counters of a catalog that has none.
func (c *Catalog) adoptFiles() error {
	if err := errors.Join(writeSchemaFile(c.options.Dir), c.beginCounting()); err != nil {
		return err
	}
	if err := errors.Join(c.adoptCounts(), c.adoptStock(), c.adoptCrashed()); err != nil {
		return err
	}
	x, err := c.indexGroups() // so that the first page of a list reads no more than another
	if err == nil {
		x.mu.Unlock()
	}
	return err
}

func (c *Catalog) refuseRestoring(txn *badger.Txn) error {
	restoring, err := has(txn, keyRestoring)
	if err == nil && restoring {
		err = fmt.Errorf("a restore into the catalog in %s was cut off: empty the folder and restore again", c.options.Dir)
	}
	return err
}

// number is how the catalog stores its own numbers: 8 bytes, big endian.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func readNumber(item *badger.Item) (n uint64, err error) {
	err = item.Value(func(b []byte) error {
		if len(b) != 8 {
			return fmt.Errorf("the catalog has %d bytes at %q, not a number", len(b), item.Key())
		}
		n = binary.BigEndian.Uint64(b)
		return nil
	})
	return n, err
}
