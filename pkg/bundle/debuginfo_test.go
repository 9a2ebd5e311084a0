package bundle

import (
	"strings"
	"testing"
	"testing/iotest"
)

func TestAnELFWithoutDebugInformationIsSeenWithoutParsingIt(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	for name, c := range map[string]struct {
		elf  string
		want bool
	}{
		"empty":              {"", false},
		"stripped":           {"\x7fELF .symtab\x00.strtab\x00.debug_line\x00", false},
		"described":          {"\x7fELF .debug_info\x00", true},
		"compressed by gold": {"\x7fELF .zdebug_info\x00", true},
		"across two reads":   {long[:len(long)-4] + ".debug_info\x00", true},
		"far behind":         {long + long + long + ".debug_info\x00", true},
		"cut off":            {long + ".debug_info", false},
	} {
		if got, err := hasDebugInfo(strings.NewReader(c.elf)); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := hasDebugInfo(iotest.OneByteReader(strings.NewReader("....debug_info\x00"))); err != nil || !got {
		t.Errorf("byte by byte: %v, %v", got, err)
	}
}
