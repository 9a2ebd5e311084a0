package espcore

import (
	"bytes"
	"encoding/binary"
)

// restoreHeader writes the head of the core file anew where the line that held it is damaged: it is the same in all dumps but
// for the machine, which the chip tells, and the number of segments, which the first segment's offset tells.
func restoreHeader(data []byte) []byte {
	const (
		known    = 48 // bytes of the line
		version  = 20 // of e_version
		headers  = 28 // offset of e_phoff
		sizes    = 40 // of e_ehsize
		segments = 44

		sectionHeader = 40
	)
	if len(data) < headerStart {
		return data
	}
	c, ok := findContainer(words(data).version())
	if !ok || c.binary || len(data) < c.header+elfHeader+programHeader {
		return data
	}
	p := data[c.header:]
	chip, ok := chips[Chip(binary.LittleEndian.Uint16(data[versionOffset+2:]))]
	first := words(p[elfHeader:])
	offset := first.get(1)
	if !ok || len(bytes.TrimLeft(p[:known], "\x00")) > 0 || first.get(0) != segmentNote || offset <= elfHeader || (offset-elfHeader)%programHeader != 0 {
		return data
	}
	data = bytes.Clone(data)
	p = data[c.header:]
	copy(p, elfStart)
	binary.LittleEndian.PutUint16(p[elfTypeOffset:], elfCore)
	binary.LittleEndian.PutUint16(p[elfMachineOffset:], uint16(chip.machine))
	binary.LittleEndian.PutUint32(p[version:], 1)
	binary.LittleEndian.PutUint32(p[headers:], elfHeader)
	binary.LittleEndian.PutUint16(p[sizes:], elfHeader)
	binary.LittleEndian.PutUint16(p[sizes+2:], programHeader)
	binary.LittleEndian.PutUint16(p[segments:], uint16(min((offset-elfHeader)/programHeader, 0xFFFF)))
	binary.LittleEndian.PutUint16(p[segments+2:], sectionHeader)
	return data
}
