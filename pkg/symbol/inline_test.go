package symbol

import (
	"fmt"
	"strings"
	"testing"
)

// chain is what Frames says, as "function:line" from the innermost, with ~ where a frame is inlined.
func chain(x *Index, pc uint32) string {
	var s []string
	for _, f := range x.Frames(pc) {
		name := f.Function
		if f.Inlined {
			name += "~"
		}
		s = append(s, fmt.Sprintf("%s:%d", name, f.Line))
	}
	return strings.Join(s, " ")
}

func calledFrom(line int) []any {
	return []any{at(attrCallFile, formData1, 1), at(attrCallLine, formData1, line)}
}

// inlinedUnit has outer at 0x1000 with middle inlined at 0x1010 to 0x1040, in a lexical block, and inner in that at
// 0x1020 to 0x1030.
func inlinedUnit(version int) *dwarfWriter {
	inner, middle := tree(tagSubprogram, named("inner")), tree(tagSubprogram, named("middle"))
	in := code(tagInlinedSubroutine, 0x1020, 0x10, append(calledFrom(22), ref(attrAbstractOrigin, inner))...)
	mid := code(tagInlinedSubroutine, 0x1010, 0x30, append(calledFrom(11), ref(attrAbstractOrigin, middle), tree(tagLexicalBlock, in))...)
	lines := newLines(version)
	lines.setAddress(0x1000).row(0, 4).row(0x10, 40).row(0x10, 200).row(0x10, -200).end(0x100)
	return &dwarfWriter{version: version, line: lines.bytes(), root: code(tagCompileUnit, 0x1000, 0x1000,
		at(attrStmtList, formData4, 0), inner, middle,
		code(tagSubprogram, 0x1000, 0x1000, named("outer"), code(tagLexicalBlock, 0x1008, 0x100, mid)))}
}

func TestFramesNestsInlinedCallsAndBlocks(t *testing.T) {
	for _, version := range []int{4, 5} {
		x := openBytes(t, inlinedUnit(version).elf().bytes())
		for pc, want := range map[uint32]string{
			0x1000: "outer:5",
			0x1010: "middle~:45 outer:11",
			0x1020: "inner~:245 middle~:22 outer:11",
			0x102f: "inner~:245 middle~:22 outer:11",
			0x1030: "middle~:45 outer:11",
			0x1040: "outer:45",
		} {
			if got := chain(x, pc); got != want {
				t.Errorf("version %d: %#x: %s, want %s", version, pc, got, want)
			}
		}
	}
}

func TestAnInlinedCallOutsideOfItsBlockIsStillFound(t *testing.T) {
	inner, middle := tree(tagSubprogram, named("inner")), tree(tagSubprogram, named("middle"))
	in := code(tagInlinedSubroutine, 0x1080, 0x10, append(calledFrom(22), ref(attrAbstractOrigin, inner))...)
	mid := code(tagInlinedSubroutine, 0x1010, 0x10, append(calledFrom(11), ref(attrAbstractOrigin, middle), in)...)
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x1000, inner, middle, code(tagSubprogram, 0x1000, 0x1000, named("outer"), mid))}
	if got := chain(openBytes(t, w.elf().bytes()), 0x1084); got != "inner~:0 middle~:22 outer:11" {
		t.Error(got)
	}
}

func TestRangesOfEachKindAreRead(t *testing.T) {
	const lo, hi = 0x1200, 0x1300 // beside 0x1000 to 0x1010
	uleb := func(v int) []byte { return appendValue(nil, attribute{form: formUdata, value: v}) }
	cases := map[string]*dwarfWriter{
		"pairs from the unit's base": {version: 4, ranges: words(0, 0x10, 0x200, 0x300, 0, 0)},
		"pairs from a chosen base":   {version: 4, ranges: words(0, 0x10, 0xffffffff, 0x1100, 0x100, 0x200, 0, 0)},
		"offset pairs":               {version: 5, rnglists: join(4, uleb(0), uleb(0x10), 4, uleb(0x200), uleb(0x300), 0)},
		"base address":               {version: 5, rnglists: join(4, uleb(0), uleb(0x10), 5, words(0x1100), 4, uleb(0x100), uleb(0x200), 0)},
		"start and end":              {version: 5, rnglists: join(6, words(0x1000, 0x1010), 6, words(lo, hi), 0)},
		"start and length":           {version: 5, rnglists: join(7, words(0x1000), uleb(16), 7, words(lo), uleb(0x100), 0)},
		"indices of both":            {version: 5, rnglists: join(2, uleb(0), uleb(1), 2, uleb(2), uleb(3), 0)},
		"index and length":           {version: 5, rnglists: join(3, uleb(0), uleb(16), 3, uleb(2), uleb(0x100), 0)},
		"index of the base":          {version: 5, rnglists: join(7, words(0x1000), uleb(16), 1, uleb(2), 4, uleb(0), uleb(0x100), 0)},
	}
	for name, w := range cases {
		w.addr = join(words(0, 0), words(0x1000, 0x1010, lo, hi))
		form := uint16(formSecOffset)
		f := tree(tagSubprogram, named("split"), at(attrRanges, form, 0))
		w.root = tree(tagCompileUnit, at(attrLowPC, formAddr, 0x1000), at(attrHighPC, formData4, 0x1000), at(attrAddrBase, formSecOffset, 8), f)
		x := openBytes(t, w.elf().bytes())
		for pc, want := range map[uint32]string{0x1000: "split:0", 0x100f: "split:0", 0x1010: "", lo - 1: "", lo: "split:0", hi - 1: "split:0", hi: ""} {
			if got := chain(x, pc); got != want {
				t.Errorf("%s: %#x: %q, want %q", name, pc, got, want)
			}
		}
	}
	w := &dwarfWriter{version: 5, rnglists: join(words(0, 0, 0), words(4), join(7, words(0x1000), uleb(16), 0))}
	w.root = code(tagCompileUnit, 0x1000, 0x1000, at(attrRnglistsBase, formSecOffset, 12), tree(tagSubprogram, named("indexed"), at(attrRanges, formRnglistx, 0)))
	if got := chain(openBytes(t, w.elf().bytes()), 0x100f); got != "indexed:0" {
		t.Error(got)
	}
}

func TestFunctionsOfCPlusPlusAreNamedAsGDBNamesThem(t *testing.T) {
	class := tree(tagStructure, named("Motor"))
	declared := tree(tagSubprogram, named("start"), at(attrLinkageName, formString, "_ZN5fleet5Motor5startEi"), at(attrDeclaration, formFlag, 1))
	bare := tree(tagSubprogram, named("stop"), at(attrDeclaration, formFlag, 1))
	class.children = []*node{declared, bare}
	anonymous := tree(tagNamespace)
	space := tree(tagNamespace, named("fleet"), class, anonymous)
	hidden := code(tagSubprogram, 0x1200, 0x100, named("hidden"))
	anonymous.children = []*node{hidden}
	w := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x1000, at(attrLanguage, formData1, 0x1a), space,
		code(tagSubprogram, 0x1000, 0x100, ref(attrSpecification, declared)),
		code(tagSubprogram, 0x1100, 0x100, ref(attrSpecification, bare)),
		code(tagSubprogram, 0x1300, 0x100, named("app_main")),
		code(tagSubprogram, 0x1400, 0x100, named("odd"), at(attrLinkageName, formString, "_Znonsense")),
		code(tagSubprogram, 0x1500, 0x100, at(attrLinkageName, formString, "_ZZ4mainENKUlvE_clEv")),
	)}
	x := openBytes(t, w.elf().bytes())
	for pc, want := range map[uint32]string{
		0x1000: "fleet::Motor::start:0",
		0x1100: "fleet::Motor::stop:0",
		0x1200: "fleet::(anonymous namespace)::hidden:0",
		0x1300: "app_main:0",
		0x1400: "odd:0",
		0x1500: "main::{lambda()#1}::operator():0",
	} {
		if got := chain(x, pc); got != want {
			t.Errorf("%#x: %s, want %s", pc, got, want)
		}
	}
}

func TestDemangleIsBounded(t *testing.T) {
	long := "_Z" + strings.Repeat("1a", maxMangled)
	if got := Demangle(long); got != long {
		t.Errorf("%d bytes", len(got))
	}
	// Each substitution doubles the name: 30 of them would be a gigabyte.
	bomb := "_Z1f"
	bomb += "St4pairIiiE"
	for i := range 30 {
		bomb += "St4pairIS" + string("0123456789ABCDEFGHIJKLMNOPQRSTU"[min(i, 30)]) + "_S" + string("0123456789ABCDEFGHIJKLMNOPQRSTU"[min(i, 30)]) + "_E"
	}
	if got := demangled(bomb); len(got) > 1<<maxDemangled {
		t.Errorf("%d bytes", len(got))
	}
	for in, want := range map[string]string{
		"app_main":                "app_main",
		"_Z3fooIiEvT_":            "foo<int>",
		"_ZN5fleet5Motor5startEi": "fleet::Motor::start",
		"_ZNK5fleet5Motor3getEv":  "fleet::Motor::get",
		"_ZN5MotorD1Ev":           "Motor::~Motor",
	} {
		if got := Demangle(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
