package espcore

import (
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

func decodeRISCV(t *testing.T, change func(*sample)) *Report {
	t.Helper()
	s := riscvSample(13, 0x0104)
	change(&s)
	return s.decode(t, s.dump.container(true))
}

const (
	riscvROM = 0x40018EBE
	riscvTop = 0x3FC800A0 // the stack pointer of the sample's crash
)

func TestOnlyWhatCalleesKeepIsKnownInACaller(t *testing.T) {
	s := riscvSample(5, 0x0102)
	for n := 10; n < 32; n++ {
		s.dump.tasks[0].regs[n] = uint32(n)
	}
	d := mustRead(t, s.dump.container(true))
	w := walker{dump: d, program: &program{ix: s.program.index(t), machine: symbol.RISCV}, left: maxSteps, warn: t.Errorf}
	steps := w.walk(&d.tasks[0]).steps
	if len(steps) != 4 {
		t.Fatalf("%d frames", len(steps))
	}
	for n := 1; n < 32; n++ {
		_, ok := steps[1].state.Registers.Get(n)
		kept := slices.Contains(strings.Fields("sp gp tp fp s1 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11"), riscvNames[n])
		if want := kept || riscvNames[n] == "ra"; ok != want { // work has restored ra
			t.Errorf("%s: known %v, want %v", riscvNames[n], ok, want)
		}
	}
	if sp, _ := steps[1].state.Registers.Get(riscvSP); sp != riscvTop+16 || steps[0].state.CFA != sp {
		t.Errorf("sp of work is %#x", sp)
	}
}

func TestCodeWithoutCallFramesIsScannedBehind(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*sample)
		want   string
	}{
		"a ROM function, called from the app": {func(s *sample) {
			s.dump.tasks[0].pc = riscvROM
			s.dump.tasks[0].regs[1] = addressOf(s.program, "work") + 6
			s.dump.tasks[0].regs[2] = riscvTop + 16
		}, "?? work app_main start"},
		"its frame is 48 bytes deep": {func(s *sample) {
			s.dump.tasks[0].pc = riscvROM
			s.dump.tasks[0].regs[1] = addressOf(s.program, "work") + 6
			s.dump.tasks[0].regs[2] = riscvTop + 16 - 48
			s.dump.tasks[0].stack.put(riscvTop+12, 0) // nothing is left of crash
		}, "?? work[scan] app_main[scan] start[scan]"},
		"it has called in ROM itself": {func(s *sample) {
			s.dump.tasks[0].pc = riscvROM
			s.dump.tasks[0].regs[1] = riscvROM + 0x100
			s.dump.tasks[0].regs[2] = riscvTop - 64
			s.dump.tasks[0].stack.put(riscvTop-8, 7, addressOf(s.program, "app_main")+4, 9)
		}, "?? work[scan] app_main[scan] start[scan]"},
		"ROM in the middle": {func(s *sample) {
			// crash was called by ROM, which work has called.
			s.dump.tasks[0].stack.put(riscvTop+12, riscvROM)
			shift(s, riscvTop+16, 48)
			s.dump.tasks[0].stack.put(riscvTop+16+44, addressOf(s.program, "work")+6)
		}, "crash ?? work[scan] app_main[scan] start[scan]"},
		"ROM twice, and deep": {func(s *sample) {
			const deep = 4 * maxScanned // bytes: beyond one search
			larger := blank(s.dump.tasks[0].stack.addr, 2*deep)
			copy(larger.data, s.dump.tasks[0].stack.data)
			s.dump.tasks[0].stack = larger
			larger.put(riscvTop+12, riscvROM)
			shift(s, riscvTop+16, 48)
			larger.put(riscvTop+16+44, addressOf(s.program, "work")+6)
			larger.put(riscvTop+64+12, riscvROM) // work was called by ROM too
			shift(s, riscvTop+64+16, deep)
			larger.put(riscvTop+64+16+deep-4, addressOf(s.program, "app_main")+6)
		}, "crash ?? work[scan] ??[scan] app_main[scan] start[scan]"},
		"a null pointer was called": {func(s *sample) {
			s.dump.tasks[0].pc = 0
			s.dump.tasks[0].regs[1] = addressOf(s.program, "work") + 6
			s.dump.tasks[0].regs[2] = riscvTop + 16
		}, "?? work app_main start"},
		"nothing leads to the root": {func(s *sample) {
			s.dump.tasks[0].pc = riscvROM
			s.dump.tasks[0].regs[1] = 0
			s.dump.tasks[0].stack.put(riscvTop+60, 0)
			larger := blank(s.dump.tasks[0].stack.addr, 4096)
			copy(larger.data, s.dump.tasks[0].stack.data)
			s.dump.tasks[0].stack = larger
		}, "??"},
		"the root has no end mark, but lies at the top of its stack": {func(s *sample) {
			s.dump.tasks[0].pc = riscvROM
			s.dump.tasks[0].regs[1] = 0
			s.dump.tasks[0].stack.put(riscvTop+60, 0)
		}, "?? app_main[scan]"},
		"a null pointer was called, and nothing leads to a root": {func(s *sample) {
			s.dump.tasks[0].pc = 0
			s.dump.tasks[0].regs[1] = addressOf(s.program, "work") + 6
			s.dump.tasks[0].regs[2] = riscvTop + 16
			s.dump.tasks[0].stack.put(riscvTop+60, 0xDEADBEEE)
		}, "?? work app_main"},
		"a wild pointer was called": {func(s *sample) {
			s.dump.tasks[0].pc = 0x77777776
			s.dump.tasks[0].regs[1] = addressOf(s.program, "work") + 6
			s.dump.tasks[0].regs[2] = riscvTop + 16
		}, "?? work app_main start"},
	} {
		r := decodeRISCV(t, c.change)
		if got := backtrace(&r.Tasks[0]); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// shift moves the crashed task's stack from addr on up by n bytes.
func shift(s *sample, addr uint32, n int) {
	from := s.dump.tasks[0].stack.data[addr-s.dump.tasks[0].stack.addr:]
	copy(from[n:], append([]byte(nil), from...))
	clear(from[:n])
}

func TestABrokenStackOfRISCVIsToldAndSearchedFartherOut(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*sample)
		want   string
		warn   string
	}{
		"no call there":   {func(s *sample) { s.dump.tasks[0].stack.put(riscvTop+12, addressOf(s.program, "work")+8) }, "crash app_main[scan] start[scan]", "cannot have been called"},
		"not code":        {func(s *sample) { s.dump.tasks[0].stack.put(riscvTop+12, 0xDEADBEEE) }, "crash app_main[scan] start[scan]", "cannot have been called"},
		"not in the dump": {func(s *sample) { s.dump.tasks[0].regs[2] = 0x3FC90000 }, "crash", "is not in the dump"},
		"a root of zero":  {func(s *sample) { s.dump.tasks[0].stack.put(riscvTop+12, 0) }, "crash ??", ""},
	} {
		r := decodeRISCV(t, c.change)
		if got := backtrace(&r.Tasks[0]); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if c.warn != "" && !warned(r, c.warn) {
			t.Errorf("%s: warnings %q", name, r.Warnings)
		}
	}
}

func TestALoopOfFramesEnds(t *testing.T) {
	p := &programWriter{machine: symbol.RISCV, base: 0x42000000}
	// Its row says that the frame has no size, and that its caller is where the stack says.
	f := p.function("loop", 32, cfaDefOffset, 0, cfaOffset|1, 0)
	p.at(f+4, riscvJAL...)
	s := riscvSample(5, 0x0102)
	s.dump.tasks[0].pc = f + 8
	s.dump.tasks[0].stack.put(riscvTop, f+8)
	r := Decode(mustRead(t, s.dump.container(true)), p.index(t), Options{})
	if n := len(r.Tasks[0].Frames); n > 2 || !warned(r, "is said to lie above") {
		t.Errorf("%d frames, warnings %q", n, r.Warnings)
	}
}

func TestAnInterruptedTaskIsShownBelowTheHandler(t *testing.T) {
	for _, chip := range []Chip{5, 9} {
		s := sampleOf(chip, 0x0103)
		d := mustRead(t, s.dump.container(true))
		d.InISR = true
		ix := s.program.index(t)
		n := decoder{dump: d, report: &Report{}, program: program{ix: ix, machine: d.Machine}}
		n.walker = walker{dump: d, program: &n.program, left: maxSteps, warn: t.Errorf}
		handler := n.walker.walk(&d.tasks[1])
		if got := framesText(n.interrupted(d.tasks[0].stack.addr, handler.steps)); got != "crash work app_main start" {
			t.Errorf("%s: %s", chip, got)
		}
		if got := n.interrupted(d.tasks[0].stack.addr, n.walker.walk(&d.tasks[0]).steps); got != nil {
			t.Errorf("%s: a walk that led there already is repeated: %s", chip, framesText(got))
		}
		if got := n.interrupted(0x10, handler.steps); got != nil {
			t.Errorf("%s: %s", chip, framesText(got))
		}
	}
}

func TestRISCVCallsAreDecoded(t *testing.T) {
	p := &programWriter{machine: symbol.RISCV, base: 0x42000000}
	p.function("f", 64)
	const at = 0x42000010
	for n, c := range []struct {
		code []byte
		ok   bool
	}{
		{riscvJAL, true},
		{riscvJALR, true},
		{append([]byte{0x01, 0x00}, riscvCJAL...), true},
		{append([]byte{0x01, 0x00}, riscvCJALR...), true},
		{wordsOf(0x06F), false},                 // j
		{wordsOf(0x8067), false},                // ret
		{[]byte{0x01, 0x00, 0x02, 0x90}, false}, // c.ebreak
		{[]byte{0x01, 0x00, 0x02, 0x85}, false}, // c.jr a0
		{[]byte{0x01, 0x00, 0x01, 0xA0}, false}, // c.j
	} {
		p.at(at-4, c.code...)
		x := program{ix: p.index(t), machine: symbol.RISCV}
		if got := x.followsCall(at); got != c.ok {
			t.Errorf("%d: %v", n, got)
		}
		if x.followsCall(at + 1) {
			t.Errorf("%d: an odd address follows a call", n)
		}
	}
}

func TestALongRecursionKeepsBothEnds(t *testing.T) {
	const deep = 1000
	p := &programWriter{machine: symbol.RISCV, base: 0x42000000}
	start := p.function("start", 16, root...)
	begin := p.function("begin", 16, frame(16)...)
	again := p.function("again", 32, frame(16)...)
	for _, f := range []uint32{start, begin, again} {
		p.at(f+4, riscvJAL...)
	}
	s := riscvSample(5, 0x0102)
	stack := blank(0x3FC80000, 16*(deep+8))
	for i := range uint32(deep) {
		stack.put(stack.addr+16*i+12, again+8)
	}
	stack.put(stack.addr+16*(deep-1)+12, begin+8)
	stack.put(stack.addr+16*deep+12, start+8)
	s.dump.tasks = s.dump.tasks[:1]
	s.dump.tasks[0].stack, s.dump.tasks[0].pc = stack, again+8
	s.dump.tasks[0].regs[2] = stack.addr
	r := Decode(mustRead(t, s.dump.container(true)), p.index(t), Options{})
	frames, gap := r.Tasks[0].Frames, r.Tasks[0].LeftOut
	if len(frames) != mostInnermost+mostOutermost || gap == nil || *gap != (LeftOut{mostInnermost, deep + 2 - len(frames)}) {
		t.Fatalf("%d frames, %+v", len(frames), gap)
	}
	if a, b := frames[len(frames)-2].Function, frames[len(frames)-1].Function; a != "begin" || b != "start" {
		t.Errorf("it begins in %s, %s", a, b)
	}
	if !warned(r, "1002 frames deep") {
		t.Errorf("%q", r.Warnings)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "\n... 810 frames were left out ...\n#938 0x") {
		t.Errorf("%v: %s", err, text.String())
	}
}

func TestAStackIsWalkedWithoutTheBytesOfTheCode(t *testing.T) {
	for name, pc := range map[string]uint32{"a crash": 0, "a null pointer": 1} {
		r := decodeRISCV(t, func(s *sample) {
			s.program.bare = true
			if pc != 0 {
				s.dump.tasks[0].pc = 0
				s.dump.tasks[0].regs[1] = addressOf(s.program, "work") + 6
				s.dump.tasks[0].regs[2] = riscvTop + 16
			}
		})
		want := []string{"crash work app_main start", "?? work app_main start"}[pc]
		if got := backtrace(&r.Tasks[0]); got != want || !warned(r, "the ELF has no code") {
			t.Errorf("%s: %s, want %s; %q", name, got, want, r.Warnings)
		}
	}
}
