package catalog

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// A backup is gzip of
//
//	"slipway catalog " schema "\n"       schema in decimal
//	uvarint n, n bytes, uvarint m, m bytes   a record: its key, 1 to 255 bytes, and its value, at most 32 KiB
//	…
//	0x00                                 the end of the records
//	32 bytes                             SHA-256 of all before them
//
// It has every record but those of this one store. Builds and dumps are in it although they could be found again on
// the disk: they carry the order of acceptance, and what is counted into groups already. The start after a restore
// makes them agree with the disk, as every start does.
const backupHead = "slipway catalog "

const mostKey = 255

// neverBackedUp reports that a key's record is of this store and this run.
func neverBackedUp(key string) bool {
	switch key {
	case keySchema, keyStopped, keyNew, keyRestoring, keyFilesKey, keyRestored, keyCounts, keyStock:
		return true
	}
	return false
}

// Backup writes the catalog as it is at this moment; changes go on meanwhile. It holds hashes of secrets.
func (c *Catalog) Backup(w io.Writer) error {
	zipped := gzip.NewWriter(w)
	sum := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(zipped, sum))
	if _, err := fmt.Fprintf(out, "%s%d\n", backupHead, c.schema); err != nil {
		return err
	}
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, "", "", false, func(key string, item *badger.Item) error {
			if err := c.store.trusted(); err != nil && !c.fromCopy.Load() {
				return err // whoever takes it may be slow, and the store waits for its readers before it is opened again
			}
			if neverBackedUp(key) || strings.HasPrefix(key, sessionPrefix) || strings.HasPrefix(key, adoptionPrefix) || strings.HasPrefix(key, adoptingPrefix) { // what was ended meanwhile must not come back
				return nil
			}
			return item.Value(func(value []byte) error {
				return errors.Join(writeBytes(out, []byte(key)), writeBytes(out, value))
			})
		})
	})
	if err != nil {
		return err
	}
	if err := errors.Join(out.WriteByte(0), out.Flush()); err != nil {
		return err
	}
	if _, err := zipped.Write(sum.Sum(nil)); err != nil {
		return err
	}
	return zipped.Close()
}

func writeBytes(w *bufio.Writer, b []byte) error {
	if _, err := w.Write(binary.AppendUvarint(nil, uint64(len(b)))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// errBackup is a backup that is not whole. It is the same for all damage: nothing of it can be used.
var errBackup = errors.New("the backup is damaged, or is not a backup of a catalog")

// CheckBackup reads a backup to its end and compares its hash. It says how many records it has.
func CheckBackup(r io.Reader) (records int, err error) {
	_, err = readBackup(r, func([]byte, []byte) error { records++; return nil })
	if err != nil {
		return 0, err
	}
	return records, nil
}

// readBackup calls yield for each record; both slices are its own only until it returns. Only when readBackup has
// returned nil was what it yielded the whole of a backup.
func readBackup(r io.Reader, yield func(key, value []byte) error) (schema int, err error) {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return 0, damaged(err)
	}
	return readRecords(zipped, yield)
}

// readRecords is readBackup of what the gzip holds.
func readRecords(r io.Reader, yield func(key, value []byte) error) (schema int, err error) {
	in := &summed{in: bufio.NewReader(r), sum: sha256.New()}
	if schema, err = in.head(); err != nil {
		return 0, err
	}
	var key, value []byte
	for {
		if key, err = in.bytes(key, mostKey); err != nil {
			return 0, err
		}
		if len(key) == 0 {
			return schema, in.end()
		}
		if value, err = in.bytes(value, mostRecord); err != nil {
			return 0, err
		}
		if err := yield(key, value); err != nil {
			return 0, err
		}
	}
}

// damaged keeps apart what is wrong with a backup and with the way to it.
func damaged(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) ||
		errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return errBackup
	}
	return err
}

// summed reads and hashes what it has read.
type summed struct {
	in  *bufio.Reader
	sum hash.Hash
}

func (s *summed) ReadByte() (byte, error) {
	b, err := s.in.ReadByte()
	if err == nil {
		s.sum.Write([]byte{b})
	}
	return b, err
}

// bytes reads a length and as many bytes, into old where they fit.
func (s *summed) bytes(old []byte, most uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(s)
	if err != nil {
		return nil, damaged(err)
	}
	if n > most {
		return nil, errBackup
	}
	b := slices.Grow(old[:0], int(n))[:n]
	if _, err := io.ReadFull(s.in, b); err != nil {
		return nil, damaged(err)
	}
	s.sum.Write(b)
	return b, nil
}

// head is the schema of the catalog that was backed up.
func (s *summed) head() (schema int, err error) {
	line := make([]byte, 0, 32)
	for len(line) < cap(line) && !bytes.HasSuffix(line, []byte("\n")) {
		b, err := s.ReadByte()
		if err != nil {
			return 0, damaged(err)
		}
		line = append(line, b)
	}
	if _, err := fmt.Sscanf(string(line), backupHead+"%d\n", &schema); err != nil || schema < 1 {
		return 0, errBackup
	}
	if schema > Schema {
		return 0, &NewerError{"the backup", schema}
	}
	return schema, nil
}

func (s *summed) end() error {
	want := s.sum.Sum(nil)
	have := make([]byte, sha256.Size)
	if _, err := io.ReadFull(s.in, have); err != nil {
		return damaged(err)
	}
	if _, err := s.in.ReadByte(); !errors.Is(err, io.EOF) || !bytes.Equal(have, want) {
		return errBackup
	}
	return nil
}
