package symbol

import (
	"bytes"
	"runtime/debug"
	"testing"
)

func TestFramesReadsEachVersionOfDWARF(t *testing.T) {
	for _, version := range []int{2, 3, 4, 5} {
		high := at(attrHighPC, formAddr, 0x1080)
		if version >= 4 {
			high = at(attrHighPC, formUdata, 0x80)
		}
		w := &dwarfWriter{version: version, root: code(tagCompileUnit, 0x1000, 0x100,
			tree(tagSubprogram, named("blink"), at(attrLowPC, formAddr, 0x1000), high))}
		x := openBytes(t, w.elf().bytes())
		if f := x.Frames(0x107f); len(f) != 1 || f[0].Function != "blink" {
			t.Errorf("version %d: %+v", version, f)
		}
		if f := x.Frames(0x1080); f != nil {
			t.Errorf("version %d: behind the function: %+v", version, f)
		}
	}
}

func TestFramesReadsTheTablesOfDWARF5(t *testing.T) {
	w := &dwarfWriter{version: 5}
	w.str = join(" ", "unused", "pump")
	w.strOffsets = join(words(0, 0), words(0, 2, 9)) // a header of 8 bytes, then the offsets
	w.addr = join(words(0, 0), words(0x1000, 0x1040))
	w.root = tree(tagCompileUnit, at(attrStrOffsetsBase, formSecOffset, 8), at(attrAddrBase, formSecOffset, 8),
		at(attrLowPC, formAddrx, 0), at(attrHighPC, formData2, 0x100),
		tree(tagSubprogram, at(attrName, formStrx1, 2), at(attrLowPC, formAddrx1, 1), at(attrHighPC, formImplicit, 0x10)))
	x := openBytes(t, w.elf().bytes())
	if f := x.Frames(0x104f); len(f) != 1 || f[0].Function != "pump" {
		t.Errorf("%+v", f)
	}
	if f := x.Frames(0x103f); f != nil {
		t.Errorf("%+v", f)
	}
}

func TestSixtyFourBitDWARFIsRead(t *testing.T) {
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, code(tagSubprogram, 0x1000, 0x100, named("wide")))}
	info, abbrev := w.unit()
	wide := join(words(0xffffffff, uint32(len(info)-4+4), 0), info[4:6], words(0, 0), info[10:])
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x1000))
	e.add(".debug_info", wide)
	e.add(".debug_abbrev", abbrev)
	if f := openBytes(t, e.bytes()).Frames(0x1010); len(f) != 1 || f[0].Function != "wide" {
		t.Errorf("%+v", f)
	}
}

func TestARangesServeUnitsThatDoNotTellTheirAddresses(t *testing.T) {
	w := &dwarfWriter{version: 4, root: tree(tagCompileUnit, code(tagSubprogram, 0x1000, 0x100, named("quiet")))}
	e := w.elf()
	set := join(le.AppendUint16(nil, 2), words(0), 4, 0, words(0), words(0x1000, 0x100), words(0, 0))
	e.add(".debug_aranges", join(words(uint32(len(set))), set))
	if f := openBytes(t, e.bytes()).Frames(0x1010); len(f) != 1 || f[0].Function != "quiet" {
		t.Errorf("%+v", f)
	}
	if f := openBytes(t, w.elf().bytes()).Frames(0x1010); f != nil {
		t.Errorf("without them nothing is known: %+v", f)
	}
}

func TestAUnitThatCannotBeReadDoesNotHideTheNext(t *testing.T) {
	good := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, code(tagSubprogram, 0x1000, 0x100, named("second")))}
	info, abbrev := good.unit()
	for name, bad := range map[string][]byte{
		"version 9":            join(words(7), le.AppendUint16(nil, 9), words(0), 4),
		"abbreviations beyond": join(words(8), le.AppendUint16(nil, 4), words(0xffff), 4, 1),
		"address size 3":       join(words(8), le.AppendUint16(nil, 4), words(0), 3, 1),
		"no entries":           join(words(7), le.AppendUint16(nil, 4), words(0), 4),
		"a type unit":          join(words(20), le.AppendUint16(nil, 5), 2, 4, words(0), words(1, 2, 3)),
	} {
		e := &elfWriter{machine: RISCV}
		e.code(0x1000, make([]byte, 0x1000))
		e.add(".debug_info", join(bad, info))
		e.add(".debug_abbrev", abbrev)
		if f := openBytes(t, e.bytes()).Frames(0x1010); len(f) != 1 || f[0].Function != "second" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// selfTypedef is the 31 bytes of .debug_info that overflow the stack of debug/dwarf: a typedef of itself.
func selfTypedef() (info, abbrev []byte) {
	info = join(words(27), le.AppendUint16(nil, 4), words(0), 4, 1, words(0x1000, 0x100), 2, "self", words(20), 0)
	abbrev = join(1, tagCompileUnit, 1, attrLowPC, formAddr, attrHighPC, formData4, 0, 0, 2, tagTypedef, 0, attrName, formString, attrType, formRef4, 0, 0, 0)
	return info, abbrev
}

func TestATypedefOfItselfEnds(t *testing.T) {
	info, abbrev := selfTypedef()
	if len(info) != 31 {
		t.Fatalf("%d bytes", len(info))
	}
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x1000))
	e.add(".debug_info", info)
	e.add(".debug_abbrev", abbrev)
	x := openBytes(t, e.bytes())
	d, ok := x.units[0].entry(20)
	if !ok || d.tag() != tagTypedef {
		t.Fatalf("%+v", d)
	}
	if to, ok := d.refer(attrType); !ok || to.off != d.off {
		t.Fatalf("the typedef names %+v", to)
	}
	if k := d.typeOf().kind; k != kindUnknown {
		t.Error(k)
	}
	if _, ok := x.Offsets("anything"); ok {
		t.Error("found a structure")
	}
}

func TestAttributesOfEveryFormArePassedOver(t *testing.T) {
	forms := []attribute{
		{formAddr, formAddr, 1}, {formBlock1, formBlock1, []byte("b")}, {formBlock2, formBlock2, []byte("bb")}, {formBlock, formBlock, []byte("bbb")},
		{formExprloc, formExprloc, []byte("e")}, {formData1, formData1, 1}, {formData2, formData2, 1}, {formData4, formData4, 1},
		{formData8, formData8, 1}, {formData16, formData16, 1}, {formFlag, formFlag, 1}, {formFlagPresent, formFlagPresent, 1},
		{formSdata, formSdata, -300}, {formUdata, formUdata, 300}, {formStrp, formStrp, 0}, {formLineStrp, formLineStrp, 0},
		{formRefAddr, formRefAddr, 1}, {formRef1, formRef1, 1}, {formRef2, formRef2, 1}, {formRef4, formRef4, 1}, {formRef8, formRef8, 1},
		{formRefUdata, formRefUdata, 300}, {formRefSig8, formRefSig8, 1}, {formSecOffset, formSecOffset, 1}, {formImplicit, formImplicit, -5},
		{formStrx, formStrx, 300}, {formStrx1, formStrx1, 1}, {formStrx2, formStrx2, 1}, {formStrx3, formStrx3, 1}, {formStrx4, formStrx4, 1},
		{formAddrx, formAddrx, 300}, {formAddrx1, formAddrx1, 1}, {formAddrx2, formAddrx2, 1}, {formAddrx3, formAddrx3, 1}, {formAddrx4, formAddrx4, 1},
		{formLoclistx, formLoclistx, 300}, {formRnglistx, formRnglistx, 300}, {formGNURefAlt, formGNURefAlt, 1}, {formGNUStrpAlt, formGNUStrpAlt, 1},
		{formString, formString, "s"},
	}
	for _, a := range forms {
		f := tree(tagSubprogram, attribute{0x3ff0, a.form, a.value}, named("f"))
		f.attrs = append(f.attrs, lowHigh(0x1000, 0x100)...)
		for _, version := range []int{3, 5} {
			w := &dwarfWriter{version: version, root: code(tagCompileUnit, 0x1000, 0x1000, f)}
			if got := chain(openBytes(t, w.elf().bytes()), 0x1010); got != "f:0" {
				t.Errorf("form %#x, version %d: %q", a.form, version, got)
			}
		}
	}
	unknown := tree(tagSubprogram, named("f"))
	unknown.attrs = append(unknown.attrs, lowHigh(0x1000, 0x100)...)
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x1000, unknown)}
	info, abbrev := w.unit()
	i := bytes.LastIndexByte(abbrev, formData4)
	abbrev[i] = 0x7e // a form of tomorrow
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x1000))
	e.add(".debug_info", info)
	e.add(".debug_abbrev", abbrev)
	if got := chain(openBytes(t, e.bytes()), 0x1010); got != "" {
		t.Error(got)
	}
}

func TestReferencesReachEntriesOfOtherUnits(t *testing.T) {
	for _, version := range []int{2, 4, 5} {
		first := &dwarfWriter{version: version, root: tree(tagCompileUnit, tree(tagSubprogram, named("shared")))}
		info, _ := first.unit()
		origin := at(attrAbstractOrigin, formRefAddr, int(first.root.children[0].off))
		second := &dwarfWriter{version: version, root: code(tagCompileUnit, 0x1000, 0x1000, code(tagSubprogram, 0x1000, 0x100, origin))}
		more, abbrev := second.unit()
		_, own := first.unit()
		at := 6
		if version >= 5 {
			at = 8
		}
		le.PutUint32(more[at:], uint32(len(own)))
		e := &elfWriter{machine: RISCV}
		e.code(0x1000, make([]byte, 0x1000))
		e.add(".debug_info", join(info, more))
		e.add(".debug_abbrev", join(own, abbrev))
		if got := chain(openBytes(t, e.bytes()), 0x1010); got != "shared:0" {
			t.Errorf("version %d: %q", version, got)
		}
	}
}

func TestChainsOfOriginsEnd(t *testing.T) {
	f := code(tagSubprogram, 0x1000, 0x100)
	g := tree(tagSubprogram, ref(attrSpecification, f))
	f.attrs = append(f.attrs, ref(attrAbstractOrigin, g))
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, f, g)}
	x := openBytes(t, w.elf().bytes())
	if got := x.Frames(0x1010); len(got) != 1 || got[0].Function != "" {
		t.Errorf("%+v", got)
	}
}

func TestSiblingsThatPointBackwardsAreNotFollowed(t *testing.T) {
	sub := code(tagSubprogram, 0x1000, 0x100, named("walked"), tree(tagLexicalBlock, tree(tagMember)))
	sub.children[0].attrs = append(sub.children[0].attrs, at(attrSibling, formRef4, 1))
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, sub)}
	if f := openBytes(t, w.elf().bytes()).Frames(0x1010); len(f) != 1 || f[0].Function != "walked" {
		t.Errorf("%+v", f)
	}
}

func TestAHundredThousandNestedBlocksAreWalkedWithoutRecursion(t *testing.T) {
	head := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, code(tagSubprogram, 0x1000, 0x100, named("deep"), tree(tagLexicalBlock, tree(tagMember))))}
	info, abbrev := head.unit()
	block := head.root.children[0].children[0].off // an entry of one byte, its code
	deep := join(info[:block], bytes.Repeat(info[block:block+1], 100000))
	le.PutUint32(deep, uint32(len(deep)-4))
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x1000))
	e.add(".debug_info", deep)
	e.add(".debug_abbrev", abbrev)
	x := openBytes(t, e.bytes())
	defer debug.SetMaxStack(debug.SetMaxStack(1 << 20)) // bytes: a recursion would need ten times as many, and end the test
	if f := x.Frames(0x1010); len(f) != 1 || f[0].Function != "deep" {
		t.Errorf("%+v", f)
	}
}

func TestTheCachesStartAnewWhenTheyHaveGrownTooLarge(t *testing.T) {
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, code(tagSubprogram, 0x1000, 0x100, named("again")))}
	x := openBytes(t, w.elf().bytes())
	before := x.Frames(0x1010)
	x.spend(cacheLimit)
	if x.units[0].data != nil || x.cached != cacheLimit {
		t.Errorf("%d bytes still counted", x.cached)
	}
	x.spend(1)
	if after := x.Frames(0x1010); len(after) != 1 || after[0].Function != before[0].Function {
		t.Errorf("%+v, %+v", before, after)
	}
}

func TestAUnitCostsTwoAllocationsUntilItIsAskedFor(t *testing.T) {
	const units = 1000
	var info, abbrev []byte
	for i := range units {
		d := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000+0x10*i, 0x10, named("unit.c"), at(attrLanguage, formData1, 12))}
		var unit []byte
		unit, abbrev = d.unit()
		info = append(info, unit...)
	}
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x4000))
	e.add(".debug_info", info)
	e.add(".debug_abbrev", abbrev)
	b := e.bytes()
	const besides = 200 // of the file, and what grows with the number of units
	if n := testing.AllocsPerRun(3, func() {
		x, err := Open(mapped(b), int64(len(b)))
		if err != nil || x.Frames(0x1000+0x10*units) != nil || len(x.units) != units {
			t.Fatalf("%v", err)
		}
	}); n > 2*units+besides {
		t.Errorf("%v allocations for %d units", n, units)
	}
}
