package bundle_test

import (
	"bytes"
	"strings"
	"testing"
)

func TestAStrippedELFIsAcceptedWithAWarning(t *testing.T) {
	for _, stripped := range []bool{false, true} {
		parts := good(t)
		if stripped { // the image then names another ELF: it must say none
			parts[1].data = bytes.ReplaceAll(parts[1].data, []byte(".debug_info\x00"), []byte(".nodbg_info\x00"))
			sum := bytes.Index(parts[0].data, []byte("\x32\x54\xcd\xab"))
			clear(parts[0].data[sum+0x90 : sum+0xB0])
		}
		b, err := read(archive{parts: parts}.bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(b.Warnings, "; "), "demo.elf has no debug information"); got != stripped {
			t.Errorf("stripped %v: %q", stripped, b.Warnings)
		}
	}
}
