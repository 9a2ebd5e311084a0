package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFormat is wrapped by what Open returns for a file that is no ELF32 of a machine it knows.
var ErrFormat = errors.New("not an ELF file of an ESP32")

const (
	headerSize        = 52 // Elf32_Ehdr
	programHeaderSize = 32 // Elf32_Phdr
	sectionHeaderSize = 40 // Elf32_Shdr
)

// Index is what is known of one ELF. Not safe for concurrent use: questions fill its caches.
type Index struct {
	src     source
	machine Machine

	loaded     layout // where the file has the bytes of an address
	executable layout // where there is code
	allocated  layout // where the program has anything, zeroed memory too
	hasCode    bool   // the file has bytes of code
	elsewhere         // what it says is in other files

	symtab, strtab *section
	symbols        symbols
	keyNames       map[uint64]keyName // of functions and inlined calls, by their place in .debug_info
	dwarf
}

// Open reads the headers, the section table, and of each DWARF unit its header and root entry; everything else is read
// when a question needs it. So r must stay readable while the Index is used. Where r also has Bytes() []byte, the
// bytes are used in place. The error wraps ErrFormat, or is the reader's. An ELF without DWARF or without symbols is
// no error.
func Open(r io.ReaderAt, size int64) (*Index, error) {
	x := &Index{src: newSource(r, size)}
	head := make([]byte, headerSize)
	if n, err := r.ReadAt(head, 0); n < headerSize {
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read ELF header: %w", err)
		}
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, n)
	}
	switch {
	case !bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return nil, fmt.Errorf("%w: it begins with %q", ErrFormat, head[:4])
	case head[elf.EI_CLASS] != byte(elf.ELFCLASS32):
		return nil, fmt.Errorf("%w: class %d", ErrFormat, head[elf.EI_CLASS])
	case head[elf.EI_DATA] != byte(elf.ELFDATA2LSB):
		return nil, fmt.Errorf("%w: byte order %d", ErrFormat, head[elf.EI_DATA])
	}
	x.machine = Machine(binary.LittleEndian.Uint16(head[18:]))
	if x.machine != Xtensa && x.machine != RISCV {
		return nil, fmt.Errorf("%w: machine %d", ErrFormat, uint16(x.machine))
	}
	x.readSections(head)
	if len(x.allocated.areas) == 0 { // else the bytes that segments name may be gone
		x.readSegments(head)
	}
	x.readUnits()
	return x, nil
}

// Machine is the instruction set that the ELF names.
func (x *Index) Machine() Machine { return x.machine }

// sectionTable gives the section headers, nil where the file does not have all of them.
func (x *Index) sectionTable(head []byte) []byte {
	off := int64(binary.LittleEndian.Uint32(head[32:]))
	n := int64(binary.LittleEndian.Uint16(head[48:]))
	if off == 0 || binary.LittleEndian.Uint16(head[46:]) != sectionHeaderSize {
		return nil
	}
	if n == 0 { // more than 65,279 sections: the number is the size of section 0
		first := x.src.slice(off, sectionHeaderSize)
		if first == nil {
			return nil
		}
		n = int64(binary.LittleEndian.Uint32(first[20:]))
	}
	return x.src.slice(off, n*sectionHeaderSize)
}

func (x *Index) readSections(head []byte) {
	all := x.sectionTable(head)
	names := x.sectionNames(head, all)
	inflated := uint64(maxInflated)
	for table := all; len(table) > 0; table = table[sectionHeaderSize:] {
		h := readSectionHeader(table)
		if h.flags&elf.SHF_ALLOC != 0 && h.size > 0 && h.size <= 1<<32-uint64(h.addr) {
			x.addArea(h)
		}
		s := &section{src: &x.src, addr: h.addr, off: h.off, size: h.size}
		if h.typ == elf.SHT_NOBITS || h.off > x.src.size || int64(h.size) > x.src.size-h.off {
			continue
		}
		if h.typ == elf.SHT_SYMTAB && x.symtab == nil {
			x.symtab, x.strtab = s, x.sectionAt(all, h.link)
			continue
		}
		name := sectionName(names, h.name)
		x.note(name, s)
		gnu := strings.HasPrefix(name, ".zdebug_")
		slot := x.section(strings.Replace(name, ".zdebug_", ".debug_", 1))
		if slot == nil || *slot != nil {
			continue
		}
		if gnu || h.flags&elf.SHF_COMPRESSED != 0 {
			if s.held = s.inflate(gnu, inflated); s.held == nil {
				x.unreadable = append(x.unreadable, name)
				continue
			}
			s.size = uint64(len(s.held))
			inflated -= s.size
		}
		*slot = s
	}
	x.loaded.settle()
	x.executable.settle()
	x.allocated.settle()
}

func (x *Index) addArea(h sectionHeader) {
	a := area{lo: h.addr, hi: uint64(h.addr) + h.size, off: h.off}
	x.allocated.add(a)
	isCode := h.flags&elf.SHF_EXECINSTR != 0
	if h.typ == elf.SHT_NOBITS { // code too, after objcopy --only-keep-debug
		if isCode {
			x.executable.add(a)
		}
		return
	}
	if h.off > x.src.size || int64(h.size) > x.src.size-h.off {
		return
	}
	x.loaded.add(a)
	if isCode {
		x.executable.add(a)
		x.hasCode = true
	}
}

// readSegments takes the program headers of a file that has no sections.
func (x *Index) readSegments(head []byte) {
	off := int64(binary.LittleEndian.Uint32(head[28:]))
	n := int64(binary.LittleEndian.Uint16(head[44:]))
	if off == 0 || binary.LittleEndian.Uint16(head[42:]) != programHeaderSize {
		return
	}
	for t := x.src.slice(off, n*programHeaderSize); len(t) > 0; t = t[programHeaderSize:] {
		c := cursor{data: t}
		typ, at, addr := c.u32(), int64(c.u32()), c.u32()
		c.skip(4)
		size := int64(c.u32())
		c.skip(4)
		flags := c.u32()
		if elf.ProgType(typ) != elf.PT_LOAD || size == 0 || at > x.src.size || size > x.src.size-at || size > 1<<32-int64(addr) {
			continue
		}
		a := area{lo: addr, hi: uint64(addr) + uint64(size), off: at}
		x.allocated.add(a)
		x.loaded.add(a)
		if elf.ProgFlag(flags)&elf.PF_X != 0 {
			x.hasCode = true
			x.executable.add(a)
		}
	}
	x.loaded.settle()
	x.executable.settle()
	x.allocated.settle()
}

type sectionHeader struct {
	name  uint64
	typ   elf.SectionType
	flags elf.SectionFlag
	addr  uint32
	off   int64
	size  uint64
	link  uint32
}

func readSectionHeader(b []byte) sectionHeader {
	c := cursor{data: b}
	return sectionHeader{
		name:  uint64(c.u32()),
		typ:   elf.SectionType(c.u32()),
		flags: elf.SectionFlag(c.u32()),
		addr:  c.u32(),
		off:   int64(c.u32()),
		size:  uint64(c.u32()),
		link:  c.u32(),
	}
}

func (x *Index) sectionNames(head, table []byte) *section {
	i := uint32(binary.LittleEndian.Uint16(head[50:]))
	if i == 0xffff && len(table) > 0 { // SHN_XINDEX: the number is the link of section 0
		i = readSectionHeader(table).link
	}
	s := x.sectionAt(table, i)
	s.all() // one read, not one for each name
	return s
}

// sectionName reads a name of up to 31 bytes: longer ones are none that we know.
func sectionName(names *section, off uint64) string {
	b := names.slice(off, min(32, names.len()-min(off, names.len())))
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return string(b[:i])
	}
	return ""
}

// sectionAt gives section i of the table, nil where the file has not all of it.
func (x *Index) sectionAt(table []byte, i uint32) *section {
	if int64(i) >= int64(len(table)/sectionHeaderSize) {
		return nil
	}
	h := readSectionHeader(table[int(i)*sectionHeaderSize:])
	if h.typ == elf.SHT_NOBITS || h.off > x.src.size || int64(h.size) > x.src.size-h.off {
		return nil
	}
	return &section{src: &x.src, off: h.off, size: h.size}
}
