package symbol

import (
	"slices"
	"testing"
)

// call describes a call before returnPC, in the words of the version.
func call(version, returnPC int, target *node, parts ...any) *node {
	n := tree(tagGNUCallSite, at(attrLowPC, formAddr, returnPC))
	origin := uint16(attrAbstractOrigin)
	if version >= 5 {
		n = tree(tagCallSite, at(attrCallReturnPC, formAddr, returnPC))
		origin = attrCallOrigin
	}
	if target != nil {
		n.attrs = append(n.attrs, ref(origin, target))
	}
	m := tree(0, parts...)
	n.attrs = append(n.attrs, m.attrs...)
	n.children = m.children
	return n
}

func tailFlag(version int) attribute {
	if version >= 5 {
		return at(attrCallTailCall, formFlagPresent, 1)
	}
	return at(attrGNUTailCall, formFlagPresent, 1)
}

// passes says that a call passes an expression's value in a place.
func passes(version int, place, value []byte) *node {
	if version >= 5 {
		return tree(tagCallSiteParameter, at(attrLocation, formExprloc, place), at(attrCallValue, formExprloc, value))
	}
	return tree(tagGNUCallParameter, at(attrLocation, formExprloc, place), at(attrGNUCallValue, formExprloc, value))
}

// programIndex has functions of 0x100 bytes from 0x1000 on.
func programIndex(t testing.TB, version int, types []*node, functions ...*node) *Index {
	for i, f := range functions {
		if f.tag == tagSubprogram {
			f.attrs = append(f.attrs, lowHigh(0x1000+0x100*i, 0x100)...)
		}
	}
	w := &dwarfWriter{version: version, root: code(tagCompileUnit, 0x1000, 0x1000, types, functions)}
	e := w.elf()
	e.function("external", 0x1f00, 0x10)
	return openBytes(t, e.bytes())
}

func TestCallSiteKnowsWhereACallLeads(t *testing.T) {
	for _, version := range []int{4, 5} {
		callee := tree(tagSubprogram, named("callee"))
		declared := tree(tagSubprogram, named("external"), at(attrDeclaration, formFlag, 1))
		abstract := tree(tagSubprogram, named("inline_only"))
		caller := tree(tagSubprogram, named("caller"),
			call(version, 0x1110, callee),
			tree(tagLexicalBlock, call(version, 0x1120, declared)),
			call(version, 0x1130, abstract),
			call(version, 0x1140, nil, at(attrGNUCallTarget, formExprloc, join(opReg0+10))),
			call(version, 0x1200, callee, tailFlag(version)))
		x := programIndex(t, version, []*node{declared, abstract}, callee, caller)
		for pc, want := range map[uint32]CallSite{
			0x1110: {Return: 0x1110, Target: 0x1000, HasTarget: true},
			0x1120: {Return: 0x1120, Target: 0x1f00, HasTarget: true},
			0x1130: {Return: 0x1130},
			0x1140: {Return: 0x1140},
			0x1200: {Return: 0x1200, Target: 0x1000, HasTarget: true, Tail: true}, // behind the function's end
		} {
			if got, ok := x.CallSite(pc); !ok || got != want {
				t.Errorf("version %d: %#x: %+v, want %+v", version, pc, got, want)
			}
		}
		if got, ok := x.CallSite(0x1111); ok {
			t.Errorf("%+v", got)
		}
	}
}

func TestTailCallsFindsTheOneChain(t *testing.T) {
	names := []string{"main", "a", "b", "c", "d", "e"}
	// Each case gives the tail calls of a function; main calls a before 0x1010.
	for name, c := range map[string]struct {
		tails  map[string][]string
		callee uint32
		want   []uint32
	}{
		"a direct call":   {nil, 0x1100, nil},
		"one":             {map[string][]string{"a": {"b"}}, 0x1200, []uint32{0x1101}},
		"three":           {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"d"}}, 0x1400, []uint32{0x1301, 0x1201, 0x1101}},
		"four":            {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"e"}}, 0x1500, nil},
		"two ways":        {map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}, 0x1400, nil},
		"two calls":       {map[string][]string{"a": {"b", "b"}}, 0x1200, nil},
		"a dead end":      {map[string][]string{"a": {"b", "c"}, "c": {"d"}}, 0x1400, []uint32{0x1301, 0x1102}},
		"a circle":        {map[string][]string{"a": {"b"}, "b": {"a", "c"}}, 0x1300, []uint32{0x1202, 0x1101}},
		"nothing there":   {map[string][]string{"a": {"b"}}, 0x1400, nil},
		"through pointer": {map[string][]string{"a": {"b", "?"}}, 0x1200, nil},
	} {
		for _, version := range []int{4, 5} {
			byName := map[string]*node{}
			var all []*node
			for _, n := range names {
				byName[n] = tree(tagSubprogram, named(n))
				all = append(all, byName[n])
			}
			byName["main"].children = []*node{call(version, 0x1010, byName["a"])}
			for i, n := range names {
				for j, to := range c.tails[n] {
					byName[n].children = append(byName[n].children, call(version, 0x1000+0x100*i+j+1, byName[to], tailFlag(version)))
				}
			}
			x := programIndex(t, version, nil, all...)
			if got := x.TailCalls(0x1010, c.callee); !slices.Equal(got, c.want) {
				t.Errorf("%s, version %d: %#x, want %#x", name, version, got, c.want)
			}
		}
	}
}

// entryProgram has a callee with parameters in a0 and on the stack, and a caller that passes 7 and what it got itself.
func entryProgram(t testing.TB, version int, change func(callee, caller *node)) *Index {
	i := intType()
	op := byte(opEntryValue)
	if version < 5 {
		op = opGNUEntryValue
	}
	callee := tree(tagSubprogram, named("callee"), at(attrFrameBase, formExprloc, join(opCallFrameCFA)),
		param("same", i, located(opReg0+10)),
		param("stacked", i, located(opFbreg, 0)),
		param("entry", i, located(int(op), 1, opReg0+11, opStackValue)))
	caller := tree(tagSubprogram, named("caller"), param("x", i, located(opReg0+10)),
		call(version, 0x1110, callee,
			passes(version, join(opReg0+10), join(opLit0+7)),
			passes(version, join(opReg0+11), join(int(op), 1, opReg0+10, opLit0+1, opPlus)),
			passes(version, join(opBreg0+2, 0), join(opBreg0+9, 1))))
	root := tree(tagSubprogram, named("root"), call(version, 0x1210, caller, passes(version, join(opReg0+10), join(opConst1u, 41))))
	if change != nil {
		change(callee, caller)
	}
	return programIndex(t, version, []*node{i}, callee, caller, root)
}

func entryState(a0 uint32) *State {
	s := stateWith(a0, 0)
	s.PC, s.Lookup, s.CFA = 0x1010, 0x1010, 0x8000
	s.Registers.Forget(11)
	s.Caller = &State{PC: 0x1110, Lookup: 0x110f, Memory: s.Memory}
	s.Caller.Registers.Set(9, 1)
	s.Caller.Caller = &State{PC: 0x1210, Lookup: 0x120f}
	return s
}

func TestArgsPrintsWhatTheCallerPassed(t *testing.T) {
	for _, version := range []int{4, 5} {
		x := entryProgram(t, version, nil)
		for a0, want := range map[uint32]string{
			7: "same=same@entry=7, stacked=stacked@entry=2, entry=42",
			8: "same=8, same@entry=7, stacked=stacked@entry=2, entry=42",
		} {
			s := entryState(a0)
			if got := argsText(x.Args(x.Frames(s.Lookup)[0], s)); got != want {
				t.Errorf("version %d: %s, want %s", version, got, want)
			}
		}
		s := entryState(7)
		s.Registers.Forget(10)
		if got, want := argsText(x.Args(x.Frames(s.Lookup)[0], s)), "same=<optimized out>, same@entry=7, stacked=stacked@entry=2, entry=42"; got != want {
			t.Errorf("version %d: %s, want %s", version, got, want)
		}
	}
}

func TestWhatTheCallerPassedIsUnknownWhereItCannotBeTold(t *testing.T) {
	const unknown = "same=7, stacked=2, entry=<optimized out>"
	for name, c := range map[string]struct {
		program func(callee, caller *node)
		state   func(s *State)
	}{
		"no caller":                  {nil, func(s *State) { s.Caller = nil }},
		"no described call":          {nil, func(s *State) { s.Caller.PC = 0x1111 }},
		"the call leads elsewhere":   {func(_, caller *node) { caller.children[1].attrs[1].value = caller }, nil},
		"the callee calls itself":    {func(callee, _ *node) { callee.children = append(callee.children, call(4, 0x1080, callee, tailFlag(4))) }, nil},
		"it jumps through a pointer": {func(callee, _ *node) { callee.children = append(callee.children, call(4, 0x1080, nil, tailFlag(4))) }, nil},
	} {
		s := entryState(7)
		if c.state != nil {
			c.state(s)
		}
		x := entryProgram(t, 4, c.program)
		if got := argsText(x.Args(x.Frames(s.Lookup)[0], s)); got != unknown {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAnIndirectCallCountsWhereItsTargetIsKnown(t *testing.T) {
	indirect := func(_, caller *node) {
		caller.children[1].attrs[1] = at(attrGNUCallTarget, formExprloc, join(opBreg0+8, 0))
	}
	x := entryProgram(t, 4, indirect)
	for target, want := range map[uint32]string{
		0x1000: "same=same@entry=7, stacked=stacked@entry=2, entry=42",
		0x1200: "same=7, stacked=2, entry=<optimized out>",
	} {
		s := entryState(7)
		s.Caller.Registers.Set(8, target)
		if got := argsText(x.Args(x.Frames(s.Lookup)[0], s)); got != want {
			t.Errorf("%#x: %s, want %s", target, got, want)
		}
	}
}

func TestAParameterReferenceIsFollowedToTheCaller(t *testing.T) {
	for _, version := range []int{4, 5} {
		i := intType()
		removed := param("removed", i) // scalarised away: only the abstract function has it
		abstract := tree(tagSubprogram, named("callee"), removed)
		x := param("x", i)
		callee := tree(tagSubprogram, ref(attrAbstractOrigin, abstract), x)
		to := uint16(attrAbstractOrigin)
		if version >= 5 {
			to = attrCallParameter
		}
		passed := passes(version, join(opReg0+10), join(opLit0+9))
		passed.attrs[0] = ref(to, removed)
		caller := tree(tagSubprogram, named("caller"), call(version, 0x1110, callee, passed))
		build := func() *Index { return programIndex(t, version, []*node{i, abstract}, callee, caller) }
		build() // fixes the offset of the removed parameter
		callee.attrs, caller.attrs = callee.attrs[:1], caller.attrs[:1]
		x.attrs = append(x.attrs, located(opGNUParameterRef, words(removed.off), opStackValue))
		index := build()
		s := entryState(0)
		if got := argsText(index.Args(index.Frames(s.Lookup)[0], s)); got != "x=9, removed=<optimized out>" {
			t.Errorf("version %d: %s", version, got)
		}
	}
}

func TestCallersThatGoInCirclesEnd(t *testing.T) {
	x := entryProgram(t, 4, func(_, caller *node) {
		// What the caller passes in a1 is what it got in a1 itself, and it is its own caller.
		caller.children[1].children[1].attrs[1].value = join(opGNUEntryValue, 1, opReg0+11)
	})
	s := entryState(7)
	s.Caller.Caller = s.Caller
	if got := argsText(x.Args(x.Frames(s.Lookup)[0], s)); got != "same=same@entry=7, stacked=stacked@entry=2, entry=<optimized out>" {
		t.Error(got)
	}
}

// passed is what GDB prints of the parameter of a function whose caller passed value, and data for what it refers to.
func passed(t *testing.T, typ *node, types []*node, value, data []byte, a0 uint32) string {
	t.Helper()
	callee := tree(tagSubprogram, named("callee"), param("x", typ, located(opReg0+10)))
	pass := passes(5, join(opReg0+10), value)
	if data != nil {
		pass.attrs = append(pass.attrs, at(attrCallData, formExprloc, data))
	}
	x := programIndex(t, 5, append(types, typ), callee, tree(tagSubprogram, named("caller"), call(5, 0x1110, callee, pass)))
	s := entryState(a0)
	return argsText(x.Args(x.Frames(s.Lookup)[0], s))
}

func TestWhatTheCallerPassedIsPrintedForEachTypeAsGDBDoes(t *testing.T) {
	float := baseType("float", 4, encFloat)
	small := tree(tagUnion, named("un"), at(attrByteSize, formData1, 4))
	i := intType()
	reference := func(to *node) *node { return tree(tagReference, ref(attrType, to)) }
	lit := join(opConst4u, words(0x8000))
	typed := func() []byte { // the type comes first in the unit, behind the 12 bytes of the header and the unit's own entry
		return join(opConstType, 12+9, 4, words(0x3fc00000))
	}
	for name, c := range map[string]struct {
		typ         *node
		types       []*node
		value, data []byte
		a0          uint32
		want        string
	}{
		"a float":                               {float, nil, typed(), nil, 0x3fc00000, "x=x@entry=1.5"},
		"a union, the same":                     {small, nil, join(opLit0 + 7), nil, 7, "x=x@entry=..."},
		"a union, another":                      {small, nil, join(opLit0 + 7), nil, 8, "x=..., x@entry=..."},
		"a reference":                           {reference(small), []*node{small}, lit, nil, 0x8000, "x=..."},
		"a reference to what is still the same": {reference(i), []*node{i}, lit, join(opLit0 + 2), 0x8000, "x=x@entry=@0x8000: 2"},
		"a reference to what has changed":       {reference(i), []*node{i}, lit, join(opLit0 + 9), 0x8000, "x=@0x8000: 2, x@entry=@0x8000: 9"},
	} {
		if got := passed(t, c.typ, c.types, c.value, c.data, c.a0); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
