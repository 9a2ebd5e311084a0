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
	// maxUnitHeader is the size of the longest unit header: a type unit of DWARF 5 in the 64-bit format.
	maxUnitHeader = 40
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
	from      *section // .debug_info, or .debug_types before DWARF 5
	off, end  uint64   // in it
	root      uint64   // offset of its root entry
	abbrevOff uint64

	language   uint16
	hasLines   bool
	lineOff    uint64
	lowPC      uint32 // what ranges and location lists count from
	strOffsets uint64 // where its part of .debug_str_offsets begins, and so on
	addrBase   uint64
	rnglists   uint64
	loclists   uint64

	isType    bool   // describes one type, by its signature
	signature uint64 // of that
	typeOff   uint64 // where in the unit it is
	dwo       string // of a skeleton: the file in which everything but the lines is

	// read at need
	data      []byte
	table     *abbrevTable
	functions []function
	scanned   bool
}

// contents gives the unit's bytes, header included, and its abbreviations.
func (u *unit) contents() ([]byte, *abbrevTable) {
	if u.data == nil {
		data, table := u.from.slice(u.off, u.end-u.off), u.abbrevTable()
		if u.x.src.mapped == nil {
			u.x.spend(len(data))
		}
		u.data, u.table = data, table
	}
	return u.data, u.table
}

// readUnits walks the unit headers and reads the root entries.
func (x *Index) readUnits() {
	x.begin()
	x.typeUnits = make(map[uint64]*unit)
	bare := x.readUnitsOf(x.info)
	x.readUnitsOf(x.types)
	x.rootTable = abbrevTable{}
	if bare {
		x.readARanges()
	}
	slices.SortStableFunc(x.spans, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
}

// readUnitsOf ends where a header cannot be followed. It tells whether some unit does not say its addresses.
func (x *Index) readUnitsOf(from *section) (bare bool) {
	for off := uint64(0); off < from.len() && len(x.units)+len(x.typeUnits) < maxUnits; {
		u := &unit{x: x, from: from, off: off, isType: from == x.types}
		known := u.readHeader(from.slice(off, min(from.len()-off, maxUnitHeader)))
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
		if u.isType {
			if x.typeUnits[u.signature] == nil {
				x.typeUnits[u.signature] = u
				x.typeOrder = append(x.typeOrder, u)
			}
			continue
		}
		x.units = append(x.units, u)
		bare = bare || len(x.spans) == before
	}
	return bare
}

// readHeader reads a unit header and tells whether the unit is of a kind that has code. end stays 0 where there is no
// following one.
func (u *unit) readHeader(head []byte) bool {
	c := cursor{data: head}
	length, dwarf64 := c.initialLength()
	start := uint64(c.pos)
	if c.bad || length > u.from.len()-u.off-start {
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
	const compile, typeUnit, partial, skeleton = 1, 2, 3, 4 // DW_UT_…
	switch {
	case kind == typeUnit || u.isType:
		u.isType = true
		u.signature, u.typeOff = c.u64(), c.offset(dwarf64)
	case kind == skeleton:
		c.skip(8) // the number by which it finds its other half
	case kind != compile && kind != partial:
		return false
	}
	u.root = u.off + uint64(c.pos)
	return !c.bad && u.root < u.end && version >= 2 && version <= 5 && (u.addrSize == 4 || u.addrSize == 8)
}

// readRoot keeps of the root entry what the other entries need, and the unit's addresses. It reads no more than size
// bytes of the unit, and of the abbreviations only as far as the root entry's.
func (u *unit) readRoot(size uint64) bool {
	abbrevs := tail(u.x.abbrev.all(), u.abbrevOff)
	u.data = u.from.slice(u.off, min(size, u.end-u.off))
	defer func() { u.data, u.table = nil, nil }()
	if uint64(len(u.data)) <= u.root-u.off {
		return false
	}
	c := cursor{data: u.data, pos: int(u.root - u.off)}
	u.table = &u.x.rootTable
	u.table.read(abbrevs, c.uleb())
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
	u.addrBase = number(attrAddrBase, number(attrGNUAddrBase, 8))
	u.rnglists = number(attrRnglistsBase, 12)
	u.loclists = number(attrLoclistsBase, 12)
	if v, ok := root.attr(attrLowPC); ok {
		u.lowPC, _ = u.address(v)
	}
	if v, ok := root.either(attrDwoName, attrGNUDwoName); ok {
		u.dwo = clip(u.bytes(v))
	}
	if u.isType {
		return true
	}
	root.eachRange(func(lo, hi uint32) bool {
		u.x.addSpan(lo, hi, u)
		return true
	})
	return true
}
