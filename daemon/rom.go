package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/slipway-gateway/slipway/pkg/decoding"
	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// romELF is the name of a ROM's ELF as Espressif releases it (espressif/esp-rom-elfs): esp32c3_rev3_rom.elf is for chips
// from revision v0.3 on, esp32_rev300_rom.elf from v3.0.
var romELF = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(esp32[a-z0-9]*)_rev([0-9]{1,5})_rom\.elf$`) })

// rom names functions of a chip's mask ROM.
type rom struct{ index *symbol.Index }

// openROM finds the ELF for a chip: that of the latest revision which is not after the chip's own.
func openROM(folder, chip, revision string) (*rom, error) {
	if chip == "" {
		return nil, usagef("the dump does not name its chip, which --rom needs: use --chip")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	target := strings.ToLower(strings.ReplaceAll(chip, "-", ""))
	best, bestRevision := "", -1
	for _, e := range entries {
		m := romELF().FindStringSubmatch(e.Name())
		if m == nil || m[1] != target {
			continue
		}
		r, _ := strconv.Atoi(m[2]) // the pattern lets at most five digits through
		if r > bestRevision && (revision == "" || r <= revisionNumber(revision)) {
			best, bestRevision = filepath.Join(folder, e.Name()), r
		}
	}
	if best == "" {
		return nil, fmt.Errorf("%s has no ROM ELF for %s %s, such as %s_rev0_rom.elf", folder, chip, revision, target)
	}
	elf, err := decoding.MapFile(best)
	if err != nil {
		return nil, err
	}
	index, err := symbol.Open(elf, elf.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", best, err)
	}
	return &rom{index}, nil
}

// revisionNumber is how the file names have a revision: v3.1 is 301.
func revisionNumber(revision string) int {
	var major, minor int
	if _, err := fmt.Sscanf(revision, "v%d.%d", &major, &minor); err != nil {
		return 0
	}
	return major*100 + minor
}

// name is the function that covers pc.
func (r *rom) name(pc uint32) (string, bool) {
	s, ok := r.index.Function(pc)
	return s.Name, ok
}
