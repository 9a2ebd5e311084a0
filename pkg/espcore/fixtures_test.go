package espcore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// The real dumps lie beside the repository, with what the real GDB printed for them.
var realDumps = []string{"esp32", "esp32_bin", "esp32c3", "esp32c6"}

func fixture(t testing.TB, dump, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "fixtures", "coredumps", dump, name))
	if os.IsNotExist(err) {
		t.Skip("../shared/fixtures is not there: the real dumps are not tested")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fileInMemory offers its bytes, as a mapped file does.
type fileInMemory struct {
	*strings.Reader
	data []byte
}

func (f fileInMemory) Bytes() []byte { return f.data }

func openELF(t testing.TB, data []byte) (*symbol.Index, string) {
	t.Helper()
	ix, err := symbol.Open(fileInMemory{strings.NewReader(string(data)), data}, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return ix, hex.EncodeToString(sum[:])
}

func decodeFixture(t testing.TB, name, model string) *Report {
	t.Helper()
	ix, sum := openELF(t, fixture(t, name, "app.elf"))
	return Decode(mustRead(t, fixture(t, name, "core.b64")), ix, Options{ELFSHA256: sum, Model: model})
}

type gdbTask struct {
	Task   string
	TCB    Hex
	Frames []struct {
		PC       *Hex
		Function string
		Args     string
		File     string
		Line     int
	}
}

func (f *Frame) argsText() string {
	args := make([]string, len(f.Args))
	for i, a := range f.Args {
		args[i] = a.Name + "=" + a.Value
	}
	return strings.Join(args, ", ")
}

// gdbError is what GDB prints for an argument of which it knows no better.
const gdbError = "<error reading variable: value has been optimized out>"

func TestRealDumpsDecodeAsGDBPrintsThem(t *testing.T) {
	for _, name := range realDumps {
		t.Run(name, func(t *testing.T) {
			var want []gdbTask
			if err := json.Unmarshal(fixture(t, name, "frames.json"), &want); err != nil {
				t.Fatal(err)
			}
			r := decodeFixture(t, name, "")
			if len(r.Tasks) != len(want) || len(r.Warnings) > 0 || r.Integrity != IntegrityOK {
				t.Fatalf("%d tasks, want %d; integrity %s, warnings %q", len(r.Tasks), len(want), r.Integrity, r.Warnings)
			}
			for i, w := range want {
				got := &r.Tasks[i]
				if got.Name != w.Task || got.TCB != w.TCB || got.Crashed != (i == 0) {
					t.Errorf("task %d is %q at %s, want %q at %s", i, got.Name, got.TCB, w.Task, w.TCB)
				}
				compareFrames(t, got, w)
			}
		})
	}
}

// compareFrames wants each frame for which GDB prints a line, in order, and nothing else that is not marked or ROM.
func compareFrames(t *testing.T, got *Task, want gdbTask) {
	t.Helper()
	at := 0
	for _, f := range got.Frames {
		if at < len(want.Frames) && f.File == "" && want.Frames[at].File == "" && f.PC != nil && *f.PC == *want.Frames[at].PC {
			at++
			continue
		}
		for at < len(want.Frames) && want.Frames[at].File == "" && f.File != "" {
			at++ // a frame in ROM that only GDB with the ROM's ELF finds
		}
		if at == len(want.Frames) {
			if f.How != HowScan && f.How != HowInferred {
				t.Errorf("%s: extra frame %s", got.Name, f.String())
			}
			continue
		}
		w := want.Frames[at]
		if f.Function != w.Function || base(f.File) != base(w.File) || f.Line != w.Line {
			t.Errorf("%s: %s, want %s at %s:%d", got.Name, f.String(), w.Function, w.File, w.Line)
		}
		if args := strings.ReplaceAll(w.Args, gdbError, symbol.OptimizedOut); f.argsText() != args {
			t.Errorf("%s: %s (%s), want (%s)", got.Name, f.Function, f.argsText(), args)
		}
		at++
	}
	if at < len(want.Frames) {
		t.Errorf("%s: %d frames are missing, from %s on", got.Name, len(want.Frames)-at, want.Frames[at].Function)
	}
}

var stackRow = regexp.MustCompile(`(?m)^(0x[0-9a-f]+) +(\S+) +(\d+)/\d+ +(\d+)/(\d+)$`)

func TestRealDumpsShowTheStacksThatEspCoredumpPrints(t *testing.T) {
	for _, name := range realDumps {
		r := decodeFixture(t, name, "")
		rows := stackRow.FindAllStringSubmatch(string(fixture(t, name, "expected_output.txt")), -1)
		if len(rows) != len(r.Tasks) {
			t.Fatalf("%s: %d rows, %d tasks", name, len(rows), len(r.Tasks))
		}
		for i, row := range rows {
			task := r.Tasks[i]
			used, _ := strconv.ParseInt(row[4], 10, 64)
			free, _ := strconv.ParseInt(row[5], 10, 64)
			// Of the crashed task esp-coredump shows where it was last switched out, not where it crashed.
			if task.Name != row[2] || fmt.Sprint(*task.Priority) != row[3] || task.StackSize != used+free ||
				task.StackUsed != used && !task.Crashed || task.StackUsed < used || task.Overflow {
				t.Errorf("%s: %s uses %d of %d, want %d of %d", name, task.Name, task.StackUsed, task.StackSize, used, used+free)
			}
		}
	}
}

var registerRow = regexp.MustCompile(`(?m)^([a-z0-9]+) +(0x[0-9a-f]+)[ \t(]`)

func TestRealDumpsHaveTheRegistersThatEspCoredumpPrints(t *testing.T) {
	for _, name := range realDumps {
		r := decodeFixture(t, name, "")
		_, text, _ := strings.Cut(string(fixture(t, name, "expected_output.txt")), "CURRENT THREAD REGISTERS")
		text, _, _ = strings.Cut(text, "CURRENT THREAD STACK")
		rows := registerRow.FindAllStringSubmatch(text, -1)
		if len(rows) < 20 {
			t.Fatalf("%s: only %d registers were printed", name, len(rows))
		}
		for _, row := range rows {
			want, _ := strconv.ParseUint(row[2], 0, 32)
			got, ok := r.Registers.Get(row[1])
			if !ok || uint64(got) != want {
				t.Errorf("%s: %s is %#x (%v), want %s", name, row[1], got, ok, row[2])
			}
		}
	}
}

func TestTheSameCrashHasOneFingerprintOnAllChips(t *testing.T) {
	seen := map[string][]string{}
	for _, name := range realDumps {
		r := decodeFixture(t, name, "lamp")
		seen[r.Fingerprint] = append(seen[r.Fingerprint], name)
		if r.FingerprintFor("pump") == r.Fingerprint {
			t.Errorf("%s: another model has the same fingerprint", name)
		}
		if top := r.Top(); top == nil || top.Function != "fail_once" {
			t.Errorf("%s: top frame %+v", name, top)
		}
		if r.Kind != KindAbort || !strings.HasPrefix(r.Reason, "abort() was called") {
			t.Errorf("%s: kind %q, reason %q", name, r.Kind, r.Reason)
		}
	}
	if len(seen) != 1 {
		t.Errorf("%v", seen)
	}
}

func TestRealDumpsSayWhichELFTheyNeed(t *testing.T) {
	for _, name := range realDumps {
		r := decodeFixture(t, name, "")
		want := Exact
		if name == "esp32_bin" {
			want = Unknown
		}
		if r.ELFMatch != want || r.App == nil || r.App.Project != "test_core_dump" {
			t.Errorf("%s: %q, %+v", name, r.ELFMatch, r.App)
		}
	}
	elf := fixture(t, "esp32c6", "app.elf")
	ix, sum := openELF(t, elf)
	r := Decode(mustRead(t, fixture(t, "esp32c3", "core.b64")), ix, Options{ELFSHA256: sum})
	if r.ELFMatch != Mismatch || len(r.Tasks) != 3 {
		t.Errorf("the ELF of another build: %q, %d tasks", r.ELFMatch, len(r.Tasks))
	}
}
