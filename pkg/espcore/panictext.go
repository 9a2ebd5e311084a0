package espcore

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// What the panic handler prints where no dump was made (panic_handler.c, panic_arch.c of ESP-IDF): the cause, the registers as
// "MEPC    : 0x42009351", and a "Backtrace: pc:sp pc:sp" on Xtensa or the "Stack memory:" on RISC-V.
var (
	panicRegister  = pattern(`\b([A-Z][A-Z0-9]{1,7})(?:/FP)?[ ]{0,8}: 0x([0-9a-fA-F]{8})\b`)
	panicBacktrace = pattern(`Backtrace: ?((?:[ \r\n]{0,3}0x[0-9a-fA-F]{8}: ?0x[0-9a-fA-F]{8})+)( \|<-CORRUPTED)?`)
	panicEntry     = pattern(`0x([0-9a-fA-F]{8}): ?0x([0-9a-fA-F]{8})`)
	panicStack     = pattern(`\b([0-9a-fA-F]{8}): ((?:0x[0-9a-fA-F]{8}[ \t]*){1,8})`)
	panicException = pattern(`Guru Meditation Error: Core +\d panic'ed \(([^()\r\n]{1,80}(?:\([^()\r\n]{0,40}\))?[^()\r\n]{0,40})\)`)
	panicReason    = pattern(`(?:abort\(\) was called|assert failed:|assertion "|Task watchdog got triggered|\*\*\*ERROR\*\*\* A stack overflow)[^\r\n]{0,400}`)
	panicBeginning = pattern(`Guru Meditation Error|abort\(\) was called|assert failed:|assertion "|Task watchdog got triggered|\*\*\*ERROR\*\*\* A stack overflow|\bMEPC +:|\bPC +: 0x|Backtrace:`)
)

const (
	saidByPanic = "panic text" // the container of what is no dump
	mostBehind  = 16 << 10     // bytes of one panic's text: registers, and 1 KiB of stack
	mostBefore  = 4 << 10
	maxListed   = 100 // frames; the device prints no more
)

// panicText is the last panic of a log; false where there is none with an address to go by.
func panicText(text []byte) ([]byte, bool) {
	last := max(bytes.LastIndex(text, []byte("Backtrace:")), bytes.LastIndex(text, []byte("MEPC ")))
	if last < 0 {
		return nil, false
	}
	start := last
	before := text[max(0, last-mostBefore):last]
	if at := bytes.LastIndex(before, []byte("Rebooting...")); at >= 0 { // an earlier panic ends there
		before = before[at:]
	}
	for _, at := range panicBeginning().FindAllIndex(before, -1) {
		switch begins := before[at[0]:]; {
		case bytes.HasPrefix(begins, []byte("Backtrace:")):
			start = last
		case start == last, bytes.HasPrefix(begins, []byte("Guru")):
			start = last - len(before) + at[0]
		}
	}
	text = text[start:min(len(text), last+mostBehind)]
	if at := bytes.Index(text, []byte("Rebooting...")); at > last-start {
		text = text[:at]
	}
	return text, panicBacktrace().Match(text) || bytes.Contains(text, []byte("MEPC"))
}

// readPanicText reads a crash of which there is no dump as far as its text goes.
func (r *reader) readPanicText() error {
	d, text := r.dump, r.said
	d.Container = saidByPanic
	r.warn("this is no dump but the text of a panic: only what it says is known")
	values := map[string]uint32{}
	var order []string
	for _, m := range panicRegister().FindAllSubmatch(text, -1) {
		name := strings.ToLower(string(m[1]))
		if _, again := values[name]; !again {
			values[name] = hexWord(m[2])
			order = append(order, name)
		}
	}
	if m := panicReason().Find(text); m != nil {
		d.Panic = strings.TrimSpace(strings.ToValidUTF8(string(m), "\uFFFD"))
	}
	exception := ""
	if m := panicException().FindSubmatch(text); m != nil {
		exception = string(m[1])
		if d.Panic == "" && panicKind(exception) != KindAbort {
			d.Panic = exception
		}
	}
	t := task{}
	if _, ok := values["mepc"]; ok {
		d.Machine = symbol.RISCV
		r.panicOfRISCV(&t, values, order, text)
	} else {
		d.Machine = symbol.Xtensa
		r.panicOfXtensa(&t, values, order, exception, text)
	}
	d.tasks = []task{t}
	return nil
}

func (r *reader) panicOfRISCV(t *task, values map[string]uint32, order []string, text []byte) {
	t.context.pc = values["mepc"]
	values["fp"] = values["s0"]
	t.context.general.Set(0, 0)
	for n := 1; n < len(riscvNames); n++ {
		if v, ok := values[riscvNames[n]]; ok {
			t.context.general.Set(n, v)
		}
	}
	for _, name := range order {
		switch name {
		case "mstatus", "mtvec", "mcause", "mtval", "mhartid":
			r.dump.exception = append(r.dump.exception, Register{name, Hex(values[name])})
		}
	}
	_, stack, _ := bytes.Cut(text, []byte("Stack memory:"))
	var s segment
	for _, m := range panicStack().FindAllSubmatch(stack, -1) {
		addr := hexWord(m[1])
		if len(s.data) == 0 {
			s.addr = addr
		} else if addr != s.end() { // a line was lost
			r.dump.memory.add(s)
			s = segment{addr: addr}
		}
		for _, word := range bytes.Fields(m[2]) {
			v := hexWord(word[len("0x"):])
			s.data = append(s.data, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
	}
	r.dump.memory.add(s)
	if len(r.dump.memory.segments) > 0 {
		t.stack = r.dump.memory.segments[0]
	}
}

func (r *reader) panicOfXtensa(t *task, values map[string]uint32, order []string, exception string, text []byte) {
	const callLength = 3 // the text has the address of the call, not where it returns to
	if m := panicBacktrace().FindSubmatch(text); m != nil {
		for i, entry := range panicEntry().FindAllSubmatch(m[1], -1) {
			pc := hexWord(entry[1])
			if i > 0 {
				pc += callLength
			}
			t.backtrace = append(t.backtrace, pc)
			if len(t.backtrace) == maxListed {
				break
			}
		}
		if len(m[2]) > 0 {
			r.warn("the backtrace is corrupt from there on")
		}
	}
	if len(t.backtrace) > 0 {
		t.context.pc = t.backtrace[0]
	}
	if pc, ok := values["pc"]; ok {
		t.context.pc = xtensaReturn(pc)
		if len(t.backtrace) > 0 {
			t.backtrace[0] = t.context.pc
		}
	}
	for n := range xtensaRegisters {
		if v, ok := values["a"+strconv.Itoa(n)]; ok {
			t.context.general.Set(n, v)
		}
	}
	for _, name := range order {
		switch name {
		case "ps", "lbeg", "lend", "lcount", "sar":
			t.context.special = append(t.context.special, Register{name, Hex(values[name])})
		case "exccause", "excvaddr":
			r.dump.exception = append(r.dump.exception, Register{name, Hex(values[name])})
		}
	}
	if _, ok := values["exccause"]; ok {
		return
	}
	for number, name := range xtensaCauses {
		if name == exception {
			r.dump.exception = append(r.dump.exception, Register{"exccause", Hex(number)})
		}
	}
}

// listed are the frames of a backtrace that the device has printed; of their registers nothing is known.
func (w *walker) listed(t *task) []step {
	steps := []step{w.first(t.context.pc, t.context.general)}
	for _, pc := range t.backtrace[1:] {
		if !w.tire() {
			break
		}
		steps = append(steps, w.step(pc, HowWindow))
	}
	return steps
}

func hexWord(digits []byte) uint32 {
	v, _ := strconv.ParseUint(string(digits), 16, 32) // eight digits, by the expression that found them
	return uint32(v)
}
