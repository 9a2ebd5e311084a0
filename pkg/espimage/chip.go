package espimage

import "fmt"

// Chip is the chip id of the extended header. Ids that this package does not know are read all the same: a new chip
// shall not wait for a new gateway.
type Chip uint16

// The chips whose memories are known.
const (
	ESP32    Chip = 0
	ESP32S2  Chip = 2
	ESP32C3  Chip = 5
	ESP32S3  Chip = 9
	ESP32C2  Chip = 12
	ESP32C6  Chip = 13
	ESP32H2  Chip = 16
	ESP32P4  Chip = 18
	ESP32C61 Chip = 20
	ESP32C5  Chip = 23
	ESP32H21 Chip = 25
	ESP32H4  Chip = 28
	ESP32S31 Chip = 32
)

// traits is what elf2image and image-info need to know of a chip.
type traits struct {
	name     string
	memories []memory
	flash    []span          // addresses that the flash cache maps
	freqs    map[byte]string // flash frequencies; nil: those of the ESP32
	pages    []uint32        // MMU page sizes to choose from, bytes; nil: 64 KiB fixed
}

type span struct{ start, end uint32 }

func (s span) has(address uint32) bool { return s.start <= address && address < s.end }

type memory struct {
	span
	name string
}

// String is the name as esptool and ESP-IDF's documentation have it, such as "ESP32-C3".
func (c Chip) String() string {
	if t, ok := chips[c]; ok {
		return t.name
	}
	return fmt.Sprintf("unknown chip %d", uint16(c))
}

// Known reports whether the chip's memories are known.
func (c Chip) Known() bool {
	_, ok := chips[c]
	return ok
}

// Target is the name that ESP-IDF's build settings have for the chip (CONFIG_IDF_TARGET), such as "esp32c3"; "" for
// an unknown one.
func (c Chip) Target() string {
	t, ok := chips[c]
	if !ok {
		return ""
	}
	target := make([]byte, 0, len(t.name))
	for i := range len(t.name) {
		switch b := t.name[i]; {
		case b == '-':
		case b >= 'A' && b <= 'Z':
			target = append(target, b+'a'-'A')
		default:
			target = append(target, b)
		}
	}
	return string(target)
}

// memoriesAt are the kinds of memory that an address belongs to, in esptool's order.
func (c Chip) memoriesAt(address uint32) []string {
	names := []string{}
	for _, m := range chips[c].memories {
		if m.has(address) {
			names = append(names, m.name)
		}
	}
	return names
}

func (c Chip) inFlash(address uint32) bool {
	for _, s := range chips[c].flash {
		if s.has(address) {
			return true
		}
	}
	return false
}

func (c Chip) flashFreq(code byte) string {
	if f := chips[c].freqs; f != nil {
		return f[code]
	}
	return flashFreqs[code]
}

var (
	flashModes = map[byte]string{0: "QIO", 1: "QOUT", 2: "DIO", 3: "DOUT"}
	flashSizes = map[byte]string{
		0x00: "1MB", 0x10: "2MB", 0x20: "4MB", 0x30: "8MB", 0x40: "16MB", 0x50: "32MB", 0x60: "64MB", 0x70: "128MB",
	}
	flashFreqs = map[byte]string{0x0: "40m", 0x1: "26m", 0x2: "20m", 0xF: "80m"}
)
