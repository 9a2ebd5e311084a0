package espcore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// Hex is an address or a register; as text it is eight hexadecimal digits after 0x.
type Hex uint32

func (h Hex) String() string { return fmt.Sprintf("0x%08x", uint32(h)) }

// MarshalText writes it as String does.
func (h Hex) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hex) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 0, 32)
	*h = Hex(v)
	return err
}

// Register is a register of the processor with its value, named as GDB names it.
type Register struct {
	Name  string
	Value Hex
}

// Registers are in the order in which GDB shows them; in JSON they are one object.
type Registers []Register

// Get finds a register by its name.
func (r Registers) Get(name string) (uint32, bool) {
	for _, reg := range r {
		if reg.Name == name {
			return uint32(reg.Value), true
		}
	}
	return 0, false
}

// MarshalJSON keeps the order.
func (r Registers) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, reg := range r {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:%q", reg.Name, reg.Value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON keeps the order.
func (r *Registers) UnmarshalJSON(data []byte) error {
	in := json.NewDecoder(bytes.NewReader(data))
	if _, err := in.Token(); err != nil {
		return err
	}
	*r = nil
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return err
		}
		reg := Register{Name: fmt.Sprint(name)}
		if err := in.Decode(&reg.Value); err != nil {
			return err
		}
		*r = append(*r, reg)
	}
	return nil
}

// context is what the processor held when a task stopped.
type context struct {
	pc      uint32
	general symbol.Registers
	special []Register // of Xtensa: ps, lbeg, lend, lcount, sar
	short   bool       // the dump ends within
}

// riscvNames are x1 to x31 as GDB names them.
var riscvNames = [...]string{
	1: "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7",
	"s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
}

// Numbers of registers, as DWARF has them.
const (
	riscvRA  = 1
	riscvSP  = 2
	riscvGP  = 3
	riscvTP  = 4
	xtensaRA = 0
	xtensaSP = 1
)

// riscvContext reads pc and x1 to x31, as they are in a note and in an exception frame.
func riscvContext(w words) context {
	var c context
	c.pc, _ = w.at(0)
	c.general.Set(0, 0)
	for n := 1; n < len(riscvNames); n++ {
		c.set(n, w, n)
	}
	return c
}

// xtensaNote reads the registers of a PRSTATUS note (xtensa_gregset_t).
func xtensaNote(w words) context {
	const (
		pc, ps, lbeg, lend, lcount, sar = 0, 1, 2, 3, 4, 5
		addressRegisters                = 64
	)
	c := xtensaSpecial(w, pc, ps, lbeg, lend, lcount, sar)
	for n := range xtensaRegisters {
		c.set(n, w, addressRegisters+n)
	}
	return c
}

// xtensaFrame reads the frame that lies on a task's stack: after an interrupt or an exception XtExcFrame, and where the
// task yielded, known by an exit word of 0, the short XtSolFrame.
func xtensaFrame(w words) context {
	const (
		exit, pc, ps, lbeg, lend, lcount, sar = 0, 1, 2, 22, 23, 24, 19
		addressRegisters                      = 3
		yieldedRegisters, yieldedCount        = 4, 4
		userMode, exceptionMode               = 0x20, 0x10 // PS.UM, PS.EXCM
	)
	if w.get(exit) != 0 {
		c := xtensaSpecial(w, pc, ps, lbeg, lend, lcount, sar)
		if p := &c.special[0].Value; *p&userMode != 0 { // as the device does for ELF dumps, and esp-coredump for these
			*p &^= exceptionMode
		}
		for n := range xtensaRegisters {
			c.set(n, w, addressRegisters+n)
		}
		return c
	}
	c := context{pc: w.get(pc), special: []Register{{"ps", Hex(w.get(ps))}}}
	for n := range yieldedCount {
		c.set(n, w, yieldedRegisters+n)
	}
	return c
}

const xtensaRegisters = 16

func (c *context) set(n int, w words, at int) {
	if v, ok := w.at(at); ok {
		c.general.Set(n, v)
	} else {
		c.short = true
	}
}

func xtensaSpecial(w words, pc, ps, lbeg, lend, lcount, sar int) context {
	return context{pc: w.get(pc), special: []Register{
		{"ps", Hex(w.get(ps))},
		{"lbeg", Hex(w.get(lbeg))},
		{"lend", Hex(w.get(lend))},
		{"lcount", Hex(w.get(lcount))},
		{"sar", Hex(w.get(sar))},
	}}
}

// registers lists what a context knows.
func (c *context) registers(m symbol.Machine) Registers {
	out := Registers{{"pc", Hex(c.pc)}}
	if m == symbol.RISCV {
		for n := 1; n < len(riscvNames); n++ {
			if v, ok := c.general.Get(n); ok {
				out = append(out, Register{riscvNames[n], Hex(v)})
			}
		}
		return out
	}
	out = append(out, c.special...)
	for n := range xtensaRegisters {
		if v, ok := c.general.Get(n); ok {
			out = append(out, Register{"a" + strconv.Itoa(n), Hex(v)})
		}
	}
	return out
}

func (c *context) ps() uint32 {
	v, _ := Registers(c.special).Get("ps")
	return v
}
