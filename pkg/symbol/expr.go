package symbol

import (
	"errors"
	"fmt"
)

const (
	// maxSteps bounds the operations of one question: expressions may jump backwards.
	maxSteps = 20000
	// maxStack bounds the values of one expression; compilers need a handful.
	maxStack = 256
	// maxEntries bounds how many callers one value is followed through.
	maxEntries = 16
)

// errUnknown says that a value cannot be known: lost, or described in a way that we do not follow.
var errUnknown = errors.New("value is not known")

// memoryError is an address that neither the dump nor the ELF has.
type memoryError struct{ addr uint32 }

// Error is GDB's text, printed as it is.
func (e memoryError) Error() string {
	return fmt.Sprintf("Cannot access memory at address %#x", e.addr)
}

// evaluation runs DWARF expressions, DWARF 5 section 2.5, in one frame.
type evaluation struct {
	x        *Index
	enc      encoding
	unit     *unit // of the expression; nil in call-frame information
	state    *State
	function die // the function of the frame, for its frame base; zero in call-frame information
	budget   *int
	depth    int  // callers followed so far
	referred bool // of a reference on entry the value is wanted to which it refers

	stack  []operand
	where  location // what a location operation said
	pieces []piece
}

// nested begins another expression within the same budget.
func (e *evaluation) nested(u *unit, s *State, function die) *evaluation {
	return &evaluation{x: e.x, enc: u.encoding, unit: u, state: s, function: function, budget: e.budget, depth: e.depth}
}

type locationKind uint8

const (
	inNothing   locationKind = iota // optimised out
	inMemory                        // at addr
	inRegister                      // in reg, and for a large value in those behind it
	isOperand                       // is the operand itself
	isBytes                         // is data
	isSynthetic                     // a pointer to something that has no address
)

// location is where an expression says that a value is.
type location struct {
	kind locationKind
	addr uint32
	reg  int
	op   operand
	data []byte
}

// piece is a part of a value that lies in several places.
type piece struct {
	location
	size uint64 // bytes
}

func (e *evaluation) push(o operand) {
	if len(e.stack) < maxStack {
		e.stack = append(e.stack, o)
	} else {
		*e.budget = 0
	}
}

func (e *evaluation) pop() (operand, error) {
	if len(e.stack) == 0 {
		return operand{}, errUnknown
	}
	o := e.stack[len(e.stack)-1]
	e.stack = e.stack[:len(e.stack)-1]
	return o, nil
}

// run executes an expression.
func (e *evaluation) run(expr []byte) error {
	c := cursor{data: expr}
	for c.left() > 0 {
		if *e.budget--; *e.budget < 0 {
			return errUnknown
		}
		if err := e.step(c.u8(), &c); err != nil {
			return err
		}
		if c.bad {
			return errUnknown
		}
	}
	return nil
}

// locate executes an expression and gives where it ended.
func (e *evaluation) locate(expr []byte) (location, error) {
	if err := e.run(expr); err != nil {
		return location{}, err
	}
	if e.where.kind != inNothing || len(e.stack) == 0 {
		return e.where, nil
	}
	top, err := e.pop()
	return location{kind: inMemory, addr: uint32(top.num)}, err
}

// value executes an expression for the number that it leaves.
func (e *evaluation) value(expr []byte) (operand, error) {
	if err := e.run(expr); err != nil {
		return operand{}, err
	}
	if e.where.kind == isOperand {
		return e.where.op, nil
	}
	return e.pop()
}

func (e *evaluation) step(op uint8, c *cursor) error {
	switch {
	case op >= opLit0 && op < opReg0:
		e.push(e.generic(uint64(op - opLit0)))
		return nil
	case op >= opReg0 && op < opBreg0:
		return e.setRegister(int(op - opReg0))
	case op >= opBreg0 && op < opRegx:
		return e.pushRegister(int(op-opBreg0), c.sleb())
	case op >= opConst1u && op <= opConsts:
		e.push(e.generic(e.constant(op, c)))
		return nil
	case op >= opDup && op <= opRot:
		return e.shuffle(op, c)
	case op >= opAbs && op <= opXor || op >= opEq && op <= opNe:
		return e.calculate(op, c)
	case op >= opRegx:
		return e.stepHigh(op, c)
	}
	switch op {
	case opAddr:
		e.push(e.generic(c.uint(int(e.enc.addrSize))))
		return nil
	case opDeref:
		return e.deref(4, generic)
	case opSkip:
		return c.jump(int16(c.u16()))
	case opBra:
		by := int16(c.u16())
		top, err := e.pop()
		if err != nil || top.num == 0 {
			return err
		}
		return c.jump(by)
	}
	return errUnknown
}

// stepHigh executes what lies above the plain register operations.
func (e *evaluation) stepHigh(op uint8, c *cursor) error {
	switch op {
	case opRegx:
		return e.setRegister(register(c.uleb()))
	case opBregx:
		n := register(c.uleb())
		return e.pushRegister(n, c.sleb())
	case opFbreg:
		return e.pushFrameBase(c.sleb())
	case opCallFrameCFA:
		return e.pushCFA()
	case opPiece:
		return e.endPiece(c.uleb())
	case opDerefSize:
		return e.deref(int(c.u8()), generic)
	case opNop, opGNUUninit:
		return nil
	case opImplicitValue:
		e.where = location{kind: isBytes, data: c.bytes(c.uleb())}
		return nil
	case opStackValue:
		top, err := e.pop()
		e.where = location{kind: isOperand, op: top}
		return err
	case opImplicitPointer, opGNUImplicitPointer:
		c.offset(e.enc.dwarf64)
		c.sleb()
		e.where = location{kind: isSynthetic}
		return nil
	case opAddrx, opConstx, opGNUAddrIndex, opGNUConstIndex:
		if e.unit == nil {
			return errUnknown
		}
		a, ok := e.unit.addrx(c.uleb())
		if !ok {
			return errUnknown
		}
		e.push(e.generic(uint64(a)))
		return nil
	case opEntryValue, opGNUEntryValue:
		return e.pushEntry(c.bytes(c.uleb()))
	case opGNUParameterRef:
		return e.pushParameter(uint64(c.u32()))
	}
	return e.stepTyped(op, c)
}

func (c *cursor) jump(by int16) error {
	at := c.pos + int(by)
	if at < 0 || at > len(c.data) {
		return errUnknown
	}
	c.pos = at
	return nil
}

func (e *evaluation) setRegister(n int) error {
	e.where = location{kind: inRegister, reg: n}
	return nil
}

func (e *evaluation) pushRegister(n int, off int64) error {
	v, ok := e.state.Registers.Get(n)
	if !ok {
		return errUnknown
	}
	e.push(e.generic(uint64(v) + uint64(off)))
	return nil
}

// endPiece says that what was located just now is the next part of the value. Nothing located is a part that is lost.
func (e *evaluation) endPiece(size uint64) error {
	at := e.where
	if at.kind == inNothing && len(e.stack) > 0 {
		top, err := e.pop()
		if err != nil {
			return err
		}
		at = location{kind: inMemory, addr: uint32(top.num)}
	}
	e.pieces = append(e.pieces, piece{location: at, size: size})
	e.where, e.stack = location{}, e.stack[:0]
	return nil
}
