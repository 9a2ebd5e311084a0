package espimage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// The few parts of ELF32 that an image is made of (System V ABI, chapter 4).
const (
	elfHeaderSize   = 52
	elfSectionSize  = 40
	elfMachineRISCV = 0xF3
	elfMachineXtens = 0x5E
	sectionProgbits = 1
	sectionInits    = 14
	sectionFinis    = 15

	// MaxImageSize bounds the segments of an image that is written, in bytes: the largest flash mapping is 16 MiB.
	MaxImageSize = 16 << 20
	maxSections  = 1024    // ESP-IDF makes about 40
	maxNames     = 1 << 20 // bytes of section names
)

// section is what is loaded of an ELF section.
type section struct {
	name    string
	address uint32
	data    []byte
}

// program is what an image is made of.
type program struct {
	entry    uint32
	sections []section // in the order of the file
}

// readProgram reads the sections of an ELF that are loaded, padded to words as the image needs them.
func readProgram(r io.ReaderAt, size int64) (program, error) {
	head := make([]byte, elfHeaderSize)
	if size < elfHeaderSize {
		return program{}, fmt.Errorf("elf: %d bytes are too short", size)
	}
	if err := readAt(r, head, 0); err != nil {
		return program{}, err
	}
	le := binary.LittleEndian
	if !bytes.HasPrefix(head, []byte("\x7fELF\x01\x01")) {
		return program{}, fmt.Errorf("elf: it does not start as a little-endian ELF32 does")
	}
	if m := le.Uint16(head[18:]); m != elfMachineRISCV && m != elfMachineXtens {
		return program{}, fmt.Errorf("elf: machine %#x is neither RISC-V nor Xtensa", m)
	}
	at, entries, names := int64(le.Uint32(head[32:])), int64(le.Uint16(head[48:])), int64(le.Uint16(head[50:]))
	if le.Uint16(head[46:]) != elfSectionSize || entries == 0 || entries > maxSections || names >= entries {
		return program{}, fmt.Errorf("elf: its section table is damaged")
	}
	table, err := elfBytes(r, size, at, entries*elfSectionSize)
	if err != nil {
		return program{}, fmt.Errorf("elf: section table: %w", err)
	}
	row := func(i int64) []byte { return table[i*elfSectionSize:] }
	nameSize := int64(le.Uint32(row(names)[20:]))
	if nameSize > maxNames {
		return program{}, fmt.Errorf("elf: %d bytes of section names", nameSize)
	}
	text, err := elfBytes(r, size, int64(le.Uint32(row(names)[16:])), nameSize)
	if err != nil {
		return program{}, fmt.Errorf("elf: section names: %w", err)
	}

	p := program{entry: le.Uint32(head[24:])}
	total := int64(0)
	for i := range entries {
		h := row(i)
		kind, address := le.Uint32(h[4:]), le.Uint32(h[12:])
		offset, length := int64(le.Uint32(h[16:])), int64(le.Uint32(h[20:]))
		loaded := kind == sectionProgbits || kind == sectionInits || kind == sectionFinis
		if !loaded || address == 0 || length == 0 {
			continue
		}
		if total += length; total > MaxImageSize {
			return program{}, fmt.Errorf("elf: more than %d bytes to load", MaxImageSize)
		}
		data, err := elfBytes(r, size, offset, length)
		if err != nil {
			return program{}, fmt.Errorf("elf: section %d: %w", i, err)
		}
		p.sections = append(p.sections, section{elfName(text, le.Uint32(h)), address, padWord(data)})
	}
	return p, nil
}

func elfBytes(r io.ReaderAt, size, at, n int64) ([]byte, error) {
	if at > size || n > size-at {
		return nil, fmt.Errorf("%d bytes at %d, but the file has %d", n, at, size)
	}
	b := make([]byte, n)
	return b, readAt(r, b, at)
}

func elfName(names []byte, at uint32) string {
	if int64(at) >= int64(len(names)) {
		return ""
	}
	return text(names[at:])
}

func padWord(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
