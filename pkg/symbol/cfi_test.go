package symbol

import (
	"debug/elf"
	"fmt"
	"strings"
	"testing"
)

// frameSection writes a CIE and one FDE for 0x1000 to 0x1100 as .debug_frame has them.
func frameSection(cie, fde []byte) []byte {
	c := join(words(0xffffffff), 3, "", 1, 0x7c, 1, cie) // code 1, data -4, return address x1
	f := join(words(0, 0x1000, 0x100), fde)
	return join(words(uint32(len(c))), c, words(uint32(len(f))), f)
}

func frameIndexOf(t testing.TB, section string, data []byte) *Index {
	w := &elfWriter{machine: RISCV}
	w.code(0x1000, make([]byte, 0x1000))
	w.sections = append(w.sections, testSection{name: section, typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, addr: 0x9000, data: data})
	return openBytes(t, w.bytes())
}

// rulesText is a row in a few words.
func rulesText(r Rules) string {
	s := []string{fmt.Sprintf("cfa=x%d%+d", r.cfa.reg, r.cfa.num)}
	if r.cfa.kind == IsExpression {
		s[0] = "cfa=expression"
	}
	for n, rule := range r.regs {
		switch rule.kind {
		case AtCFA:
			s = append(s, fmt.Sprintf("x%d@%+d", n, rule.num))
		case CFAPlus:
			s = append(s, fmt.Sprintf("x%d=cfa%+d", n, rule.num))
		case InRegister:
			s = append(s, fmt.Sprintf("x%d=x%d", n, rule.reg))
		case Undefined:
			s = append(s, fmt.Sprintf("x%d?", n))
		case SameValue:
			s = append(s, fmt.Sprintf("x%d=", n))
		case AtExpression:
			s = append(s, fmt.Sprintf("x%d@expression", n))
		case IsExpression:
			s = append(s, fmt.Sprintf("x%d=expression", n))
		}
	}
	return strings.Join(s, " ")
}

func TestCFIRunsEachInstruction(t *testing.T) {
	start := []byte{cfaDefCFA, 2, 0}
	for name, c := range map[string]struct {
		cie, fde []byte
		pc       uint32
		want     string
	}{
		"offset":            {start, join(cfaAdvance|2, cfaDefOffset, 16, cfaOffset|1, 1, cfaOffset|8, 2), 0x1002, "cfa=x2+16 x1@-4 x8@-8"},
		"before it":         {start, join(cfaAdvance|2, cfaDefOffset, 16, cfaOffset|1, 1), 0x1001, "cfa=x2+0"},
		"advance 1 2 4":     {start, join(cfaAdvance1, 4, cfaAdvance2, 4, 0, cfaAdvance4, words(4), cfaDefOffset, 16), 0x100c, "cfa=x2+16"},
		"set_loc":           {start, join(cfaSetLoc, words(0x1010), cfaDefOffset, 16), 0x1010, "cfa=x2+16"},
		"register alone":    {join(cfaDefRegister, 2), join(cfaNop), 0x1000, "cfa=x2+0"},
		"remember, restore": {start, join(cfaDefOffset, 16, cfaOffset|1, 1, cfaRemember, cfaDefOffset, 0, cfaRestore|1, cfaAdvance|2, cfaRestoreState), 0x1002, "cfa=x2+16 x1@-4"},
		"restored":          {start, join(cfaOffset|1, 1, cfaRestore|1), 0x1000, "cfa=x2+0"},
		"restored to cie":   {join(start, cfaOffset|9, 3), join(cfaOffsetExt, 9, 1, cfaRestoreExt, 9), 0x1000, "cfa=x2+0 x9@-12"},
		"signed":            {start, join(cfaOffsetSF, 8, 0x7f, cfaDefCFASF, 8, 0x7e, cfaDefOffsetSF, 0x7c, cfaGNUNegOffset, 9, 1), 0x1000, "cfa=x8+16 x8@+4 x9@+4"},
		"others":            {start, join(cfaUndefined, 1, cfaSameValue, 8, cfaRegister, 9, 10, cfaValOffset, 18, 2, cfaValOffsetSF, 19, 0x7f), 0x1000, "cfa=x2+0 x1? x8= x9=x10 x18=cfa-8 x19=cfa+4"},
		"expressions":       {start, join(cfaDefExpression, 2, opBreg0+2, 4, cfaExpression, 1, 1, opLit0, cfaValExpression, 8, 1, opLit0, cfaGNUArgsSize, 4), 0x1000, "cfa=expression x1@expression x8=expression"},
		"columns beyond":    {start, join(cfaOffsetExt, 0xff, 0x7f, 1), 0x1000, "cfa=x2+0"},
	} {
		r, ok := frameIndexOf(t, ".debug_frame", frameSection(c.cie, c.fde)).CFI(c.pc)
		if got := rulesText(r); !ok || got != c.want || r.Return != 1 {
			t.Errorf("%s: %v %s, want %s", name, ok, got, c.want)
		}
	}
}

func TestCFIGivesNothingForWhatItCannotRun(t *testing.T) {
	start := []byte{cfaDefCFA, 2, 0}
	for name, fde := range map[string][]byte{
		"unknown":                      {0x3f},
		"cut":                          {cfaDefCFA, 2},
		"restore without remember":     {cfaRestoreState},
		"remembered far too often":     []byte(strings.Repeat(string(rune(cfaRemember)), maxRemembered+1)),
		"an expression beyond its end": {cfaDefExpression, 100, 0},
	} {
		if r, ok := frameIndexOf(t, ".debug_frame", frameSection(start, fde)).CFI(0x1000); ok {
			t.Errorf("%s: %s", name, rulesText(r))
		}
	}
	x := frameIndexOf(t, ".debug_frame", frameSection(start, nil))
	for _, pc := range []uint32{0xfff, 0x1100, 0} {
		if _, ok := x.CFI(pc); ok {
			t.Errorf("%#x is not described", pc)
		}
	}
}

func TestCFIReadsEhFrameRelativeToItself(t *testing.T) {
	c := join(words(0), 1, "zRS", 1, 0x7c, 1, 1, 0x1b, cfaDefCFA, 2, 0, 0, 0, 0)
	cie := join(words(uint32(len(c))), c)
	pcAt := uint32(len(cie) + 8)
	f := join(words(uint32(len(cie)+4), 0x1000-(0x9000+pcAt), 0x100), 0, cfaDefOffset, 32, 0)
	data := join(cie, words(uint32(len(f))), f, words(0))
	r, ok := frameIndexOf(t, ".eh_frame", data).CFI(0x1010)
	if !ok || rulesText(r) != "cfa=x2+32" || !r.Signal {
		t.Errorf("%v %s", ok, rulesText(r))
	}
}

func TestUnwindRestoresWhatTheRowSays(t *testing.T) {
	row := join(cfaDefOffset, 16, cfaOffset|1, 1, cfaOffset|8, 2, cfaUndefined, 9, cfaRegister, 18, 10, cfaValOffset, 19, 1,
		cfaValExpression, 20, 2, opPlusUint, 8, cfaExpression, 21, 2, opLit0+8, opMinus)
	x := frameIndexOf(t, ".debug_frame", frameSection([]byte{cfaDefCFA, 2, 0}, row))
	s := &State{PC: 0x1010, Lookup: 0x1010}
	for n, v := range map[int]uint32{2: 0x8000, 9: 9, 10: 0x10, 22: 22} {
		s.Registers.Set(n, v)
	}
	s.Memory = func(addr uint32, buf []byte) bool {
		if addr == 0x800c { // cfa-4
			le.PutUint32(buf, 0x1234)
			return true
		}
		return false // cfa-8 is not in the dump
	}
	rules, ok := x.CFI(s.Lookup)
	if !ok {
		t.Fatal("no row")
	}
	u, ok := x.Unwind(s, rules)
	if !ok || u.CFA != 0x8010 || !u.HasReturn || u.Return != 0x1234 {
		t.Fatalf("%+v", u)
	}
	for n, want := range map[int]uint32{1: 0x1234, 2: 0x8010, 10: 0x10, 18: 0x10, 19: 0x800c, 20: 0x8018, 22: 22} {
		if got, ok := u.Registers.Get(n); !ok || got != want {
			t.Errorf("x%d: %v %#x, want %#x", n, ok, got, want)
		}
	}
	for _, n := range []int{8, 9, 21, 31, -1, 32} {
		if got, ok := u.Registers.Get(n); ok {
			t.Errorf("x%d is known: %#x", n, got)
		}
	}
	if want := uint32(1<<1 | 1<<8 | 1<<9 | 1<<18 | 1<<19 | 1<<20 | 1<<21); u.Restored != want {
		t.Errorf("restored %b, want %b", u.Restored, want)
	}
	s.Registers.Forget(2)
	if _, ok := x.Unwind(s, rules); ok {
		t.Error("without a stack pointer there is no CFA")
	}
}
