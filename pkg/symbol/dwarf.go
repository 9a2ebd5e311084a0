package symbol

import "slices"

// dwarf is the debugging information of an ELF; a section that the file lacks is nil.
type dwarf struct {
	info, types, abbrev, line, lineStr, str, strOffsets, addr *section
	ranges, rnglists, loc, loclists, aranges                  *section
	frame, ehFrame                                            *section

	units []*unit // by offset
	// The units that describe a type each, by its signature, and in their order.
	typeUnits map[uint64]*unit
	typeOrder []*unit
	spans     []span // by address
	abbrevs   map[uint64]*abbrevTable
	rootTable abbrevTable // of the unit whose root entry is being read
	lines     map[uint64]*lineTable
	calls     map[uint32][]tailSite
	frames    frameIndex
	sites     map[uint32]foundSite
	offsets   map[string]map[string]uint32 // by structure and members asked for
	cached    int                          // bytes in the caches, about
	effort    int                          // what is left for the question at hand
}

func (d *dwarf) section(name string) **section {
	switch name {
	case ".debug_info":
		return &d.info
	case ".debug_types":
		return &d.types
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

// cacheLimit bounds what questions leave in the caches, in bytes; beyond it they start anew.
const cacheLimit = 48 << 20

// spend counts what a cache is about to take, and first empties all caches where they would grow too large. A unit of
// the size of the whole file still fits.
func (x *Index) spend(n int) {
	x.cached += n
	if int64(x.cached) <= max(cacheLimit, x.src.size) {
		return
	}
	x.cached = n
	x.abbrevs, x.lines, x.calls, x.sites = nil, nil, nil, nil
	for _, u := range slices.Concat(x.units, x.typeOrder) {
		u.data, u.table, u.functions, u.scanned = nil, nil, nil, false
	}
}
