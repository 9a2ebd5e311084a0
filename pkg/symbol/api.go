package symbol

import "io"

// RuleKind tells how a row of call-frame information finds a register of the caller.
type RuleKind uint8

// The kinds of rules, DWARF 5 section 6.4.1.
const (
	Unspecified RuleKind = iota // the row says nothing: by the ABI, the same value or lost
	Undefined                   // lost; of the return address: this frame is the outermost
	SameValue                   // still in the register
	AtCFA                       // in memory at CFA plus an offset
	CFAPlus                     // is CFA plus an offset
	InRegister                  // in another register
	AtExpression                // in memory where an expression points
	IsExpression                // is an expression's value
)

// Rules is the row of call-frame information that holds at one address.
type Rules struct {
	Return int  // the column of the return address: a DWARF register number
	Signal bool // the frame is a signal or interrupt handler's: its caller's pc is not a return address
}

// Kind tells how the caller's register n is found.
func (r Rules) Kind(n int) RuleKind { return Unspecified }

// Unwound is a step to the caller by call-frame rules.
type Unwound struct {
	CFA       uint32
	Registers Registers // the caller's; one without a rule keeps the callee's value, the stack pointer is the CFA
	Restored  uint32    // bit n is set where the row has a rule for register n
	Return    uint32    // the return address where HasReturn
	HasReturn bool
}

// CallSite is one call that the compiler described.
type CallSite struct {
	Return    uint32 // the address behind the call
	Target    uint32 // entry of the called function where HasTarget
	HasTarget bool
	Tail      bool // a jump: the called function returns to this one's caller
}

func Open(r io.ReaderAt, size int64) (*Index, error) { return &Index{}, nil }

// Index is not safe for concurrent use.
type Index struct{}

// scope is where the parameters of a frame are described.
type scope struct{}

// Machine is the instruction set that the ELF names.
func (x *Index) Machine() Machine { return 0 }

// Text fills buf with the initialised bytes that the ELF loads at addr: code and constants.
func (x *Index) Text(addr uint32, buf []byte) bool { return false }

// Executable reports whether addr lies in code of this ELF.
func (x *Index) Executable(addr uint32) bool { return false }

// Lookup finds a symbol by its name as the linker knows it.
func (x *Index) Lookup(name string) (Symbol, bool) { return Symbol{}, false }

// Function finds the function symbol that covers pc.
func (x *Index) Function(pc uint32) (Symbol, bool) { return Symbol{}, false }

// Frames names the functions at pc (State.Lookup), innermost first.
func (x *Index) Frames(pc uint32) []Frame { return nil }

// Args gives the parameters of f, one of Frames(s.Lookup), in their order.
func (x *Index) Args(f Frame, s *State) []Argument { return nil }

// CFI finds the row for pc (State.Lookup), first in .debug_frame, then in .eh_frame.
func (x *Index) CFI(pc uint32) (Rules, bool) { return Rules{}, false }

// Unwind steps to the caller. False where the CFA cannot be computed.
func (x *Index) Unwind(s *State, rules Rules) (Unwound, bool) { return Unwound{}, false }

// CallSite finds the described call behind which lies returnPC.
func (x *Index) CallSite(returnPC uint32) (CallSite, bool) { return CallSite{}, false }

// TailCalls finds the functions that tail calls removed between caller (State.PC is the return address) and the
// function that starts at callee: return addresses of the tail calls, the one nearest to the callee first. Empty where
// the caller called callee itself, and where no chain or more than one of at most 3 leads there.
func (x *Index) TailCalls(caller *State, callee uint32) []uint32 { return nil }

// Offsets finds the byte offsets of members in a structure by its DWARF name. False where the structure or one of the
// members is not described.
func (x *Index) Offsets(structName string, members ...string) (map[string]uint32, bool) {
	return nil, false
}

// Demangle turns a C++ linkage name into what GDB prints for its function, without parameters; other names unchanged.
func Demangle(name string) string { return name }
