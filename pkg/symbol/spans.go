package symbol

import (
	"slices"
	"sort"
)

// span is a range of addresses, [lo, hi), that a unit covers.
type span struct {
	lo, hi uint32
	unit   *unit
}

func (x *Index) addSpan(lo, hi uint32, u *unit) {
	if len(x.spans) < maxSpans && (lo != 0 || x.Executable(0)) {
		x.spans = append(x.spans, span{lo, hi, u})
	}
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
