package symbol

import (
	"bytes"
	"runtime"
	"testing"
)

// stepsOf is how many steps the last question of some work has counted: a measure of its cost that is the same on every
// machine.
func stepsOf(x *Index, work func()) int {
	work()
	return maxEffort - x.effort
}

// tires fails a test in which the bound of a question was not reached: the product of two sizes was then not counted, and
// nothing would have ended it.
func tires(t *testing.T, x *Index, work func()) {
	t.Helper()
	if steps := stepsOf(x, work); steps < maxEffort || steps > maxEffort+maxEffort/64 {
		t.Errorf("%d steps were counted, want %d", steps, maxEffort)
	}
}

func TestManyInlinedCallsThatShareOneLongRangeListAreNoProduct(t *testing.T) {
	f := code(tagSubprogram, 0x1000, 0x100, named("f"))
	for range 20000 {
		f.children = append(f.children, tree(tagInlinedSubroutine, at(attrRanges, formSecOffset, 0)))
	}
	w := &dwarfWriter{version: 4, ranges: bytes.Repeat(words(0x500, 0x501), 100000), root: code(tagCompileUnit, 0x1000, 0x1000, f)}
	x := openBytes(t, w.elf().bytes())
	tires(t, x, func() {
		if got := chain(x, 0x1010); got != "f:0" {
			t.Error(got)
		}
	})
}

func TestALocationListThatIsAskedForAgainAndAgainIsNoProduct(t *testing.T) {
	i := intType()
	f := code(tagSubprogram, 0x1000, 0x100, named("f"), at(attrFrameBase, formSecOffset, 0))
	for range maxArguments {
		f.children = append(f.children, param("x", i, located(bytes.Repeat([]byte{opFbreg, 0, opDrop}, 300), opLit0, opStackValue)))
	}
	w := &dwarfWriter{version: 4, loc: bytes.Repeat(join(words(0x500, 0x501), 0, 0), 100000), root: code(tagCompileUnit, 0x1000, 0x1000, i, f)}
	x := openBytes(t, w.elf().bytes())
	s := stateWith(0, 0)
	s.Lookup = 0x1010
	frame := x.Frames(s.Lookup)[0]
	steps := stepsOf(x, func() {
		if got := x.Args(frame, s); len(got) != maxArguments {
			t.Errorf("%d arguments", len(got))
		}
	})
	if steps < 100000 || steps > 8*100000 { // asked for 300 times by each of the arguments, it is gone through a few times
		t.Errorf("%d steps were counted for a list of 100000 entries", steps)
	}
}

func TestLineTablesOfAllUnitsAreNotKeptTogether(t *testing.T) {
	const units = 6
	lines := newLines(4)
	lines.setAddress(0x1000).op(bytes.Repeat([]byte{33}, 1<<20)).end(4) // a row of 12 bytes for each byte
	program := lines.bytes()
	var info, abbrev []byte
	for i := range units {
		d := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000+0x100*i, 0x100, at(attrStmtList, formData4, i*len(program)),
			code(tagSubprogram, 0x1000+0x100*i, 0x100, named("f")))}
		var unit []byte
		unit, abbrev = d.unit()
		info = append(info, unit...)
	}
	e := &elfWriter{machine: RISCV}
	e.code(0x1000, make([]byte, 0x1000))
	e.add(".debug_info", info)
	e.add(".debug_abbrev", abbrev)
	e.add(".debug_line", bytes.Repeat(program, units))
	b := e.bytes()
	x, err := Open(mapped(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range uint32(units) {
		if f := x.Frames(0x1010 + 0x100*i); len(f) != 1 || f[0].Line == 0 {
			t.Errorf("%+v", f)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > cacheLimit+cacheLimit/4 || x.cached > cacheLimit {
		t.Errorf("%d bytes are held, %d counted", grown, x.cached)
	}
	runtime.KeepAlive(b)
}
