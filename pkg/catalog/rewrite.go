package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Badger merges no tables here. Where it cannot make a table of a merge it drops the error (levels.go of 4.9.6: what is
// deferred has it while it is nil still), goes on without that table, and deletes those that it was to be made of: one call
// that a disk refuses takes the catalog. Nothing that can be asked of it keeps the old tables until the new ones are seen.
//
// So now and then the catalog writes what is in the store into new tables beside it, of which none overlaps another and from
// which what was deleted or replaced is gone, has Badger open those, compares both record by record, and only then changes
// the list of tables, in one rename, while Badger is closed for a moment. What Badger has written meanwhile stays as it is:
// newer than all of them, on the level for what is new.
//
// A kill at any point leaves the old list or the new one. What the list does not name, Badger removes when it opens, and
// prepare the folder in which it was made.

const (
	rewrittenDir = "rewritten" // in the catalog's folder, of tables that are not in its list yet
	lowestLevel  = 6           // of Badger's; on it no table overlaps another
	deletedMark  = 1           // Badger's bit of a record that says that its key is deleted

	// mostNew is how many tables Badger has written before they are merged: each read asks all of them. Where there is much
	// else it may be half as many as that, so that a store is not written too often.
	mostNew = 6

	// mostTables is how many there may be where they cannot be merged, as there is no room: each is an open file. Above it
	// nothing more is written.
	mostTables = 500
)

// rewritten are tables that hold what was in a store.
type rewritten struct {
	dir    string
	of     map[uint64]bool // the tables that they are to take the place of
	tables int             // numbered from 1
}

// rewrite makes them, and compares them with the store. Goes is asked now and then whether it is to go on.
//
// Errors: ErrFull without room for them; else that of the disk, of goes, or that they are not the same, which leaves the store as
// it is.
func (o Options) rewrite(db *badger.DB, goes func() error) (*rewritten, error) {
	r := &rewritten{dir: filepath.Join(o.Dir, rewrittenDir), of: map[uint64]bool{}}
	if err := r.fill(o, db, goes); err != nil {
		r.drop()
		return nil, err
	}
	return r, nil
}

// fill is rewrite, and leaves what it has begun.
func (r *rewritten) fill(o Options, db *badger.DB, goes func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a bad sector under a table
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a table cannot be read: %v", p)
		}
	}()
	size, newest := int64(0), uint64(0)
	for _, t := range db.Tables() {
		r.of[t.ID] = true
		size += int64(t.OnDiskSize)
		newest = max(newest, t.MaxVersion)
	}
	if err := o.roomFor(size); err != nil {
		return err
	}
	r.drop()
	if err := durable.Mkdir(r.dir, 0o700); err != nil {
		return err
	}
	txn := db.NewTransaction(false) // begun after the tables were noted: it sees all that is in them
	defer txn.Discard()
	if err := r.write(o, newRecords(txn, newest), goes); err != nil {
		return err
	}
	return r.compare(o, newRecords(txn, newest), goes)
}

// roomFor asks for room for so many bytes beside the reserve.
func (o Options) roomFor(size int64) error {
	free, _, err := o.Space()
	if err == nil && free < o.Reserve+size+tableRoom {
		err = fleet.Full("less than %d MiB is free", (o.Reserve+size+tableRoom)>>20)
	}
	return err
}

// write makes the tables and their list. Each is a file that is written and synced as others are: no page of it is a map.
func (r *rewritten) write(o Options, from *records, goes func() error) error {
	defer from.close()
	s := settings(o, func(error) {})
	of := table.Options{
		TableSize: uint64(s.BaseTableSize), BlockSize: s.BlockSize, BloomFalsePositive: s.BloomFalsePositive,
		ChkMode: s.ChecksumVerificationMode, Compression: s.Compression,
	}
	var b *table.Builder
	for item := from.next(); item != nil; item = from.next() {
		if b == nil {
			b = table.NewTableBuilder(of)
		}
		err := item.Value(func(value []byte) error {
			b.Add(y.KeyWithTs(item.Key(), item.Version()), y.ValueStruct{
				Meta: metaOf(item), UserMeta: item.UserMeta(), ExpiresAt: item.ExpiresAt(), Value: value,
			}, 0)
			return nil
		})
		if err == nil && b.ReachedCapacity() {
			err = errors.Join(r.land(o, b), goes())
			b = nil
		}
		if err != nil {
			return err
		}
	}
	if b != nil {
		if err := r.land(o, b); err != nil {
			return err
		}
	}
	l := tableList{tables: map[uint64]*pb.ManifestChange{}}
	r.enter(&l, 0)
	return errors.Join(l.write(r.dir), goes())
}

// metaOf are the bits that Badger keeps with a record, as a transaction writes them.
func metaOf(item *badger.Item) byte {
	if item.IsDeletedOrExpired() {
		return inTransaction | deletedMark
	}
	return inTransaction
}

func (r *rewritten) land(o Options, b *table.Builder) error {
	defer b.Close()
	if err := o.roomFor(0); err != nil {
		return err
	}
	r.tables++
	return durable.WriteFile(r.path(r.tables), b.Finish(), 0o600)
}

func (r *rewritten) path(n int) string { return table.NewFilename(uint64(n), r.dir) }

// enter names the tables in a list, with numbers behind last.
func (r *rewritten) enter(l *tableList, last uint64) {
	for n := range r.tables {
		id := last + 1 + uint64(n)
		l.tables[id] = &pb.ManifestChange{Id: id, Level: lowestLevel}
	}
}

// compare has Badger open the new tables, as the disk has them, and compares each record with the store's.
func (r *rewritten) compare(o Options, with *records, goes func() error) error {
	defer with.close()
	for n := range r.tables {
		forget(r.path(n + 1))
		if _, err := verifyTable(r.path(n+1), func(int) error { return goes() }); err != nil {
			return err
		}
	}
	o.Dir = r.dir
	db, err := o.openWith(settings(o, func(error) {}).WithReadOnly(true))
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it was only read
	txn := db.NewTransaction(false)
	defer txn.Discard()
	made := newRecords(txn, 0)
	defer made.close()
	for n := 0; ; n++ {
		a, b := with.next(), made.next()
		if a == nil && b == nil {
			return nil
		}
		if !same(a, b) {
			return errors.New("what was written is not what is in the store")
		}
		if n%1024 == 0 {
			if err := goes(); err != nil {
				return err
			}
		}
	}
}

// same compares two records.
func same(a, b *badger.Item) bool {
	if a == nil || b == nil || !bytes.Equal(a.Key(), b.Key()) || a.Version() != b.Version() ||
		metaOf(a) != metaOf(b) || a.UserMeta() != b.UserMeta() || a.ExpiresAt() != b.ExpiresAt() {
		return false
	}
	equal := false
	err := a.Value(func(one []byte) error {
		return b.Value(func(other []byte) error {
			equal = bytes.Equal(one, other)
			return nil
		})
	})
	return err == nil && equal
}

// takePlace changes the catalog's list of tables. Badger is closed, and has left no log.
//
// With an error the list is the one or the other, and the caller writes it anew before Badger opens it.
func (r *rewritten) takePlace(dir string) error {
	defer r.drop()
	if logs, err := filepath.Glob(filepath.Join(dir, "*"+logSuffix)); err != nil || len(logs) > 0 {
		return errors.Join(errors.New("a log is left, which may be older than what was deleted"), err)
	}
	l, err := readList(dir)
	if err != nil {
		return err
	}
	for id := range r.of {
		if l.tables[id] == nil {
			return fmt.Errorf("%s does not name table %d", manifestFile, id)
		}
		delete(l.tables, id)
	}
	last, err := lastTable(dir)
	if err != nil {
		return err
	}
	for n := range r.tables {
		if err := durable.Rename(r.path(n+1), table.NewFilename(last+1+uint64(n), dir)); err != nil {
			return err
		}
	}
	if err := durable.SyncDir(dir); err != nil { // before the list names them
		return err
	}
	r.enter(&l, last)
	return l.write(dir)
}

// lastTable is the largest number that a table has, also one that nobody names.
func lastTable(dir string) (last uint64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if id, ok := table.ParseFileID(e.Name()); ok {
			last = max(last, id)
		}
	}
	return last, err
}

// drop removes what did not take its place.
func (r *rewritten) drop() { os.RemoveAll(r.dir) } // what stays the next start removes

// records are the newest record of each key, in order, without those of keys that are deleted: but for what the newest
// transaction in the tables has deleted, so that its number is kept. Else a number would come twice, and a table that a kill
// leaves behind would be taken for a newer one.
type records struct {
	it     *badger.Iterator
	newest uint64 // transaction in the tables
	last   []byte // key
	begun  bool
}

func newRecords(txn *badger.Txn, newest uint64) *records {
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false // it would be done in another goroutine, which a bad sector ends
	o.AllVersions = true
	it := txn.NewIterator(o)
	it.Rewind()
	return &records{it: it, newest: newest}
}

// next is valid until it is called again; nil is the end.
func (r *records) next() *badger.Item {
	if r.begun {
		r.it.Next()
	}
	r.begun = true
	for ; r.it.Valid(); r.it.Next() {
		item := r.it.Item()
		if r.last != nil && bytes.Equal(item.Key(), r.last) {
			continue // an older one
		}
		r.last = item.KeyCopy(r.last)
		if item.IsDeletedOrExpired() && item.Version() < r.newest {
			continue
		}
		return item
	}
	return nil
}

func (r *records) close() { r.it.Close() }
