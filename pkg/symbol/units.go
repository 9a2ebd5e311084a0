package symbol

import (
	"cmp"
	"slices"
)

const (
	// maxUnits bounds the units of one ELF: the largest ESP-IDF builds have under 3,000, and each takes 150 bytes here.
	maxUnits = 1 << 16
	// maxSpans bounds the address ranges of all units together.
	maxSpans = 1 << 20
	// maxUnitHeader is the size of the longest unit header: DWARF 5 in the 64-bit format.
	maxUnitHeader = 24
)

// encoding is what one must know of a unit to read its values.
type encoding struct {
	version  uint8
	addrSize uint8
	dwarf64  bool
}

// plain tells that fixedSize holds.
func (e encoding) plain() bool { return !e.dwarf64 && e.addrSize == 4 && e.version > 2 }

func (e encoding) offsetSize() uint64 {
	if e.dwarf64 {
		return 8
	}
	return 4
}

// unit is a compilation unit.
type unit struct {
	encoding
	x         *Index
	off, end  uint64 // in .debug_info
	root      uint64 // offset of its root entry
	abbrevOff uint64

	language   uint16
	hasLines   bool
	lineOff    uint64
	lowPC      uint32 // what ranges and location lists count from
	strOffsets uint64 // where its part of .debug_str_offsets begins, and so on
	addrBase   uint64
	rnglists   uint64
	loclists   uint64

	// read at need
	data      []byte
	table     *abbrevTable
	functions []function
	scanned   bool
}

// contents gives the unit's bytes, header included, and its abbreviations.
func (u *unit) contents() ([]byte, *abbrevTable) {
	if u.data == nil {
		data, table := u.x.info.slice(u.off, u.end-u.off), u.abbrevTable()
		if u.x.src.mapped == nil {
			u.x.spend(len(data))
		}
		u.data, u.table = data, table
	}
	return u.data, u.table
}

// readUnits walks the unit headers and reads the root entries. It ends where a header cannot be followed.
func (x *Index) readUnits() {
	bare := false // some unit does not tell its addresses
	x.begin()
	for off := uint64(0); off < x.info.len() && len(x.units) < maxUnits; {
		u := &unit{x: x, off: off}
		known := u.readHeader(x.info.slice(off, min(x.info.len()-off, maxUnitHeader)))
		if u.end == 0 {
			break
		}
		off = u.end
		if !known {
			continue
		}
		before := len(x.spans)
		if !u.readRoot(256) && !u.readRoot(window) {
			if !x.tire(0) {
				break
			}
			continue
		}
		x.units = append(x.units, u)
		bare = bare || len(x.spans) == before
	}
	if bare {
		x.readARanges()
	}
	slices.SortStableFunc(x.spans, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
}

// readHeader reads a unit header and tells whether the unit is of a kind that has code. end stays 0 where there is no
// following one.
func (u *unit) readHeader(head []byte) bool {
	c := cursor{data: head}
	length, dwarf64 := c.initialLength()
	start := uint64(c.pos)
	if c.bad || length > u.x.info.len()-u.off-start {
		return false
	}
	u.end = u.off + start + length
	version := c.u16()
	u.version, u.dwarf64 = uint8(min(version, 255)), dwarf64
	kind := uint8(1) // DW_UT_compile
	if version >= 5 {
		kind, u.addrSize = c.u8(), c.u8()
		u.abbrevOff = c.offset(dwarf64)
	} else {
		u.abbrevOff = c.offset(dwarf64)
		u.addrSize = c.u8()
	}
	u.root = u.off + uint64(c.pos)
	return !c.bad && u.root < u.end && version >= 2 && version <= 5 &&
		(u.addrSize == 4 || u.addrSize == 8) && (kind == 1 || kind == 3) // compile, partial
}

// readRoot keeps of the root entry what the other entries need, and the unit's addresses. It reads no more than size
// bytes of the unit, and of the abbreviations only as far as the root entry's.
func (u *unit) readRoot(size uint64) bool {
	abbrevs := tail(u.x.abbrev.all(), u.abbrevOff)
	u.data = u.x.info.slice(u.off, min(size, u.end-u.off))
	defer func() { u.data, u.table = nil, nil }()
	if uint64(len(u.data)) <= u.root-u.off {
		return false
	}
	c := cursor{data: u.data, pos: int(u.root - u.off)}
	u.table = readAbbrevs(abbrevs, c.uleb())
	if !u.x.tire(u.table.specs) {
		return false
	}
	root, ok := u.entryIn(u.data, u.table, int(u.root-u.off))
	if !ok || root.abbrev == nil {
		return false
	}
	number := func(name uint16, fallback uint64) uint64 {
		if v, ok := root.attr(name); ok {
			return v.num
		}
		return fallback
	}
	u.language = uint16(number(attrLanguage, 0))
	u.hasLines, u.lineOff = root.has(attrStmtList), number(attrStmtList, 0)
	u.strOffsets = number(attrStrOffsetsBase, 8)
	u.addrBase = number(attrAddrBase, 8)
	u.rnglists = number(attrRnglistsBase, 12)
	u.loclists = number(attrLoclistsBase, 12)
	if v, ok := root.attr(attrLowPC); ok {
		u.lowPC, _ = u.address(v)
	}
	root.eachRange(func(lo, hi uint32) bool {
		u.x.addSpan(lo, hi, u)
		return true
	})
	return true
}
