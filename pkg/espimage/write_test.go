package espimage_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

type elfSection struct {
	name    string
	address uint32
	data    []byte
}

// makeELF makes a RISC-V ELF of only sections.
func makeELF(sections ...elfSection) []byte {
	const header, row = 52, 40
	le := binary.LittleEndian
	names, at := []byte{0}, uint32(header)
	table := make([]byte, row)
	var bodies []byte
	add := func(kind uint32, s elfSection) {
		b := make([]byte, row)
		le.PutUint32(b, uint32(len(names)))
		names = append(names, s.name+"\x00"...)
		le.PutUint32(b[4:], kind)
		le.PutUint32(b[12:], s.address)
		le.PutUint32(b[16:], at)
		le.PutUint32(b[20:], uint32(len(s.data)))
		table = append(table, b...)
		bodies = append(bodies, s.data...)
		at += uint32(len(s.data))
	}
	for _, s := range sections {
		add(1, s)
	}
	add(3, elfSection{name: ".shstrtab"})
	last := table[len(table)-row:]
	le.PutUint32(last[20:], uint32(len(names)))
	bodies = append(bodies, names...)
	at += uint32(len(names))

	b := make([]byte, header)
	copy(b, "\x7fELF\x01\x01\x01")
	le.PutUint16(b[18:], 0xF3)
	le.PutUint32(b[24:], 0x40380000)
	le.PutUint32(b[32:], at)
	le.PutUint16(b[46:], row)
	le.PutUint16(b[48:], uint16(len(sections)+2))
	le.PutUint16(b[50:], uint16(len(sections)+1))
	return append(append(b, bodies...), table...)
}

func descriptor(pageShift byte) []byte {
	b := make([]byte, 256)
	binary.LittleEndian.PutUint32(b, 0xABCD5432)
	copy(b[16:], "1.0")
	b[180] = pageShift
	return b
}

func write(elf []byte, chip espimage.Chip) ([]byte, error) {
	var b bytes.Buffer
	err := espimage.Write(&b, bytes.NewReader(elf), int64(len(elf)), espimage.Options{Chip: chip})
	return b.Bytes(), err
}

func TestWriteAlignsFlashToTheMMUPage(t *testing.T) {
	for _, c := range []struct {
		name  string
		chip  espimage.Chip
		shift byte
		flash [2]uint32 // addresses of descriptor and code
		page  uint32
	}{
		{"C3, 64 KiB fixed", espimage.ESP32C3, 0, [2]uint32{0x3C000020, 0x42010020}, 64 << 10},
		{"C6 that states 32 KiB", espimage.ESP32C6, 15, [2]uint32{0x42000020, 0x42008020}, 32 << 10},
		{"C6 that states nothing, by its address", espimage.ESP32C6, 0, [2]uint32{0x42004020, 0x42010020}, 16 << 10},
		{"S3 states 64 KiB", espimage.ESP32S3, 16, [2]uint32{0x3C000020, 0x42010020}, 64 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := write(makeELF(
				elfSection{".flash.appdesc", c.flash[0], descriptor(c.shift)},
				elfSection{".flash.text", c.flash[1], bytes.Repeat([]byte{0x13}, 1000)},
			), c.chip)
			if err != nil {
				t.Fatal(err)
			}
			img, err := read(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range img.Segments {
				if s.Address != 0 && uint32(s.Offset+8)%c.page != uint32(s.Address)%c.page {
					t.Errorf("segment at %s lies at %s", s.Address, s.Offset)
				}
			}
			if !img.ChecksumValid || !img.HashValid || img.App == nil || img.App.ELFHashAbsent() {
				t.Errorf("%+v", img)
			}
			if len(b) > int(c.page)+1100 {
				t.Errorf("%d bytes for a page of %d", len(b), c.page)
			}
		})
	}
}

func TestWriteSaysWhyItCannot(t *testing.T) {
	filled := descriptor(0)
	filled[150] = 1
	many := []elfSection{{".flash.appdesc", 0x3C000020, descriptor(0)}}
	for i := range uint32(20) {
		many = append(many, elfSection{".iram", 0x40380000 + 0x100*i, []byte{1, 2, 3, 4}})
	}
	for name, c := range map[string]struct {
		elf  []byte
		want string
	}{
		"no ELF":                {[]byte(strings.Repeat("x", 100)), "it does not start as"},
		"too short":             {[]byte("\x7fELF"), "too short"},
		"no descriptor in it":   {makeELF(elfSection{".flash.appdesc", 0x3C000020, make([]byte, 256)}), "holds no app descriptor"},
		"a hash in it":          {makeELF(elfSection{".flash.appdesc", 0x3C000020, filled}), "has a hash already"},
		"two on one page":       {makeELF(elfSection{".a", 0x3C000020, []byte("1234")}, elfSection{".b", 0x3C000120, []byte("1234")}), "share a page of 64 KiB"},
		"too many segments":     {makeELF(many...), "segments, at most 16"},
		"a damaged section":     {makeELF(elfSection{".a", 0x3C000020, make([]byte, 64)})[:100], "section table"},
		"sections that overrun": {overrun(), "bytes at"},
	} {
		if _, err := write(c.elf, espimage.ESP32C3); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := write(makeELF(), espimage.Chip(77)); err == nil || !strings.Contains(err.Error(), "unknown chip 77") {
		t.Errorf("unknown chip: %v", err)
	}
}

// overrun is an ELF whose section claims more bytes than there are.
func overrun() []byte {
	b := makeELF(elfSection{".a", 0x3C000020, []byte("1234")})
	table := binary.LittleEndian.Uint32(b[32:])
	binary.LittleEndian.PutUint32(b[table+40+20:], 1<<20)
	return b
}

// FuzzWrite holds that whatever ELF an image is made of, the image is whole.
func FuzzWrite(f *testing.F) {
	elf, err := firmware.Build{Code: "demo", Version: "1.0.0"}.ELF()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(elf, uint16(espimage.ESP32C3))
	f.Add(makeELF(elfSection{".flash.appdesc", 0x42000020, descriptor(14)}, elfSection{".flash.text", 0x42010020, []byte("1234")},
		elfSection{".iram0.text", 0x40800000, make([]byte, 300)}), uint16(espimage.ESP32C6))
	f.Add(overrun(), uint16(espimage.ESP32))
	f.Fuzz(func(t *testing.T, elf []byte, chip uint16) {
		b, err := write(elf, espimage.Chip(chip))
		if err != nil {
			return
		}
		img, err := read(b)
		if err != nil || !img.ChecksumValid || !img.HashValid {
			t.Fatalf("%v, %v", img, err)
		}
	})
}
