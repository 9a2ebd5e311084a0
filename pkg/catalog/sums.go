package catalog

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

// A table of Badger's is
//
//	block …       records, their offsets, how many there are; checksum, its length in 4 bytes
//	index         a flatbuffer: where each block is, and the largest version in the table
//	4 bytes       the index's length
//	checksum      of the index, and its length in 4 bytes
//
// A checksum is protobuf's field 2, a number: the CRC-32C. Badger writes no other kind.
//
// Whatever Badger does with a table that is damaged loses something without a word or ends the process, so that it is read
// here, as a file, before Badger maps it. Numbers are big endian.

// castagnoli sums with the polynomial of the iSCSI protocol, for which processors have an instruction.
func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

var errSum = errors.New("a checksum in it is wrong")

// sum reads a checksum.
func sum(b []byte) (uint64, error) {
	const field = 2 << 3 // a number
	if len(b) == 0 {
		return 0, nil
	}
	n, read := binary.Uvarint(b[1:])
	if b[0] != field || read != len(b)-1 {
		return 0, errSum
	}
	return n, nil
}

// trailing splits b into what is summed and its checksum at the end, and compares them.
func trailing(b []byte) error {
	if len(b) < 4 {
		return errSum
	}
	length := int64(binary.BigEndian.Uint32(b[len(b)-4:]))
	if length > int64(len(b)-4) {
		return errSum
	}
	at := len(b) - 4 - int(length)
	want, err := sum(b[at : len(b)-4])
	if err != nil {
		return err
	}
	if uint64(castagnoli(b[:at])) != want {
		return errSum
	}
	return nil
}

// tableIndex reads a table's index, and compares it with its checksum.
func tableIndex(f io.ReaderAt, size int64) (*fb.TableIndex, error) {
	const mostSum = 64 // bytes; a checksum has at most 11
	tail := make([]byte, min(size, mostSum+8))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	if len(tail) < 8 {
		return nil, errSum
	}
	sumLength := int64(binary.BigEndian.Uint32(tail[len(tail)-4:]))
	if sumLength > int64(len(tail)-8) {
		return nil, errSum
	}
	at := int64(len(tail)) - 4 - sumLength
	want, err := sum(tail[at : len(tail)-4])
	if err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(tail[at-4 : at]))
	if length == 0 || length > size-8-sumLength {
		return nil, errSum
	}
	index := make([]byte, length)
	if _, err := f.ReadAt(index, size-8-sumLength-length); err != nil {
		return nil, err
	}
	if uint64(castagnoli(index)) != want {
		return nil, errSum
	}
	return fb.GetRootAsTableIndex(index, 0), nil
}

// verifyTable reads a table whole, pausing as pace says after each block, and returns the largest version in it.
func verifyTable(path string, pace func(bytes int) error) (version uint64, err error) {
	return eachBlock(path, func(b []byte) error { return pace(len(b)) })
}

// eachBlock has yield look at each block of a table, once its checksum is right, and returns the largest version in it.
func eachBlock(path string, yield func([]byte) error) (version uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	index, err := tableIndex(f, info.Size())
	if err != nil {
		return 0, err
	}
	var block fb.BlockOffset
	var b []byte
	for i := range index.OffsetsLength() {
		if !index.Offsets(&block, i) {
			return 0, errSum
		}
		if int64(block.Len()) > info.Size() {
			return 0, errSum
		}
		if n := int(block.Len()); n > cap(b) {
			b = make([]byte, n)
		}
		b = b[:block.Len()]
		if _, err := f.ReadAt(b, int64(block.Offset())); err != nil {
			return 0, err
		}
		if err := trailing(b); err != nil {
			return 0, err
		}
		if err := yield(b); err != nil {
			return 0, err
		}
	}
	return index.MaxVersion(), nil
}

// versionsOf are the smallest and the largest version in a table.
func versionsOf(path string) (first, last uint64, err error) {
	first = math.MaxUint64
	last, err = eachBlock(path, func(b []byte) error {
		smallest, err := firstOfBlock(b)
		first = min(first, smallest)
		return err
	})
	return first, last, err
}

// firstOfBlock is the smallest version in a block:
//
//	record …   2 bytes of how much of its key is the first one's, 2 of how long the rest of the key is, that, and the value
//	offset …   4 bytes of where each record begins
//	4 bytes    how many there are, big endian; all other numbers are little endian
//	checksum   and its length in 4 bytes, big endian
//
// The last 8 bytes of a key are the inverted version.
func firstOfBlock(b []byte) (uint64, error) {
	const number, head, version = 4, 4, 8
	end := len(b) - 2*number
	if end < 0 {
		return 0, errSum
	}
	sums := binary.BigEndian.Uint32(b[end+number:]) // the checksum's length
	if int64(sums) > int64(end) {
		return 0, errSum
	}
	end -= int(sums)
	records := binary.BigEndian.Uint32(b[end:])
	if records == 0 || int64(records) > int64(end/number) {
		return 0, errSum
	}
	count := int(records)
	smallest, base := uint64(math.MaxUint64), []byte(nil)
	for offsets := b[end-count*number : end]; len(offsets) > 0; offsets = offsets[number:] {
		offset := binary.LittleEndian.Uint32(offsets)
		if int64(offset) > int64(end-head) {
			return 0, errSum
		}
		at := int(offset)
		shared, rest := int(binary.LittleEndian.Uint16(b[at:])), int(binary.LittleEndian.Uint16(b[at+2:]))
		if at += head; rest > end-at || shared > len(base) {
			return 0, errSum
		}
		key := slices.Concat(base[:shared], b[at:at+rest])
		if len(key) < version {
			return 0, errSum
		}
		if base == nil {
			base = key
		}
		smallest = min(smallest, ^binary.BigEndian.Uint64(key[len(key)-version:]))
	}
	return smallest, nil
}

// forget drops a file from the kernel's memory where it can, so that it is read from the disk.
func forget(path string) {
	if f, err := os.Open(path); err == nil {
		_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		f.Close()
	}
}

func atOnce(int) error { return nil }

// unread reports that the disk did not let a file be read, which says nothing about what is in it.
func unread(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist)
}

func (o Options) unread(err error) error {
	return fmt.Errorf("the catalog in %s cannot be read, which is no damage of what it holds: %w", o.Dir, err)
}

// checkTables compares the tables that there are with the MANIFEST, and reads all of them. Beyond is the largest version
// that is known without tables which the MANIFEST does not name: such a table is left by a kill while it was made of others,
// which are then still there. One that knows more says that the MANIFEST has lost its end.
func (o Options) checkTables(files map[string]bool, logged uint64) error {
	list, err := readList(o.Dir)
	if unread(err) {
		return o.unread(err)
	}
	if err != nil {
		return o.damaged("%v", err)
	}
	newest := logged
	for id := range list.tables {
		name := table.IDToFilename(id)
		if !files[name] {
			return o.damaged("its file %s is lost", name)
		}
		version, err := verifyTable(filepath.Join(o.Dir, name), atOnce)
		if unread(err) {
			return o.unread(err)
		}
		if err != nil {
			return o.damaged("%s: %v", name, err)
		}
		newest = max(newest, version)
	}
	for name := range files {
		id, ok := table.ParseFileID(name)
		if _, known := list.tables[id]; !ok || known {
			continue
		}
		version, err := verifyTable(filepath.Join(o.Dir, name), atOnce)
		if unread(err) {
			return o.unread(err)
		}
		if err == nil && version > newest {
			return o.damaged("%s does not name %s, which holds newer records than all the others", manifestFile, name)
		}
	}
	return nil
}

// Verify reads every table once, at most 5 MB a second, compares its checksums, and counts what is in the catalog. What it
// finds is in [Catalog.Trouble]. It ends with ctx or after the last table.
func (c *Catalog) Verify(ctx context.Context) error {
	if _, err := c.compare(); c.say(err) != nil { // first: it takes a moment
		return err
	}
	const rate = 5 << 20 // bytes a second
	pace := func(bytes int) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(bytes) * time.Second / rate):
			return nil
		}
	}
	err := c.say(c.verify(pace))
	switch {
	case unread(err):
		text := err.Error()
		c.unread.Store(&text)
	case err == nil:
		c.unread.Store(nil)
	}
	return err
}

// Unread says that a file of the catalog could not be read when that was last tried, else "". It is no [Catalog.Trouble]:
// nothing is known to be damaged.
func (c *Catalog) Unread() string {
	if text := c.unread.Load(); text != nil {
		return *text
	}
	return ""
}

// verify reads every table from the disk. Tables that are merged away meanwhile are nobody's any more. Damage comes before
// what cannot be read.
func (c *Catalog) verify(pace func(bytes int) error) error {
	db, err := c.store.borrow()
	if err != nil {
		return err
	}
	tables := db.Tables()
	c.store.mu.RUnlock()
	var first error
	for _, t := range tables {
		name := table.IDToFilename(t.ID)
		path := filepath.Join(c.options.Dir, name)
		forget(path)
		if _, err := verifyTable(path, pace); err != nil && !errors.Is(err, os.ErrNotExist) {
			if errors.Is(err, context.Canceled) {
				return err
			}
			if unread(err) {
				first = cmp.Or(first, c.options.unread(err))
				continue
			}
			return c.options.damaged("%s: %v", name, err)
		}
	}
	return first
}
