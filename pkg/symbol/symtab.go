package symbol

import (
	"bytes"
	"cmp"
	"debug/elf"
	"hash/maphash"
	"slices"
	"sort"
)

// Symbol is an entry of the ELF's symbol table.
type Symbol struct {
	Name string // as the linker knows it: C++ names are mangled, see Demangle
	Addr uint32
	Size uint32 // bytes; 0 where the table does not say, as with assembler labels
}

const (
	symbolSize = 16 // Elf32_Sym
	// maxSymbols bounds the table: large firmware has 60,000, and each takes 20 bytes here.
	maxSymbols = 1 << 20
	// maxSymbolName is the longest name that is looked for; C++ names of some thousand characters are real.
	maxSymbolName = 8 << 10
	// labelReach is how far behind an assembler label without a size its name still holds: the longest such routines
	// of ESP-IDF, the window vectors of Xtensa, have 1 KiB.
	labelReach = 1 << 10
)

// entry is a symbol whose name was not yet read.
type entry struct {
	addr, size uint32
	name       uint32 // in .strtab
	rank       uint8  // the better of two at one address is higher
	function   bool
	section    bool // lies in a section of this ELF; else an absolute number, such as a ROM function's address
}

// symbols are the entries of .symtab that can name an address, by address and rank.
type symbols struct {
	entries []entry
	read    bool
	byName  map[uint64]uint32 // by the hash of the name
	seed    maphash.Seed
}

func (x *Index) symbolTable() []entry {
	if x.symbols.read {
		return x.symbols.entries
	}
	x.symbols.read = true
	names := x.strtab.all()
	c := cursor{data: x.symtab.all()}
	x.symbols.entries = make([]entry, 0, min(c.left()/symbolSize, maxSymbols))
	for c.left() >= symbolSize && len(x.symbols.entries) < maxSymbols {
		e := entry{name: c.u32(), addr: c.u32(), size: c.u32()}
		info := c.u8()
		c.u8()
		shndx := elf.SectionIndex(c.u16())
		typ, bind := elf.ST_TYPE(info), elf.ST_BIND(info)
		if shndx == elf.SHN_UNDEF || isLocalLabel(tail(names, uint64(e.name))) || (typ != elf.STT_NOTYPE && typ != elf.STT_OBJECT && typ != elf.STT_FUNC) {
			continue
		}
		e.function = typ == elf.STT_FUNC
		e.section = shndx != elf.SHN_ABS
		if e.size > 0 {
			e.rank += 4
		}
		if typ != elf.STT_NOTYPE {
			e.rank += 2
		}
		if bind == elf.STB_GLOBAL {
			e.rank++
		}
		x.symbols.entries = append(x.symbols.entries, e)
	}
	slices.SortStableFunc(x.symbols.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.rank, b.rank))
	})
	return x.symbols.entries
}

// isLocalLabel knows the empty name and the assembler's own: .L for labels, $ for what begins here.
func isLocalLabel(name []byte) bool {
	return len(name) == 0 || name[0] == 0 || name[0] == '$' || bytes.HasPrefix(name, []byte(".L"))
}

func (x *Index) symbol(e entry) Symbol {
	return Symbol{Name: string(x.strtab.cstring(uint64(e.name))), Addr: e.addr, Size: e.size}
}

// Lookup finds a symbol by its name as the linker knows it: a global one, else the first.
func (x *Index) Lookup(name string) (Symbol, bool) {
	x.nameSymbols()
	i, ok := x.symbols.byName[maphash.String(x.symbols.seed, name)]
	if !ok {
		return Symbol{}, false
	}
	s := x.symbol(x.symbols.entries[i])
	return s, s.Name == name
}

// nameSymbols makes the index by name, once.
func (x *Index) nameSymbols() {
	if x.symbols.byName != nil {
		return
	}
	table := x.symbolTable()
	x.symbols.seed = maphash.MakeSeed()
	x.symbols.byName = make(map[uint64]uint32, len(table))
	names := x.strtab.all()
	for i, e := range table {
		name := tail(names, uint64(e.name))
		name = name[:min(len(name), maxSymbolName)]
		end := bytes.IndexByte(name, 0)
		if end < 0 {
			continue
		}
		h := maphash.Bytes(x.symbols.seed, name[:end])
		if other, ok := x.symbols.byName[h]; !ok || e.rank&1 > table[other].rank&1 {
			x.symbols.byName[h] = uint32(i)
		}
	}
}

// Function finds the function symbol that covers pc. Where the table does not give sizes, as with assembler labels, a
// label holds for a short way within its section: no code is named after what happens to lie before it. Absolute
// symbols name nothing, as with GDB: most are numbers of the linker script, and some number equals any address. Only a
// function of some size is no number: the ELF files of the mask ROM have such.
func (x *Index) Function(pc uint32) (Symbol, bool) {
	_, allocated := x.allocated.find(pc)
	e, ok := x.covering(pc, func(e entry) bool {
		if !e.section {
			return e.function && e.size > 0
		}
		return allocated && (e.function || e.size == 0 && x.Executable(e.addr))
	})
	if !ok {
		return Symbol{}, false
	}
	return x.symbol(e), true
}

// covering finds the closest symbol at or before addr that covers it, among those wanted.
func (x *Index) covering(addr uint32, wanted func(entry) bool) (entry, bool) {
	table := x.symbolTable()
	labels := true
	i := sort.Search(len(table), func(i int) bool { return table[i].addr > addr }) - 1
	for n := 0; i >= 0 && n < maxOverlap; i, n = i-1, n+1 {
		e := table[i]
		if !wanted(e) {
			continue
		}
		away := addr - e.addr
		switch {
		case away == 0 || away < e.size:
			return e, true
		case e.size > 0:
			labels = false // a label before a whole symbol says nothing of what is behind that symbol
		case labels && e.section && away < labelReach && x.sameArea(e.addr, addr):
			return e, true
		}
	}
	return entry{}, false
}

func (x *Index) sameArea(a, b uint32) bool {
	one, ok := x.allocated.find(a)
	return ok && b >= one.lo && uint64(b) < one.hi
}

// symbolic is the way GDB prints an address that lies in the program: "<name>" or "<name+offset>"; empty elsewhere.
func (x *Index) symbolic(addr uint32) string {
	if _, ok := x.allocated.find(addr); !ok {
		return ""
	}
	code := x.Executable(addr)
	e, ok := x.covering(addr, func(e entry) bool { return code || e.size > 0 }) // labels in data say nothing
	if !ok || !e.section {
		return ""
	}
	name := demangled(x.symbol(e).Name) // here GDB prints the parameters
	if addr == e.addr {
		return "<" + name + ">"
	}
	return "<" + name + "+" + decimal(uint64(addr-e.addr)) + ">"
}
