package press

import (
	"encoding/binary"
	"errors"
)

// section is one that is added to an ELF.
type section struct {
	name    string
	address uint32
	data    []byte
}

// Of ELF32: where the header has the place, the number and the names of the section table, and what a row of it has.
const (
	tablePlace, tableRows, tableNames          = 32, 48, 50
	rowSize                                    = 40
	rowKind, rowFlags, rowAddress, rowAt, rowN = 4, 8, 12, 16, 20
	rowAlign                                   = 32
	progbits, allocated                        = 1, 2
)

// addSections writes the sections, a longer table of names and a longer table of sections behind the file.
func addSections(elf []byte, added ...section) ([]byte, error) {
	le := binary.LittleEndian
	place, rows, names := le.Uint32(elf[tablePlace:]), int(le.Uint16(elf[tableRows:])), int(le.Uint16(elf[tableNames:]))
	if int(place)+rows*rowSize > len(elf) {
		return nil, errors.New("the ELF's section table is not in the file")
	}
	out := append([]byte{}, elf...)
	table := append([]byte{}, elf[place:int(place)+rows*rowSize]...)
	row := table[names*rowSize:]
	text := append([]byte{}, elf[le.Uint32(row[rowAt:]):le.Uint32(row[rowAt:])+le.Uint32(row[rowN:])]...)
	for _, s := range added {
		r := make([]byte, rowSize)
		le.PutUint32(r, uint32(len(text)))
		le.PutUint32(r[rowKind:], progbits)
		le.PutUint32(r[rowFlags:], allocated)
		le.PutUint32(r[rowAddress:], s.address)
		le.PutUint32(r[rowAt:], uint32(len(out)))
		le.PutUint32(r[rowN:], uint32(len(s.data)))
		le.PutUint32(r[rowAlign:], 4)
		text = append(append(text, s.name...), 0)
		out, table = append(out, s.data...), append(table, r...)
	}
	row = table[names*rowSize:]
	le.PutUint32(row[rowAt:], uint32(len(out)))
	le.PutUint32(row[rowN:], uint32(len(text)))
	out = append(out, text...)
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	le.PutUint32(out[tablePlace:], uint32(len(out)))
	le.PutUint16(out[tableRows:], uint16(rows+len(added)))
	return append(out, table...), nil
}
