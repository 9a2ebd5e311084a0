package espcore

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// sample is a program and a dump of it: app_main called work, which called crash; and a task that idles.
type sample struct {
	program *programWriter
	dump    *dumpWriter
}

const (
	sampleHash = "0123456789abcdef"
	sampleTCB  = 0x3FFB0000
	sampleIdle = 0x3FFB1000
)

// sampleOf is a sample of a chip's architecture.
func sampleOf(chip Chip, version uint16) sample {
	if chips[chip].machine == symbol.Xtensa {
		return xtensaSample(chip, version)
	}
	return riscvSample(chip, version)
}

// xtensaSample uses all windows: app_main calls work by 8, work calls crash by 12, the root calls app_main by 4.
func xtensaSample(chip Chip, version uint16) sample {
	p := &programWriter{machine: symbol.Xtensa, base: 0x400D0000}
	start := p.function("start", 32)
	main := p.function("app_main", 32)
	work := p.function("work", 32)
	crash := p.function("crash", 32)
	idle := p.function("idle", 32)
	for _, f := range []uint32{start, main, work, crash, idle} {
		p.at(f, xtensaEntry...)
	}
	p.at(start+6, xtensaCallTo(start+6, main, 1)...)
	p.at(main+6, xtensaCallTo(main+6, work, 2)...)
	p.at(work+6, xtensaCallX(3)...)

	const top = 0x3FFB8000
	stack := blank(top, 0x400)
	// Stack pointers: crash 0x…100, work …140, app_main …180, start …1C0.
	sp := func(n uint32) uint32 { return top + 0x100 + 0x40*n }
	ra := func(pc, window uint32) uint32 { return pc&returnMask | window<<30 }
	regs := map[int]uint32{0: ra(work+9, 3), 1: sp(0), 2: 0x11, 3: 0x12}
	for i := 4; i < 16; i++ {
		regs[i] = uint32(0x10 + i)
	}
	stack.put(sp(0)-16, ra(main+9, 2), sp(1), 0x21, 0x22)  // work's a0 to a3
	stack.put(sp(1)-16, ra(start+9, 1), sp(2), 0x31, 0x32) // app_main's
	stack.put(sp(2)-16, 0, sp(3), 0x41, 0x42)              // start's
	stack.put(sp(2)-48, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B)
	stack.put(sp(3)-32, 0x34, 0x35, 0x36, 0x37)

	crashed := testTask{tcb: sampleTCB, tcbData: make([]byte, 0x60), stack: stack, pc: crash + 8, ps: 0x00030020, regs: regs}
	idleStack := blank(0x3FFB9000, 0x100)
	idling := testTask{
		tcb: sampleIdle, tcbData: make([]byte, 0x60), stack: idleStack, pc: idle + 8, ps: 0x00020030,
		regs: map[int]uint32{0: 0, 1: 0x3FFB90C0},
	}
	writeXtensaFrame(crashed, currentTask)
	stack.put(top+4*20, 29, 0x1C) // EXCCAUSE StoreProhibited, EXCVADDR
	writeXtensaFrame(idling, 0x40080000)
	extra := wordsOf(sampleTCB, 232, 29, 238, 0x1C, 194, 0x52, 177, 0x61, 183, 0x67)
	extra = append(extra, make([]byte, 152-len(extra))...)
	return sample{p, &dumpWriter{
		version: version, chip: chip, revision: 301, machine: symbol.Xtensa,
		tasks: []testTask{crashed, idling}, elfHash: sampleHash, notes: []testNote{{noteExtra, extra}},
	}}
}

// writeXtensaFrame writes an XtExcFrame to the top of a task's stack.
func writeXtensaFrame(t testTask, exit uint32) {
	t.stack.put(t.stack.addr, exit, t.pc, t.ps)
	for n, v := range t.regs {
		t.stack.put(t.stack.addr+4*uint32(3+n), v)
	}
}

// riscvSample has a call through each of the four instructions.
func riscvSample(chip Chip, version uint16) sample {
	p := &programWriter{machine: symbol.RISCV, base: 0x42000000}
	if chip.String() == "ESP32-P4" {
		p.base = 0x40010000 // where all others have their ROM
	}
	start := p.function("start", 32, root...)
	main := p.function("app_main", 32, frame(32)...)
	work := p.function("work", 32, frame(16)...)
	crash := p.function("crash", 32, frame(16)...)
	idle := p.function("idle", 32, root...)
	p.at(start+4, riscvJAL...)
	p.at(main+4, riscvCJALR...)
	p.at(work+4, riscvCJAL...)

	const top, sp = 0x3FC80000, 0x3FC800A0
	stack := blank(top, 0x200)
	stack.put(sp+12, work+6)
	stack.put(sp+28, main+6)
	stack.put(sp+60, start+8)
	regs := map[int]uint32{1: 0x42000001, 2: sp, 3: 0x3FC00000, 8: 0x88}
	crashed := testTask{tcb: sampleTCB, tcbData: make([]byte, 0x60), stack: stack, pc: crash + 8, regs: regs}
	idling := testTask{
		tcb: sampleIdle, tcbData: make([]byte, 0x60), stack: blank(0x3FC81000, 0x100), pc: idle + 8,
		regs: map[int]uint32{1: 0, 2: 0x3FC810A0},
	}
	writeRISCVFrame(crashed)
	writeRISCVFrame(idling)
	stack.put(top+0x80, 0x1881, 0x40380001, 7, 0x1C, 0) // mstatus, mtvec, mcause, mtval, mhartid
	return sample{p, &dumpWriter{
		version: version, chip: chip, revision: 3, machine: symbol.RISCV,
		tasks: []testTask{crashed, idling}, elfHash: sampleHash, notes: []testNote{{noteExtra, wordsOf(sampleTCB, 0)}},
	}}
}

// writeRISCVFrame writes an RvExcFrame to the top of a task's stack.
func writeRISCVFrame(t testTask) {
	t.stack.put(t.stack.addr, t.pc)
	for n, v := range t.regs {
		t.stack.put(t.stack.addr+4*uint32(n), v)
	}
}

func mustRead(t testing.TB, data []byte) *Dump {
	t.Helper()
	d, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (s sample) decode(t testing.TB, data []byte) *Report {
	t.Helper()
	return Decode(mustRead(t, data), s.program.index(t), Options{ELFSHA256: sampleHash + "00"})
}

// backtrace is a task's functions, with how they were found where that is not the common way.
func backtrace(t *Task) string {
	return framesText(t.Frames)
}

func framesText(frames []Frame) string {
	var out bytes.Buffer
	for i, f := range frames {
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(f.Function)
		switch f.How {
		case HowScan, HowInferred, HowTail:
			fmt.Fprintf(&out, "[%s]", f.How)
		}
	}
	return out.String()
}
