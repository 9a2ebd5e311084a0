package espcore

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A dump comes in one of these shapes, and nothing but its bytes says in which:
//
//   - a container of exactly its total length, or with whatever was in flash behind it (a whole partition);
//   - a naked ELF with flash padding behind it, as esp-mdm sends it, which skips 24 bytes of header and the checksum;
//     where the header was shorter, the ELF has lost its first 4 bytes (0x0100, 0x0101) or 12 (0x0104);
//   - the base64 text of the serial console;
//   - hex text.

var (
	elfMagic = []byte("\x7fELF")
	// elfStart is the head of every ESP-IDF core file up to e_type: 32 bits, little endian, version 1, no OS.
	elfStart = []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
)

const (
	elfTypeOffset    = 16
	elfMachineOffset = 18
	elfCore          = 4 // ET_CORE
)

// unwrap finds the payload and what is said around it.
func (r *reader) unwrap(data []byte) error {
	if r.unwrapBytes(data) {
		return nil
	}
	if isErased(data) {
		return ErrEmpty
	}
	text, ok := r.decodeText(data)
	if ok && r.unwrapBytes(text) {
		return nil
	}
	if at := bytes.Index(data, elfStart); at >= 0 {
		r.warn("%d bytes of something else stand before the core file", at)
		r.openNaked(data[at:])
		return nil
	}
	return fmt.Errorf("%w: %d bytes without a known beginning", ErrFormat, len(data))
}

func (r *reader) unwrapBytes(data []byte) bool {
	if bytes.HasPrefix(data, elfMagic) {
		r.openNaked(data)
		return true
	}
	if c, ok := isContainer(data); ok && binary.LittleEndian.Uint32(data) != erased {
		r.openContainer(c, data)
		return true
	}
	for _, lost := range []int{4, 12} {
		if isBeheaded(data, lost) {
			whole := make([]byte, 0, lost+len(data))
			r.openNaked(append(append(whole, elfStart[:lost]...), data...))
			return true
		}
	}
	return false
}

func (r *reader) openNaked(data []byte) {
	r.payload = data
	r.dump.Container = r.container.name()
}

// isBeheaded knows an ELF that has lost its first bytes by what remains: the rest of the identification, the type and
// the machine.
func isBeheaded(data []byte, lost int) bool {
	if len(data) < elfHeader-lost || !bytes.HasPrefix(data, elfStart[lost:]) {
		return false
	}
	typ := binary.LittleEndian.Uint16(data[elfTypeOffset-lost:])
	machine := binary.LittleEndian.Uint16(data[elfMachineOffset-lost:])
	return typ == elfCore && machineOf(machine) != 0
}

// isErased knows flash to which nothing was written: 0xFF, or zeros where somebody filled it. A length of 0xFFFFFFFF
// marks an empty partition whatever is behind it.
func isErased(data []byte) bool {
	if len(data) >= 4 && binary.LittleEndian.Uint32(data) == erased {
		return true
	}
	return len(data) > 0 && len(bytes.TrimLeft(data, "\x00")) == 0
}
