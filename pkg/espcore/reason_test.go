package espcore

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

func TestThePanicTextTellsTheKind(t *testing.T) {
	for text, want := range map[string]Kind{
		"abort() was called at PC 0x400d66b9 on core 0":                                     KindAbort,
		"assert failed: xQueueGenericSend queue.c:832 (pxQueue)":                            KindAssert,
		"***ERROR*** A stack overflow in task main has been detected.":                      KindStackOverflow,
		"Task watchdog got triggered. The following tasks/users did not reset the …":        KindTaskWatchdog,
		"Interrupt wdt timeout on CPU0":                                                     KindInterruptWatchdog,
		"Cache disabled but cached memory region accessed":                                  KindCache,
		"ESP_ERROR_CHECK failed: esp_err_t 0x102 (ESP_ERR_INVALID_ARG) at 0x400d1234":       KindAbort,
		"Stack smashing protect failure!":                                                   KindAbort,
		"Task watchdog got triggered. …\n - a (CPU 0)\nabort() was called at PC 0x400d66b9": KindTaskWatchdog,
	} {
		for _, chip := range []Chip{0, 13} {
			s := sampleOf(chip, 0x0102)
			s.dump.note(notePanic, []byte(text))
			if r := s.decode(t, s.dump.container(true)); r.Kind != want || r.Reason != text {
				t.Errorf("%q: kind %q, reason %q; want %q", text, r.Kind, r.Reason, want)
			}
		}
	}
}

func TestFunctionsOnTheStackTellAnAbortWhateverTheCauseSays(t *testing.T) {
	for function, want := range map[string]Kind{
		"panic_abort":                   KindAbort,
		"abort":                         KindAbort,
		"__assert_func":                 KindAssert,
		"vApplicationStackOverflowHook": KindStackOverflow,
		"task_wdt_isr":                  KindTaskWatchdog,
	} {
		s := sampleOf(0, 0x0003)
		for i := range s.program.symbols {
			if s.program.symbols[i].name == "work" {
				s.program.symbols[i].name = function
			}
		}
		r := s.decode(t, s.dump.container(true))
		if r.Kind != want || r.Reason != abortReasons[want] || r.Cause != "" {
			t.Errorf("%s: kind %q, reason %q, cause %q", function, r.Kind, r.Reason, r.Cause)
		}
		if r.Tasks[0].Overflow != (want == KindStackOverflow) {
			t.Errorf("%s: overflow %v", function, r.Tasks[0].Overflow)
		}
	}
}

func TestTheCauseIsNamed(t *testing.T) {
	for _, c := range []struct {
		machine symbol.Machine
		value   uint32
		kind    Kind
		reason  string
	}{
		{symbol.Xtensa, 0, "fault:IllegalInstruction", "IllegalInstruction at the pc 0x40081234"},
		{symbol.Xtensa, 6, "fault:IntegerDivideByZero", "IntegerDivideByZero at the pc 0x40081234"},
		{symbol.Xtensa, 9, KindMemory, "LoadStoreAlignment at the address 0x00000bad"},
		{symbol.Xtensa, 28, KindMemory, "LoadProhibited at the address 0x00000bad"},
		{symbol.Xtensa, 64, "fault:UnknownException", "UnknownException at the pc 0x40081234"},
		{symbol.Xtensa, 65, "fault:DebugException", "DebugException at the pc 0x40081234"},
		{symbol.Xtensa, 66, "fault:DoubleException", "DoubleException at the pc 0x40081234"},
		{symbol.Xtensa, 67, "fault:KernelPanic", "KernelPanic at the pc 0x40081234"},
		{symbol.Xtensa, 68, "fault:CoprocessorException", "CoprocessorException at the pc 0x40081234"},
		{symbol.Xtensa, 69, KindInterruptWatchdog, "InterruptWatchdogCPU0"},
		{symbol.Xtensa, 70, KindInterruptWatchdog, "InterruptWatchdogCPU1"},
		{symbol.Xtensa, 71, KindCache, "CacheError"},
		{symbol.Xtensa, 63, "fault:EXCCAUSE 63", "EXCCAUSE 63 at the pc 0x40081234"},
		{symbol.Xtensa, noCause, "fault:unknown", "unknown: the dump does not say"},
		{symbol.RISCV, 2, "fault:IllegalInstruction", "IllegalInstruction at the pc 0x40081234"},
		{symbol.RISCV, 5, KindMemory, "LoadAccessFault at the address 0x00000bad"},
		{symbol.RISCV, 0x38000005, KindMemory, "LoadAccessFault at the address 0x00000bad"}, // of the P4
		{symbol.RISCV, 24, KindInterruptWatchdog, "InterruptWatchdogCPU0"},
		{symbol.RISCV, 24 | 1<<12, KindInterruptWatchdog, "InterruptWatchdogCPU1"},
		{symbol.RISCV, 25, KindCache, "CacheError"},
		{symbol.RISCV, 26, KindMemory, "MemoryProtectionFault at the pc 0x40081234"},
		{symbol.RISCV, 27, KindStackOverflow, "StackProtectionFault"},
		{symbol.RISCV, 14, "fault:MCAUSE 14", "MCAUSE 14 at the pc 0x40081234"},
		{symbol.RISCV, 1<<31 | 40, "fault:Interrupt 40", "Interrupt 40 at the pc 0x40081234"},
	} {
		regs := Registers{{"pc", 0x40081234}, {"exccause", Hex(c.value)}, {"excvaddr", 0xBAD}}
		if c.machine == symbol.RISCV {
			regs = Registers{{"pc", 0x40081234}, {"mcause", Hex(c.value)}, {"mtval", 0xBAD}}
		}
		n := decoder{report: &Report{Registers: regs}, program: program{machine: c.machine}}
		n.explain()
		if n.report.Kind != c.kind || n.report.Reason != c.reason {
			t.Errorf("%s %d: kind %q, reason %q; want %q, %q", c.machine, c.value, n.report.Kind, n.report.Reason, c.kind, c.reason)
		}
	}
}

func TestAStackOverflowIsFlaggedOnTheTaskThatIsNamed(t *testing.T) {
	s := sampleOf(5, 0x0103)
	s.dump.notes = append(s.dump.notes, taskInfo(sampleTCB, 0, "main"), taskInfo(sampleIdle, 0, "logger"))
	s.dump.note(notePanic, []byte("***ERROR*** A stack overflow in task logger has been detected."))
	r := s.decode(t, s.dump.container(true))
	if r.Tasks[0].Overflow || !r.Tasks[1].Overflow {
		t.Errorf("overflow of main %v, of logger %v", r.Tasks[0].Overflow, r.Tasks[1].Overflow)
	}
}

// knownLayout is where the tests' TCBs keep what.
var knownLayout = layout{memberTop: 0, memberStack: 4, memberEnd: 8, memberPriority: 12, memberName: 16}

func TestStacksAreMeasured(t *testing.T) {
	const start, end = 0x3FC80000, 0x3FC80400
	for name, c := range map[string]struct {
		crashed, isr   bool
		sp, top        uint32
		start, end     uint32
		used, size     int64
		overflow       bool
		withoutSymbols bool
	}{
		"one that waits":           {false, false, end - 0x20, end - 0x100, start, end, 0x100, 0x400, false, false},
		"one that waits too deep":  {false, false, end - 0x20, start - 0x10, start, end, 0x410, 0x400, true, false},
		"the crashed one":          {true, false, end - 0x80, end - 0x100, start, end, 0x80, 0x400, false, false},
		"the crashed one too deep": {true, false, start - 0x40, end - 0x100, start, end, 0x440, 0x400, true, false},
		"crashed in an interrupt":  {true, true, 0x3FC70000, end - 0x100, start, end, 0x100, 0x400, false, false},
		"a wild stack pointer":     {true, false, 0x10, end - 0x100, start, end, 0, 0x400, false, false},
		"a TCB of nonsense":        {false, false, end - 0x20, end - 0x100, end, start, 0x100, 0, false, false},
		"without symbols":          {false, false, end - 0x20, end - 0x100, start, end, 0x20, 0, false, true},
	} {
		stack := blank(start, end-start)
		tcb := blank(sampleTCB, 0x60)
		tcb.put(sampleTCB, c.top, c.start, c.end, 7)
		copy(tcb.data[16:], "worker")
		d := &Dump{InISR: c.isr, memory: memory{[]segment{tcb, stack}}}
		n := decoder{dump: d, report: &Report{}, program: program{machine: symbol.RISCV}, layout: knownLayout}
		if c.withoutSymbols {
			n.layout = nil
		}
		n.walker = walker{dump: d, program: &n.program, left: maxSteps, warn: n.warn}
		task := task{tcb: sampleTCB, stack: stack}
		task.context.general.Set(riscvSP, c.sp)
		got := n.task(&task, c.crashed)
		if got.StackUsed != c.used || got.StackSize != c.size || got.Overflow != c.overflow {
			t.Errorf("%s: used %d of %d, overflow %v", name, got.StackUsed, got.StackSize, got.Overflow)
		}
		if !c.withoutSymbols && (got.Name != "worker" || got.Priority == nil || *got.Priority != 7) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
