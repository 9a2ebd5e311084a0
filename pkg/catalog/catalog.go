// Package catalog stores the gateway's records in Badger: models, devices, secrets, builds, dumps, crashes, groups and
// operators' tokens. What it has acknowledged survives a power cut.
//
// All changes go through one committer, which gathers what arrives at once into one transaction: a sync of flash costs
// milliseconds, and Badger does not share it by itself. Conflicts (a name that is taken) are checked inside.
//
// It knows the three ways in which Badger was seen to lose a gateway, see [Open], and stores nothing over 32 KiB, so
// that the value log is never used.
package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Schema is the version of the keys and records below. A catalog of a newer one is refused.
const Schema = 1

// Options are the folder and its neighbours.
type Options struct {
	Dir     string
	Reserve int64 // bytes that must stay free: on a full disk Badger dies by SIGBUS, and again when it is opened
	Space   func() (free, total int64, err error)
	Logger  *slog.Logger
	Now     func() time.Time
	Beat    func()      // a sign of life of the committer, at least every five seconds
	Fatal   func(error) // the log could not be synced: the process must end and recover
}

// Catalog is the open store. Its methods may be called at once.
type Catalog struct {
	Options
	db      *badger.DB
	ops     chan *operation
	done    chan struct{}
	later   sync.WaitGroup // records that nobody waits for
	created bool
	stopped time.Time
}

// Open opens the catalog, or makes it. Before that it does what Badger does not: it refuses a disk without its reserve,
// and deletes the empty log files that a kill leaves and that Badger would refuse for ever.
func Open(o Options) (*Catalog, error) {
	free, _, err := o.Space()
	if err != nil {
		return nil, err
	}
	if free < o.Reserve {
		return nil, fleet.Full("less than %d MiB is free for the catalog in %s: make room and start again", o.Reserve>>20, o.Dir)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkSchemaFile(o.Dir); err != nil {
		return nil, err
	}
	if err := removeEmptyLogs(o.Dir); err != nil {
		return nil, err
	}
	db, err := badger.Open(settings(o))
	if err != nil {
		if strings.Contains(err.Error(), "Cannot acquire directory lock") {
			return nil, fmt.Errorf("another slipway uses the catalog in %s: stop it first", o.Dir)
		}
		return nil, fmt.Errorf("open the catalog in %s: %w", o.Dir, err)
	}
	c := &Catalog{Options: o, db: db, ops: make(chan *operation, mostBatch), done: make(chan struct{})}
	if err := c.adopt(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go c.commit()
	return c, nil
}

// settings keep Badger small: a gateway has 512 MB and holds metadata alone.
func settings(o Options) badger.Options {
	return badger.DefaultOptions(o.Dir).
		WithSyncWrites(true). // Sync() afterwards loses what a rotating memtable holds
		WithMemTableSize(4 << 20).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithNumCompactors(2).
		WithValueLogFileSize(16 << 20).
		WithValueThreshold(64 << 10). // above every record: the value log's sync errors are only logged
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithCompactL0OnClose(true).
		WithDetectConflicts(false). // the committer checks
		WithMetricsEnabled(false).
		WithLogger(quiet{o.Logger})
}

// removeEmptyLogs deletes the 0-byte log files that Badger makes before it writes into them: after a kill in between
// it can never open them again.
func removeEmptyLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if suffix := filepath.Ext(e.Name()); suffix != ".mem" && suffix != ".vlog" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// NewerError is a catalog that a newer Slipway has written.
type NewerError struct {
	Dir  string
	Have int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the catalog in %s has schema %d and this slipway knows %d at most: install the newer slipway again, or restore a backup into an empty folder",
		e.Dir, e.Have, Schema)
}

// schemaFile repeats the schema where a package script reads it without opening the store.
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
		return &NewerError{dir, have}
	}
	return nil
}

// adopt checks the schema of an old catalog and writes that of a new one.
func (c *Catalog) adopt() error {
	err := c.db.Update(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(keySchema))
		if errors.Is(err, badger.ErrKeyNotFound) {
			c.created = true
			return txn.Set([]byte(keySchema), binary.BigEndian.AppendUint32(nil, Schema))
		}
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error {
			if len(b) != 4 {
				return fmt.Errorf("the catalog in %s has no readable schema", c.Dir)
			}
			if have := int(binary.BigEndian.Uint32(b)); have > Schema {
				return &NewerError{c.Dir, have}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, schemaFile), []byte(strconv.Itoa(Schema)+"\n"), 0o644); err != nil {
		return err
	}
	c.stopped, err = c.time(keyStopped)
	return err
}

// Created reports that the catalog was made by this Open: what it knows of files has to be rebuilt from disk.
func (c *Catalog) Created() bool { return c.created }

// LastStop is when the catalog was last closed in order; zero for never.
func (c *Catalog) LastStop() time.Time { return c.stopped }

// Close waits for what was handed in, notes that the stop was clean, and closes the store.
func (c *Catalog) Close() error {
	c.later.Wait()
	err := c.setTime(keyStopped, c.Now())
	close(c.ops)
	<-c.done
	return errors.Join(err, c.db.Close())
}

// quiet hands Badger's log to slog; what it calls information is for its developers.
type quiet struct{ *slog.Logger }

func (q quiet) Errorf(f string, a ...any)   { q.Error("badger", "said", line(f, a)) }
func (q quiet) Warningf(f string, a ...any) { q.Warn("badger", "said", line(f, a)) }
func (q quiet) Infof(f string, a ...any)    { q.Debug("badger", "said", line(f, a)) }
func (q quiet) Debugf(f string, a ...any)   { q.Debug("badger", "said", line(f, a)) }

func line(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
