package symbol

import (
	"bytes"
	"encoding/binary"
)

// cursor reads little-endian values. It never reads past its data: the first attempt makes it bad, and all later reads
// give zero. So a parser may read a whole header and ask once.
type cursor struct {
	data []byte
	pos  int
	bad  bool
}

func (c *cursor) left() int {
	if c.bad {
		return 0
	}
	return len(c.data) - c.pos
}

// bytes takes the next n bytes, nil where there are fewer.
func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(c.left()) {
		c.bad = true
		return nil
	}
	b := c.data[c.pos : c.pos+int(n) : c.pos+int(n)]
	c.pos += int(n)
	return b
}

func (c *cursor) skip(n uint64) { c.bytes(n) }

func (c *cursor) u8() uint8 {
	if c.bad || c.pos >= len(c.data) {
		c.bad = true
		return 0
	}
	c.pos++
	return c.data[c.pos-1]
}

func (c *cursor) u16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uint reads an unsigned number of 1 to 8 bytes.
func (c *cursor) uint(size int) uint64 {
	return littleEndian(c.bytes(uint64(size)))
}

// offset reads an offset of a 32-bit or 64-bit DWARF format.
func (c *cursor) offset(dwarf64 bool) uint64 {
	if dwarf64 {
		return c.u64()
	}
	return uint64(c.u32())
}

// initialLength reads DWARF's unit_length, which also tells the format.
func (c *cursor) initialLength() (length uint64, dwarf64 bool) {
	n := c.u32()
	switch {
	case n == 0xffffffff:
		return c.u64(), true
	case n >= 0xfffffff0: // reserved
		c.bad = true
		return 0, false
	}
	return uint64(n), false
}

// uleb reads an unsigned LEB128; bits above the 64th are lost.
func (c *cursor) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := c.u8()
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b&0x80 == 0 {
			return v
		}
	}
}

// sleb reads a signed LEB128; bits above the 64th are lost.
func (c *cursor) sleb() int64 {
	var v int64
	for shift := uint(0); ; {
		b := c.u8()
		if shift < 64 {
			v |= int64(b&0x7f) << shift
		}
		shift += 7
		if b&0x80 == 0 {
			if b&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			return v
		}
	}
}

// cstring takes the bytes before the next NUL, and the NUL.
func (c *cursor) cstring() []byte {
	if c.bad {
		return nil
	}
	n := bytes.IndexByte(c.data[c.pos:], 0)
	if n < 0 {
		c.bad = true
		return nil
	}
	s := c.data[c.pos : c.pos+n]
	c.pos += n + 1
	return s
}

// littleEndian is the number in up to 8 bytes.
func littleEndian(b []byte) uint64 {
	var v uint64
	for i := min(len(b), 8) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}
