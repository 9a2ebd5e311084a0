package symbol

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Every fuzz target asks all that can be asked of what it was given. There is nothing to compare with: it must end,
// soon, without a panic, and what it says must be consistent.

// interrogate asks everything of an index.
func interrogate(t *testing.T, x *Index) {
	var pcs []uint32
	for i, s := range x.spans {
		if i < 8 {
			pcs = append(pcs, s.lo, s.hi-1)
		}
	}
	for i, u := range x.units {
		for j, f := range u.functionsOf() {
			if i < 4 && j < 8 {
				pcs = append(pcs, f.lo, f.lo+(f.hi-f.lo)/2)
			}
		}
	}
	pcs = append(pcs, 0, 0x1000, 0x1010, 0x10ff, 0xffffffff)
	for _, pc := range pcs {
		ask(t, x, pc)
	}
	if offsets, ok := x.Offsets("tskTaskControlBlock", "pcTaskName"); ok && len(offsets) != 1 {
		t.Errorf("%v", offsets)
	}
	if s, ok := x.Lookup("main"); ok && s.Name != "main" {
		t.Errorf("%+v", s)
	}
}

func ask(t *testing.T, x *Index, pc uint32) {
	s := stateWith(pc, 11)
	s.PC, s.Lookup, s.HasCFA = pc+1, pc, false
	s.Registers.Set(2, 0x8000)
	s.Caller = &State{PC: pc + 1, Lookup: pc, Memory: s.Memory}
	s.Caller.Caller = s.Caller
	frames := x.Frames(pc)
	for i, f := range frames {
		if f.Inlined != (i < len(frames)-1) || f.Line < 0 {
			t.Errorf("%#x: frame %d of %d: %+v", pc, i, len(frames), f)
		}
		for _, a := range x.Args(f, s) {
			if a.Name == "" || a.Value == "" {
				t.Errorf("%#x: %+v", pc, a)
			}
		}
	}
	if rules, ok := x.CFI(pc); ok {
		x.Unwind(s, rules)
	}
	if f, ok := x.Function(pc); ok && f.Addr > pc {
		t.Errorf("%#x: %+v", pc, f)
	}
	x.CallSite(pc + 1)
	if chain := x.TailCalls(pc+1, 0x1000); len(chain) > maxTailCalls {
		t.Errorf("%#x: %x", pc, chain)
	}
	var b [8]byte
	x.Text(pc, b[:])
}

// seeds are the synthetic programs, and of each fixture a few small units with all that belongs to them.
func seeds(f *testing.F) [][]byte {
	all := [][]byte{symbolELF().bytes(), inlinedUnit(4).elf().bytes(), inlinedUnit(5).elf().bytes()}
	for _, version := range []int{4, 5} {
		var b bytes.Buffer
		x := entryProgram(f, version, nil)
		b.Write(x.src.slice(0, x.src.size))
		all = append(all, b.Bytes())
	}
	for _, chip := range chips {
		all = append(all, excerpts(f, chip)...)
	}
	return all
}

// excerpts makes small ELF files of single units of a fixture.
func excerpts(f *testing.F, chip string) [][]byte {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "fixtures", "coredumps", chip, "app.elf"))
	if err != nil {
		return nil // the synthetic ones must do
	}
	x := openBytes(f, b)
	var all [][]byte
	for _, u := range x.units {
		if u.end-u.off > 3000 || len(u.functionsOf()) == 0 || len(all) == 3 {
			continue
		}
		info := bytes.Clone(x.info.slice(u.off, u.end-u.off))
		at := 6
		if u.version >= 5 {
			at = 8
		}
		le.PutUint32(info[at:], 0)
		if i := bytes.Index(info, words(uint32(u.lineOff))); i >= 0 {
			le.PutUint32(info[i:], 0) // its lines come first too
		}
		abbrev := tail(x.abbrev.all(), u.abbrevOff)
		w := &elfWriter{machine: x.machine}
		w.code(u.functions[0].lo, make([]byte, 64))
		w.add(".debug_info", info)
		w.add(".debug_abbrev", abbrev[:min(len(abbrev), 2000)])
		w.add(".debug_line", lineProgram(x, u))
		w.add(".debug_frame", x.frame.slice(0, 200))
		all = append(all, w.bytes())
	}
	return all
}

func lineProgram(x *Index, u *unit) []byte {
	b := x.line.from(u.lineOff)
	if len(b) < 4 {
		return nil
	}
	return b[:min(len(b), int(le.Uint32(b))+4)]
}

func FuzzOpen(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Open(bytes.NewReader(b), int64(len(b)))
		if (x == nil) == (err == nil) {
			t.Fatalf("%v, %v", x, err)
		}
		if err != nil {
			return
		}
		interrogate(t, x)
		y, err := Open(mapped(b), int64(len(b)))
		if err != nil || len(x.units) != len(y.units) {
			t.Errorf("mapped: %v", err)
		}
	})
}

func FuzzDWARF(f *testing.F) {
	for _, b := range seeds(f) {
		x := openBytes(f, b)
		f.Add(x.info.all(), x.abbrev.all(), x.rnglists.all(), x.loclists.all(), uint8(0))
	}
	info, abbrev := selfTypedef()
	f.Add(info, abbrev, []byte{7, 0, 0x10, 0, 0, 16, 0}, []byte{5, 1, opReg0, 0}, uint8(1))
	info, abbrev = selfType()
	f.Add(info, abbrev, []byte{}, []byte{}, uint8(1))
	f.Fuzz(func(t *testing.T, info, abbrev, ranges, locations []byte, machine uint8) {
		w := &elfWriter{machine: []Machine{RISCV, Xtensa}[machine&1]}
		w.code(0x1000, make([]byte, 0x1000))
		for name, data := range map[string][]byte{
			".debug_info": info, ".debug_types": info, ".debug_abbrev": abbrev, ".debug_ranges": ranges, ".debug_rnglists": ranges,
			".debug_loc": locations, ".debug_loclists": locations, ".debug_str": info, ".debug_addr": ranges,
			".debug_str_offsets": ranges, ".debug_aranges": ranges,
		} {
			w.add(name, data)
		}
		interrogate(t, openBytes(t, w.bytes()))
	})
}

func FuzzLines(f *testing.F) {
	for _, version := range []int{2, 3, 4, 5} {
		w := newLines(version)
		w.setAddress(0x1000).discriminator(1).row(0, 9).file(2).negate().row(4, 100).op(13+14*2+8, 8, 9, 1, 0, 1).end(4)
		f.Add(w.bytes(), uint16(version))
	}
	for _, b := range seeds(f) {
		x := openBytes(f, b)
		for _, u := range x.units {
			if x.line != nil {
				f.Add(lineProgram(x, u), uint16(u.version))
			}
		}
	}
	f.Fuzz(func(t *testing.T, line []byte, version uint16) {
		d := &dwarfWriter{version: 2 + int(version)%4, line: line, root: code(tagCompileUnit, 0x1000, 0x1000,
			at(attrStmtList, formData4, 0), code(tagSubprogram, 0x1000, 0x1000, named("f")))}
		x := openBytes(t, d.elf().bytes())
		table := x.units[0].lineTable()
		if len(table.rows) > len(line) {
			t.Errorf("%d rows of %d bytes", len(table.rows), len(line))
		}
		if !slices.IsSortedFunc(table.rows, func(a, b row) int { return int(int64(a.addr) - int64(b.addr)) }) {
			t.Error("rows are out of order")
		}
		for _, r := range table.rows[:min(len(table.rows), 100)] {
			if _, n, ok := table.find(r.addr); ok && n == 0 {
				t.Errorf("%#x has line 0", r.addr)
			}
		}
		ask(t, x, 0x1000)
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(frameSection([]byte{cfaDefCFA, 2, 0}, join(cfaAdvance|2, cfaDefOffset, 16, cfaOffset|1, 1, cfaRemember, cfaRestore|1, cfaRestoreState)), false)
	f.Add(frameSection([]byte{cfaDefCFA, 2, 0}, join(cfaDefExpression, 2, opBreg0+2, 4, cfaExpression, 1, 1, opLit0, cfaValExpression, 8, 1, opLit0)), false)
	c := join(words(0), 1, "zPLR", 1, 0x7c, 1, 7, 0x9b, words(1), 0x1b, 0x1b, cfaDefCFA, 2, 0)
	f.Add(join(words(uint32(len(c))), c, words(16, uint32(len(c)+8), 0, 0x100), 0, 0, 0, 0, words(0)), true)
	for _, b := range seeds(f) {
		x := openBytes(f, b)
		f.Add(x.frame.all(), false)
	}
	f.Fuzz(func(t *testing.T, frame []byte, eh bool) {
		name := ".debug_frame"
		if eh {
			name = ".eh_frame"
		}
		x := frameIndexOf(t, name, frame)
		x.CFI(0)
		for i, d := range slices.Concat(x.frames.debug, x.frames.eh) {
			if d.hi <= d.lo {
				t.Errorf("an entry for %#x to %#x", d.lo, d.hi)
			}
			if i < 50 {
				ask(t, x, d.lo)
				ask(t, x, d.hi-1)
			}
		}
	})
}

func FuzzExpression(f *testing.F) {
	f.Add([]byte{opReg0 + 10}, uint32(5), uint8(0))
	f.Add(join(opFbreg, 0x70), uint32(5), uint8(1))
	f.Add(join(opGNUEntryValue, 1, opReg0+10, opStackValue), uint32(5), uint8(2))
	f.Add(join(opGNURegvalType, 11, 30, opGNUConvert, 40, opConvert, 0, opStackValue), uint32(5), uint8(3))
	f.Add(join(opReg0+10, opPiece, 4, opPiece, 4), uint32(0x8005), uint8(4))
	f.Add(join(opLit0, opSkip, 0xfc, 0xff), uint32(0x8005), uint8(5))
	f.Fuzz(func(t *testing.T, expr []byte, a0 uint32, kind uint8) {
		char := baseType("char", 1, encUnsignedChar)
		mode := tree(tagEnumeration, at(attrByteSize, formData1, 4), tree(tagEnumerator, named("ON"), at(attrConstValue, formData1, 1)))
		types := []*node{intType(), char, mode, pointerTo(char), baseType("double", 8, encFloat),
			baseType("x", int(kind), int(kind)), tree(tagReference, ref(attrType, char))}
		types = append(types, pointerTo(types[6]))
		callee := tree(tagSubprogram, named("callee"), param("x", types[int(kind)%len(types)], at(attrLocation, formBlock, expr)),
			at(attrFrameBase, formBlock, join(opCallFrameCFA)))
		callee.children = append(callee.children, call(4, 0x1010, callee, passes(4, join(opReg0+10), expr)))
		x := programIndex(t, 4, types, callee)
		s := stateWith(a0, 11)
		s.Lookup, s.PC = 0x1010, 0x1011
		s.Caller = &State{PC: 0x1010, Lookup: 0x100f, Memory: s.Memory, CFA: 0x8010, HasCFA: true}
		s.Caller.Caller = s.Caller
		for _, a := range x.Args(x.Frames(0x1010)[0], s) {
			if a.Name == "" || a.Value == "" || len(a.Value) > 8192 {
				t.Errorf("%+v", a)
			}
		}
	})
}
