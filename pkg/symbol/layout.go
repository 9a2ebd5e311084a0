package symbol

import (
	"cmp"
	"slices"
	"sort"
)

// area is a part of the address space, [lo, hi), and where the file has its bytes.
type area struct {
	lo  uint32
	hi  uint64
	off int64
}

// layout is a set of areas that do not overlap, by address.
type layout struct{ areas []area }

func (l *layout) add(a area) { l.areas = append(l.areas, a) }

// settle puts the areas in order. Where two overlap, the lower one keeps what both claim: that makes a lookup cheap
// however many thousand areas a file claims.
func (l *layout) settle() {
	slices.SortStableFunc(l.areas, func(a, b area) int { return cmp.Compare(a.lo, b.lo) })
	kept := l.areas[:0]
	var end uint64
	for _, a := range l.areas {
		if a.hi <= end {
			continue
		}
		if uint64(a.lo) < end {
			a.off += int64(end - uint64(a.lo))
			a.lo = uint32(end)
		}
		end = a.hi
		kept = append(kept, a)
	}
	l.areas = kept
}

// find gives the area in which addr lies.
func (l *layout) find(addr uint32) (area, bool) {
	i := sort.Search(len(l.areas), func(i int) bool { return l.areas[i].lo > addr }) - 1
	if i < 0 || uint64(addr) >= l.areas[i].hi {
		return area{}, false
	}
	return l.areas[i], true
}

// Text fills buf with the initialised bytes that the ELF loads at addr: code and constants, and variables as they were
// before the program ran. False where one of the bytes is not in the file.
func (x *Index) Text(addr uint32, buf []byte) bool {
	for len(buf) > 0 {
		a, ok := x.loaded.find(addr)
		if !ok {
			return false
		}
		n := int(min(uint64(len(buf)), a.hi-uint64(addr)))
		at := a.off + int64(addr-a.lo)
		if x.src.mapped != nil {
			copy(buf[:n], x.src.slice(at, int64(n)))
		} else if got, _ := x.src.r.ReadAt(buf[:n], at); got < n {
			return false
		}
		if uint64(addr)+uint64(n) > 1<<32-1 && n < len(buf) {
			return false
		}
		addr, buf = addr+uint32(n), buf[n:]
	}
	return true
}

// Executable reports whether addr lies in code of this ELF.
func (x *Index) Executable(addr uint32) bool {
	_, ok := x.executable.find(addr)
	return ok
}

// Allocated reports whether addr lies in a section of this ELF that is in memory when the program runs.
func (x *Index) Allocated(addr uint32) bool {
	_, ok := x.allocated.find(addr)
	return ok
}
