package espcore

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

func decodeXtensa(t *testing.T, change func(*sample)) *Report {
	t.Helper()
	s := xtensaSample(0, 0x0102)
	change(&s)
	return s.decode(t, s.dump.container(true))
}

func addressOf(p *programWriter, name string) uint32 {
	for _, s := range p.symbols {
		if s.name == name {
			return s.addr
		}
	}
	panic("no function " + name)
}

func TestWindowsGiveBackTheRegistersOfEachFrame(t *testing.T) {
	s := xtensaSample(0, 0x0102)
	d := mustRead(t, s.dump.container(true))
	w := walker{dump: d, program: &program{ix: s.program.index(t), machine: symbol.Xtensa}, left: maxSteps, warn: t.Errorf}
	steps := w.walk(&d.tasks[0]).steps
	want := []map[int]uint32{
		{2: 0x11, 3: 0x12, 4: 0x14, 15: 0x1F},
		{2: 0x21, 3: 0x22, 4: 0x24, 11: 0x2B}, // called by 12: a4 to a11
		{2: 0x31, 3: 0x32, 4: 0x34, 7: 0x37},  // by 8
		{2: 0x41, 3: 0x42},                    // by 4
	}
	gone := []int{-1, 12, 8, 4}
	for i, s := range steps {
		for n, v := range want[i] {
			if got, ok := s.state.Registers.Get(n); !ok || got != v {
				t.Errorf("frame %d: a%d is %#x (%v), want %#x", i, n, got, ok, v)
			}
		}
		if _, ok := s.state.Registers.Get(gone[i]); ok {
			t.Errorf("frame %d: a%d is known", i, gone[i])
		}
		if i+1 < len(steps) {
			if sp, _ := steps[i+1].state.Registers.Get(xtensaSP); !s.state.HasCFA || s.state.CFA != sp {
				t.Errorf("frame %d: CFA %#x", i, s.state.CFA)
			}
			if s.state.Caller != &steps[i+1].state {
				t.Errorf("frame %d does not know its caller", i)
			}
		}
	}
}

func TestAnUnexecutedEntryStandsInItsCallersWindow(t *testing.T) {
	r := decodeXtensa(t, func(s *sample) {
		crash, work := addressOf(s.program, "crash"), addressOf(s.program, "work")
		task := &s.dump.tasks[0]
		task.pc, task.ps = crash, 0x00030020 // CALLINC 3
		task.regs[12] = (work+9)&returnMask | 3<<30
		// The registers are those of work.
		task.regs[0], task.regs[1] = (addressOf(s.program, "app_main")+9)&returnMask|2<<30, task.regs[1]+0x40
	})
	if got := backtrace(&r.Tasks[0]); got != "crash work app_main start" {
		t.Error(got)
	}
}

func TestATaskThatHasNotBegunHasTheMissingCallerThatGDBShows(t *testing.T) {
	r := decodeXtensa(t, func(s *sample) {
		idle := &s.dump.tasks[1]
		idle.pc, idle.ps = addressOf(s.program, "idle"), 0x00010020
		idle.regs[4] = 0
	})
	frames := r.Tasks[1].Frames
	if len(frames) != 2 || *frames[1].PC != 0x40000000 || frames[1].Function != "??" {
		t.Errorf("%+v", frames)
	}
}

func TestACallThroughANullPointerKeepsItsCaller(t *testing.T) {
	r := decodeXtensa(t, func(s *sample) {
		task := &s.dump.tasks[0]
		work := addressOf(s.program, "work")
		task.pc, task.ps = 0, 0x00030020
		task.regs[12] = (work+9)&returnMask | 3<<30
		task.regs[0], task.regs[1] = (addressOf(s.program, "app_main")+9)&returnMask|2<<30, task.regs[1]+0x40
	})
	if got := backtrace(&r.Tasks[0]); got != "?? work[inferred] app_main start" {
		t.Error(got)
	}
}

func TestAWildPCLeavesTheRegionOfItsCallers(t *testing.T) {
	r := decodeXtensa(t, func(s *sample) { s.dump.tasks[0].pc = 0x80000010 })
	if got := backtrace(&r.Tasks[0]); got != "?? work app_main start" {
		t.Error(got)
	}
}

func TestAFunctionInROMIsWalkedThrough(t *testing.T) {
	s := xtensaSample(0, 0x0102)
	s.dump.tasks[0].pc = 0x40007c78
	d := mustRead(t, s.dump.container(true))
	named := func(pc uint32) (string, bool) { return "ets_write_char", pc == 0x40007c78 }
	r := Decode(d, s.program.index(t), Options{ROM: named})
	if got := backtrace(&r.Tasks[0]); got != "ets_write_char work app_main start" || !r.Tasks[0].Frames[0].ROM {
		t.Error(got)
	}
}

// yieldedTask makes the idle task one that yielded in work, which app_main called, which start called.
func yieldedTask(s *sample) {
	work, start := addressOf(s.program, "work"), addressOf(s.program, "start")
	const top = 0x3FFB9000
	stack := blank(top, 0x100)
	sp := uint32(top + 0x80) // of app_main
	ra := (start+9)&returnMask | 1<<30
	stack.put(top, 0, work+9, 0x00050030, 0, ra, sp, 7, 8) // XtSolFrame
	stack.put(sp-16, 0, sp+0x40, 0, 0)                     // start's
	task := &s.dump.tasks[1]
	task.stack, task.pc, task.ps = stack, (work+9)&returnMask, 0x00050030
	task.regs = map[int]uint32{0: ra & returnMask, 1: sp, 2: 7, 3: 8, 4: 0xBAD}
}

func TestATaskThatYieldedGetsItsLostCallerBack(t *testing.T) {
	for _, version := range []uint16{0x0102, 0x0003} {
		s := xtensaSample(0, version)
		yieldedTask(&s)
		r := s.decode(t, s.dump.container(true))
		if got := backtrace(&r.Tasks[1]); got != "work app_main[inferred] start" {
			t.Errorf("%#04x: %s", version, got)
		}
		if f := r.Tasks[1].Frames[1]; f.PC != nil || f.File != "" {
			t.Errorf("%#04x: %+v", version, f)
		}
	}
}

func TestABrokenStackEndsTheWalkWithAWarning(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*sample)
		want   string
		warn   string
	}{
		"no call there": {func(s *sample) {
			s.dump.tasks[0].regs[0] += 4
		}, "crash", "cannot have been called"},
		"not code": {func(s *sample) {
			s.dump.tasks[0].regs[0] = 0xBADBAD00
		}, "crash", "cannot have been called"},
		"a loop": {func(s *sample) {
			s.dump.tasks[0].stack.put(0x3FFB8100-16+4, 0x3FFB8100)
		}, "crash work", "is said to lie above"},
		"not in the dump": {func(s *sample) {
			s.dump.tasks[0].regs[1] = 0x3FFC0000
		}, "crash work", "is not in the dump"},
		"no window": {func(s *sample) {
			s.dump.tasks[0].regs[0] &= returnMask
		}, "crash", ""},
	} {
		r := decodeXtensa(t, c.change)
		if got := backtrace(&r.Tasks[0]); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if c.warn != "" && !warned(r, c.warn) {
			t.Errorf("%s: warnings %q", name, r.Warnings)
		}
	}
}

func TestAnInterruptsEntryMayReturnToAnywhere(t *testing.T) {
	r := decodeXtensa(t, func(s *sample) {
		// work is an interrupt's entry now, and app_main was interrupted where it calls nobody.
		for i := range s.program.symbols {
			if s.program.symbols[i].name == "work" {
				s.program.symbols[i].name = "_xt_lowint1"
			}
		}
		s.dump.tasks[0].stack.put(0x3FFB8100-16, (addressOf(s.program, "app_main")+20)&returnMask|2<<30)
	})
	if got := backtrace(&r.Tasks[0]); got != "crash _xt_lowint1 app_main start" {
		t.Error(got, r.Warnings)
	}
}

func TestXtensaCallsAreDecoded(t *testing.T) {
	p := &programWriter{machine: symbol.Xtensa, base: 0x40080000}
	p.function("f", 64)
	for n, c := range []struct {
		code   []byte
		target uint32
		window uint32
		ok     bool
	}{
		{xtensaCallTo(0x40080005, 0x40080040, 2), 0x40080040, 2, true},
		{xtensaCallTo(0x40080005, 0x40070000, 3), 0x40070000, 3, true},
		{xtensaCallTo(0x40080005, 0x40080040, 0), 0, 0, false}, // CALL0 has no window
		{xtensaCallX(1), 0, 1, true},
		{xtensaCallX(0), 0, 0, false},
		{[]byte{0x1D, 0xF0, 0x00}, 0, 0, false},
	} {
		p.at(0x40080005, c.code...)
		x := program{ix: p.index(t), machine: symbol.Xtensa}
		if target, window, ok := x.xtensaCall(0x40080008); target != c.target || window != c.window || ok != c.ok {
			t.Errorf("%d: %#x, %d, %v", n, target, window, ok)
		}
	}
}
