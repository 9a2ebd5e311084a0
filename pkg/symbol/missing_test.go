package symbol

import (
	"debug/elf"
	"fmt"
	"strings"
	"testing"
)

func TestMissingNamesWhatIsInOtherFiles(t *testing.T) {
	linked := symbolELF()
	linked.add(".gnu_debuglink", join("pump.debug", words(0)))
	alt := inlinedUnit(4).elf()
	alt.add(".gnu_debugaltlink", join("../.dwz/fleet", 1, 2, 3))
	packed := inlinedUnit(4).elf()
	packed.sections = append(packed.sections, testSection{
		name: ".debug_str", typ: elf.SHT_PROGBITS, flags: elf.SHF_COMPRESSED, data: words(99, 4, 1, 0),
	})
	for name, c := range map[string]struct {
		x    *Index
		want string
	}{
		"all is there":    {built(t, "lambdas-gcc-Og"), ""},
		"stripped":        {built(t, "objcopy--strip-debug"), "no debug information (it was stripped"},
		"a link":          {openBytes(t, linked.bytes()), `it is in "pump.debug"`},
		"dwz":             {openBytes(t, alt.bytes()), `in "../.dwz/fleet" (dwz)`},
		"unknown packing": {openBytes(t, packed.bytes()), "cannot be unpacked: .debug_str"},
		"split, 4":        {built(t, "split-4"), `in "pump.dwo" (split DWARF)`},
		"split, 5":        {built(t, "split-5"), `in "pump.dwo" (split DWARF)`},
		"no code":         {built(t, "objcopy--only-keep-debug"), "no code (objcopy --only-keep-debug"},
		"zlib":            {built(t, "objcopyzlib"), ""},
		"zstd":            {built(t, "objcopyzstd"), ""},
	} {
		got := strings.Join(c.x.Missing(), "; ")
		if !strings.Contains(got, c.want) || c.want == "" && got != "" || strings.Contains(got, "; ") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// place is what a build says of the address of a function.
func place(t *testing.T, x *Index, function string) string {
	t.Helper()
	s, ok := x.Lookup(function)
	f := x.Frames(s.Addr)
	if !ok || len(f) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s %s:%d", f[0].Function, f[0].File, f[0].Line)
}

func TestWhatPeopleDoToAnELFLeavesItsLines(t *testing.T) {
	for build, want := range map[string]string{
		"objcopy--only-keep-debug": "panic_abort /src/pump/pump.cpp:15",
		"objcopyzlib":              "panic_abort /src/pump/pump.cpp:15",
		"objcopyzstd":              "panic_abort /src/pump/pump.cpp:15",
		"split-4":                  "panic_abort /src/pump/pump.cpp:15",
		"split-5":                  "panic_abort /src/pump/pump.cpp:15",
		"objcopy--strip-debug":     "panic_abort :0",
	} {
		if got := place(t, built(t, build), "panic_abort"); got != want {
			t.Errorf("%s: %s, want %s", build, got, want)
		}
	}
}

func TestCodeWithoutBytesIsStillCode(t *testing.T) {
	x := built(t, "objcopy--only-keep-debug")
	s, _ := x.Lookup("panic_abort")
	var b [4]byte
	if !x.Executable(s.Addr) || x.HasCode() || x.Text(s.Addr, b[:]) {
		t.Errorf("executable %v, code %v", x.Executable(s.Addr), x.HasCode())
	}
	if whole := built(t, "objcopyzstd"); !whole.HasCode() || !whole.Text(s.Addr, b[:]) {
		t.Error("the whole one has code")
	}
}

func TestAZstandardSectionThatClaimsTooMuchIsNotUnpacked(t *testing.T) {
	b := builtBytes(t, "objcopyzstd")
	x := openBytes(t, b)
	for _, claim := range []uint32{0xffffffff, maxInflated, 1} {
		// Each compressed section begins with its type; that of .debug_info is found by what it holds unpacked.
		at := strings.Index(string(b), string(words(zstandard, uint32(x.info.size))))
		if at < 0 {
			t.Fatal("no such section")
		}
		c := append([]byte(nil), b...)
		le.PutUint32(c[at+4:], claim)
		y := openBytes(t, c)
		if claim == 1 {
			if len(y.units) != 0 {
				t.Errorf("%d units of a byte", len(y.units))
			}
			continue
		}
		if y.info != nil || !strings.Contains(strings.Join(y.Missing(), "; "), "cannot be unpacked: .debug_info") {
			t.Errorf("%#x: %q", claim, y.Missing())
		}
	}
}
