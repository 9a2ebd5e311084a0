package espcore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// Integrity says what a dump's checksum says.
type Integrity string

// The findings about a checksum.
const (
	IntegrityOK   Integrity = "ok"
	IntegrityBad  Integrity = "bad"
	IntegrityNone Integrity = "none" // no checksum came with the dump
)

// container is a layout of the header around the payload, components/espcoredump/include_core_dump/esp_core_dump_common.h:
//
//	0  u32  total length: header, payload, padding of flash, checksum
//	4  u32  version: chip id << 16 | major << 8 | minor
//	8  ...  see containers
type container struct {
	version  uint16
	header   int // bytes
	revision int // offset of the chip's revision, u32; 0: none
	binary   bool
	trailer  int // bytes of checksum at the end of the total length: 4 a CRC32, 32 a SHA-256
}

// containers are all layouts. In those of bin, tasks_num is @8, tcb_sz @12, from 0x0002 on segs_num @16.
var containers = []container{
	{version: 0x0001, header: 16, binary: true, trailer: crc32.Size},
	{version: 0x0002, header: 20, binary: true, trailer: crc32.Size},
	{version: 0x0003, header: 24, revision: 20, binary: true, trailer: crc32.Size},
	{version: 0x0100, header: 20, trailer: crc32.Size},
	{version: 0x0102, header: 24, revision: 20, trailer: crc32.Size},
	{version: 0x0101, header: 20, trailer: sha256.Size},
	{version: 0x0103, header: 24, revision: 20, trailer: sha256.Size},
	{version: 0x0104, header: 12, revision: 8, trailer: sha256.Size},
}

const (
	erased        = 0xFFFFFFFF // what flash reads after it was erased
	versionOffset = 4
	headerStart   = 8 // bytes that every container has
)

func findContainer(version uint16) (container, bool) {
	for _, c := range containers {
		if c.version == version {
			return c, true
		}
	}
	return container{}, false
}

// name is the container as ESP-IDF's release notes have it: "ELF 1.2", "bin 0.3".
func (c container) name() string {
	if c.version == 0 {
		return "ELF"
	}
	kind := "ELF"
	if c.binary {
		kind = "bin"
	}
	return fmt.Sprintf("%s %d.%d", kind, c.version>>8, c.version&0xFF)
}

// isContainer reports whether data begins with the header of a container, one of the future included.
func isContainer(data []byte) (container, bool) {
	if len(data) < headerStart {
		return container{}, false
	}
	version := binary.LittleEndian.Uint16(data[versionOffset:])
	if c, ok := findContainer(version); ok && len(data) >= c.header {
		return c, c.binary || len(data) < c.header+len(elfMagic) || bytes.HasPrefix(data[c.header:], elfMagic)
	}
	const farthest = 64 // the longest header has 24 bytes
	at := bytes.Index(data[:min(len(data), farthest)], elfMagic)
	if at < headerStart || at%4 != 0 || version>>8 == 0 {
		return container{}, false
	}
	return container{version: version, header: at}, true
}

// openContainer takes the payload out of a container.
func (r *reader) openContainer(c container, data []byte) {
	total := int64(binary.LittleEndian.Uint32(data))
	r.container, r.head = c, data[:c.header]
	r.chip, r.chipKnown = Chip(binary.LittleEndian.Uint16(data[versionOffset+2:])), true
	r.dump.Container = c.name()
	if known, ok := chips[r.chip]; ok {
		r.dump.Machine = known.machine
	}
	if c.revision > 0 {
		r.dump.Revision = revision(binary.LittleEndian.Uint32(data[c.revision:]))
	}
	if _, ok := findContainer(c.version); !ok {
		r.warn("container version %#04x is not known; its header was skipped", c.version)
	}
	switch least := int64(c.header + c.trailer); {
	case total > int64(len(data)):
		r.dump.Integrity = IntegrityBad
		r.warn("the dump is cut off: %d of its %d bytes are here", len(data), total)
	case total < least:
		r.dump.Integrity = IntegrityBad
		r.warn("the dump claims a length of %d bytes, which is less than its header", total)
	default:
		data = data[:total]
		r.payload = data[c.header : total-int64(c.trailer)]
		r.data = data
		return
	}
	r.payload = data[c.header:]
}

// checkIntegrity compares the checksum, where a whole container is there. A bad one is a warning: the device itself
// gets it wrong at times, and half a stack is still worth a morning.
func (r *reader) checkIntegrity() {
	at := len(r.data) - r.container.trailer
	if r.container.trailer == 0 || at < 0 {
		return
	}
	covered, sum := r.data[:at], r.data[at:]
	var right bool
	if r.container.trailer == sha256.Size {
		is := sha256.Sum256(covered)
		right = bytes.Equal(sum, is[:])
	} else {
		right = binary.LittleEndian.Uint32(sum) == crc32.ChecksumIEEE(covered)
	}
	r.dump.Integrity = IntegrityOK
	if !right {
		r.dump.Integrity = IntegrityBad
		r.warn("the checksum of the dump is wrong")
	}
}

// machineOf is the architecture of an ELF header, where it is one of ours.
func machineOf(v uint16) symbol.Machine {
	switch m := symbol.Machine(v); m {
	case symbol.Xtensa, symbol.RISCV:
		return m
	}
	return 0
}
