package espcore

import (
	"encoding/binary"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// program is what is known of the code that ran: the app's ELF where there is one, and the names of the ROM.
type program struct {
	ix      *symbol.Index // nil: no symbols
	machine symbol.Machine
	rom     func(pc uint32) (string, bool) // nil: nobody knows
	foreign bool                           // the ELF is that of another build: its code says nothing of return addresses
}

// place is what an address is to somebody who returns to it.
type place int

const (
	nowhere    place = iota // neither in the app nor in ROM
	behindCode              // in the app, but no call leads there
	behindCall
	rom
	anywhere // in the range of code, and nobody to ask
)

// place judges a return address.
func (p *program) place(pc uint32) place {
	switch {
	case p.ix == nil || p.foreign && p.machine == symbol.Xtensa: // Xtensa's windows can be walked without the code
		if pc>>28 == xtensaCode>>28 {
			return anywhere
		}
	case p.ix.Executable(pc) || p.ix.Executable(pc-1): // a call can be a function's last instruction
		if p.followsCall(pc) {
			return behindCall
		}
		if !p.ix.HasCode() { // what the compiler said of calls must do, and it need not have said anything
			if _, ok := p.ix.CallSite(pc); ok {
				return behindCall
			}
			return anywhere
		}
		return behindCode
	case inROM(pc):
		return rom
	}
	return nowhere
}

// mayFollowCall reports whether a call leads to pc, or nobody can say that none does.
func (p *program) mayFollowCall(pc uint32) bool {
	at := p.place(pc)
	return at == behindCall || at == anywhere && p.ix != nil && p.ix.Executable(pc-1)
}

// isROM reports whether pc is in ROM and not, as on the P4, in flash that is mapped there.
func (p *program) isROM(pc uint32) bool {
	return inROM(pc) && p.ix != nil && !p.ix.Executable(pc)
}

// text reads code of the app.
func (p *program) text(addr uint32, buf []byte) bool { return p.ix != nil && p.ix.Text(addr, buf) }

// followsCall reports whether the instruction before pc is a call.
func (p *program) followsCall(pc uint32) bool {
	if p.machine == symbol.Xtensa {
		_, _, ok := p.xtensaCall(pc)
		return ok
	}
	return p.riscvCall(pc)
}

// xtensaCall decodes the windowed call before pc: CALLn (op0 = 5, n != 0) or CALLXn. The target is 0 for CALLXn.
// The source is the Xtensa ISA reference manual, chapter 6.
func (p *program) xtensaCall(pc uint32) (target, window uint32, ok bool) {
	const size = 3
	var b [4]byte
	if !p.text(pc-size, b[:size]) {
		return 0, 0, false
	}
	insn := binary.LittleEndian.Uint32(b[:])
	window = insn >> 4 & 3
	switch {
	case window == 0:
		return 0, 0, false
	case insn&0xF == 5: // CALLn: 18 bits of words from the aligned call on
		offset := int32(insn<<8) >> 14
		return (pc-size)&^3 + uint32(offset)<<2 + 4, window, true
	case insn&0xFFF0CF == 0x0000C0: // CALLXn
		return 0, window, true
	}
	return 0, 0, false
}

// riscvCall knows jal ra, jalr ra, c.jal and c.jalr before pc.
func (p *program) riscvCall(pc uint32) bool {
	var b [4]byte
	if pc%2 != 0 {
		return false
	}
	if p.text(pc-4, b[:]) {
		switch insn := binary.LittleEndian.Uint32(b[:]); {
		case insn&0xFFF == 0x0EF: // jal ra, …
			return true
		case insn&0x7FFF == 0x00E7: // jalr ra, …
			return true
		}
	}
	if p.text(pc-2, b[:2]) {
		switch insn := binary.LittleEndian.Uint16(b[:]); {
		case insn&0xE003 == 0x2001: // c.jal
			return true
		case insn&0xF07F == 0x9002 && insn&0x0F80 != 0: // c.jalr
			return true
		}
	}
	return false
}

// function is the name of the function that begins at or covers pc, as the linker knows it.
func (p *program) function(pc uint32) (symbol.Symbol, bool) {
	if p.ix == nil {
		return symbol.Symbol{}, false
	}
	return p.ix.Function(pc)
}

// romName names code that is not the app's.
func (p *program) romName(pc uint32) string {
	if p.rom != nil {
		if name, ok := p.rom(pc); ok {
			return symbol.Demangle(name)
		}
	}
	return ""
}

// isProgram reports whether pc is in a part of memory that is the app's. Elsewhere the symbols that fit are numbers that
// the linker was given: a null pointer is not named after the length of some memory.
func (p *program) isProgram(pc uint32) bool {
	return p.ix != nil && p.ix.Allocated(pc)
}

// isCode reports whether a processor can have stopped at pc.
func (p *program) isCode(pc uint32) bool {
	if p.ix == nil {
		return pc>>28 == xtensaCode>>28
	}
	return p.ix.Executable(pc) || inROM(pc)
}
