package espcore

import (
	"bytes"
	"debug/elf"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// programWriter makes the ELF of a program for tests: code, names and call-frame information, but no lines.
type programWriter struct {
	machine symbol.Machine
	base    uint32
	code    []byte
	symbols []testSymbol
	frames  []byte // .debug_frame
	bare    bool   // has no bytes of code, as objcopy --only-keep-debug leaves it
}

type testSymbol struct {
	name       string
	addr, size uint32
}

// function adds a function of nops; call-frame rules are given for all of it.
func (w *programWriter) function(name string, size uint32, rules ...byte) uint32 {
	addr := w.base + uint32(len(w.code))
	w.symbols = append(w.symbols, testSymbol{name, addr, size})
	for i := uint32(0); i < size; i += 4 {
		w.code = append(w.code, 0x13, 0, 0, 0)
	}
	if rules != nil {
		w.describe(addr, size, rules)
	}
	return addr
}

func (w *programWriter) at(addr uint32, code ...byte) { copy(w.code[addr-w.base:], code) }

// Call-frame instructions, DWARF 5 section 7.24.
const (
	cfaNop       = 0x00
	cfaUndefined = 0x07
	cfaOffset    = 0x80
	cfaDefOffset = 0x0E
)

// frame is the row of a function with a frame of n bytes and ra at its top.
func frame(n byte) []byte { return []byte{cfaDefOffset, n, cfaOffset | 1, 1} }

// root is the row of a function without a caller.
var root = []byte{cfaDefOffset, 16, cfaUndefined, 1}

func (w *programWriter) describe(addr, size uint32, rules []byte) {
	if w.frames == nil {
		cie := append(wordsOf(0xFFFFFFFF), 3, 0, 1, 0x7C, 1, 0x0C, 2, 0) // version 3, data -4, ra x1, CFA x2+0
		w.frames = append(wordsOf(uint32(len(cie))), cie...)
	}
	fde := append(wordsOf(0, addr, size), rules...)
	for len(fde)%4 != 0 {
		fde = append(fde, cfaNop)
	}
	w.frames = append(append(w.frames, wordsOf(uint32(len(fde)))...), fde...)
}

func (w *programWriter) bytes() []byte {
	type section struct {
		name  string
		typ   elf.SectionType
		flags elf.SectionFlag
		addr  uint32
		data  []byte
		link  uint32
	}
	names, table := []byte{0}, make([]byte, 16)
	for _, s := range w.symbols {
		table = append(table, wordsOf(uint32(len(names)), s.addr, s.size)...)
		table = le.AppendUint16(append(table, elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), 0), 1)
		names = append(append(names, s.name...), 0)
	}
	sections := []section{
		{},
		{".text", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_EXECINSTR, w.base, w.code, 0},
		{".debug_frame", elf.SHT_PROGBITS, 0, 0, w.frames, 0},
		{".symtab", elf.SHT_SYMTAB, 0, 0, table, 4},
		{".strtab", elf.SHT_STRTAB, 0, 0, names, 0},
		// One unit that says nothing: the program was not stripped.
		{".debug_abbrev", elf.SHT_PROGBITS, 0, 0, []byte{1, 0x11, 0, 0, 0, 0}, 0},
		{".debug_info", elf.SHT_PROGBITS, 0, 0, append(wordsOf(8), 4, 0, 0, 0, 0, 0, 4, 1), 0},
	}
	if w.bare {
		sections[1].typ = elf.SHT_NOBITS
	}
	const header = 52
	out := make([]byte, header)
	var headers []byte
	sectionNames := []byte{0}
	for i := 0; i <= len(sections); i++ {
		s := section{name: ".shstrtab", typ: elf.SHT_STRTAB}
		if i < len(sections) {
			s = sections[i]
		}
		at := uint32(len(sectionNames))
		sectionNames = append(append(sectionNames, s.name...), 0)
		if s.name == ".shstrtab" {
			s.data = sectionNames
		}
		headers = append(headers, wordsOf(at, uint32(s.typ), uint32(s.flags), s.addr, uint32(len(out)), uint32(len(s.data)), s.link, 0, 1, 0)...)
		out = append(out, s.data...)
	}
	copy(out, "\x7fELF\x01\x01\x01")
	le.PutUint16(out[16:], uint16(elf.ET_EXEC))
	le.PutUint16(out[18:], uint16(w.machine))
	le.PutUint32(out[20:], 1)
	le.PutUint32(out[32:], uint32(len(out)))
	le.PutUint16(out[40:], header)
	le.PutUint16(out[46:], 40)
	le.PutUint16(out[48:], uint16(len(sections)+1))
	le.PutUint16(out[50:], uint16(len(sections)))
	return append(out, headers...)
}

func (w *programWriter) index(t testing.TB) *symbol.Index {
	t.Helper()
	b := w.bytes()
	ix, err := symbol.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

// Instructions of Xtensa.
var xtensaEntry = []byte{entryByte, 0x41, 0x00} // entry a1, 32

// xtensaCallTo encodes CALL4, CALL8 or CALL12 at addr.
func xtensaCallTo(addr, target, window uint32) []byte {
	insn := 5 | window<<4 | (target-4-addr&^3)>>2&0x3FFFF<<6
	return wordsOf(insn)[:3]
}

// xtensaCallX encodes CALLX4, CALLX8 or CALLX12 through a8.
func xtensaCallX(window uint32) []byte { return wordsOf(0xC0 | window<<4 | 8<<8)[:3] }

// Instructions of RISC-V; nobody looks at the target.
var (
	riscvJAL   = wordsOf(0x0EF)          // jal ra, .
	riscvJALR  = wordsOf(0x0E7 | 10<<15) // jalr ra, a0
	riscvCJAL  = []byte{0x01, 0x20}
	riscvCJALR = []byte{0x02, 0x95} // c.jalr a0
)
