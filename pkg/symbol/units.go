package symbol

import (
	"cmp"
	"slices"
	"sort"
)

const (
	// maxUnits bounds the units of one ELF: the largest ESP-IDF builds have under 3,000, and each takes 150 bytes here.
	maxUnits = 1 << 16
	// maxSpans bounds the address ranges of all units together.
	maxSpans = 1 << 20
	// maxUnitHeader is the size of the longest unit header: DWARF 5 in the 64-bit format.
	maxUnitHeader = 24
	// cacheLimit bounds what questions leave in the caches, in bytes; beyond it they start anew.
	cacheLimit = 48 << 20
)

// dwarf is the debugging information of an ELF; a section that the file lacks is nil.
type dwarf struct {
	info, abbrev, line, lineStr, str, strOffsets, addr *section
	ranges, rnglists, loc, loclists, aranges           *section
	frame, ehFrame                                     *section

	units   []*unit // by offset
	spans   []span  // by address
	abbrevs map[uint64]*abbrevTable
	lines   map[uint64]*lineTable
	calls   map[uint32][]tailSite
	frames  frameIndex
	sites   map[uint32]foundSite
	offsets map[string]map[string]uint32 // by structure and members asked for
	cached  int                          // bytes in the caches, about
	effort  int                          // what is left for the question at hand
}

func (d *dwarf) section(name string) **section {
	switch name {
	case ".debug_info":
		return &d.info
	case ".debug_abbrev":
		return &d.abbrev
	case ".debug_line":
		return &d.line
	case ".debug_line_str":
		return &d.lineStr
	case ".debug_str":
		return &d.str
	case ".debug_str_offsets":
		return &d.strOffsets
	case ".debug_addr":
		return &d.addr
	case ".debug_ranges":
		return &d.ranges
	case ".debug_rnglists":
		return &d.rnglists
	case ".debug_loc":
		return &d.loc
	case ".debug_loclists":
		return &d.loclists
	case ".debug_aranges":
		return &d.aranges
	case ".debug_frame":
		return &d.frame
	case ".eh_frame":
		return &d.ehFrame
	}
	return nil
}

// span is a range of addresses, [lo, hi), that a unit covers.
type span struct {
	lo, hi uint32
	unit   *unit
}

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

// spend counts what a cache is about to take, and first empties all caches where they would grow too large. A unit of
// the size of the whole file still fits.
func (x *Index) spend(n int) {
	x.cached += n
	if int64(x.cached) <= max(cacheLimit, x.src.size) {
		return
	}
	x.cached = n
	x.abbrevs, x.lines, x.calls, x.sites = nil, nil, nil, nil
	for _, u := range x.units {
		u.data, u.table, u.functions, u.scanned = nil, nil, nil, false
	}
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

func (x *Index) addSpan(lo, hi uint32, u *unit) {
	if len(x.spans) < maxSpans && (lo != 0 || x.Executable(0)) {
		x.spans = append(x.spans, span{lo, hi, u})
	}
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

// readARanges takes the ranges of units whose root entries have none from .debug_aranges, DWARF 5 section 6.1.2.
func (x *Index) readARanges() {
	c := cursor{data: x.aranges.all()}
	have := make(map[*unit]bool)
	for _, s := range x.spans {
		have[s.unit] = true
	}
	for c.left() > 0 {
		start := c.pos
		length, dwarf64 := c.initialLength()
		body := cursor{data: c.bytes(length)}
		if c.bad {
			return
		}
		header := c.pos - int(length) - start
		body.skip(2)
		u := x.unitAt(body.offset(dwarf64))
		addrSize, segment := int(body.u8()), body.u8()
		if u == nil || u.off+uint64(header) > u.root || have[u] || (addrSize != 4 && addrSize != 8) || segment != 0 {
			continue
		}
		if over := (header + body.pos) % (2 * addrSize); over != 0 { // tuples are aligned from the set's begin
			body.skip(uint64(2*addrSize - over))
		}
		for body.left() > 0 {
			lo, n := body.uint(addrSize), body.uint(addrSize)
			if body.bad || (lo == 0 && n == 0) {
				break
			}
			if lo+n > lo && lo+n <= 1<<32-1 {
				x.addSpan(uint32(lo), uint32(lo+n), u)
			}
		}
	}
}

// unitAt gives the unit in which an offset of .debug_info lies.
func (x *Index) unitAt(off uint64) *unit {
	i := sort.Search(len(x.units), func(i int) bool { return x.units[i].off > off }) - 1
	if i < 0 || off >= x.units[i].end {
		return nil
	}
	return x.units[i]
}

// maxOverlap is how many of the ranges that begin before an address are tried. Ranges of real units do not overlap but
// for code that several units share.
const maxOverlap = 64

// maxClaims is how many units may claim one address.
const maxClaims = 8

// unitsFor gives the units that claim pc, the closest range first.
func (x *Index) unitsFor(pc uint32) []*unit {
	var found []*unit
	i := sort.Search(len(x.spans), func(i int) bool { return x.spans[i].lo > pc }) - 1
	for n := 0; i >= 0 && n < maxOverlap && len(found) < maxClaims; i, n = i-1, n+1 {
		if pc < x.spans[i].hi && !slices.Contains(found, x.spans[i].unit) {
			found = append(found, x.spans[i].unit)
		}
	}
	return found
}
