package symbol

import (
	"debug/elf"
	"testing"
)

func symbolELF() *elfWriter {
	w := &elfWriter{machine: Xtensa}
	w.code(0x1000, make([]byte, 0x2000))
	w.sections = append(w.sections, testSection{name: ".bss", typ: elf.SHT_NOBITS, flags: elf.SHF_ALLOC, addr: 0x8000, size: 0x100})
	w.function("first", 0x1000, 0x20)
	w.function("second", 0x1040, 0x20)
	w.symbols = append(w.symbols,
		testSymbol{name: "label", addr: 0x1060, typ: elf.STT_NOTYPE, bind: elf.STB_GLOBAL},
		testSymbol{name: ".Llocal", addr: 0x1070, typ: elf.STT_NOTYPE},
		testSymbol{name: "$x", addr: 0x1071, typ: elf.STT_NOTYPE},
		testSymbol{name: "file.c", addr: 0x1072, typ: elf.STT_FILE},
		testSymbol{name: "ets_printf", addr: 0x40007d54, typ: elf.STT_NOTYPE, bind: elf.STB_GLOBAL, absolute: true},
		testSymbol{name: "_sram1_iram_len", typ: elf.STT_NOTYPE, bind: elf.STB_GLOBAL, absolute: true},
		testSymbol{name: "_within_code", addr: 0x1030, typ: elf.STT_NOTYPE, bind: elf.STB_GLOBAL, absolute: true},
		testSymbol{name: "twin", addr: 0x8000, size: 8, typ: elf.STT_OBJECT},
		testSymbol{name: "twin", addr: 0x8010, size: 8, typ: elf.STT_OBJECT, bind: elf.STB_GLOBAL},
		testSymbol{name: "_bss_start", addr: 0x8000, typ: elf.STT_NOTYPE, bind: elf.STB_GLOBAL},
		testSymbol{name: "_bss_end", addr: 0x8020, typ: elf.STT_NOTYPE, bind: elf.STB_GLOBAL},
		testSymbol{name: "_ZN5fleet5Motor5startEi", addr: 0x2800, size: 4, typ: elf.STT_FUNC, bind: elf.STB_GLOBAL},
	)
	return w
}

func TestFunctionNamesNoCodeAfterWhatHappensToLieBeforeIt(t *testing.T) {
	x := openBytes(t, symbolELF().bytes())
	for pc, want := range map[uint32]string{
		0x0fff:             "",
		0x1000:             "first",
		0x101f:             "first",
		0x1020:             "", // a gap
		0x1030:             "", // a number that happens to be an address of code
		0x1040:             "second",
		0x1060:             "label",
		0x1080:             "label", // the assembler's own labels do not count
		0x1060 + 1<<10 - 1: "label",
		0x1060 + 1<<10:     "",
		0x8000:             "", // no function
		0x0:                "",
		0x40007d54:         "", // a number that a linker script knows
	} {
		s, ok := x.Function(pc)
		if s.Name != want || ok != (want != "") {
			t.Errorf("%#x: %q, want %q", pc, s.Name, want)
		}
	}
}

func TestLookupPrefersTheGlobalOfTwo(t *testing.T) {
	x := openBytes(t, symbolELF().bytes())
	if s, ok := x.Lookup("twin"); !ok || s.Addr != 0x8010 || s.Size != 8 {
		t.Errorf("%+v", s)
	}
	for _, name := range []string{"", "twi", "twins", "absent", ".Llocal"} {
		if s, ok := x.Lookup(name); ok {
			t.Errorf("%q: %+v", name, s)
		}
	}
}

func TestSymbolicPrintsAnAddressAsGDBDoes(t *testing.T) {
	x := openBytes(t, symbolELF().bytes())
	for addr, want := range map[uint32]string{
		0x1000:     "<first>",
		0x1004:     "<first+4>",
		0x1030:     "",
		0x8000:     "<twin>",
		0x8014:     "<twin+4>",
		0x8024:     "", // a label in data is no variable
		0x1064:     "<label+4>",
		0x2800:     "<fleet::Motor::start(int)>",
		0x9000:     "",
		0x40007d54: "", // outside of the program
	} {
		if got := x.symbolic(addr); got != want {
			t.Errorf("%#x: %q, want %q", addr, got, want)
		}
	}
}

func TestFramesFallsBackToTheSymbolTable(t *testing.T) {
	x := openBytes(t, symbolELF().bytes())
	if f := x.Frames(0x2801); len(f) != 1 || f[0].Function != "fleet::Motor::start" || f[0].File != "" || f[0].Line != 0 {
		t.Errorf("%+v", f)
	}
	if f := x.Frames(0x1020); f != nil {
		t.Errorf("%+v", f)
	}
	if a := x.Args(Frame{Function: "first"}, &State{}); a != nil {
		t.Errorf("%+v", a)
	}
}
