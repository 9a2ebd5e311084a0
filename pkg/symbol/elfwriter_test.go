package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
)

// elfWriter makes ELF files for tests: right ones, and wrong ones where a test changes the bytes.
type elfWriter struct {
	machine  Machine
	sections []testSection
	symbols  []testSymbol
	segments []testSegment
}

type testSection struct {
	name  string
	typ   elf.SectionType
	flags elf.SectionFlag
	addr  uint32
	data  []byte
	size  uint32 // of NOBITS
}

type testSymbol struct {
	name       string
	addr, size uint32
	typ        elf.SymType
	bind       elf.SymBind
	absolute   bool
}

type testSegment struct{ off, addr, size, flags uint32 }

var le = binary.LittleEndian

func (w *elfWriter) add(name string, data []byte) {
	w.sections = append(w.sections, testSection{name: name, typ: elf.SHT_PROGBITS, data: data})
}

func (w *elfWriter) code(addr uint32, data []byte) {
	w.sections = append(w.sections, testSection{
		name: ".text", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, addr: addr, data: data,
	})
}

func (w *elfWriter) function(name string, addr, size uint32) {
	w.symbols = append(w.symbols, testSymbol{name: name, addr: addr, size: size, typ: elf.STT_FUNC, bind: elf.STB_GLOBAL})
}

func (w *elfWriter) bytes() []byte {
	sections := append([]testSection{{}}, w.sections...)
	if len(w.symbols) > 0 {
		names := []byte{0}
		table := make([]byte, 16)
		for _, s := range w.symbols {
			shndx := elf.SectionIndex(1)
			if s.absolute {
				shndx = elf.SHN_ABS
			}
			table = le.AppendUint32(table, uint32(len(names)))
			table = le.AppendUint32(table, s.addr)
			table = le.AppendUint32(table, s.size)
			table = append(table, elf.ST_INFO(s.bind, s.typ), 0)
			table = le.AppendUint16(table, uint16(shndx))
			names = append(append(names, s.name...), 0)
		}
		sections = append(sections,
			testSection{name: ".symtab", typ: elf.SHT_SYMTAB, data: table},
			testSection{name: ".strtab", typ: elf.SHT_STRTAB, data: names})
	}
	names := []byte{0}
	var at []uint32
	for _, s := range sections {
		at = append(at, uint32(len(names)))
		names = append(append(names, s.name...), 0)
	}
	at = append(at, uint32(len(names)))
	names = append(names, ".shstrtab\x00"...)
	sections = append(sections, testSection{name: ".shstrtab", typ: elf.SHT_STRTAB, data: names})

	out := make([]byte, headerSize)
	segments := len(out)
	out = append(out, make([]byte, programHeaderSize*len(w.segments))...)
	var headers []byte
	for i, s := range sections {
		size := uint32(len(s.data))
		if s.typ == elf.SHT_NOBITS {
			size = s.size
		}
		link := uint32(0)
		if s.typ == elf.SHT_SYMTAB {
			link = uint32(i + 1)
		}
		for _, v := range []uint32{at[i], uint32(s.typ), uint32(s.flags), s.addr, uint32(len(out)), size, link, 0, 1, 0} {
			headers = le.AppendUint32(headers, v)
		}
		out = append(out, s.data...)
	}
	copy(out, "\x7fELF\x01\x01\x01")
	le.PutUint16(out[16:], uint16(elf.ET_EXEC))
	le.PutUint16(out[18:], uint16(w.machine))
	le.PutUint32(out[20:], 1)
	le.PutUint32(out[28:], uint32(segments))
	le.PutUint32(out[32:], uint32(len(out)))
	le.PutUint16(out[40:], headerSize)
	le.PutUint16(out[42:], programHeaderSize)
	le.PutUint16(out[44:], uint16(len(w.segments)))
	le.PutUint16(out[46:], sectionHeaderSize)
	le.PutUint16(out[48:], uint16(len(sections)))
	le.PutUint16(out[50:], uint16(len(sections)-1))
	for i, s := range w.segments {
		h := out[segments+programHeaderSize*i:]
		for j, v := range []uint32{uint32(elf.PT_LOAD), s.off, s.addr, s.addr, s.size, s.size, s.flags, 1} {
			le.PutUint32(h[4*j:], v)
		}
	}
	return append(out, headers...)
}

func openBytes(t testing.TB, b []byte) *Index {
	t.Helper()
	x, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// mappedFile offers its bytes, as a memory-mapped file does.
type mappedFile struct {
	*bytes.Reader
	all []byte
}

func (m mappedFile) Bytes() []byte { return m.all }

func mapped(b []byte) mappedFile { return mappedFile{bytes.NewReader(b), b} }
