package espcore

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// ownCrash is the project's own firmware, which crashed for real in QEMU: testdata/crash/program/build.sh.
func ownCrash(t testing.TB) (dump, elf []byte) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "crash", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return read("core.dmp"), read("crash.elf")
}

func decodeOwnCrash(t testing.TB, change func(dump []byte) []byte) *Report {
	t.Helper()
	dump, elf := ownCrash(t)
	ix, sum := openELF(t, elf)
	return Decode(mustRead(t, change(dump)), ix, Options{ELFSHA256: sum, Model: "valve"})
}

func unchanged(dump []byte) []byte { return dump }

func TestOurOwnCrashHasItsInlinedItsJumpedAndItsScannedFrames(t *testing.T) {
	type frame struct {
		function string
		line     int
		inlined  bool
		how      How
		args     string
	}
	want := map[string][]frame{
		"main": {
			{"plant::Valve::drive", 75, true, HowPC, "steps=<optimized out>, this=0x800104d8 <stacks+968>"},
			{"plant::Valve::open", 84, false, HowPC, "this=this@entry=0x800104d8 <stacks+968>, state=state@entry=plant::State::opening, percent=percent@entry=55"},
			{"plant::regulate", 92, false, HowTail, "valve=..., target=target@entry=75, measured=measured@entry=20"},
			{"plant::control<plant::Valve>", 99, false, HowCFI, `valve=..., why=why@entry=0x8000040c "pressure", target=target@entry=75`},
			{"app_main", 120, false, HowCFI, ""},
			{"main_task", 124, false, HowCFI, "args=0x0"},
			{"vPortTaskWrapper", 149, false, HowCFI, "pxCode=<optimized out>, pvParameters=<optimized out>"},
		},
		"worker": {
			{"give_way_to", 114, true, HowPC, "id=0"},
			{"wait_for_work", 130, false, HowPC, "queue=0x80010000 <queue>"},
			{"rom_call", 0, false, HowCFI, ""},
			{"worker", 137, false, HowScan, "queue=<optimized out>"},
			{"vPortTaskWrapper", 149, false, HowScan, "pxCode=<optimized out>, pvParameters=<optimized out>"},
		},
		"IDLE": {
			{"vPortTaskWrapper", 148, false, HowPC, "pxCode=0x80000172 <idle>, pvParameters=0x0"},
			{"??", 0, false, HowCFI, ""},
		},
	}
	r := decodeOwnCrash(t, unchanged)
	if len(r.Tasks) != len(want) || !r.Tasks[0].Crashed || len(r.Warnings) > 0 || r.ELFMatch != Exact || r.Integrity != IntegrityOK {
		t.Fatalf("%+v", r)
	}
	for _, task := range r.Tasks {
		frames := want[task.Name]
		if len(task.Frames) != len(frames) {
			t.Errorf("%s: %s", task.Name, backtrace(&task))
			continue
		}
		for i, w := range frames {
			f := task.Frames[i]
			if got := (frame{f.Function, f.Line, f.Inlined, f.How, f.argsText()}); got != w {
				t.Errorf("%s #%d: %+v, want %+v", task.Name, i, got, w)
			}
			if inlinedInto := i > 0 && task.Frames[i-1].Inlined; (f.PC == nil) != inlinedInto {
				t.Errorf("%s #%d: pc %v", task.Name, i, f.PC)
			}
		}
	}
	if r.Kind != KindMemory || r.Reason != "StoreAccessFault at the address 0x0000000c" || r.App.Version != "2.0.1" {
		t.Errorf("kind %q, reason %q, app %+v", r.Kind, r.Reason, r.App)
	}
}

func TestTheTextReadsAsGDBsBacktrace(t *testing.T) {
	var out bytes.Buffer
	damaged := func(dump []byte) []byte {
		dump[len(dump)-1]++
		return dump
	}
	for _, change := range []func([]byte) []byte{unchanged, damaged} {
		if err := decodeOwnCrash(t, change).WriteText(&out); err != nil {
			t.Fatal(err)
		}
	}
	golden := filepath.Join("..", "..", "testdata", "crash", "report.txt")
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", out.Bytes(), want)
	}
}

func TestOurOwnCrashHasNoAddressInItsFingerprint(t *testing.T) {
	r := decodeOwnCrash(t, unchanged)
	keys := strings.Join(r.chain(), ",")
	const want = "plant::Valve::drive@crash.cpp,plant::Valve::open@crash.cpp,plant::regulate@crash.cpp," +
		"plant::control<plant::Valve>@crash.cpp,app_main@crash.cpp"
	if keys != want || r.Fingerprint != fingerprintOf("v2|valve|memory|"+want) {
		t.Errorf("%s", keys)
	}
}
