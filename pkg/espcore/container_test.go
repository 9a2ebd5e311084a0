package espcore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// everyChip pairs the chips with all versions of the container that have been written for their architecture.
func everyChip(t *testing.T, test func(t *testing.T, chip Chip, c container)) {
	for chip := range chips {
		for _, c := range containers {
			t.Run(fmt.Sprintf("%s %#04x", chip, c.version), func(t *testing.T) { test(t, chip, c) })
		}
	}
}

func checkSample(t *testing.T, s sample, r *Report) {
	t.Helper()
	binary := s.dump.version < 0x0100
	if got := backtrace(&r.Tasks[0]); got != "crash work app_main start" {
		t.Errorf("the crashed task: %s", got)
	}
	if got := backtrace(&r.Tasks[1]); got != "idle" {
		t.Errorf("the idle task: %s", got)
	}
	for _, f := range r.Tasks[0].Frames {
		if f.ROM {
			t.Errorf("%s is not in ROM", f.Function)
		}
	}
	if !r.Tasks[0].Crashed || r.Tasks[1].Crashed {
		t.Errorf("crashed: %v, %v", r.Tasks[0].Crashed, r.Tasks[1].Crashed)
	}
	wantCause, wantReason := "StoreProhibited", "StoreProhibited at the address 0x0000001c"
	if s.dump.machine == symbol.RISCV {
		wantCause, wantReason = "StoreAccessFault", "StoreAccessFault at the address 0x0000001c"
	}
	if r.Cause != wantCause || r.Reason != wantReason || r.Kind != KindMemory {
		t.Errorf("cause %q, reason %q, kind %q", r.Cause, r.Reason, r.Kind)
	}
	wantGrade := Exact
	if binary {
		wantGrade = Unknown
	}
	if r.ELFMatch != wantGrade {
		t.Errorf("grade %q, want %q", r.ELFMatch, wantGrade)
	}
	if r.Architecture != s.dump.machine.String() {
		t.Errorf("architecture %q", r.Architecture)
	}
}

func TestReadTakesEveryContainerOfEveryChip(t *testing.T) {
	everyChip(t, func(t *testing.T, chip Chip, c container) {
		s := sampleOf(chip, c.version)
		for _, flash := range []bool{true, false} {
			r := s.decode(t, s.dump.container(flash))
			checkSample(t, s, r)
			if r.Integrity != IntegrityOK || len(r.Warnings) > 0 {
				t.Errorf("integrity %q, warnings %q", r.Integrity, r.Warnings)
			}
			if r.Chip != chip.String() || r.Container != c.name() {
				t.Errorf("chip %q, container %q", r.Chip, r.Container)
			}
			wantRevision := ""
			if c.revision > 0 {
				wantRevision = revision(s.dump.revision)
			}
			if r.ChipRevision != wantRevision {
				t.Errorf("revision %q, want %q", r.ChipRevision, wantRevision)
			}
		}
	})
}

func TestReadTakesEveryShapeOfUpload(t *testing.T) {
	everyChip(t, func(t *testing.T, chip Chip, c container) {
		s := sampleOf(chip, c.version)
		dump := s.dump.container(true)
		console := string(asConsole(s.dump.container(false), c.trailer, "\r\n"))
		shapes := map[string][]byte{
			"exact":             dump,
			"partition":         asPartition(dump),
			"hex":               asHex(dump),
			"hex in lines":      []byte(strings.ToUpper(string(asHex(dump[:16]))) + "\n" + string(asHex(dump[16:])) + "\n"),
			"console":           []byte(console),
			"console, markers":  []byte("I (31) boot\r\n================= CORE DUMP START =================\r\n" + console + "================= CORE DUMP END =================\r\nRebooting\r\n"),
			"console, start":    []byte("=== CORE DUMP START ===\n" + console),
			"console, end":      []byte(console + "=== CORE DUMP END ===\n"),
			"console, log":      []byte("boot\n\n" + console),
			"console, one line": []byte(strings.ReplaceAll(console, "\r\n", "")),
		}
		if strings.Count(console, "=") == 0 {
			t.Fatal("the console's text has no padding in it")
		}
		for name, data := range shapes {
			r := s.decode(t, data)
			checkSample(t, s, r)
			if r.Integrity != IntegrityOK || len(r.Warnings) > 0 {
				t.Errorf("%s: integrity %q, warnings %q", name, r.Integrity, r.Warnings)
			}
			id, err := Identify(bytes.NewReader(data), int64(len(data)))
			if wantHash := mustRead(t, data).ELFHash; err != nil || id.ELFHash != wantHash || id.Chip != chip.String() || id.Container != c.name() {
				t.Errorf("%s: identified %+v, %v", name, id, err)
			}
		}
	})
}

func TestReadTakesNakedCoresThatLostTheirFirstBytes(t *testing.T) {
	everyChip(t, func(t *testing.T, chip Chip, c container) {
		if c.binary {
			return // esp-mdm, which cuts them off, knows no bin containers
		}
		s := sampleOf(chip, c.version)
		dump := s.dump.container(true)
		const skipped = 24
		data := dump[skipped : len(dump)-c.trailer]
		data = append(bytes.Clone(data), make([]byte, 77)...)
		r := s.decode(t, data)
		checkSample(t, s, r)
		if r.Integrity != IntegrityNone || len(r.Warnings) > 0 {
			t.Errorf("integrity %q, warnings %q", r.Integrity, r.Warnings)
		}
		if r.Chip != chip.String() || r.Container != c.name() {
			t.Errorf("chip %q, container %q", r.Chip, r.Container)
		}
	})
}

func TestReadReportsDamageAndGoesOn(t *testing.T) {
	for name, damage := range map[string]struct {
		do      func(dump []byte) []byte
		warning string
	}{
		"checksum":       {func(b []byte) []byte { b[len(b)-1]++; return b }, "checksum"},
		"cut off":        {func(b []byte) []byte { return b[:len(b)-100] }, "cut off"},
		"length of 0":    {func(b []byte) []byte { le.PutUint32(b, 0); return b }, "claims a length"},
		"length of 33":   {func(b []byte) []byte { le.PutUint32(b, 33); return b }, "claims a length"},
		"length too big": {func(b []byte) []byte { le.PutUint32(b, 1<<31); return b }, "cut off"},
		"future version": {func(b []byte) []byte { le.PutUint16(b[4:], 0x0205); return b }, "version 0x0205 is not known"},
		"foreign chip":   {func(b []byte) []byte { le.PutUint16(b[6:], 0); return b }, "the core file is of RISC-V"},
		"in front":       {func(b []byte) []byte { return append([]byte("HTTP junk\x00\x01\x02\x03"), b...) }, "stand before the core file"},
	} {
		s := sampleOf(5, 0x0104)
		r := s.decode(t, damage.do(s.dump.container(true)))
		checkSample(t, s, r)
		if !strings.Contains(strings.Join(r.Warnings, "\n"), damage.warning) {
			t.Errorf("%s: warnings %q, want one of %q", name, r.Warnings, damage.warning)
		}
		if r.Integrity == IntegrityOK {
			t.Errorf("%s: integrity %q", name, r.Integrity)
		}
	}
}

func TestReadOfAHalfDumpKeepsTheFirstTask(t *testing.T) {
	for _, c := range containers {
		for _, chip := range []Chip{0, 5} {
			s := sampleOf(chip, c.version)
			dump := s.dump.container(true)
			at := bytes.Index(dump, s.dump.tasks[0].stack.data)
			r := s.decode(t, dump[:at+len(s.dump.tasks[0].stack.data)])
			if len(r.Tasks) == 0 || backtrace(&r.Tasks[0]) != "crash work app_main start" {
				t.Errorf("%s %#04x: %+v", chip, c.version, r.Tasks)
			}
			if r.Integrity != IntegrityBad || len(r.Warnings) == 0 {
				t.Errorf("%s %#04x: integrity %q, warnings %q", chip, c.version, r.Integrity, r.Warnings)
			}
		}
	}
}

func TestReadRefusesOnlyWhatIsNoDump(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":        {nil, ErrFormat},
		"erased":         {bytes.Repeat([]byte{0xFF}, 65536), ErrEmpty},
		"erased, 4":      {[]byte{0xFF, 0xFF, 0xFF, 0xFF}, ErrEmpty},
		"erased, stale":  {append([]byte{0xFF, 0xFF, 0xFF, 0xFF}, "left over"...), ErrEmpty},
		"zeros":          {make([]byte, 4096), ErrEmpty},
		"text":           {[]byte("Guru Meditation Error: Core 0 panic'ed (LoadProhibited)"), ErrFormat},
		"digits":         {[]byte("0123456789"), ErrFormat},
		"base64":         {[]byte("aGVsbG8gd29ybGQsIGhlbGxvIHdvcmxkLCBoZWxsbw=="), ErrFormat},
		"an ELF's start": {[]byte("\x7fELF\x01\x01\x01"), ErrFormat},
		"a header alone": {sampleOf(0, 0x0102).dump.container(true)[:24], ErrFormat},
		"bin, no tasks":  {append(wordsOf(64, 3, 0, 16, 0, 0), make([]byte, 40)...), ErrFormat},
	} {
		d, err := Read(c.data)
		if !errors.Is(err, c.want) || !errors.Is(err, ErrFormat) || d != nil {
			t.Errorf("%s: %v, %v; want %v", name, d, err, c.want)
		}
	}
}
