package symbol

// eachRange calls visit for each range of addresses, [lo, hi), of an entry: DW_AT_ranges, or DW_AT_low_pc with
// DW_AT_high_pc. It ends where visit says false.
func (d die) eachRange(visit func(lo, hi uint32) bool) {
	u := d.unit
	if v, ok := d.attr(attrRanges); ok {
		u.eachRangeOf(v, visit)
		return
	}
	low, ok := d.attr(attrLowPC)
	if !ok {
		return
	}
	high, ok := d.attr(attrHighPC)
	if !ok {
		return
	}
	lo, ok := u.address(low)
	if !ok {
		return
	}
	hi := lo + uint32(high.num)
	if !high.isConstant() {
		if hi, ok = u.address(high); !ok {
			return
		}
	}
	if hi > lo {
		visit(lo, hi)
	}
}

// covers tells whether pc lies in one of the entry's ranges, and whether it has ranges at all.
func (d die) covers(pc uint32) (inside, some bool) {
	d.eachRange(func(lo, hi uint32) bool {
		some = true
		inside = pc >= lo && pc < hi
		return !inside
	})
	return inside, some
}

// lowest is the address at which the entry's code begins: DW_AT_low_pc, or the first range.
func (d die) lowest() (uint32, bool) {
	if v, ok := d.attr(attrLowPC); ok {
		return d.unit.address(v)
	}
	var at uint32
	found := false
	d.eachRange(func(lo, _ uint32) bool {
		at, found = lo, true
		return false
	})
	return at, found
}

func (u *unit) eachRangeOf(v value, visit func(lo, hi uint32) bool) {
	if u.version < 5 {
		u.eachOldRange(v.num, visit)
		return
	}
	off := v.num
	if v.form == formRnglistx {
		rel, ok := u.indexed(u.x.rnglists, u.rnglists, v.num, u.offsetSize())
		if !ok {
			return
		}
		off = u.rnglists + rel
	}
	list := lister{u: u, c: cursor{data: tail(u.x.rnglists.all(), off)}, base: u.lowPC}
	for u.x.tire(1) && list.nextRange() {
		if list.lo < list.hi && !visit(list.lo, list.hi) {
			return
		}
	}
}

// eachOldRange reads a list of .debug_ranges: pairs relative to a base; (0xffffffff, x) sets the base, (0, 0) ends.
func (u *unit) eachOldRange(off uint64, visit func(lo, hi uint32) bool) {
	c := cursor{data: tail(u.x.ranges.all(), off)}
	base := u.lowPC
	for u.x.tire(1) {
		lo, hi := uint32(c.uint(int(u.addrSize))), uint32(c.uint(int(u.addrSize)))
		switch {
		case c.bad || (lo == 0 && hi == 0):
			return
		case lo == 0xffffffff:
			base = hi
		case lo < hi && base+lo < base+hi:
			if !visit(base+lo, base+hi) {
				return
			}
		}
	}
}

func tail(b []byte, off uint64) []byte {
	if off >= uint64(len(b)) {
		return nil
	}
	return b[off:]
}

// lister goes through the entries of a range or location list of DWARF 5, sections 7.25 and 7.29. The two kinds number
// their entries differently: location lists have a default entry in between.
type lister struct {
	u      *unit
	c      cursor
	base   uint32
	lo, hi uint32 // of the entry just read
	all    bool   // the entry just read is a location list's default
}

const (
	listEnd = iota
	listBaseAddrx
	listStartxEndx
	listStartxLength
	listOffsetPair
	listDefault
	listBase
	listStartEnd
	listStartLength
	listViewPair // GNU extension: two numbers that we do not need
)

// nextRange reads up to the next range; false at the end of the list and where it cannot be read.
func (l *lister) nextRange() bool {
	for {
		kind := l.c.u8()
		if kind >= 5 { // DW_RLE_base_address and what follows lie one lower than in location lists
			kind++
		}
		if l.c.bad || kind == listEnd || kind >= listViewPair {
			return false
		}
		if l.entry(kind) {
			return !l.c.bad
		}
		if l.c.bad {
			return false
		}
	}
}

// nextLocation reads up to the next located entry, behind which stands its expression.
func (l *lister) nextLocation() bool {
	for {
		kind := l.c.u8()
		if l.c.bad || kind == listEnd || kind > listViewPair {
			return false
		}
		if l.entry(kind) {
			return !l.c.bad
		}
		if l.c.bad {
			return false
		}
	}
}

// entry reads an entry and tells whether it is a range. An address that cannot be found makes an empty one.
func (l *lister) entry(kind uint8) bool {
	l.all = false
	size := int(l.u.addrSize)
	switch kind {
	case listBaseAddrx:
		l.base, _ = l.u.addrx(l.c.uleb())
		return false
	case listBase:
		l.base = uint32(l.c.uint(size))
		return false
	case listViewPair:
		l.c.uleb()
		l.c.uleb()
		return false
	case listStartxEndx:
		l.lo, _ = l.u.addrx(l.c.uleb())
		l.hi, _ = l.u.addrx(l.c.uleb())
	case listStartxLength:
		l.lo, _ = l.u.addrx(l.c.uleb())
		l.hi = l.lo + uint32(l.c.uleb())
	case listOffsetPair:
		l.lo = l.base + uint32(l.c.uleb())
		l.hi = l.base + uint32(l.c.uleb())
	case listDefault:
		l.lo, l.hi, l.all = 0, 0, true
	case listStartEnd:
		l.lo, l.hi = uint32(l.c.uint(size)), uint32(l.c.uint(size))
	case listStartLength:
		l.lo = uint32(l.c.uint(size))
		l.hi = l.lo + uint32(l.c.uleb())
	}
	return true
}
