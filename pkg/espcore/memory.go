package espcore

import "encoding/binary"

// segment is a part of the device's memory.
type segment struct {
	addr uint32
	data []byte
}

func (s segment) has(addr uint32) bool { return uint64(addr-s.addr) < uint64(len(s.data)) }

// end is the address behind the segment.
func (s segment) end() uint32 { return s.addr + uint32(len(s.data)) }

// memory is what the dump has of the device's memory. Segments may overlap: the first one that has an address wins, as
// in GDB.
type memory struct{ segments []segment }

func (m *memory) add(s segment) {
	if len(s.data) > 0 && len(m.segments) < maxSegments {
		m.segments = append(m.segments, s)
	}
}

// find gives the memory from addr to the end of its segment.
func (m *memory) find(addr uint32) ([]byte, bool) {
	for _, s := range m.segments {
		if s.has(addr) {
			return s.data[addr-s.addr:], true
		}
	}
	return nil, false
}

// read fills buf wholly or reports false.
func (m *memory) read(addr uint32, buf []byte) bool {
	for len(buf) > 0 {
		from, ok := m.find(addr)
		if !ok {
			return false
		}
		n := copy(buf, from)
		addr, buf = addr+uint32(n), buf[n:]
	}
	return true
}

func (m *memory) word(addr uint32) (uint32, bool) {
	var b [4]byte
	if !m.read(addr, b[:]) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[:]), true
}

// words are the little-endian words of a structure of which the end may be missing.
type words []byte

func (w words) at(i int) (uint32, bool) {
	if i < 0 || 4*i+4 > len(w) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(w[4*i:]), true
}

// get is at for whom a missing word is 0.
func (w words) get(i int) uint32 {
	v, _ := w.at(i)
	return v
}
