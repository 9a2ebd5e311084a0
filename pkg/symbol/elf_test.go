package symbol

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"errors"
	"io"
	"runtime"
	"testing"
)

func TestOpenRefusesWhatIsNoELFOfAnESP32(t *testing.T) {
	good := (&elfWriter{machine: RISCV}).bytes()
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty":         {},
		"short":         good[:51],
		"magic":         change(0, 'E'),
		"64 bits":       change(4, 2),
		"big endian":    change(5, 2),
		"other machine": change(18, 3),
	} {
		x, err := Open(bytes.NewReader(b), int64(len(b)))
		if x != nil || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, x, err)
		}
	}
	if _, err := Open(bytes.NewReader(good), int64(len(good))); err != nil {
		t.Error(err)
	}
}

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestOpenReportsWhatTheReaderReports(t *testing.T) {
	if _, err := Open(brokenReader{}, 1000); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestTextReadsWhatTheFileHasAndNothingElse(t *testing.T) {
	w := &elfWriter{machine: Xtensa}
	w.code(0x1000, []byte("abcd"))
	w.sections = append(w.sections,
		testSection{name: ".rodata", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, addr: 0x1004, data: []byte("efgh")},
		testSection{name: ".bss", typ: elf.SHT_NOBITS, flags: elf.SHF_ALLOC | elf.SHF_WRITE, addr: 0x1008, size: 16},
		testSection{name: ".top", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, addr: 0xfffffffe, data: []byte("yz")},
		testSection{name: ".over", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, addr: 0xffffffff, data: []byte("over")},
	)
	b := w.bytes()
	inPlace, err := Open(mapped(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Index{openBytes(t, b), inPlace} {
		for _, c := range []struct {
			addr uint32
			n    int
			want string
		}{
			{0x1000, 4, "abcd"}, {0x1002, 4, "cdef"}, {0x1007, 1, "h"}, {0x1007, 2, ""}, {0x1008, 1, ""}, {0xfff, 2, ""},
			{0xfffffffe, 2, "yz"}, {0xffffffff, 2, ""},
		} {
			buf := make([]byte, c.n)
			if ok := x.Text(c.addr, buf); ok != (c.want != "") || ok && string(buf) != c.want {
				t.Errorf("%#x: %v %q, want %q", c.addr, ok, buf, c.want)
			}
		}
		if x.Machine() != Xtensa || !x.Executable(0x1003) || x.Executable(0x1004) || x.Executable(0x1008) {
			t.Error("only the code is executable")
		}
	}
}

func TestSegmentsServeAFileWithoutSections(t *testing.T) {
	w := &elfWriter{machine: RISCV, segments: []testSegment{
		{off: 0, addr: 0x4000, size: 16, flags: 5},
		{off: 4, addr: 0x4008, size: 16, flags: 4}, // overlaps
		{off: 0, addr: 0x8000, size: 1 << 30, flags: 5},
	}}
	b := w.bytes()
	le.PutUint32(b[32:], 0) // no sections
	x := openBytes(t, b)
	buf := make([]byte, 16)
	if !x.Text(0x4000, buf) || !bytes.HasPrefix(buf, []byte("\x7fELF")) {
		t.Errorf("%q", buf)
	}
	if !x.Executable(0x400f) || x.Executable(0x4010) || x.Text(0x8000, buf) {
		t.Error("the first of two overlapping segments wins, and one that is longer than the file is none")
	}
	if !x.Text(0x4010, buf[:8]) || !bytes.Equal(buf[:8], b[12:20]) {
		t.Errorf("%q: what lies behind the overlap is the second one's", buf[:8])
	}
}

func TestSixtyFiveThousandProgramHeadersAreNoBurden(t *testing.T) {
	w := &elfWriter{machine: RISCV}
	for range 65535 {
		w.segments = append(w.segments, testSegment{off: 0, addr: 0x4000, size: 64, flags: 5})
	}
	b := w.bytes()
	le.PutUint32(b[32:], 0)
	x := openBytes(t, b)
	if len(x.loaded.areas) != 1 {
		t.Errorf("%d areas", len(x.loaded.areas))
	}
	if n := testing.AllocsPerRun(100, func() { x.Executable(0x4001) }); n != 0 {
		t.Errorf("%v allocations to ask for one address", n)
	}
}

func packed(t *testing.T, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func TestCompressedSectionsAreRead(t *testing.T) {
	d := &dwarfWriter{version: 4, root: code(tagCompileUnit, 0x1000, 0x100, code(tagSubprogram, 0x1000, 0x100, named("boot")))}
	info, abbrev := d.unit()
	for name, put := range map[string]func(w *elfWriter, name string, b []byte){
		"SHF_COMPRESSED": func(w *elfWriter, name string, b []byte) {
			w.sections = append(w.sections, testSection{
				name: name, typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: join(words(1, uint32(len(b)), 1), packed(t, b)),
			})
		},
		".zdebug": func(w *elfWriter, name string, b []byte) {
			w.add(".z"+name[1:], join([]byte("ZLIB\x00\x00\x00\x00\x00\x00"), len(b)>>8, len(b), packed(t, b)))
		},
	} {
		w := &elfWriter{machine: RISCV}
		w.code(0x1000, make([]byte, 0x1000))
		put(w, ".debug_info", info)
		put(w, ".debug_abbrev", abbrev)
		x := openBytes(t, w.bytes())
		if f := x.Frames(0x1010); len(f) != 1 || f[0].Function != "boot" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestASectionThatClaims64GiBIsRefusedWithoutAllocation(t *testing.T) {
	claims := map[string]testSection{
		".zdebug, 64 GiB":       {name: ".zdebug_info", typ: elf.SHT_PROGBITS, data: join([]byte("ZLIB\x00\x00\x00\x10\x00\x00\x00\x00"), packed(t, make([]byte, 100)))},
		"SHF_COMPRESSED, 4 GiB": {name: ".debug_info", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: join(words(1, 0xffffffff, 1), packed(t, make([]byte, 100)))},
		"above the ratio":       {name: ".debug_info", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: join(words(1, 90<<20, 1), packed(t, make([]byte, 100)))},
		"unknown method":        {name: ".debug_info", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: join(words(7, 100, 1), packed(t, make([]byte, 100)))},
		"shorter than it says":  {name: ".debug_info", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: join(words(1, 101, 1), packed(t, make([]byte, 100)))},
	}
	for name, s := range claims {
		w := &elfWriter{machine: RISCV, sections: []testSection{s}}
		b := w.bytes()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		x := openBytes(t, b)
		runtime.ReadMemStats(&after)
		if x.info != nil || after.TotalAlloc-before.TotalAlloc > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

func TestASectionTableThatLiesIsNoTable(t *testing.T) {
	good := (&elfWriter{machine: RISCV, sections: []testSection{{name: ".text", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, addr: 0x1000, data: make([]byte, 16)}}}).bytes()
	for name, change := range map[string]func(b []byte){
		"too many sections": func(b []byte) { le.PutUint16(b[48:], 60000) },
		"beyond the file":   func(b []byte) { le.PutUint32(b[32:], uint32(len(b)-10)) },
		"wrong entry size":  func(b []byte) { le.PutUint16(b[46:], 41) },
		"extended number":   func(b []byte) { le.PutUint16(b[48:], 0); le.PutUint32(b[le.Uint32(b[32:])+20:], 1<<31) },
	} {
		b := bytes.Clone(good)
		change(b)
		if x := openBytes(t, b); x.Executable(0x1000) {
			t.Errorf("%s: sections were read", name)
		}
	}
	b := bytes.Clone(good)
	le.PutUint16(b[50:], 60000) // names cannot be found: the addresses still are
	if x := openBytes(t, b); !x.Executable(0x1000) {
		t.Error("a section needs no name to have code")
	}
}
