package espcore

import (
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// Chip is the id that ESP-IDF gives a chip (esp_chip_id_t), in the upper half of a container's version. It can lie; the
// architecture comes from the ELF header.
type Chip uint16

var chips = map[Chip]struct {
	name    string
	machine symbol.Machine
}{
	0:  {"ESP32", symbol.Xtensa},
	2:  {"ESP32-S2", symbol.Xtensa},
	9:  {"ESP32-S3", symbol.Xtensa},
	5:  {"ESP32-C3", symbol.RISCV},
	12: {"ESP32-C2", symbol.RISCV},
	13: {"ESP32-C6", symbol.RISCV},
	16: {"ESP32-H2", symbol.RISCV},
	18: {"ESP32-P4", symbol.RISCV},
	20: {"ESP32-C61", symbol.RISCV},
	23: {"ESP32-C5", symbol.RISCV},
	25: {"ESP32-H21", symbol.RISCV},
	28: {"ESP32-H4", symbol.RISCV},
	32: {"ESP32-S31", symbol.RISCV},
}

// String is the chip's name as Espressif writes it; a chip that this package does not know shall not wait for a new
// release.
func (c Chip) String() string {
	if known, ok := chips[c]; ok {
		return known.name
	}
	return fmt.Sprintf("unknown chip %d", uint16(c))
}

// revision is how ESP-IDF writes a chip's revision, which it keeps as major * 100 + minor.
func revision(v uint32) string { return fmt.Sprintf("v%d.%d", v/100, v%100) }

// inROM reports whether code at pc is in the mask ROM of a chip. On the P4 flash is mapped where others have their ROM:
// ask for the ELF's code first.
func inROM(pc uint32) bool {
	const (
		low, lowEnd = 0x40000000, 0x40090000 // all but the P4; the C2 has the largest, 576 KiB
		p4, p4End   = 0x4FC00000, 0x4FC20000
	)
	return pc >= low && pc < lowEnd || pc >= p4 && pc < p4End
}
