// Package espcore reads ESP-IDF core dumps and says what GDB would say of them: which task crashed, why, and what every
// task was doing, function by function.
//
// It knows the containers 0x0001 to 0x0104 with both payloads (ELF and "bin"), the shapes in which dumps are uploaded
// (see shape.go), both instruction sets (Xtensa with windowed registers, RISC-V), and how GDB walks their stacks. The
// sources of the knowledge are components/espcoredump of ESP-IDF, espressif/esp-coredump, the ABI documents of both
// architectures, and the output of the real GDB for real dumps.
//
// It promises that whatever can be read of a damaged dump is read: only a dump of which nothing is readable is an
// error, everything else is a warning in the result. A wrong checksum, a wrong ELF and a broken stack are facts to
// report, never reasons to refuse.
//
// It distrusts every byte of the dump: no length, count, offset or address is used before it was checked against what
// is there, and memory and time are bounded by the size of the dump (see limits.go). The package is pure: bytes in,
// values out. Reports hold what was on the stacks, and stacks hold secrets: whoever logs must not log arguments.
package espcore

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// ErrFormat is wrapped by the errors of data in which no core dump was found.
var ErrFormat = errors.New("not an ESP-IDF core dump")

// ErrEmpty is the error of an erased partition: the device has not crashed since it was flashed. It wraps ErrFormat.
var ErrEmpty = fmt.Errorf("%w: an erased partition", ErrFormat)

// Dump is what a core dump holds, before anything is known of the program.
type Dump struct {
	Identity
	Integrity Integrity
	Revision  string // of the chip, such as "v3.1"; "" where the dump does not say
	Panic     string // the panic handler's text; "" where there was none
	InISR     bool   // the crash happened in an interrupt handler
	Warnings  []string

	tasks       []task // the crashed one first, where crashed
	crashed     bool
	crashedTCB  uint32
	crashedSaid bool
	exception   []Register // the registers of the exception, Xtensa
	memory      memory
}

// Identity is what can be known of a dump at little cost: enough to find the ELF of its program.
type Identity struct {
	Chip      string         `json:"chip"`      // such as "ESP32-C3"; "" where the dump does not say
	Machine   symbol.Machine `json:"machine"`   // 0 where nobody can tell
	Container string         `json:"container"` // such as "ELF 1.2"; a naked one whose version is unknown is "ELF"
	ELFHash   string         `json:"elf_hash"`  // lower-case hex prefix of the ELF file's SHA-256; "" where there is none
}

// Identified is what one look at a dump of a batch yields: its ELF, or why it is no dump.
type Identified struct {
	ELFHash string // as in [Identity]
	Failure string // "": it is one
}

// task is a FreeRTOS task as the dump has it, the crashed one first.
type task struct {
	tcb     uint32
	name    string // of the task information; mostly it is in the TCB alone
	badTCB  bool
	fake    bool // the device found the stack corrupt and wrote a made-up one
	yielded bool // Xtensa: it gave up the processor, see windows.go
	context context
	stack   segment // its own stack; empty where the dump has none of its own

	backtrace []uint32 // as the device has printed it, where there is no dump
}

// Read takes a dump in whatever shape it was uploaded. The error wraps [ErrFormat] and means that nothing could be read;
// everything less is in Warnings. The Dump refers to data, which must not change.
func Read(data []byte) (*Dump, error) {
	r, err := open(data)
	if err != nil {
		return nil, err
	}
	r.checkIntegrity()
	r.findCrashed()
	return r.dump, nil
}

// Identify reads only as much as is needed to find the program's ELF; nothing is checked. The error is the reader's,
// or wraps [ErrFormat]. It is for programs that sort dumps: the gateway's worker has the whole dump in memory anyway.
func Identify(r io.ReaderAt, size int64) (Identity, error) {
	data := make([]byte, max(0, min(size, mostIdentified)))
	n, err := r.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Identity{}, err
	}
	in, err := open(data[:n])
	if err != nil {
		return Identity{}, err
	}
	return in.dump.Identity, nil
}

// reader is a dump while it is read.
type reader struct {
	dump      *Dump
	container container
	data      []byte // a whole container
	head      []byte // its header
	payload   []byte
	chip      Chip
	chipKnown bool
	loads     []segment // PT_LOAD in the order of the headers
	said      []byte    // the text of a panic, where there is no dump
	silenced  bool
}

func open(data []byte) (*reader, error) {
	r := &reader{dump: &Dump{Integrity: IntegrityNone}}
	if err := r.unwrap(data); err != nil {
		return nil, err
	}
	read := r.readELF
	switch {
	case r.said != nil:
		read = r.readPanicText
	case r.container.binary:
		read = r.readBinary
	}
	if err := read(); err != nil {
		return nil, err
	}
	if r.chipKnown {
		r.dump.Chip = r.chip.String()
	}
	return r, nil
}

// warn notes what is wrong with the dump. The number is bounded: a hostile dump can be wrong in a million ways.
func (r *reader) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch {
	case r.silenced || slices.Contains(r.dump.Warnings, text):
	case len(r.dump.Warnings) >= maxWarnings:
		r.silenced = true
		r.dump.Warnings = append(r.dump.Warnings, "more is wrong with this dump")
	default:
		r.dump.Warnings = append(r.dump.Warnings, text)
	}
}

// findCrashed puts the crashed task first. Where the dump does not say which that is, it is the first one anyway; a task
// too broken to be dumped is none.
func (r *reader) findCrashed() {
	d := r.dump
	switch i := slices.IndexFunc(d.tasks, func(t task) bool { return t.tcb == d.crashedTCB }); {
	case !d.crashedSaid:
		d.crashed = len(d.tasks) > 0
	case i < 0:
		r.warn("the crashed task is not in the dump")
	default:
		t := d.tasks[i]
		d.tasks = slices.Insert(slices.Delete(d.tasks, i, i+1), 0, t)
		d.crashed = true
	}
}
