package catalog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

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

// renewList writes the list of tables into a new file, because the old one may not be what the disk has. A table that Badger
// lists and has deleted, as its entry could not be synced, is left out: what it held is still in a log or in other tables.
// One that the store has read from stays, so that its loss is noticed.
func renewList(dir string, had map[uint64]bool) error {
	path := filepath.Join(dir, badger.ManifestFilename)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	list, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	changes := &pb.ManifestChangeSet{}
	for id, t := range list.Tables {
		if _, err := os.Stat(table.NewFilename(id, dir)); os.IsNotExist(err) && !had[id] {
			continue
		}
		changes.Changes = append(changes.Changes, &pb.ManifestChange{
			Op: pb.ManifestChange_CREATE, Id: id, Level: uint32(t.Level), KeyId: t.KeyID, Compression: uint32(t.Compression),
		})
	}
	content, err := listEntry(changes)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(append([]byte{}, listMagic...), content...), 0o600)
}

// listEntry is changes as they stand in the list.
func listEntry(set *pb.ManifestChangeSet) ([]byte, error) {
	packed, err := proto.Marshal(set)
	if err != nil {
		return nil, err
	}
	entry := binary.BigEndian.AppendUint32(nil, uint32(len(packed)))
	entry = binary.BigEndian.AppendUint32(entry, crc32.Checksum(packed, crc32.MakeTable(crc32.Castagnoli)))
	return append(entry, packed...), nil
}
