package packaging

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gateway is one that runs here, outside of any box, perhaps under an emulator.
type gateway struct {
	t       *testing.T
	command []string // the binary, behind its emulator if it has one
	state   string
	socket  string
	url     string

	serving *exec.Cmd // nil: it is stopped
	reading sync.WaitGroup
	log     *strings.Builder // whole once it is stopped
}

// build compiles the daemon as the packages have it.
func build(t *testing.T, environment ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "slipway")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "../daemon")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// start runs a gateway on a free port until the test ends.
func start(t *testing.T, command ...string) *gateway {
	t.Helper()
	short, err := os.MkdirTemp("", "slw") // a unix socket's path is short, and a test's folder is not
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	g := &gateway{t: t, command: command, state: t.TempDir(), socket: filepath.Join(short, "s")}
	g.start()
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) start() {
	g.t.Helper()
	g.serving = g.cmd("serve", "--set", "state_dir="+g.state, "--set", "socket="+g.socket, "--set", "listen.https=off",
		"--set", "listen.http=127.0.0.1:0", "--set", "log.format=json", "--set", "dumps.max_use=50%", "--set", "dumps.keep_free=1%")
	log, err := g.serving.StderrPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	began := time.Now()
	if err := g.serving.Start(); err != nil {
		g.t.Fatal(err)
	}
	ready := make(chan string, 1)
	g.log = &strings.Builder{}
	g.reading.Go(func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct {
				Event   string `json:"msg"`
				Listens string `json:"listens_on"`
			}
			g.log.Write(append(lines.Bytes(), '\n'))
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Event == "gateway ready" {
				ready <- line.Listens
			}
		}
		close(ready)
	})
	select {
	case listens := <-ready:
		g.url = "http://" + regexp.MustCompile(`\bhttp=(\S+)`).ReplaceAllString(listens, "$1")
		g.t.Logf("ready after %.2f s", time.Since(began).Seconds())
	case <-time.After(5 * time.Minute):
		g.stop()
		g.t.Fatal("the gateway was not ready within five minutes")
	}
}

// stop ends it as systemd does; that must be in order.
func (g *gateway) stop() {
	g.t.Helper()
	if g.serving == nil {
		return
	}
	_ = g.serving.Process.Signal(syscall.SIGTERM)
	g.reading.Wait()
	if err := g.serving.Wait(); err != nil || g.t.Failed() {
		g.t.Errorf("the gateway ended with %v\n%s", err, g.log)
	}
	g.serving = nil
}

func (g *gateway) cmd(args ...string) *exec.Cmd {
	args = append(append([]string{}, g.command...), args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "SLIPWAY_SOCKET="+g.socket)
	return cmd
}
