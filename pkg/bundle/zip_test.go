package bundle_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// part is an entry of a ZIP that can be wrong in every field. Zero values are made right.
type part struct {
	name string
	data []byte

	stored     bool
	method     uint16 // 0: as stored says
	flags      uint16
	creator    byte
	attributes uint32
	localName  string // "": name
	localFlags *uint16
	packed     []byte  // the bytes in the ZIP, nil: data packed
	size       *uint64 // claimed in both headers
	localSize  *uint32
	crc        *uint32
	localCRC   *uint32
	descriptor []byte // put behind the bytes
	junk       []byte // put behind all of it
	extra      []byte // in the central header
	localExtra []byte
	at         *uint32 // of the local header
	skipLocal  bool
	disk       uint16
}

// archive is a ZIP of parts.
type archive struct {
	parts   []part
	before  []byte // at the front, offsets not corrected
	gap     []byte // before the directory
	entries *uint16
	comment []byte
	zip64   func(start, size, entries, at uint64) []byte // records between the directory and the end record
	end     func([]byte)
}

func ptr[T any](v T) *T { return &v }

var le = binary.LittleEndian

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed)
	_, _ = w.Write(b) // into memory
	_ = w.Close()
	return out.Bytes()
}

func (a archive) bytes() []byte {
	out := bytes.Clone(a.before)
	var directory []byte
	for _, p := range a.parts {
		out, directory = p.append(out, directory)
	}
	out = append(out, a.gap...)
	start := len(out)
	out = append(out, directory...)
	if a.zip64 != nil {
		out = append(out, a.zip64(uint64(start), uint64(len(directory)), uint64(len(a.parts)), uint64(len(out)))...)
	}
	entries := uint16(len(a.parts))
	if a.entries != nil {
		entries = *a.entries
	}
	end := make([]byte, 22)
	le.PutUint32(end, 0x06054b50)
	le.PutUint16(end[8:], entries)
	le.PutUint16(end[10:], entries)
	le.PutUint32(end[12:], uint32(len(directory)))
	le.PutUint32(end[16:], uint32(start))
	le.PutUint16(end[20:], uint16(len(a.comment)))
	if a.end != nil {
		a.end(end)
	}
	return append(append(out, end...), a.comment...)
}

func (p part) append(out, directory []byte) (grown, grownDirectory []byte) {
	packed, method := p.data, uint16(0)
	if !p.stored {
		packed, method = deflate(p.data), 8
	}
	if p.packed != nil {
		packed = p.packed
	}
	if p.method != 0 {
		method = p.method
	}
	size, crc := uint64(len(p.data)), crc32.ChecksumIEEE(p.data)
	if p.size != nil {
		size = *p.size
	}
	if p.crc != nil {
		crc = *p.crc
	}
	at := uint32(len(out))
	if p.at != nil {
		at = *p.at
	}
	if !p.skipLocal {
		out = p.local(out, method, crc, size, packed)
	}
	h := make([]byte, 46)
	le.PutUint32(h, 0x02014b50)
	h[4], h[5] = 20, p.creator
	le.PutUint16(h[8:], p.flags)
	le.PutUint16(h[10:], method)
	le.PutUint32(h[16:], crc)
	le.PutUint32(h[20:], uint32(len(packed)))
	le.PutUint32(h[24:], uint32(min(size, 0xFFFFFFFF)))
	le.PutUint16(h[28:], uint16(len(p.name)))
	le.PutUint16(h[30:], uint16(len(p.extra)))
	le.PutUint16(h[34:], p.disk)
	le.PutUint32(h[38:], p.attributes)
	le.PutUint32(h[42:], at)
	return out, append(append(append(directory, h...), p.name...), p.extra...)
}

func (p part) local(out []byte, method uint16, crc uint32, size uint64, packed []byte) []byte {
	name, flags, small := p.name, p.flags, uint32(min(size, 0xFFFFFFFF))
	if p.localName != "" {
		name = p.localName
	}
	if p.localFlags != nil {
		flags = *p.localFlags
	}
	if p.localSize != nil {
		small = *p.localSize
	}
	if p.localCRC != nil {
		crc = *p.localCRC
	}
	packedSize := uint32(len(packed))
	if flags&8 != 0 {
		crc, small, packedSize = 0, 0, 0
	}
	h := make([]byte, 30)
	le.PutUint32(h, 0x04034b50)
	h[4] = 20
	le.PutUint16(h[6:], flags)
	le.PutUint16(h[8:], method)
	le.PutUint32(h[14:], crc)
	le.PutUint32(h[18:], packedSize)
	le.PutUint32(h[22:], small)
	le.PutUint16(h[26:], uint16(len(name)))
	le.PutUint16(h[28:], uint16(len(p.localExtra)))
	for _, b := range [][]byte{h, []byte(name), p.localExtra, packed, p.descriptor, p.junk} {
		out = append(out, b...)
	}
	return out
}

// good are the parts of a good bundle of the model demo.
func good(tb testing.TB) []part {
	tb.Helper()
	c, err := firmware.Build{Code: "demo", Version: "1.0.0"}.Contents()
	if err != nil {
		tb.Fatal(err)
	}
	return []part{
		{name: "demo.bin", data: c.Image}, {name: "demo.elf", data: c.ELF}, {name: "demo.map", data: c.Map},
		{name: "sdkconfig", data: c.Settings}, {name: "version.json", data: c.Versions},
	}
}

// with is a good bundle with one part changed.
func with(tb testing.TB, name string, change func(*part)) archive {
	tb.Helper()
	parts := good(tb)
	for i := range parts {
		if parts[i].name == name {
			change(&parts[i])
			return archive{parts: parts}
		}
	}
	tb.Fatalf("no part %s", name)
	return archive{}
}

// and is a good bundle with more parts.
func and(tb testing.TB, more ...part) archive {
	return archive{parts: append(good(tb), more...)}
}

// descriptorOf is a data descriptor.
func descriptorOf(p part, wide, signature bool) []byte {
	var b []byte
	if signature {
		b = le.AppendUint32(b, 0x08074b50)
	}
	b = le.AppendUint32(b, crc32.ChecksumIEEE(p.data))
	packed := deflate(p.data)
	if wide {
		return le.AppendUint64(le.AppendUint64(b, uint64(len(packed))), uint64(len(p.data)))
	}
	return le.AppendUint32(le.AppendUint32(b, uint32(len(packed))), uint32(len(p.data)))
}

// end64 are a right ZIP64 end record and its locator.
func end64(start, size, entries, at uint64) []byte {
	b := le.AppendUint32(nil, 0x06064b50)
	b = le.AppendUint64(b, 44)
	b = le.AppendUint16(b, 45)
	b = le.AppendUint16(b, 45)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, entries)
	b = le.AppendUint64(b, entries)
	b = le.AppendUint64(b, size)
	b = le.AppendUint64(b, start)
	b = le.AppendUint32(b, 0x07064b50)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, at)
	return le.AppendUint32(b, 1)
}

// full makes an end record that leaves all to ZIP64.
func full(b []byte) {
	for i := 8; i < 20; i++ {
		b[i] = 0xFF
	}
}
