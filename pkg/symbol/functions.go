package symbol

import (
	"cmp"
	"slices"
	"sort"
)

// function is a range of addresses of a DW_TAG_subprogram.
type function struct {
	lo, hi uint32
	off    uint64 // of its entry in .debug_info
}

// functionsOf reads, once, which functions a unit has and where.
func (u *unit) functionsOf() []function {
	if u.scanned {
		return u.functions
	}
	root, ok := u.entry(u.root)
	if !ok {
		return nil
	}
	zero := u.x.Executable(0)
	var found []function
	root.walk(func(d die, _ int) step {
		if d.tag() == tagSubprogram {
			d.eachRange(func(lo, hi uint32) bool {
				if (lo != 0 || zero) && len(found) < maxSpans {
					found = append(found, function{lo, hi, d.off})
				}
				return true
			})
		}
		return enter
	})
	slices.SortStableFunc(found, func(a, b function) int { return cmp.Compare(a.lo, b.lo) })
	u.x.spend(cap(found) * 16)
	u.functions, u.scanned = found, true
	return found
}

// functionAt gives the subprogram of a unit that covers pc: the one that begins closest.
func (u *unit) functionAt(pc uint32) (die, bool) {
	fs := u.functionsOf()
	i := sort.Search(len(fs), func(i int) bool { return fs[i].lo > pc }) - 1
	for n := 0; i >= 0 && n < maxOverlap; i, n = i-1, n+1 {
		if pc < fs[i].hi {
			return u.entry(fs[i].off)
		}
	}
	return die{}, false
}

// function gives the subprogram that covers pc, of whichever unit.
func (x *Index) function(pc uint32) (die, bool) {
	for _, u := range x.unitsFor(pc) {
		if d, ok := u.functionAt(pc); ok {
			return d, true
		}
	}
	return die{}, false
}

// maxNesting bounds the blocks around an address. Real code has some dozen.
const maxNesting = 256

// inlinedAt gives the inlined calls inside a function that cover pc, innermost first.
//
// Like GDB it takes the first block that ends with pc inside, and then all blocks around that one: compilers write
// inner ranges that lie outside the outer ones.
func (d die) inlinedAt(pc uint32) []die {
	type block struct {
		die die
		hit bool
	}
	var open []block // open[i] is at depth i+1
	var chain []die
	finish := func(depth int) bool { // closes what is open at depth and below
		for len(open) >= depth && len(open) > 0 {
			if open[len(open)-1].hit {
				return true
			}
			open = open[:len(open)-1]
		}
		return false
	}
	d.walk(func(e die, depth int) step {
		if finish(depth) {
			return stop
		}
		b := block{die: e}
		switch e.tag() {
		case tagInlinedSubroutine:
			inside, some := e.covers(pc)
			if !some || depth > maxNesting {
				return pass
			}
			b.hit = inside
		case tagLexicalBlock:
			if depth > maxNesting {
				return pass
			}
			b.hit, _ = e.covers(pc)
		default:
			return pass
		}
		open = append(open, b)
		return enter
	})
	finish(1)
	for _, b := range slices.Backward(open) {
		if b.die.tag() == tagInlinedSubroutine {
			chain = append(chain, b.die)
		}
	}
	return chain
}
