package catalog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
)

// A log of Badger's (*.mem) is 20 bytes and then entries, of which zeros follow up to the file's end:
//
//	1 byte    what it is: bit 6 a record of a transaction, bit 7 the end of one
//	1 byte    not used
//	3 uvarint length of the key, length of the value, an expiry
//	key       its last 8 bytes are the inverted version
//	value     of the end of a transaction: its version in decimal
//	4 bytes   CRC-32C of all before
//
// Badger replays it up to the first entry that is not whole and cuts off the rest. That is right where a power cut has torn
// the transaction that was being written, which nobody was told is stored, and loses what was acknowledged where a byte has
// changed. The two are told apart by what is behind: transactions are written one after the other, and only the last one
// may be torn, which leaves sectors of zeros or an end in its middle. A kill tears it, too: entries are copied into a memory
// map one after the other, and Go copies the first 32 bytes of a long one last.

const (
	logHeader = 20
	sector    = 512 // bytes that a disk writes whole

	inTransaction    = 1 << 6
	endOfTransaction = 1 << 7
)

var endKey = []byte("!badger!txn")

// logEntry is an entry that is whole.
type logEntry struct {
	meta    byte
	version uint64
	length  int
}

// entryAt reads the entry at the beginning of b. Length is what its header says, 0 for no header; whole says that it is there
// and that its checksum is right.
func entryAt(b []byte) (e logEntry, whole bool) {
	if len(b) < 2 {
		return e, false
	}
	at := 2
	var lengths [3]uint64
	for i := range lengths {
		n, read := binary.Uvarint(b[at:])
		if read <= 0 {
			return e, false
		}
		lengths[i] = n
		at += read
	}
	const most = 64 << 10 // above every key and every value
	if lengths[0] > most || lengths[1] > most {
		return e, false
	}
	if lengths[0] < 8 {
		return e, false // no key is so short: zeros are no header
	}
	key := at
	end := at + int(lengths[0]) + int(lengths[1])
	e.meta, e.length = b[0], end+crc32.Size
	if e.length > len(b) {
		return e, false
	}
	e.version = ^binary.BigEndian.Uint64(b[key+int(lengths[0])-8:])
	return e, castagnoli(b[:end]) == binary.BigEndian.Uint32(b[end:])
}

// readLog returns the largest version of the transactions that are whole in a log, and whether something behind them was
// changed: more than a write that was torn.
func readLog(b []byte) (version uint64, rotten bool) {
	at := min(logHeader, len(b))
	begun := at // of the transaction that is being read
	for at < len(b) {
		e, whole := entryAt(b[at:])
		if !whole {
			break
		}
		at += e.length
		if e.meta&endOfTransaction != 0 || e.meta&inTransaction == 0 {
			version, begun = max(version, e.version), at
		}
	}
	return version, changed(b, begun, at)
}

// firstOfLog is the version of the first transaction that is whole in a log, 0 for none.
func firstOfLog(b []byte) uint64 {
	for at := min(logHeader, len(b)); at < len(b); {
		e, whole := entryAt(b[at:])
		if !whole {
			break
		}
		if e.meta&endOfTransaction != 0 || e.meta&inTransaction == 0 {
			return e.version
		}
		at += e.length
	}
	return 0
}

// changed reports that what is behind the last whole transaction is not one that was torn. Its entries up to bad are whole.
func changed(b []byte, begun, bad int) bool {
	tail := bytes.TrimRight(b[begun:], "\x00")
	if bad >= begun+len(tail) {
		return false // nothing, or entries without their end
	}
	versions := map[uint64]bool{}
	for at := 0; at < len(tail); at++ {
		e, whole := entryAt(tail[at:])
		if whole {
			versions[e.version] = true
			at += e.length - 1
		}
	}
	if len(versions) > 1 {
		return true
	}
	end := begun + len(tail)
	first, _ := entryAt(b[bad:])
	complete := first.length > 0 && bad+first.length <= end
	return (complete || ended(b[bad:end])) && !torn(b[bad:end], bad)
}

// ended reports that the end of a transaction is there whole, whatever became of its header.
func ended(b []byte) bool {
	at := bytes.Index(b, endKey)
	if at < 0 || len(b) < at+len(endKey)+8 {
		return false
	}
	version := at + len(endKey)
	value := strconv.FormatUint(^binary.BigEndian.Uint64(b[version:]), 10)
	return len(b) >= version+8+len(value)+crc32.Size
}

// torn reports a sector, or the part of one that is in b, that has only zeros: it was never written.
func torn(b []byte, offset int) bool {
	for len(b) > 0 {
		n := min(sector-offset%sector, len(b))
		if len(bytes.Trim(b[:n], "\x00")) == 0 {
			return true
		}
		b, offset = b[n:], offset+n
	}
	return false
}

// checkLogs reads the logs and returns the largest version in them.
func (o Options) checkLogs(files map[string]bool) (version uint64, err error) {
	for name := range files {
		if filepath.Ext(name) != logSuffix {
			continue
		}
		b, err := os.ReadFile(filepath.Join(o.Dir, name))
		if err != nil {
			return 0, err
		}
		found, rotten := readLog(b)
		if rotten {
			return 0, o.damaged("its log %s was changed by the disk", name)
		}
		version = max(version, found)
	}
	return version, nil
}
