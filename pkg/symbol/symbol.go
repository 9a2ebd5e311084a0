// Package symbol answers, for one firmware ELF, the questions that a core dump asks: which function, file and line an
// address belongs to, which calls were inlined there, how to step to the caller, what the arguments were, and where a
// member of a structure lies.
//
// It knows ELF32 little endian for Xtensa (e_machine 94) and RISC-V (243), and DWARF 2 to 5 as GCC and Clang write it:
// System V ABI chapter 4, DWARF 5 (dwarfstd.org), and for the choices among several right answers the source of GDB 13
// to 16, whose output the answers are meant to equal.
//
// It distrusts every byte of the ELF. No length, count, offset or reference is used before it was checked against what
// is there; recursion is bounded by constants; memory is bounded by the size of the file and time by the size of the
// sections that a question touches. A file that lies gets wrong or missing answers, never a panic. What is missing is
// told by a false or an empty slice: a crash report with half its names is still a report.
//
// The package is pure. Nothing is kept of the file but the index; where the reader also has Bytes() []byte (a mapping),
// the bytes are used in place.
package symbol

// Machine is the instruction set of an ELF, by its e_machine.
type Machine uint16

// The machines of Espressif's chips.
const (
	Xtensa Machine = 94
	RISCV  Machine = 243
)

func (m Machine) String() string {
	switch m {
	case Xtensa:
		return "Xtensa"
	case RISCV:
		return "RISC-V"
	}
	return "unknown machine"
}

// Frame is one function of a program counter. Frames gives them innermost first.
type Frame struct {
	Function string // demangled, without parameters, as GDB prints it in a backtrace
	File     string // as the compiler recorded it, made absolute with the unit's directory; empty where unknown
	Line     int    // 1-based; 0 where unknown
	Inlined  bool   // inlined into the next frame, which has the same program counter

	// Qualified is the function's name with all namespaces, classes and functions around it, and the same whichever
	// compiler it was: a lambda is its function and its place among that one's lambdas, such as pump::run::{lambda#2}.
	Qualified string
	DeclFile  string // where the function itself is declared; empty where unknown, and it need not be File

	scope scope // where Args finds the parameters
}

// Argument is one parameter of a frame with its value as GDB prints it. A parameter of which the value at the call is
// known too is either merged ("details", "details@entry=0x3fc8ea9c …") when both are equal, or followed by an Argument
// of its own named "details@entry".
type Argument struct {
	Name  string
	Value string
}

// OptimizedOut is the Value of an argument that nobody can know any more.
const OptimizedOut = "<optimized out>"

// State is what is known of the machine in one frame. The memory and the registers come from the dump; bytes of the
// ELF need not be offered, the index reads its own rodata.
type State struct {
	PC        uint32 // in the innermost frame where it stopped, above it the address to which the callee returns
	Lookup    uint32 // the address that lies inside the current instruction: PC in the innermost frame, else PC-1
	Registers Registers
	CFA       uint32 // the canonical frame address where HasCFA, else taken from the call-frame rules of Lookup
	HasCFA    bool
	Memory    func(addr uint32, buf []byte) bool // fills buf wholly or reports false; nil knows nothing
	Caller    *State                             // the physical or tail-call frame above; nil where unknown
}

// Registers are the general registers by DWARF number: x0 to x31 on RISC-V, a0 to a15 on Xtensa. The zero value knows
// none.
type Registers struct {
	value [registerCount]uint32
	known uint32
}

const registerCount = 32

// Get returns register n where it is known.
func (r *Registers) Get(n int) (uint32, bool) {
	if n < 0 || n >= registerCount || r.known&(1<<n) == 0 {
		return 0, false
	}
	return r.value[n], true
}

// Set makes register n known. A number that is none of a register does nothing.
func (r *Registers) Set(n int, v uint32) {
	if n >= 0 && n < registerCount {
		r.value[n], r.known = v, r.known|1<<n
	}
}

// Forget makes register n unknown.
func (r *Registers) Forget(n int) {
	if n >= 0 && n < registerCount {
		r.value[n], r.known = 0, r.known&^(1<<n)
	}
}
