package catalog

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

// Badger's list of its tables, the file MANIFEST, is 8 bytes of magic and changes, each with 4 bytes of length and 4 of
// CRC-32C before it, big endian (manifest.go of Badger).

// listMagic is Badger's name and two versions.
var listMagic = []byte{'B', 'd', 'g', 'r', 0, 0, 0, 8}

// tablesOf are the numbers of the tables that a store reads from.
func tablesOf(db *badger.DB) map[uint64]bool {
	tables := map[uint64]bool{}
	for _, t := range db.Tables() {
		tables[t.ID] = true
	}
	return tables
}

// tableList is what the file says.
type tableList struct {
	tables map[uint64]*pb.ManifestChange // those that there are to be
	undone bool                          // a merge or a table that was not made is in the file
}

// readList reads the list, and leaves out merges that did not take place: where an entry could not be synced Badger deletes
// the tables that it has made, goes on with those that it made them of, and leaves the entry in the file. By it the old
// tables would be nobody's, and be deleted at the next start. A table of a log for which it could not be synced is deleted
// likewise, and made again: see [tableList.passesOver].
func readList(dir string) (l tableList, err error) {
	f, err := os.Open(filepath.Join(dir, manifestFile))
	if err != nil {
		return l, err
	}
	defer f.Close()
	if _, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir)); err != nil {
		return l, fmt.Errorf("%s: %w", manifestFile, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return l, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return l, err
	}
	var sets []*pb.ManifestChangeSet
	for rest := text[len(listMagic):]; len(rest) >= 8; {
		length := int64(binary.BigEndian.Uint32(rest))
		if length > int64(len(rest)-8) {
			break // an entry that was cut off: Badger leaves it out, too
		}
		set := &pb.ManifestChangeSet{}
		if err := proto.Unmarshal(rest[8:8+length], set); err != nil {
			return l, fmt.Errorf("%s: %w", manifestFile, err)
		}
		sets = append(sets, set)
		rest = rest[8+length:]
	}
	deleted := map[uint64]bool{} // by a later entry: that they have no file is right
	for i := len(sets) - 1; i >= 0; i-- {
		if neverDone(sets[i], deleted, dir) {
			sets[i], l.undone = nil, true
			continue
		}
		for _, c := range sets[i].Changes {
			if c.Op == pb.ManifestChange_DELETE {
				deleted[c.Id] = true
			}
		}
	}
	l.tables = map[uint64]*pb.ManifestChange{}
	for _, set := range sets {
		for _, c := range set.GetChanges() {
			if c.Op == pb.ManifestChange_CREATE {
				l.tables[c.Id] = c
			} else {
				delete(l.tables, c.Id)
			}
		}
	}
	for id := range l.tables {
		if tableGone(dir, id) && l.passesOver(dir, id) {
			delete(l.tables, id)
			l.undone = true
		}
	}
	return l, nil
}

// passesOver reports that a table which is gone held nothing that is not in what there is. Transactions have numbers without
// gaps, and tables of logs follow each other in these: where those behind it begin with the number after the last one before
// it, there is none for it.
//
// It is gone for good where nothing is behind it, and where anything of that cannot be read.
func (l tableList) passesOver(dir string, id uint64) bool {
	if l.tables[id].Level != 0 {
		return false
	}
	last, next := uint64(0), uint64(math.MaxUint64)
	for other, t := range l.tables {
		if tableGone(dir, other) {
			continue
		}
		first, version, err := versionsOf(table.NewFilename(other, dir))
		if err != nil {
			return false
		}
		if t.Level == 0 && other > id {
			next = min(next, first)
		} else {
			last = max(last, version)
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*"+logSuffix))
	if err != nil {
		return false
	}
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		if first := firstOfLog(b); first > 0 {
			next = min(next, first)
		}
	}
	return next != math.MaxUint64 && next <= last+1
}

// neverDone reports that a merge has left none of its tables, and all of those that it was made of.
func neverDone(set *pb.ManifestChangeSet, deleted map[uint64]bool, dir string) bool {
	made, merged := 0, 0
	for _, c := range set.Changes {
		gone := tableGone(dir, c.Id)
		if c.Op == pb.ManifestChange_CREATE {
			if made++; !gone || deleted[c.Id] {
				return false
			}
		} else if merged++; gone {
			return false
		}
	}
	return made > 0 && merged > 0
}

// tableGone reports that a table was deleted: Badger empties the file first, and may fail to remove it.
func tableGone(dir string, id uint64) bool {
	info, err := os.Stat(table.NewFilename(id, dir))
	return os.IsNotExist(err) || err == nil && info.Size() == 0
}

// renewList writes the list of tables into a new file, because the old one may not be what the disk has. A table that Badger
// lists and has deleted, as its entry could not be synced, is left out: what it held is still in a log or in other tables.
// One that the store has read from stays, so that its loss is noticed.
func renewList(dir string, had map[uint64]bool) error {
	l, err := readList(dir)
	if err != nil {
		return err
	}
	for id := range l.tables {
		if tableGone(dir, id) && !had[id] {
			delete(l.tables, id)
		}
	}
	return l.write(dir)
}

// mendList writes the list anew where a merge or a table is in it that was not made.
func mendList(dir string) error {
	l, err := readList(dir)
	if os.IsNotExist(err) || err == nil && !l.undone {
		return nil
	}
	if err != nil {
		return err
	}
	return l.write(dir)
}

func (l tableList) write(dir string) error {
	changes := &pb.ManifestChangeSet{}
	for _, id := range slices.Sorted(maps.Keys(l.tables)) {
		t := l.tables[id]
		changes.Changes = append(changes.Changes, &pb.ManifestChange{
			Op: pb.ManifestChange_CREATE, Id: id, Level: t.Level, KeyId: t.KeyId, Compression: t.Compression,
		})
	}
	content, err := listEntry(changes)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, badger.ManifestFilename), append(append([]byte{}, listMagic...), content...), 0o600)
}

// listEntry is changes as they stand in the list.
func listEntry(set *pb.ManifestChangeSet) ([]byte, error) {
	packed, err := proto.Marshal(set)
	if err != nil {
		return nil, err
	}
	entry := binary.BigEndian.AppendUint32(nil, uint32(len(packed)))
	entry = binary.BigEndian.AppendUint32(entry, castagnoli(packed))
	return append(entry, packed...), nil
}
