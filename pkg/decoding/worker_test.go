package decoding

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// TestMain is the worker, too: the tests start themselves again, as the gateway does.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "worker" {
		os.Exit(m.Run())
	}
	if len(os.Args) == 3 {
		misbehave(os.Args[2])
	}
	if err := Work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var sink [][]byte

// misbehave begins the first dump as a worker does, and then does what a dump might make it do.
func misbehave(how string) {
	if err := limit(); err != nil {
		panic(err)
	}
	if err := writeAnswer(os.Stdout, answer{Begun: true}); err != nil {
		panic(err)
	}
	switch how {
	case "memory":
		for {
			sink = append(sink, bytes.Repeat([]byte{1}, 16<<20))
		}
	case "cpu":
		spin()
	case "told":
		_ = syscall.Kill(os.Getpid(), syscall.SIGXCPU)
		time.Sleep(30 * time.Second) // then it ends without having said it
	case "stack":
		recurse(0)
	case "wall":
		time.Sleep(time.Hour)
	case "output":
		_, _ = os.Stdout.Write([]byte{0xFF, 0xFF, 0xFF, 0xFF})
	case "crash":
		panic("as a bug would")
	}
}

func spin() {
	for start := time.Now(); time.Since(start) < time.Hour; {
		runtime.Gosched()
	}
}

func recurse(n int) int {
	var room [1024]byte
	room[n%1024] = byte(n)
	if n > 1<<30 { // far beyond any stack
		return n
	}
	return recurse(n+1) + int(room[(n+1)%1024])
}

func TestAWorkerDiesAtItsLimitAndTheReasonSaysAtWhich(t *testing.T) {
	for limit, says := range map[string]string{
		"memory": "512 MiB of memory", "cpu": "10 s of processor time", "stack": "64 MiB of stack", "wall": "longer than 15s",
		"output": "answer", "crash": "as a bug would",
	} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			program := os.Args[0]
			if limit == "memory" && raceBuild {
				program = plainBuild(t)
			}
			var died []string
			d := Decoder{Command: []string{program, "worker", limit}, Killed: func(limit string) { died = append(died, limit) }}
			if limit != "wall" {
				d.wall = 10 * time.Minute // on a busy machine a worker does not come to its other limits in 15 s
			}
			var failures []string
			err := d.Decode(t.Context(), "", "pump", []string{"none"}, func(_ int, r *espcore.Report, failure string) {
				if r != nil {
					t.Errorf("a report: %+v", r)
				}
				failures = append(failures, failure)
			})
			if err != nil || len(failures) != 1 || !strings.Contains(failures[0], says) || len(died) != 1 || died[0] != limit {
				t.Errorf("%v, failures %q, died of %q", err, failures, died)
			}
		})
	}
}

// TestAWorkerThatIsToldThatItsTimeIsUsedUpSaysSo although it has used next to nothing, as the kernel books it in the end.
func TestAWorkerThatIsToldThatItsTimeIsUsedUpSaysSo(t *testing.T) {
	var died []string
	d := Decoder{Command: []string{os.Args[0], "worker", "told"}, Killed: func(limit string) { died = append(died, limit) }, wall: 10 * time.Minute}
	err := d.Decode(t.Context(), "", "pump", []string{"none"}, func(_ int, _ *espcore.Report, failure string) {
		if !strings.Contains(failure, "10 s of processor time") {
			t.Error(failure)
		}
	})
	if err != nil || len(died) != 1 || died[0] != "cpu" {
		t.Errorf("%v, died of %q", err, died)
	}
}

func TestADumpIsReadInOnePiece(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.dmp")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(5, func() {
		if data, err := readDump(path); err != nil || len(data) != 1<<20 {
			t.Fatal(len(data), err)
		}
	}); n > 16 { // of opening it, and one of its bytes; growing to them took 27
		t.Errorf("%.0f allocations", n)
	}
}

// plainBuild is this test without the race detector, whose shadow memory alone is beyond the memory limit.
func plainBuild(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "plain.test")
	cmd := exec.Command("go", "test", "-c", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build without the race detector: %v\n%s", err, out)
	}
	return program
}

// crashOf is the project's own real crash: dump and ELF.
func crashOf(t *testing.T) (dump, elf string) {
	t.Helper()
	dir := filepath.Join("..", "..", "testdata", "crash")
	return filepath.Join(dir, "core.dmp"), filepath.Join(dir, "crash.elf")
}

func TestABatchIsDecodedAndWhatIsNoDumpFailsAlone(t *testing.T) {
	core, elf := crashOf(t)
	bad := filepath.Join(t.TempDir(), "bad.dmp")
	if err := os.WriteFile(bad, []byte("no dump"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := Decoder{Command: []string{os.Args[0], "worker"}, Killed: func(limit string) { t.Error("killed by", limit) }}
	dumps := []string{core, bad, filepath.Join(t.TempDir(), "gone.dmp"), core}
	identities, err := d.Identify(t.Context(), dumps)
	if err != nil || identities[0].ELFHash == "" || identities[1].Failure == "" || identities[2].Failure == "" || identities[3] != identities[0] {
		t.Errorf("%+v, %v", identities, err)
	}
	var order []int
	err = d.Decode(t.Context(), elf, "pump", dumps, func(i int, r *espcore.Report, failure string) {
		order = append(order, i)
		if good := i == 0 || i == 3; good != (r != nil) || good != (failure == "") {
			t.Errorf("dump %d: %+v, %q", i, r, failure)
		}
		if r != nil && (r.ELFMatch != espcore.Exact || r.Top() == nil || r.Fingerprint != r.FingerprintFor("pump")) {
			t.Errorf("dump %d: %+v", i, r)
		}
	})
	if err != nil || fmt.Sprint(order) != "[0 1 2 3]" {
		t.Errorf("%v, %v", order, err)
	}
}

func TestAnELFThatCannotBeReadFailsItsDumpsAndNothingElse(t *testing.T) {
	core, _ := crashOf(t)
	d := Decoder{Command: []string{os.Args[0], "worker"}}
	for name, content := range map[string]string{"empty": "", "text": "no ELF at all", "cut": "\x7fELF\x01\x01\x01"} {
		elf := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(elf, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		err := d.Decode(t.Context(), elf, "pump", []string{core, core}, func(_ int, r *espcore.Report, failure string) {
			n++
			if r != nil || !strings.Contains(failure, "ELF") {
				t.Errorf("%s: %+v, %q", name, r, failure)
			}
		})
		if err != nil || n != 2 {
			t.Errorf("%s: %d answers, %v", name, n, err)
		}
	}
}

func TestAWorkerGetsNothingOfTheGatewaysEnvironment(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("WATCHDOG_USEC", "1")
	t.Setenv("SLIPWAY_PROVISIONING__EXTRA", "secret")
	cmd := (&Decoder{}).command()
	if fmt.Sprint(cmd.Env) != "[GOTRACEBACK=single]" || len(cmd.ExtraFiles) != 0 {
		t.Errorf("%v, %v", cmd.Env, cmd.ExtraFiles)
	}
}
