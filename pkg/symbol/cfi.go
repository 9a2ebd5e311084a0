package symbol

import (
	"cmp"
	"slices"
	"sort"
)

// maxFDEs bounds the call-frame index: large firmware has 60,000 functions, and each takes 16 bytes here.
const maxFDEs = 1 << 20

// fde is a frame description entry, not yet read: the function that it describes and where it lies.
type fde struct {
	lo, hi uint32
	off    uint32 // in its section
	cie    uint32 // offset of that CIE
}

// frameIndex holds the entries of both sections by address.
type frameIndex struct {
	debug, eh []fde
	read      bool
}

// CFI finds the row of call-frame information for pc (State.Lookup), first in .debug_frame, then in .eh_frame. False
// where neither describes pc, as for ROM code and assembler.
func (x *Index) CFI(pc uint32) (Rules, bool) {
	if !x.frames.read {
		x.frames = frameIndex{debug: x.readFDEs(x.frame, false), eh: x.readFDEs(x.ehFrame, true), read: true}
	}
	if r, ok := rulesIn(x.frame, x.frames.debug, false, pc); ok {
		return r, true
	}
	return rulesIn(x.ehFrame, x.frames.eh, true, pc)
}

func rulesIn(s *section, index []fde, eh bool, pc uint32) (Rules, bool) {
	i := sort.Search(len(index), func(i int) bool { return index[i].lo > pc }) - 1
	for n := 0; i >= 0 && n < maxOverlap; i, n = i-1, n+1 {
		if pc < index[i].hi {
			return runFDE(s, index[i], eh, pc)
		}
	}
	return Rules{}, false
}

// cie is a common information entry: DWARF 5 section 6.4.1, and for .eh_frame the Linux Standard Base.
type cie struct {
	encoding
	codeAlign uint32
	dataAlign int32
	ra        int
	augmented bool  // entries have augmentation data of their own
	pointer   uint8 // encoding of addresses in .eh_frame
	signal    bool
	program   []byte
}

const (
	pointerOmitted  = 0xff
	pointerRelative = 0x10 // DW_EH_PE_pcrel
	// maxAugmentation bounds an augmentation string: the known letters are P, L, R, S, B and z.
	maxAugmentation = 16
)

// readFDEs makes the index. It ends where a length cannot be followed.
func (x *Index) readFDEs(s *section, eh bool) []fde {
	data := s.all()
	c := cursor{data: data}
	cies := make(map[uint32]*cie)
	zero := x.Executable(0)
	var found []fde
	for c.left() > 0 && len(found) < maxFDEs {
		start := c.pos
		body, id, dwarf64, ok := nextFrameEntry(&c)
		if !ok {
			break
		}
		if body == nil || isCIE(id, eh, dwarf64) {
			continue
		}
		at := id
		if eh { // a distance backwards from the pointer itself
			at = uint64(c.pos-len(body)) - 4 - id
			if dwarf64 {
				at -= 4
			}
		}
		if at >= uint64(len(data)) {
			continue
		}
		info, read := cies[uint32(at)]
		if !read {
			info = readCIE(data, at, eh)
			cies[uint32(at)] = info
		}
		if info == nil {
			continue
		}
		f := cursor{data: data[:c.pos], pos: c.pos - len(body)}
		lo, n := info.pointerAt(&f, s.addr, eh)
		if !f.bad && n > 0 && lo+n > lo && (lo != 0 || zero) {
			found = append(found, fde{lo: lo, hi: lo + n, off: uint32(start), cie: uint32(at)})
		}
	}
	slices.SortStableFunc(found, func(a, b fde) int { return cmp.Compare(a.lo, b.lo) })
	return found
}

// nextFrameEntry takes the next entry of a frame section: its id, and the body behind that. A body of nil is the
// terminator of .eh_frame.
func nextFrameEntry(c *cursor) (body []byte, id uint64, dwarf64, ok bool) {
	length, dwarf64 := c.initialLength()
	if length == 0 {
		return nil, 0, false, !c.bad
	}
	e := cursor{data: c.bytes(length)}
	id = e.offset(dwarf64)
	if c.bad || e.bad {
		return nil, 0, false, false
	}
	return e.data[e.pos:], id, dwarf64, true
}

func isCIE(id uint64, eh, dwarf64 bool) bool {
	switch {
	case eh:
		return id == 0
	case dwarf64:
		return id == 1<<64-1
	}
	return id == 1<<32-1
}

// readCIE reads the entry at an offset; nil where there is none that can be understood.
func readCIE(data []byte, at uint64, eh bool) *cie {
	c := cursor{data: data, pos: int(at)}
	body, id, dwarf64, ok := nextFrameEntry(&c)
	if !ok || body == nil || !isCIE(id, eh, dwarf64) {
		return nil
	}
	b := cursor{data: body}
	version := b.u8()
	i := &cie{encoding: encoding{addrSize: 4, dwarf64: dwarf64, version: version}}
	letters := cursor{data: body[min(1, len(body)):min(1+maxAugmentation, len(body))]}
	augmentation := string(letters.cstring())
	if b.skip(uint64(letters.pos)); letters.bad {
		return nil
	}
	if version >= 4 {
		i.addrSize = b.u8()
		if b.u8() != 0 { // segmented addresses
			return nil
		}
	}
	i.codeAlign, i.dataAlign = uint32(b.uleb()), int32(b.sleb())
	if version == 1 {
		i.ra = int(b.u8())
	} else {
		i.ra = int(min(b.uleb(), 1<<16))
	}
	if len(augmentation) > 0 && !i.augment(&b, augmentation) {
		return nil
	}
	i.program = b.data[min(b.pos, len(b.data)):]
	if b.bad || version > 4 || (i.addrSize != 4 && i.addrSize != 8) {
		return nil
	}
	return i
}

// augment reads what the letters of an augmentation string announce. Only after a z can unknown ones be passed over.
func (i *cie) augment(b *cursor, letters string) bool {
	if letters[0] != 'z' {
		return false
	}
	i.augmented = true
	data := cursor{data: b.bytes(b.uleb())}
	for _, l := range letters[1:] {
		switch l {
		case 'R':
			i.pointer = data.u8()
		case 'P':
			data.uint(pointerSize(data.u8()))
		case 'L':
			data.u8()
		case 'S':
			i.signal = true
		default:
			return true
		}
	}
	return !data.bad
}

// pointerSize is the size of an encoded pointer by the lower half of its encoding, 0 where that varies.
func pointerSize(enc uint8) int {
	switch enc & 7 {
	case 2:
		return 2
	case 0, 3:
		return 4
	case 4:
		return 8
	}
	return 0
}

// pointerAt reads an entry's first address and its length.
func (i *cie) pointerAt(c *cursor, section uint32, eh bool) (lo, n uint32) {
	if !eh {
		return uint32(c.uint(int(i.addrSize))), uint32(c.uint(int(i.addrSize)))
	}
	base := uint32(0)
	if i.pointer&0x70 == pointerRelative {
		base = section + uint32(c.pos)
	}
	size := pointerSize(i.pointer)
	if size == 0 || i.pointer == pointerOmitted || i.pointer&0x70 > pointerRelative {
		c.bad = true
		return 0, 0
	}
	v := uint32(c.uint(size))
	if i.pointer&0x0f == 0x0a { // a signed half
		v = uint32(int16(v))
	}
	return base + v, uint32(c.uint(size))
}
