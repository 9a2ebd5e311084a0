package symbol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// lineWriter writes a line number program with opcode base 13, line base -5, line range 14.
type lineWriter struct {
	version int
	dirs    []string
	files   []string // the first lies in the unit's directory, the others in dirs[0]
	program []byte
}

func (w *lineWriter) op(b ...any) *lineWriter {
	w.program = append(w.program, join(b...)...)
	return w
}

func (w *lineWriter) setAddress(a uint32) *lineWriter { return w.op(0, 5, 2, words(a)) }
func (w *lineWriter) discriminator(n int) *lineWriter { return w.op(0, 2, 4, n) }
func (w *lineWriter) file(n int) *lineWriter          { return w.op(4, n) }
func (w *lineWriter) negate() *lineWriter             { return w.op(6) }

// row advances by address and line and takes a row.
func (w *lineWriter) row(addr, line int) *lineWriter {
	return w.op(2, binary.AppendUvarint(nil, uint64(addr)), 3, appendSleb(nil, int64(line)), 1)
}

func (w *lineWriter) end(addr int) *lineWriter {
	return w.op(2, binary.AppendUvarint(nil, uint64(addr)), 0, 1, 1)
}

func (w *lineWriter) bytes() []byte {
	lengths := []byte{0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1}
	rest := join(1) // shortest instruction
	if w.version >= 4 {
		rest = append(rest, 1)
	}
	rest = join(rest, 1, 0xfb, 14, 13, lengths)
	if w.version >= 5 {
		rest = join(rest, 1, 1, formString, len(w.dirs)+1, "/build")
		for _, d := range w.dirs {
			rest = join(rest, d)
		}
		rest = join(rest, 2, 1, formString, 2, formUdata, len(w.files)+1, w.files[0], 0)
		for i, f := range w.files {
			rest = append(rest, join(f, min(i, 1))...)
		}
	} else {
		for _, d := range w.dirs {
			rest = join(rest, d)
		}
		rest = join(rest, 0)
		for i, f := range w.files {
			rest = append(rest, join(f, min(i, 1), 0, 0)...)
		}
		rest = join(rest, 0)
	}
	out := le.AppendUint16([]byte{0, 0, 0, 0}, uint16(w.version))
	if w.version >= 5 {
		out = append(out, 4, 0)
	}
	out = join(le.AppendUint32(out, uint32(len(rest))), rest, w.program)
	le.PutUint32(out, uint32(len(out)-4))
	return out
}

func newLines(version int) *lineWriter {
	return &lineWriter{version: version, dirs: []string{"inc"}, files: []string{"main.c", "port.h"}}
}

// index puts the program into an ELF with one function.
func (w *lineWriter) index(t testing.TB) *Index {
	d := &dwarfWriter{version: w.version, line: w.bytes(), root: code(tagCompileUnit, 0x1000, 0x1000,
		at(attrStmtList, formData4, 0), at(attrCompDir, formString, "/build"),
		code(tagSubprogram, 0x1000, 0x1000, named("f")))}
	return openBytes(t, d.elf().bytes())
}

// lineAt is "file:line" of an address.
func lineAt(t testing.TB, x *Index, pc uint32) string {
	t.Helper()
	f := x.Frames(pc)
	if len(f) != 1 {
		t.Fatalf("%#x: %+v", pc, f)
	}
	return fmt.Sprintf("%s:%d", f[0].File, f[0].Line)
}

func TestLineTablesOfEachVersionAreRead(t *testing.T) {
	for _, version := range []int{2, 3, 4, 5} {
		w := newLines(version)
		w.setAddress(0x1000).row(0, 9).file(2).row(4, 100).op(13+14*2+5+3).op(8).op(9, le.AppendUint16(nil, 2)).op(1).end(4)
		x := w.index(t)
		for pc, want := range map[uint32]string{
			0x1000: "/build/main.c:10",
			0x1003: "/build/main.c:10",
			0x1004: "/build/inc/port.h:110",
			0x1006: "/build/inc/port.h:113", // a special opcode: 2 on, 3 lines
			0x1018: "/build/inc/port.h:113", // const_add_pc takes 17, fixed_advance_pc 2
			0x1019: "/build/inc/port.h:113",
			0x101d: ":0", // behind the sequence
			0x0fff: "",
		} {
			if want == "" {
				if f := x.Frames(pc); f != nil {
					t.Errorf("version %d: %#x: %+v", version, pc, f)
				}
			} else if got := lineAt(t, x, pc); got != want {
				t.Errorf("version %d: %#x: %s, want %s", version, pc, got, want)
			}
		}
	}
}

func TestLinesAreChosenAsGDBChoosesThem(t *testing.T) {
	for name, c := range map[string]struct {
		write func(w *lineWriter)
		pc    uint32
		want  string
	}{
		"a row of the same line after a discriminator is dropped": {
			func(w *lineWriter) { w.discriminator(1).row(0, 4).row(4, 0).file(1).row(4, 1).end(8) }, 0x1004, "main.c:5",
		},
		"of several rows at an address the last": {
			func(w *lineWriter) { w.row(0, 4).row(0, 1).row(0, 1).end(8) }, 0x1002, "main.c:7",
		},
		"but one that begins a statement is preferred": {
			func(w *lineWriter) { w.row(0, 4).negate().row(0, 1).row(0, 1).end(8) }, 0x1002, "main.c:5",
		},
		"only among those of the address itself": {
			func(w *lineWriter) { w.row(0, 4).negate().row(2, 1).end(8) }, 0x1003, "main.c:6",
		},
		"a change of file takes the address over": {
			func(w *lineWriter) { w.row(0, 4).file(2).row(0, 1).end(8) }, 0x1000, "port.h:6",
		},
		"unless it does not begin a statement and another row does": {
			func(w *lineWriter) { w.row(0, 4).negate().file(2).row(0, 1).end(8) }, 0x1000, "main.c:5",
		},
		"line 0 leaves the line before": {
			func(w *lineWriter) { w.row(0, 4).row(2, -5).end(8) }, 0x1004, "main.c:5",
		},
		"rows without an instruction at the end vanish": {
			func(w *lineWriter) { w.row(0, 4).row(8, 1).end(0) }, 0x1008, ":0",
		},
		"a gap between sequences has no line": {
			func(w *lineWriter) { w.row(0, 4).end(4).setAddress(0x1010).row(0, 20).end(4) }, 0x1008, ":0",
		},
		"sequences need not be in order": {
			func(w *lineWriter) {
				w.setAddress(0x1010).row(0, 20).end(4).setAddress(0x1000).row(0, 4).end(16)
			}, 0x1010, "main.c:21",
		},
		"a dropped function at 0 does not count": {
			func(w *lineWriter) { w.row(0, 4).end(4).setAddress(0).row(0, 50).end(0x3000) }, 0x1002, "main.c:5",
		},
	} {
		w := newLines(4)
		c.write(w.setAddress(0x1000))
		got := lineAt(t, w.index(t), c.pc)
		if i := bytes.LastIndexByte([]byte(got), '/'); i >= 0 {
			got = got[i+1:]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestALineHeaderThatLiesYieldsNoLines(t *testing.T) {
	good := newLines(5)
	good.setAddress(0x1000).row(0, 9).end(4)
	b := good.bytes()
	dirs := bytes.Index(b, []byte{1, 1, formString, 2})
	for name, change := range map[string]func(b []byte){
		"line range 0":                   func(b []byte) { b[16] = 0 },
		"header longer than the section": func(b []byte) { le.PutUint32(b[8:], 1<<20) },
		"version 6":                      func(b []byte) { b[4] = 6 },
		"longer than the section":        func(b []byte) { le.PutUint32(b, 1<<20) },
		"reserved length":                func(b []byte) { le.PutUint32(b, 0xfffffff3) },
	} {
		c := bytes.Clone(b)
		change(c)
		d := &dwarfWriter{version: 5, line: c, root: code(tagCompileUnit, 0x1000, 0x1000, at(attrStmtList, formSecOffset, 0),
			code(tagSubprogram, 0x1000, 0x1000, named("f")))}
		if got := lineAt(t, openBytes(t, d.elf().bytes()), 0x1000); got != ":0" {
			t.Errorf("%s: %s", name, got)
		}
	}
	// Entries without content would take no bytes, and their number is free: that is no reason to count to 2^64.
	b[dirs] = 0
	d := &dwarfWriter{version: 5, line: b, root: code(tagCompileUnit, 0x1000, 0x1000, at(attrStmtList, formSecOffset, 0),
		code(tagSubprogram, 0x1000, 0x1000, named("f")))}
	openBytes(t, d.elf().bytes()).Frames(0x1000)
}

func TestPathsThatRepeatOneLongDirectoryAreBounded(t *testing.T) {
	w := newLines(4)
	w.dirs[0] = "/" + string(bytes.Repeat([]byte("d"), 4000))
	for range 20000 {
		w.files = append(w.files, "f")
	}
	w.setAddress(0x1000).row(0, 9).end(4)
	x := w.index(t)
	table := x.units[0].lineTable()
	total := 0
	for _, f := range table.files {
		total += len(f)
	}
	if total > maxPathBytes || lineAt(t, x, 0x1000) != "/build/main.c:10" {
		t.Errorf("%d bytes of paths", total)
	}
}

func TestJoinKnowsPathsOfOtherSystems(t *testing.T) {
	h := lineHeader{dirs: []string{"/build", "C:/idf/components", "rel"}}
	for _, c := range []struct {
		dir        uint64
		name, want string
	}{
		{0, "main.c", "/build/main.c"}, {0, "../main/x.c", "/main/x.c"}, {1, "port.c", "C:/idf/components/port.c"},
		{0, "/abs/./x.c", "/abs/x.c"}, {0, `D:\work\x.c`, `D:\work\x.c`}, {9, "lost.c", "lost.c"}, {0, "", ""},
	} {
		if got := h.join(c.dir, c.name); got != c.want {
			t.Errorf("%d %q: %q, want %q", c.dir, c.name, got, c.want)
		}
	}
}
