package espcore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// A dump comes in one of these shapes, and nothing but its bytes says in which:
//
//   - a container of exactly its total length, or with whatever was in flash behind it (a whole partition);
//   - a naked ELF with flash padding behind it, as esp-mdm sends it, which skips 24 bytes of header and the checksum;
//     where the header was shorter, the ELF has lost its first 4 bytes (0x0100, 0x0101) or 12 (0x0104);
//   - a whole flash, or a part of it that was read from a wrong offset (flash.go);
//   - text: the base64 of the serial console in a log as it is (console.go), hex and its dumps (hexdump.go), JSON
//     (jsontext.go);
//   - gzip or ZIP around one of them (packed.go).

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

// found is a dump in what was handed in.
type found struct {
	container container // zero of a naked core file
	data      []byte    // from its first byte on
	warnings  []string
	panic     []byte // the text of a panic, where there is no dump
}

// unwrap finds the payload and what is said around it.
func (r *reader) unwrap(data []byte) error {
	f, err := newFinder(len(data)).find(data, maxWraps)
	if err != nil {
		return err
	}
	for _, w := range f.warnings {
		r.warn("%s", w)
	}
	switch {
	case f.panic != nil:
		r.said = f.panic
	case f.container.header == 0:
		r.openNaked(f.data)
	default:
		r.openContainer(f.container, f.data)
	}
	return nil
}

// finder looks for a dump in the shapes that people have. Its work is bounded by the size of what was handed in.
type finder struct{ left int }

func newFinder(size int) *finder {
	return &finder{left: leastWork + workPerByte*size}
}

// spend takes n bytes of work; false where too much was done already.
func (f *finder) spend(n int) bool {
	f.left -= n
	return f.left >= 0
}

// find looks for the dump in data, with at most wraps files around it.
func (f *finder) find(data []byte, wraps int) (found, error) {
	if out, ok := direct(data); ok {
		return out, nil
	}
	if out, ok := consoleAlone(data); ok {
		return out, nil
	}
	if wraps > 0 && f.spend(len(data)) {
		if out, err := f.unpack(data, wraps); !errors.Is(err, errNotPacked) {
			return out, err
		}
	}
	var told error
	if text, ok := plainText(data); ok && f.spend(len(text)) {
		out, err := f.findInText(text, wraps)
		if err == nil {
			return out, nil
		}
		if errors.Is(err, ErrEncrypted) || errors.Is(err, ErrEmpty) {
			told = err
		}
		if said, ok := panicText(text); ok && told == nil {
			return found{panic: said}, nil
		}
	}
	out, err := findInFlash(data)
	switch {
	case err == nil, told == nil:
		return out, err
	}
	return found{}, told
}

// direct knows a dump that begins with the first byte.
func direct(data []byte) (found, bool) {
	if bytes.HasPrefix(data, elfMagic) {
		return found{data: data}, true
	}
	if c, ok := isContainer(data); ok && binary.LittleEndian.Uint32(data) != erased {
		return found{container: c, data: data}, true
	}
	for _, lost := range []int{4, 12} {
		if isBeheaded(data, lost) {
			whole := make([]byte, 0, lost+len(data))
			return found{data: append(append(whole, elfStart[:lost]...), data...)}, true
		}
	}
	return found{}, false
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

func errUnknown(data []byte) error {
	return fmt.Errorf("%w: %d bytes without a known beginning", ErrFormat, len(data))
}
