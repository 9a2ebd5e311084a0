package espimage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const descriptorMagic = 0xABCD5432

// App is the app descriptor (esp_app_desc_t), the first 256 bytes of an application's first segment. Its texts are as
// the bytes have them up to the first NUL and may be anything.
//
//	offset  bytes
//	0       4    magic 0xABCD5432
//	4       4    secure version
//	16      32   version
//	48      32   project name
//	80      16   time of the build
//	96      16   date of the build
//	112     32   ESP-IDF version
//	144     32   SHA-256 of the ELF file, filled in by elf2image
//	176     2,2  minimal and maximal eFuse block revision, major*100+minor
//	180     1    MMU page size as a power of two, 0 where it is not stated
type App struct {
	Project       string        `json:"project_name"`
	Version       string        `json:"version"`
	CompileTime   string        `json:"compile_time"` // date and time as the compiler printed them; "" where left out
	ELFSHA256     string        `json:"elf_sha256"`   // hex; all zero where nobody filled it in
	IDFVersion    string        `json:"idf_version"`
	MinEfuseRev   EfuseRevision `json:"min_efuse_block_revision"`
	MaxEfuseRev   EfuseRevision `json:"max_efuse_block_revision"`
	MMUPageSize   PageSize      `json:"mmu_page_size,omitempty"`
	SecureVersion uint32        `json:"secure_version"`
}

// EfuseRevision is major*100+minor, "0.99" in text.
type EfuseRevision uint16

func (r EfuseRevision) String() string { return fmt.Sprintf("%d.%d", r/100, r%100) }

// MarshalText is the form that esptool prints.
func (r EfuseRevision) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// PageSize is in bytes, "64 KB" in text; 0 is unknown.
type PageSize uint64

func (p PageSize) String() string { return fmt.Sprintf("%d KB", p>>10) }

// MarshalText is the form that esptool prints.
func (p PageSize) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// ELFHashAbsent reports that nobody filled in the ELF's hash.
func (a App) ELFHashAbsent() bool { return strings.Trim(a.ELFSHA256, "0") == "" }

// Names of the descriptor that the Arduino core brings along: it is in the core's libraries, which were built once, so that
// every sketch has it. Source: espressif/esp32-arduino-lib-builder, whose project it is.
const (
	arduinoProject = "arduino-lib-builder"
	arduinoVersion = "esp-idf: " // and the version of the ESP-IDF that the core is made of
)

// FromArduino reports that the descriptor is that of the Arduino core: project and version are the same for every sketch, and
// tell no build from another. The ELF's hash is the build's own.
func (a App) FromArduino() bool {
	return a.Project == arduinoProject || strings.HasPrefix(a.Version, arduinoVersion)
}

// CheckVersion refuses a version that could not name a build at all: an empty one, or one that is not text.
func (a App) CheckVersion() error {
	switch {
	case a.FromArduino():
		return nil // it names nothing
	case a.Version == "":
		return notImage("its version is empty")
	case !utf8.ValidString(a.Version):
		return notImage("its version %q is not UTF-8", a.Version)
	}
	return nil
}

// parseApp reads a descriptor; ok is false where b does not start with one.
func parseApp(b []byte) (a App, ok bool) {
	if len(b) < descriptorSize || binary.LittleEndian.Uint32(b) != descriptorMagic {
		return App{}, false
	}
	a = App{
		SecureVersion: binary.LittleEndian.Uint32(b[4:]),
		Version:       text(b[16:48]),
		Project:       text(b[48:80]),
		CompileTime:   strings.TrimSpace(text(b[96:112]) + " " + text(b[80:96])),
		IDFVersion:    text(b[112:144]),
		ELFSHA256:     hex.EncodeToString(b[144:176]),
		MinEfuseRev:   EfuseRevision(binary.LittleEndian.Uint16(b[176:])),
		MaxEfuseRev:   EfuseRevision(binary.LittleEndian.Uint16(b[178:])),
	}
	if shift := b[180]; shift > 0 && shift < 32 {
		a.MMUPageSize = 1 << shift
	}
	return a, true
}

// text is what stands before the first NUL.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// ReadDescriptor reads only the first 288 bytes of an image of size bytes: its header and its app descriptor. It is
// for listing many images; whether the rest is there and whole only [Read] says.
func ReadDescriptor(r io.ReaderAt, size int64) (Header, App, error) {
	head := make([]byte, min(max(size, 0), descriptorAt+descriptorSize))
	if err := readAt(r, head, 0); err != nil {
		return Header{}, App{}, err
	}
	h, err := parseHeader(head)
	if err != nil {
		return Header{}, App{}, err
	}
	if len(head) < descriptorAt+descriptorSize {
		return Header{}, App{}, notImage("too short for an app descriptor: %d bytes, want at least %d",
			len(head), descriptorAt+descriptorSize)
	}
	app, ok := parseApp(head[descriptorAt:])
	if !ok {
		return Header{}, App{}, notImage("it has no app descriptor")
	}
	return h, app, nil
}

// readAt fills b; an end before that is an error, since the caller knew the size.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read image at %d: %w", at, err)
}
