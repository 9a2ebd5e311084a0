package symbol

import "testing"

// typeUnit is a unit that describes one type by its signature: of .debug_info from DWARF 5 on, of .debug_types before.
func typeUnit(version int, signature uint32, abbrevOff int, typ *node) (info, abbrev []byte) {
	head := le.AppendUint16(words(0), uint16(version))
	if version >= 5 {
		head = join(head, 2, 4, words(uint32(abbrevOff)))
	} else {
		head = join(head, words(uint32(abbrevOff)), 4)
	}
	head = join(head, words(signature, 0))
	at := len(head)
	head = join(head, words(0))
	for range 2 {
		code := 0
		info, abbrev = (&dwarfWriter{}).write(join(head), nil, tree(tagTypeUnit, typ), &code)
		abbrev = append(abbrev, 0)
		le.PutUint32(info[at:], typ.off)
		le.PutUint32(info, uint32(len(info)-4))
	}
	return info, abbrev
}

func enumOf(names ...string) *node {
	e := tree(tagEnumeration, at(attrByteSize, formData1, 4))
	for i, n := range names {
		e.children = append(e.children, tree(tagEnumerator, named(n), at(attrConstValue, formData1, i)))
	}
	return e
}

func TestATypeInAUnitOfItsOwnIsFoundByItsSignature(t *testing.T) {
	const signature = 0x1234
	byRef := at(attrType, formRefSig8, signature)
	stub := tree(tagEnumeration, at(attrDeclaration, formFlagPresent, 1), at(attrSignature, formRefSig8, signature))
	for _, version := range []int{4, 5} {
		w := &dwarfWriter{version: version, root: code(tagCompileUnit, 0x1000, 0x1000, stub, code(tagSubprogram, 0x1000, 0x100, named("f"),
			tree(tagFormalParameter, named("direct"), byRef, located(opReg0+10)),
			param("stub", stub, located(opReg0+10)),
			tree(tagFormalParameter, named("absent"), at(attrType, formRefSig8, 0x99), located(opReg0+10))))}
		info, abbrev := w.unit()
		types, more := typeUnit(version, signature, len(abbrev), enumOf("RED", "GREEN"))
		e := &elfWriter{machine: RISCV}
		e.code(0x1000, make([]byte, 0x1000))
		e.add(".debug_abbrev", join(abbrev, more))
		if version >= 5 {
			e.add(".debug_info", join(types, info))
		} else {
			e.add(".debug_info", info)
			e.add(".debug_types", types)
		}
		x := openBytes(t, e.bytes())
		f := x.Frames(0x1010)
		if len(f) != 1 {
			t.Fatalf("version %d: %+v", version, f)
		}
		got := ""
		for _, a := range x.Args(f[0], stateWith(1, 0)) {
			got += a.Name + "=" + a.Value + " "
		}
		if got != "direct=GREEN stub=GREEN absent=<optimized out> " {
			t.Errorf("version %d: %s", version, got)
		}
	}
}

func TestAStructureInATypeUnitHasItsOffsets(t *testing.T) {
	tcb := tree(tagStructure, named("tskTaskControlBlock"), at(attrByteSize, formData1, 8),
		tree(tagMember, named("pcTaskName"), at(attrMemberLocation, formData1, 4)))
	types, abbrev := typeUnit(5, 7, 0, tcb)
	e := &elfWriter{machine: RISCV}
	e.add(".debug_info", types)
	e.add(".debug_abbrev", abbrev)
	if got, ok := openBytes(t, e.bytes()).Offsets("tskTaskControlBlock", "pcTaskName"); !ok || got["pcTaskName"] != 4 {
		t.Errorf("%v", got)
	}
}

// selfType is a type unit whose type is itself, by its own signature.
func selfType() (info, abbrev []byte) {
	return typeUnit(5, 1, 0, tree(tagTypedef, named("self"), at(attrType, formRefSig8, 1), at(attrSignature, formRefSig8, 1)))
}

func TestATypeThatIsItselfBySignatureEnds(t *testing.T) {
	types, abbrev := selfType()
	w := &dwarfWriter{version: 5, root: code(tagCompileUnit, 0x1000, 0x1000, code(tagSubprogram, 0x1000, 0x100, named("f"),
		tree(tagFormalParameter, named("x"), at(attrType, formRefSig8, 1), located(opReg0+10))))}
	info, more := w.unit()
	le.PutUint32(info[8:], uint32(len(abbrev)))
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x1000))
	e.add(".debug_info", join(types, info))
	e.add(".debug_abbrev", join(abbrev, more))
	x := openBytes(t, e.bytes())
	if a := x.Args(x.Frames(0x1010)[0], stateWith(1, 0)); len(a) != 1 || a[0].Value != OptimizedOut {
		t.Errorf("%+v", a)
	}
}
