// Package espimage knows the ESP application image, the file that an ESP32 runs and fetches over the air: header,
// extended header, segments, app descriptor, checksum, validation hash and secure-boot signature. It reads what
// esptool's image-info prints. [Write] makes the image of an ELF as esptool's elf2image does: the gateway has no use for
// it, but whoever tests one without a toolchain has, the project's own sample firmware first.
//
// It promises to read any bytes at all without panicking, in memory that does not depend on them and in time that is
// bounded by their number. It trusts nothing in them: a checksum or hash that does not match is a fact in the result,
// while bytes that are no image, or that end too early, are a [FormatError].
//
//	offset  bytes  little endian
//	0       1      magic 0xE9
//	1       1      number of segments, at most 16
//	2       1      flash mode
//	3       1      flash size (high four bits) and frequency (low four bits)
//	4       4      entry point
//	8       16     extended header: WP pin, 6 pin drive strengths of 4 bits, chip id (2), minimal revision, minimal
//	               and maximal revision as major*100+minor (2, 2), 4 reserved, 1 when a hash is appended
//	24      8+n    segments: load address, length n, n bytes
//	32      256    the app descriptor, the first bytes of the first segment of an application
//	...            zeros up to the last byte of a block of 16, which is the checksum: 0xEF xor all segment bytes
//	+32            SHA-256 of all bytes before it
//	               at the next multiple of 4096 up to three secure-boot blocks (see [Signature])
//
// Sources: ESP-IDF's documentation "App Image Format" and bootloader_support/include/esp_app_format.h, esptool v5
// (behaviour, not code).
package espimage

import (
	"encoding/binary"
	"fmt"
)

const (
	magic          = 0xE9
	headerSize     = 24
	segmentHeader  = 8
	maxSegments    = 16 // the bootloader's limit
	checksumSeed   = 0xEF
	checksumAlign  = 16
	hashSize       = 32
	pinDisabled    = 0xEE // the WP pin of an image that leaves it to the bootloader
	descriptorAt   = headerSize + segmentHeader
	descriptorSize = 256
)

// FormatError says why bytes are no application image. Every other error of this package is the reader's own, so that
// a caller can tell a refusal from a disk that fails.
type FormatError struct {
	Reason string // such as "wrong magic 0x7f, want 0xe9"
}

func (e *FormatError) Error() string { return "no ESP application image: " + e.Reason }

func notImage(format string, args ...any) error {
	return &FormatError{Reason: fmt.Sprintf(format, args...)}
}

// Image is what an image says of itself, and whether that is true. Lengths and offsets are bytes.
type Image struct {
	Size    int64  `json:"image_size"` // of the whole file
	Type    string `json:"image_type"` // the chip's name, as esptool's "Detected image type"
	Version int    `json:"image_version"`
	Header
	Segments []Segment `json:"segments"`

	Checksum           Hex8   `json:"checksum"`
	ChecksumCalculated Hex8   `json:"checksum_calculated"`
	ChecksumValid      bool   `json:"checksum_valid"`
	HashAppended       bool   `json:"validation_hash_appended"`
	Hash               string `json:"validation_hash,omitempty"` // calculated, hex; "" when none is appended
	HashValid          bool   `json:"validation_hash_valid"`

	// What a device tells of its image, in hex: MD5 and SHA-1 of the whole file, which it compares a download with; and of the image that
	// runs, which has no signature, its MD5 (Arduino's ESP.getSketchMD5) and the hash at its end, or of all of it where there
	// is none (esp_partition_get_sha256).
	MD5           string `json:"-"`
	SHA1          string `json:"-"`
	RunningMD5    string `json:"-"`
	RunningSHA256 string `json:"-"`

	App       *App       `json:"app,omitempty"`       // nil where the image has no app descriptor
	Signature *Signature `json:"signature,omitempty"` // nil where it is not signed
}

// Header is the common header and the extended one.
type Header struct {
	Entry        Hex32  `json:"entry_point"`
	SegmentCount int    `json:"segment_count"`
	FlashSize    string `json:"flash_size"` // such as "4MB"; "" where the value is unknown
	FlashFreq    string `json:"flash_freq"` // such as "80m"
	FlashMode    string `json:"flash_mode"` // such as "DIO"

	WPPin       Hex4     `json:"wp_pin"`
	WPPinOff    bool     `json:"wp_pin_disabled"`
	Drive       Drive    `json:"flash_pins_drive"`
	ChipID      Chip     `json:"chip_id"`
	Chip        string   `json:"chip"`
	MinRev      Revision `json:"min_chip_revision"`
	MinRevOld   int      `json:"legacy_min_rev"`
	MaxRev      Revision `json:"max_chip_revision"`
	appendsHash byte
}

// Drive is the strength of the flash pins, 0 to 15 each.
type Drive struct {
	Clk Hex4 `json:"clk_drv"`
	Q   Hex4 `json:"q_drv"`
	D   Hex4 `json:"d_drv"`
	CS0 Hex4 `json:"cs0_drv"`
	HD  Hex4 `json:"hd_drv"`
	WP  Hex4 `json:"wp_drv"`
}

// Segment is one piece of memory.
type Segment struct {
	Index    int      `json:"index"`
	Length   Length   `json:"length"`       // bytes of data
	Address  Hex32    `json:"load_address"` // 0 is padding
	Offset   Hex32    `json:"file_offset"`  // of the segment's header, as esptool prints it
	Memories []string `json:"memory_types"`
}

// parseHeader reads the 24 bytes that every image starts with.
func parseHeader(b []byte) (Header, error) {
	if len(b) == 0 {
		return Header{}, notImage("it is empty")
	}
	if b[0] != magic {
		return Header{}, notImage("wrong magic %#02x, want %#02x", b[0], magic)
	}
	if len(b) < headerSize {
		return Header{}, notImage("too short: %d bytes, the header has %d", len(b), headerSize)
	}
	chip := Chip(binary.LittleEndian.Uint16(b[12:]))
	h := Header{
		Entry:        Hex32(binary.LittleEndian.Uint32(b[4:])),
		SegmentCount: int(b[1]),
		FlashSize:    flashSizes[b[3]&0xF0],
		FlashFreq:    chip.flashFreq(b[3] & 0x0F),
		FlashMode:    flashModes[b[2]],
		WPPin:        Hex4(b[8]),
		WPPinOff:     b[8] == pinDisabled,
		Drive: Drive{
			Clk: Hex4(b[9] & 15), Q: Hex4(b[9] >> 4),
			D: Hex4(b[10] & 15), CS0: Hex4(b[10] >> 4),
			HD: Hex4(b[11] & 15), WP: Hex4(b[11] >> 4),
		},
		ChipID:      chip,
		Chip:        chip.String(),
		MinRevOld:   int(b[14]),
		MinRev:      Revision(binary.LittleEndian.Uint16(b[15:])),
		MaxRev:      Revision(binary.LittleEndian.Uint16(b[17:])),
		appendsHash: b[23],
	}
	if h.SegmentCount > maxSegments {
		return Header{}, notImage("%d segments, at most %d are possible", h.SegmentCount, maxSegments)
	}
	if h.appendsHash > 1 {
		return Header{}, notImage("its hash flag is %#02x, want 0 or 1", h.appendsHash)
	}
	return h, nil
}
