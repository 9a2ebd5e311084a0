package espcore

import (
	"fmt"
	"strings"
	"testing"
)

// ownPanicText is what the panic handler would have printed of the project's own crash.
func ownPanicText(t testing.TB) string {
	t.Helper()
	dump, _ := ownCrash(t)
	d := mustRead(t, dump)
	crashed := &d.tasks[0]
	var out strings.Builder
	out.WriteString("Guru Meditation Error: Core  0 panic'ed (Store access fault). Exception was unhandled.\n\nCore  0 register dump:\n")
	fmt.Fprintf(&out, "MEPC    : 0x%08x  ", crashed.context.pc)
	for n := 1; n < len(riscvNames); n++ {
		v, _ := crashed.context.general.Get(n)
		name := strings.ToUpper(riscvNames[n])
		if name == "FP" {
			name = "S0/FP"
		}
		fmt.Fprintf(&out, "%-8s: 0x%08x  ", name, v)
		if n%4 == 3 {
			out.WriteString("\n")
		}
	}
	for _, r := range d.riscvException(crashed) {
		fmt.Fprintf(&out, "%-8s: 0x%08x  ", strings.ToUpper(r.Name), uint32(r.Value))
	}
	out.WriteString("\n\nStack memory:\n")
	sp, _ := crashed.context.general.Get(riscvSP)
	for at := sp; ; at += 4 {
		v, ok := d.memory.word(at)
		if !ok {
			break
		}
		if (at-sp)%32 == 0 {
			fmt.Fprintf(&out, "\n%08x: ", at)
		}
		fmt.Fprintf(&out, "0x%08x ", v)
	}
	return out.String() + "\n\n\nELF file SHA256: 7d946a8e8\n\nRebooting...\nESP-ROM:esp32c3-api1-20210207\n"
}

func TestAPanicTextWithItsStackHasTheFramesOfTheDump(t *testing.T) {
	text := ownPanicText(t)
	want := decodeOwnCrash(t, unchanged)
	for name, said := range map[string]string{
		"alone":     text,
		"in a log":  "I (31) boot: ESP-IDF v5.1\nI (99) main: started\n" + text + "I (31) boot: ESP-IDF v5.1\n",
		"twice":     strings.ReplaceAll(text, "MEPC    : 0x8", "MEPC    : 0x7") + text,
		"timed":     "19:18:58 " + strings.ReplaceAll(text, "\n", "\r\n19:18:58 "),
		"in UTF-16": string(wide(text, false, true)),
	} {
		got := decodeOwnCrash(t, func([]byte) []byte { return []byte(said) })
		if framesText(got.Tasks[0].Frames) != framesText(want.Tasks[0].Frames) || got.Reason != want.Reason || got.Kind != want.Kind {
			t.Errorf("%s: %s\nwant %s\n%s, want %s", name, framesText(got.Tasks[0].Frames), framesText(want.Tasks[0].Frames), got.Reason, want.Reason)
		}
		if got.ELFMatch != Unknown || got.Container != saidByPanic || !warned(got, "this is no dump") {
			t.Errorf("%s: %s %s %q", name, got.ELFMatch, got.Container, got.Warnings)
		}
	}
}

func TestABacktraceWithoutADumpIsNamed(t *testing.T) {
	s := xtensaSample(0, 0x0102)
	frames := s.decode(t, s.dump.container(true)).Tasks[0].Frames
	var entries []string
	for i, f := range frames {
		pc := uint32(*f.PC)
		if i > 0 {
			pc -= 3
		}
		entries = append(entries, fmt.Sprintf("0x%08x:0x3ffb%04x", pc, 0x1000+32*i))
	}
	text := "Guru Meditation Error: Core  1 panic'ed (StoreProhibited). Exception was unhandled.\n\n"
	registers := fmt.Sprintf("Core  1 register dump:\nPC      : 0x%08x  PS      : 0x00060030  A0      : 0x800d0805  A1      : 0x3ffb5030\n"+
		"EXCCAUSE: 0x0000001d  EXCVADDR: 0x0000001c\n\n", uint32(*frames[0].PC))
	printed := "Backtrace: " + strings.Join(entries, " ") + "\n\nRebooting...\n"
	for name, said := range map[string]string{
		"registers and backtrace": text + registers + printed,
		"no registers":            text + printed,
		"old, no space":           text + strings.Replace(printed, ": ", ":", 1),
		"corrupt":                 text + registers + strings.Replace(printed, "\n", " |<-CORRUPTED\n", 1),
	} {
		r := Decode(mustRead(t, []byte(said)), s.program.index(t), Options{})
		if got := backtrace(&r.Tasks[0]); got != "crash work app_main start" {
			t.Errorf("%s: %s, %q", name, got, r.Warnings)
		}
		if r.Cause != "StoreProhibited" || r.Kind != "fault:StoreProhibited" && r.Kind != "memory" {
			t.Errorf("%s: %s %s", name, r.Cause, r.Kind)
		}
	}
	r := Decode(mustRead(t, []byte("abort() was called at PC 0x400d1234 on core 0\n\n"+printed)), s.program.index(t), Options{})
	if r.Panic != "abort() was called at PC 0x400d1234 on core 0" || r.Kind != KindAbort {
		t.Errorf("%q %s", r.Panic, r.Kind)
	}
}
