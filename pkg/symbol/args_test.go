package symbol

import (
	"strings"
	"testing"
)

func intType() *node { return baseType("int", 4, encSigned) }

func pointerTo(to *node) *node {
	p := tree(tagPointer, at(attrByteSize, formData1, 4))
	if to != nil {
		p.attrs = append(p.attrs, ref(attrType, to))
	}
	return p
}

func qualified(tag uint16, name string, to *node) *node {
	n := tree(tag, ref(attrType, to))
	if name != "" {
		n.attrs = append(n.attrs, named(name))
	}
	return n
}

func param(name string, typ *node, parts ...any) *node {
	p := tree(tagFormalParameter, parts...)
	p.attrs = append(p.attrs, named(name))
	if typ != nil {
		p.attrs = append(p.attrs, ref(attrType, typ))
	}
	return p
}

func located(expr ...any) attribute { return at(attrLocation, formExprloc, join(expr...)) }

// argsOf prints the parameters of one function whose types stand beside it.
func argsOf(t testing.TB, version int, types, params []*node, s *State, more ...any) string {
	t.Helper()
	f := code(tagSubprogram, 0x1000, 0x100, append([]any{named("f"), params, at(attrFrameBase, formExprloc, join(opCallFrameCFA))}, more...)...)
	w := &dwarfWriter{version: version, root: code(tagCompileUnit, 0x1000, 0x1000, types, f)}
	e := w.elf()
	e.function("f", 0x1000, 0x100)
	e.function("callback", 0x1800, 0x10)
	x := openBytes(t, e.bytes())
	s.Lookup = 0x1010
	return argsText(x.Args(x.Frames(s.Lookup)[0], s))
}

func stateWith(a0, a1 uint32) *State {
	s := &State{PC: 0x1010, CFA: 0x8010, HasCFA: true}
	s.Registers.Set(10, a0)
	s.Registers.Set(11, a1)
	s.Memory = func(addr uint32, buf []byte) bool {
		text := "\x02\x00\x00\x00 hello\n\x00" + strings.Repeat("x", 12) + "y\x00" + strings.Repeat("ab", 150) + "\x00end"
		if addr < 0x8000 || int(addr-0x8000)+len(buf) > len(text) {
			return false
		}
		copy(buf, text[addr-0x8000:])
		return true
	}
	return s
}

func TestArgsFormatsEachTypeAsGDBDoes(t *testing.T) {
	char := baseType("char", 1, encUnsignedChar)
	mode := tree(tagEnumeration, named("mode"), at(attrByteSize, formData1, 4),
		tree(tagEnumerator, named("OFF"), at(attrConstValue, formData1, 0)),
		tree(tagEnumerator, named("ON"), at(attrConstValue, formData1, 1)),
		tree(tagEnumerator, named("AUTO"), at(attrConstValue, formData1, 5)),
		tree(tagEnumerator, named("AUTO2"), at(attrConstValue, formData1, 7)))
	flags := tree(tagEnumeration, named("flags"), at(attrByteSize, formData1, 4),
		tree(tagEnumerator, named("R"), at(attrConstValue, formData1, 1)),
		tree(tagEnumerator, named("W"), at(attrConstValue, formData1, 2)),
		tree(tagEnumerator, named("X"), at(attrConstValue, formData1, 4)))
	errors := tree(tagEnumeration, named("errors"), at(attrByteSize, formData1, 4),
		tree(tagEnumerator, named("FAIL"), at(attrConstValue, formSdata, -1)),
		tree(tagEnumerator, named("GOOD"), at(attrConstValue, formSdata, 0)))
	function := tree(tagSubroutineType)
	chars := qualified(tagConst, "", char)
	wide := qualified(tagTypedef, "wchar_t", intType())
	wide.attrs[0].value = baseType("long int", 4, encSigned)
	structure := tree(tagStructure, named("config"), at(attrByteSize, formData1, 40))
	for _, c := range []struct {
		typ  *node
		v    uint32
		want string
	}{
		{intType(), 0xffffffff, "-1"},
		{baseType("unsigned int", 4, encUnsigned), 0xffffffff, "4294967295"},
		{baseType("short int", 2, encSigned), 0x1ffff, "-1"},
		{baseType("unsigned char", 1, encUnsignedChar), 'a', "97 'a'"},
		{baseType("char", 1, encSignedChar), 0xff, `-1 '\377'`},
		{baseType("signed char", 1, encSigned), 3, `3 '\003'`},
		{char, '\'', `39 '\''`},
		{char, 10, `10 '\n'`},
		{char, 0, `0 '\000'`},
		{baseType("_Bool", 1, encBoolean), 1, "true"},
		{baseType("_Bool", 1, encBoolean), 0, "false"},
		{baseType("_Bool", 1, encBoolean), 2, "2"},
		{baseType("float", 4, encFloat), 0x3dcccccd, "0.100000001"},
		{baseType("float", 4, encFloat), 0x40400000, "3"},
		{baseType("float", 4, encFloat), 0x7f800000, "inf"},
		{baseType("float", 4, encFloat), 0xff800000, "-inf"},
		{baseType("float", 4, encFloat), 0x7fc00000, "nan(0x400000)"},
		{baseType("char16_t", 2, encUTF), 'a', "97 u'a'"},
		{wide, 'a', "97 L'a'"},
		{mode, 1, "ON"},
		{mode, 0, "OFF"},
		{mode, 2, "2"},
		{flags, 4, "X"},
		{flags, 3, "(R | W)"},
		{flags, 9, "(R | unknown: 0x8)"},
		{flags, 8, "(unknown: 0x8)"},
		{flags, 0, "0"},
		{errors, 0xffffffff, "FAIL"},
		{errors, 0xfffffffe, "-2"},
		{pointerTo(nil), 0, "0x0"},
		{pointerTo(intType()), 0x3ffb0000, "0x3ffb0000"},
		{pointerTo(intType()), 0x1004, "0x1004 <f+4>"},
		{pointerTo(function), 0x1800, "0x1800 <callback>"},
		{pointerTo(chars), 0x8005, `0x8005 "hello\n"`},
		{pointerTo(chars), 0, "0x0"},
		{pointerTo(chars), 0x800c, `0x800c 'x' <repeats 12 times>, "y"`},
		{pointerTo(chars), 0x7000, "0x7000 <error: Cannot access memory at address 0x7000>"},
		{pointerTo(chars), 0x8147, `0x8147 "end"<error: Cannot access memory at address 0x8147>`},
		{pointerTo(chars), 0x801a, `0x801a "` + strings.Repeat("ab", 100) + `"...`},
		{tree(tagReference, ref(attrType, intType())), 0x8000, "@0x8000: 2"},
		{tree(tagReference, ref(attrType, structure)), 0x8000, "..."},
		{structure, 0, "..."},
		{qualified(tagTypedef, "port_t", qualified(tagVolatile, "", intType())), 7, "7"},
		{nil, 7, OptimizedOut},
	} {
		types := []*node{}
		seen := map[*node]bool{}
		var collect func(n *node)
		collect = func(n *node) {
			if n == nil || seen[n] {
				return
			}
			seen[n] = true
			types = append(types, n)
			for _, a := range n.attrs {
				if to, ok := a.value.(*node); ok {
					collect(to)
				}
			}
		}
		collect(c.typ)
		got := argsOf(t, 4, types, []*node{param("x", c.typ, located(opReg0+10))}, stateWith(c.v, 0))
		if got != "x="+c.want {
			t.Errorf("%#x: %s, want x=%s", c.v, got, c.want)
		}
	}
}

func TestEnumeratorsOfCPlusPlusAreQualified(t *testing.T) {
	scoped := tree(tagEnumeration, named("Mode"), at(attrEnumClass, formFlagPresent, 1), at(attrByteSize, formData1, 4),
		tree(tagEnumerator, named("On"), at(attrConstValue, formData1, 1)))
	plain := tree(tagEnumeration, named("Old"), at(attrByteSize, formData1, 4), tree(tagEnumerator, named("OLD"), at(attrConstValue, formData1, 1)))
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x1000, at(attrLanguage, formData1, 4),
		tree(tagNamespace, named("fleet"), scoped, plain),
		code(tagSubprogram, 0x1000, 0x100, named("f"), param("a", scoped, located(opReg0+10)), param("b", plain, located(opReg0+10))))}
	x := openBytes(t, w.elf().bytes())
	s := stateWith(1, 0)
	s.Lookup = 0x1010
	if got := argsText(x.Args(x.Frames(0x1010)[0], s)); got != "a=fleet::Mode::On, b=fleet::OLD" {
		t.Error(got)
	}
}

func TestArgsFollowsEachKindOfLocation(t *testing.T) {
	i, long := intType(), baseType("long long unsigned int", 8, encUnsigned)
	small := baseType("unsigned char", 1, encUnsigned)
	types := []*node{i, long, small}
	uleb := func(n *node) []byte { return appendValue(nil, attribute{form: formUdata, value: int(n.off)}) }
	(&dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x1000, types)}).unit() // fixes the types' offsets
	for name, c := range map[string]struct {
		typ  *node
		attr attribute
		want string
	}{
		"register":            {i, located(opReg0 + 11), "11"},
		"register by number":  {i, located(opRegx, 11), "11"},
		"lost register":       {i, located(opReg0 + 12), OptimizedOut},
		"memory":              {i, located(opFbreg, 0x70), "2"}, // 0x8010 - 16
		"memory, absolute":    {i, located(opAddr, words(0x8000)), "2"},
		"memory of the ELF":   {i, located(opAddr, words(0x1000)), "0"},
		"memory not there":    {i, located(opAddr, words(0x7000)), "<error reading variable: Cannot access memory at address 0x7000>"},
		"stack value":         {i, located(opBreg0+11, 4, opStackValue), "15"},
		"narrower than value": {long, located(opBreg0+11, 4, opStackValue), OptimizedOut},
		"implicit value":      {i, located(opImplicitValue, 4, 1, 2, 0, 0), "513"},
		"implicit pointer":    {i, located(opImplicitPointer, words(0), 0), "<synthetic pointer>"},
		"pieces":              {long, located(opReg0+10, opPiece, 4, opReg0+11, opPiece, 4), "47244640266"},
		"a piece lost":        {long, located(opReg0+10, opPiece, 4, opPiece, 4), OptimizedOut},
		"a pair of registers": {long, located(opReg0 + 10), "47244640266"},
		"nothing":             {i, located(), OptimizedOut},
		"constant":            {i, at(attrConstValue, formSdata, -3), "-3"},
		"constant, one byte":  {i, at(attrConstValue, formData1, 200), "200"},
		"constant, unsigned":  {small, at(attrConstValue, formData1, 0xff), `255 '\377'`},
		"constant in a block": {long, at(attrConstValue, formBlock1, []byte{1, 0, 0, 0, 1, 0, 0, 0}), "4294967297"},
		"typed":               {long, located(opGNURegvalType, 11, uleb(i), opGNUConvert, uleb(long), opStackValue), "11"},
		"typed, DWARF 5":      {long, located(opRegvalType, 11, uleb(i), opConvert, uleb(long), opStackValue), "11"},
		"typed constant":      {long, located(opConstType, uleb(long), 8, words(1, 1), opStackValue), "4294967297"},
		"typed memory":        {i, located(opAddr, words(0x8000), opDerefType, 1, uleb(small), opConvert, 0, opStackValue), "2"},
		"type that is none":   {i, located(opRegvalType, 11, 1, opStackValue), OptimizedOut},
		"an endless loop":     {i, located(opSkip, 0xfd, 0xff), OptimizedOut},
		"a growing stack":     {i, located(opLit0, opSkip, 0xfc, 0xff), OptimizedOut},
		"an unknown operator": {i, located(0xee), OptimizedOut},
		"an empty stack":      {i, located(opPlus), OptimizedOut},
	} {
		if got := argsOf(t, 4, types, []*node{param("x", c.typ, c.attr)}, stateWith(10, 11)); got != "x="+c.want {
			t.Errorf("%s: %s, want x=%s", name, got, c.want)
		}
	}
}

func TestLocationListsOfEachKindAreRead(t *testing.T) {
	uleb := func(v int) []byte { return appendValue(nil, attribute{form: formUdata, value: v}) }
	// At 0x1010 the value is in a1, before in a0.
	for name, w := range map[string]*dwarfWriter{
		"pairs":             {version: 4, loc: join(words(0, 0x10), 1, 0, opReg0+10, words(0x10, 0x20), 1, 0, opReg0+11, words(0, 0))},
		"pairs with a base": {version: 4, loc: join(words(0xffffffff, 0x1008, 0, 8), 1, 0, opReg0+10, words(8, 0x20), 1, 0, opReg0+11, words(0, 0))},
		"offset pairs":      {version: 5, loclists: join(4, uleb(0), uleb(0x10), 1, opReg0+10, 9, 0, 0, 4, uleb(0x10), uleb(0x20), 1, opReg0+11, 0)},
		"start and end":     {version: 5, loclists: join(7, words(0x1000, 0x1010), 1, opReg0+10, 7, words(0x1010, 0x1020), 1, opReg0+11, 0)},
		"start and length":  {version: 5, loclists: join(6, words(0x1000), 8, words(0x1000), uleb(16), 1, opReg0+10, 8, words(0x1010), uleb(16), 1, opReg0+11, 0)},
		"indices":           {version: 5, loclists: join(2, 0, 1, 1, opReg0+10, 3, 1, uleb(16), 1, opReg0+11, 0)},
		"default":           {version: 5, loclists: join(5, 1, opReg0+11, 1, 0, 4, uleb(0), uleb(0x10), 1, opReg0+10, 0)},
	} {
		i := intType()
		w.addr = join(words(0, 0), words(0x1000, 0x1010))
		w.root = code(tagCompileUnit, 0x1000, 0x1000, at(attrAddrBase, formSecOffset, 8), i,
			code(tagSubprogram, 0x1000, 0x100, named("f"), param("x", i, at(attrLocation, formSecOffset, 0))))
		x := openBytes(t, w.elf().bytes())
		for pc, want := range map[uint32]string{0x100f: "x=10", 0x1010: "x=11"} {
			s := stateWith(10, 11)
			s.Lookup = pc
			if got := argsText(x.Args(x.Frames(pc)[0], s)); got != want {
				t.Errorf("%s: %#x: %s, want %s", name, pc, got, want)
			}
		}
	}
}

func TestParametersThatOnlyTheAbstractFunctionHasFollow(t *testing.T) {
	i := intType()
	kept, lost := param("kept", i), param("lost", i)
	abstract := tree(tagSubprogram, named("f"), kept, lost)
	concrete := code(tagSubprogram, 0x1000, 0x100, ref(attrAbstractOrigin, abstract),
		tree(tagFormalParameter, ref(attrAbstractOrigin, kept), located(opReg0+10)), tree(tagFormalParameter))
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x1000, i, abstract, concrete)}
	x := openBytes(t, w.elf().bytes())
	s := stateWith(5, 0)
	s.Lookup = 0x1010
	if got := argsText(x.Args(x.Frames(0x1010)[0], s)); got != "kept=5, lost=<optimized out>" {
		t.Error(got)
	}
}
