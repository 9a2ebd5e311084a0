package espcore

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A partition table has an entry of 32 bytes a partition, mostly at 0x8000 of the flash (esp_flash_partitions.h):
//
//	0   u16  magic, AA 50
//	2   u8   type: 1 is data
//	3   u8   subtype: 3 of data is a core dump
//	4   u32  offset in flash
//	8   u32  size
//	12  name[16]
//	28  u32  flags
const (
	partitionEntry  = 32
	partitionTable  = 0x8000
	partitionAlign  = 0x1000
	maxPartitions   = 95 // ESP_PARTITION_TABLE_MAX_ENTRIES
	partitionOffset = 4
	partitionSize   = 8
)

var coreDumpEntry = []byte{0xAA, 0x50, 1, 3}

// findInFlash finds a dump that does not begin with the first byte: by the partition table, or by its own header.
func findInFlash(data []byte) (found, error) {
	out, err, ok := findByTable(data)
	if ok && err == nil {
		return out, nil
	}
	if out, ok := findByHeader(data); ok {
		return out, nil
	}
	switch {
	case err != nil:
		return found{}, err
	case isErased(data):
		return found{}, ErrEmpty
	case looksEncrypted(data):
		return found{}, ErrEncrypted
	}
	return found{}, errUnknown(data)
}

// findByTable asks the partition tables in data where the dump is. The error says what is there instead.
func findByTable(data []byte) (found, error, bool) {
	var told error
	for table := 0; table+partitionEntry <= len(data); table += partitionAlign {
		for i := range maxPartitions {
			at := table + i*partitionEntry
			if at+partitionEntry > len(data) || !bytes.HasPrefix(data[at:], coreDumpEntry[:2]) {
				break
			}
			if !bytes.HasPrefix(data[at:], coreDumpEntry) {
				continue
			}
			offset := int64(binary.LittleEndian.Uint32(data[at+partitionOffset:]))
			size := int64(binary.LittleEndian.Uint32(data[at+partitionSize:]))
			out, err := openPartition(data, offset, size)
			if err != nil && table != partitionTable { // the flash was read from somewhere else than its beginning
				if moved, movedErr := openPartition(data, offset-partitionTable+int64(table), size); movedErr == nil {
					out, err = moved, nil
				}
			}
			if err == nil {
				return out, nil, true
			}
			told = err
		}
	}
	return found{}, told, told != nil
}

// openPartition opens the dump in the partition at that offset of data.
func openPartition(data []byte, offset, size int64) (found, error) {
	if offset <= 0 || offset >= int64(len(data)) {
		return found{}, fmt.Errorf("%w: the partition of the core dump is at 0x%x, which is not in these %d bytes", ErrFormat, offset, len(data))
	}
	part := data[offset:min(offset+size, int64(len(data)))]
	if out, ok := direct(part); ok {
		return out, nil
	}
	switch {
	case isErased(part):
		return found{}, ErrEmpty
	case looksEncrypted(part):
		return found{}, ErrEncrypted
	}
	return found{}, fmt.Errorf("%w: nothing known is in the partition of the core dump at 0x%x", ErrFormat, offset)
}

// findByHeader looks for the head of a core file, and for the container's before it; where there is none, for the head of
// a container with a bin payload. A whole container wins over one that is cut off, and that over a naked core file.
func findByHeader(data []byte) (found, bool) {
	best, rank := found{}, 0
	for at := 0; rank < 3; {
		next := bytes.Index(data[at:], elfStart)
		if next < 0 {
			break
		}
		at += next
		out, r := headerBefore(data, at)
		if r > rank {
			best, rank = out, r
		}
		at++
	}
	if rank == 0 {
		for at := 0; at+headerStart <= len(data); at++ {
			if c, ok := isBin(data[at:]); ok {
				best, rank = found{container: c, data: data[at:], warnings: leadIn(data[:at])}, 1
				break
			}
		}
	}
	return best, rank > 0
}

// headerBefore grades the core file at that offset: 3 where a whole container is around it, 2 where it is cut off, 1 where
// there is none, 0 where it is none of a dump.
func headerBefore(data []byte, at int) (found, int) {
	for _, known := range containers {
		start := at - known.header
		if known.binary || start < 0 {
			continue
		}
		c, ok := isContainer(data[start:])
		if !ok || c.header != known.header || c.version != known.version {
			continue
		}
		total := int64(binary.LittleEndian.Uint32(data[start:]))
		if total == erased {
			return found{}, 0
		}
		out := found{container: c, data: data[start:], warnings: leadIn(data[:start])}
		if total >= int64(c.header+c.trailer) && total <= int64(len(data)-start) {
			return out, 3
		}
		return out, 2
	}
	return found{data: data[at:], warnings: leadIn(data[:at])}, 1
}

// isBin knows a container with a bin payload by more than its version, for a place where anything may be.
func isBin(data []byte) (container, bool) {
	if len(data) < headerStart || data[versionOffset] == 0 || data[versionOffset] > 3 || data[versionOffset+1] != 0 {
		return container{}, false
	}
	c, ok := isContainer(data)
	if !ok || len(data) < c.header+12 {
		return container{}, false
	}
	const leastTCB, mostTCB = 64, 4096
	const ram, ramEnd = 0x3F000000, 0x60000000 // where any chip has RAM that holds a TCB
	chip := Chip(binary.LittleEndian.Uint16(data[versionOffset+2:]))
	_, known := chips[chip]
	head, first := words(data), words(data[c.header:])
	total, tasks, size, tcb := head.get(0), head.get(2), head.get(3), first.get(0)
	ok = known && tasks > 0 && tasks <= maxTasks && size >= leastTCB && size <= mostTCB && size%4 == 0 &&
		total != erased && uint64(total) > uint64(tasks)*uint64(size) && tcb >= ram && tcb < ramEnd && tcb%4 == 0
	return c, ok
}

func leadIn(before []byte) []string {
	if len(before) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d bytes of something else stand before the core file", len(before))}
}
