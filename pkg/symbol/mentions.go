package symbol

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// maxMentions bounds the places that are taken for a name's.
const maxMentions = 256

// unitsNaming guesses which units have an entry of that name: those whose bytes hold the name, or the offset of the
// name in .debug_str. A search for bytes is many times faster than reading entries, and who reads the guessed units
// finds out. DWARF 5 names by index are not found this way.
func (x *Index) unitsNaming(name string) []*unit {
	if name == "" {
		return nil
	}
	ended := append([]byte(name), 0)
	needles := [][]byte{ended}
	for _, at := range occurrences(x.str, ended) {
		needles = append(needles, binary.LittleEndian.AppendUint32(nil, uint32(at)))
	}
	var found []*unit
	for _, needle := range needles {
		for _, at := range occurrences(x.info, needle) {
			if u := x.unitAt(at); u != nil && !slices.Contains(found, u) {
				found = append(found, u)
			}
		}
	}
	return found
}

// occurrences finds bytes in a section, reading it in windows that overlap by what is sought.
func occurrences(s *section, needle []byte) []uint64 {
	var found []uint64
	step := uint64(16 * window)
	if s != nil && (s.held != nil || s.src.mapped != nil) {
		step = s.size
	}
	for off := uint64(0); off < s.len() && len(found) < maxMentions; off += step {
		b := s.slice(off, min(step+uint64(len(needle))-1, s.size-off))
		for i := 0; len(found) < maxMentions; {
			j := bytes.Index(b[i:], needle)
			if j < 0 {
				break
			}
			found = append(found, off+uint64(i+j))
			i += j + 1
		}
	}
	return found
}
