package corpus_test

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// registers are those that a task's note has: pc, x1 to x31.
func registers(core []byte, tcb uint32) []uint32 {
	const containerHead, noteHead, noteSize, typeTask, tcbAt, registersAt = 12, 20, 204, 1, 24, 72
	word := binary.LittleEndian.Uint32
	elf := core[containerHead:]
	notes := elf[word(elf[52+4:]):] // the first program header is that of the tasks' notes
	for word(notes[8:]) == typeTask && word(notes[4:]) == noteSize {
		note := notes[noteHead : noteHead+noteSize]
		if word(note[tcbAt:]) == tcb {
			var out []uint32
			for i := range 32 {
				out = append(out, word(note[registersAt+4*i:]))
			}
			return out
		}
		notes = notes[noteHead+noteSize:]
	}
	return nil
}

var leadingNumber = regexp.MustCompile(`^-?(?:0x[0-9a-f]+|\d+)`)

// stale reports whether a value that GDB prints for a caller is only what the innermost function has left in a register
// that it need not keep (a0 to a7, t0 to t6). Clang says of such a register that it still holds the argument, and GDB
// believes it; after a call nobody can know.
func stale(value string, registers []uint32) bool {
	var number uint32
	switch number64, err := strconv.ParseInt(leadingNumber.FindString(value), 0, 64); {
	case value == "true":
		number = 1
	case value == "false":
		number = 0
	case err != nil:
		return false
	default:
		number = uint32(number64)
	}
	for i, r := range registers {
		volatile := i >= 5 && i <= 7 || i >= 10 && i <= 17 || i >= 28
		if volatile && (number == r || number == uint32(uint8(r)) || number == uint32(int32(int16(r))) || number == uint32(uint16(r))) {
			return true
		}
	}
	return false
}

// spellings of a function's own static variable: the compilers' in the ELF, which Slipway shows, and what GDB makes of
// them, as it takes them for names of Ada.
var (
	gccStatic   = regexp.MustCompile(`<(\w+)\.\d+(\+\d+)?>`)
	clangStatic = regexp.MustCompile(`<(\w+)\.([a-z]\w*)(\+\d+)?>`)
)

func sameValue(ours, gdbs string) bool {
	return ours == gdbs || gccStatic.ReplaceAllString(ours, "<$1$2>") == gdbs || clangStatic.ReplaceAllString(ours, "<$1[$2]$3>") == gdbs
}

// verdict is about the arguments of a frame.
type verdict struct {
	equal bool
	stale int // values that GDB prints and nobody can know
	more  int // values that Slipway knows and GDB does not
}

type argument struct{ name, value string }

// compareArguments goes by name; both have them in the order of the declaration.
func compareArguments(ours, gdbs []argument, registers []uint32, innermost bool) verdict {
	v := verdict{equal: slices.EqualFunc(ours, gdbs, func(a, b argument) bool { return a.name == b.name })}
	for i := range min(len(ours), len(gdbs)) {
		a, b := ours[i], gdbs[i]
		switch {
		case sameValue(a.value, b.value):
		case a.value == symbol.OptimizedOut && !innermost && stale(strings.TrimPrefix(b.value, b.name+"@entry="), registers):
			v.stale++
		case b.value == symbol.OptimizedOut:
			v.more++
		default:
			v.equal = false
		}
	}
	return v
}
