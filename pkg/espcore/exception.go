package espcore

import (
	"strconv"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// noCause is what the device writes where it knows no cause (COREDUMP_INVALID_CAUSE_VALUE).
const noCause = 0xFFFF

// readExtra reads what the device adds about the crash: on RISC-V the crashed TCB, and in later versions whether an
// interrupt handler crashed; on Xtensa between the two 18 pairs of a special register's number and value.
func (r *reader) readExtra(w words) {
	tcb, ok := w.at(0)
	if !ok {
		r.warn("the information about the crash is too short")
		return
	}
	r.dump.crashedTCB, r.dump.crashedSaid = tcb, true
	const firstPair, xtensaISR, riscvISR = 1, 37, 1
	if r.dump.Machine == symbol.RISCV {
		r.dump.InISR = w.get(riscvISR) != 0
		return
	}
	r.dump.InISR = w.get(xtensaISR) != 0
	for i := firstPair; i+1 < xtensaISR; i += 2 {
		v, ok := w.at(i + 1)
		if name := specialRegister(w.get(i)); ok && name != "" {
			r.dump.exception = append(r.dump.exception, Register{name, Hex(v)})
		}
	}
}

// specialRegister names the special registers of Xtensa that a dump has.
func specialRegister(n uint32) string {
	const (
		exccause, excvaddr = 232, 238
		epc1, epc7         = 177, 183
		eps2, eps7         = 194, 199
	)
	switch {
	case n == exccause:
		return "exccause"
	case n == excvaddr:
		return "excvaddr"
	case n >= epc1 && n <= epc7:
		return "epc" + strconv.Itoa(int(n-epc1+1))
	case n >= eps2 && n <= eps7:
		return "eps" + strconv.Itoa(int(n-eps2+2))
	}
	return ""
}

// xtensaException takes the cause from the frame on the stack, where there is no note.
func xtensaException(w words) []Register {
	const exccause, excvaddr = 20, 21
	cause, ok := w.at(exccause)
	if !ok {
		return nil
	}
	return []Register{{"exccause", Hex(cause)}, {"excvaddr", Hex(w.get(excvaddr))}}
}

// riscvException finds the crashed task's exception frame, which has the cause behind the registers: at the beginning of
// its stack's segment, or where whole memories were dumped below the stack pointer.
func (d *Dump) riscvException(t *task) []Register {
	const (
		causeOffset = 0x80
		frameSize   = 0xA0 // RvExcFrame, aligned to 16
	)
	sp, _ := t.context.general.Get(riscvSP)
	for _, at := range []uint32{t.stack.addr, sp - frameSize} {
		pc, _ := d.memory.word(at)
		saved, ok := d.memory.word(at + 4*riscvSP)
		if !ok || pc != t.context.pc || saved != sp {
			continue
		}
		var out []Register
		for i, name := range []string{"mstatus", "mtvec", "mcause", "mtval", "mhartid"} {
			if v, ok := d.memory.word(at + causeOffset + 4*uint32(i)); ok {
				out = append(out, Register{name, Hex(v)})
			}
		}
		return out
	}
	return nil
}

// cause is what the processor says about the crash.
type cause struct {
	name    string // "" where it says nothing
	kind    Kind
	address uint32 // that was accessed, where hasAddress
	hasAddr bool
}

// Xtensa's EXCCAUSE; from 64 on ESP-IDF's own panic reasons.
var xtensaCauses = map[uint32]string{
	0: "IllegalInstruction", 1: "Syscall", 2: "InstructionFetchError", 3: "LoadStoreError", 4: "Level1Interrupt",
	5: "Alloca", 6: "IntegerDivideByZero", 7: "PCValue", 8: "Privileged", 9: "LoadStoreAlignment",
	12: "InstrPIFDataError", 13: "LoadStorePIFDataError", 14: "InstrPIFAddrError", 15: "LoadStorePIFAddrError",
	16: "InstTLBMiss", 17: "InstTLBMultiHit", 18: "InstFetchPrivilege", 20: "InstFetchProhibited",
	24: "LoadStoreTLBMiss", 25: "LoadStoreTLBMultiHit", 26: "LoadStorePrivilege", 28: "LoadProhibited", 29: "StoreProhibited",
	32: "Coprocessor0Disabled", 33: "Coprocessor1Disabled", 34: "Coprocessor2Disabled", 35: "Coprocessor3Disabled",
	36: "Coprocessor4Disabled", 37: "Coprocessor5Disabled", 38: "Coprocessor6Disabled", 39: "Coprocessor7Disabled",
	64: "UnknownException", 65: "DebugException", 66: "DoubleException", 67: "KernelPanic", 68: "CoprocessorException",
	69: "InterruptWatchdogCPU0", 70: "InterruptWatchdogCPU1", 71: "CacheError",
}

var xtensaKinds = kinds(map[uint32]Kind{69: KindInterruptWatchdog, 70: KindInterruptWatchdog, 71: KindCache},
	2, 3, 9, 12, 13, 14, 15, 16, 17, 18, 20, 24, 25, 26, 28, 29)

// kinds adds the causes that are failed accesses to memory to those of other kinds.
func kinds(others map[uint32]Kind, memory ...uint32) map[uint32]Kind {
	for _, cause := range memory {
		others[cause] = KindMemory
	}
	return others
}

func xtensaCause(regs Registers) cause {
	const instructionFetch, load, store, alignment = 20, 28, 29, 9
	n, ok := regs.Get("exccause")
	if !ok || n == noCause {
		return cause{}
	}
	c := cause{name: xtensaCauses[n], kind: xtensaKinds[n]}
	if c.name == "" {
		c.name = "EXCCAUSE " + strconv.Itoa(int(n))
	}
	switch n {
	case instructionFetch, load, store, alignment:
		c.address, c.hasAddr = regs.Get("excvaddr")
	}
	return c
}

// RISC-V's mcause, and from 24 on the interrupts that ESP-IDF's panic handler answers (soc.h of the chips).
var riscvCauses = map[uint32]string{
	0: "InstructionAddressMisaligned", 1: "InstructionAccessFault", 2: "IllegalInstruction", 3: "Breakpoint",
	4: "LoadAddressMisaligned", 5: "LoadAccessFault", 6: "StoreAddressMisaligned", 7: "StoreAccessFault",
	8: "EnvironmentCallFromUMode", 9: "EnvironmentCallFromSMode", 11: "EnvironmentCallFromMMode",
	12: "InstructionPageFault", 13: "LoadPageFault", 15: "StorePageFault",
	24: "InterruptWatchdogCPU0", 25: "CacheError", 26: "MemoryProtectionFault", 27: "StackProtectionFault",
}

var riscvKinds = kinds(map[uint32]Kind{24: KindInterruptWatchdog, 25: KindCache, 27: KindStackOverflow},
	0, 1, 4, 5, 6, 7, 12, 13, 15, 26)

func riscvCause(regs Registers) cause {
	const (
		codeMask   = 0xFFF   // the P4 has more in the bits above
		secondCore = 1 << 12 // set by ESP-IDF for the interrupt watchdog of CPU1
		interrupt  = 1 << 31
		watchdog   = 24
	)
	v, ok := regs.Get("mcause")
	if !ok || v == noCause {
		return cause{}
	}
	n := v & codeMask
	c := cause{name: riscvCauses[n], kind: riscvKinds[n]}
	switch {
	case n == watchdog && v&secondCore != 0:
		c.name = "InterruptWatchdogCPU1"
	case c.name == "" && v&interrupt != 0:
		c.name = "Interrupt " + strconv.Itoa(int(n))
	case c.name == "":
		c.name = "MCAUSE " + strconv.Itoa(int(n))
	}
	switch n {
	case 0, 1, 4, 5, 6, 7, 12, 13, 15:
		c.address, c.hasAddr = regs.Get("mtval")
	}
	return c
}
