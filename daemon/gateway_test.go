package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// running is a gateway in a process of its own, with its state in a folder that may outlive it.
type running struct {
	t           testing.TB
	state       string
	socket      string
	sets        []string
	config      string   // settings file, "" for none
	program     string   // "" for the one that is tested
	environment []string // beyond the test's own
	cmd         *exec.Cmd
	ended       chan error
	url         string            // of the listener of all doors, without TLS
	urls        map[string]string // of all listeners, by name
	log         *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startGateway starts the real daemon on free ports and stops it with the test. Settings are KEY=VALUE and win.
func startGateway(t testing.TB, settings ...string) *running {
	t.Helper()
	g := newGateway(t, filepath.Join(t.TempDir(), "state"), settings...)
	g.start()
	return g
}

// newGateway is one that was not started yet, with its state in a folder of the caller's.
func newGateway(t testing.TB, state string, settings ...string) *running {
	t.Helper()
	// A unix socket's path is short, and a test's folder is not.
	dir, err := os.MkdirTemp("", "slw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &running{t: t, state: state, socket: filepath.Join(dir, "s"), sets: settings}
	t.Cleanup(func() {
		if g.cmd != nil {
			g.stop()
		}
	})
	return g
}

func (g *running) arguments() []string {
	args := []string{"serve"}
	for _, set := range append([]string{
		"state_dir=" + g.state, "socket=" + g.socket, "listen.https=off", "listen.http=127.0.0.1:0", "log.format=json",
		"dumps.max_use=50%", "dumps.keep_free=1%", // of the machine that runs the tests, which is nearly full at times
	}, g.sets...) {
		args = append(args, "--set", set)
	}
	if g.config != "" {
		args = append(args, "--config", g.config)
	}
	return args
}

// start returns when the gateway says that it is ready.
func (g *running) start() {
	g.t.Helper()
	if err := g.tryStart(); err != nil {
		g.t.Fatalf("%v\n%s", err, g.log)
	}
}

// tryStart is start; a gateway that does not become ready is an error, and gone.
func (g *running) tryStart() error {
	g.t.Helper()
	ready := g.launch()
	select {
	case listens := <-ready:
		g.urls = map[string]string{}
		for pair := range strings.FieldsSeq(listens) {
			name, address, _ := strings.Cut(pair, "=")
			scheme := "http"
			if strings.HasSuffix(name, "https") {
				scheme = "https"
			}
			g.urls[name] = scheme + "://" + address
		}
		g.url = g.urls["http"]
		return nil
	case err := <-g.ended:
		g.cmd = nil
		return fmt.Errorf("the gateway ended before it was ready: %w", err)
	case <-time.After(testPatience):
		g.kill()
		return fmt.Errorf("the gateway was not ready within %s", testPatience)
	}
}

// launch starts the process; ready gets what it listens on.
func (g *running) launch() (ready <-chan string) {
	g.t.Helper()
	g.cmd = exec.Command(cmp.Or(g.program, "slipway"), g.arguments()...)
	g.cmd.Dir = g.t.TempDir()
	g.cmd.Env = append(g.cmd.Environ(), g.environment...)
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	g.log = &lockedBuffer{}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	said := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(io.TeeReader(stderr, g.log))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct{ Msg, Listens_on string } //nolint:revive // the log's own name
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "gateway ready" {
				said <- line.Listens_on
			}
		}
	}()
	cmd := g.cmd
	g.ended = make(chan error, 1)
	ended := g.ended
	go func() {
		<-read
		ended <- cmd.Wait()
	}()
	return said
}

// stop ends the gateway as systemd does, and fails unless it ends with 0. That it takes less than 20 s is promised of an idle
// machine, and tested in pkg/endpoint.
func (g *running) stop() {
	g.t.Helper()
	start := time.Now()
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-g.ended:
		if err != nil {
			g.t.Errorf("the gateway ended with %v\n%s", err, g.log)
		}
	case <-time.After(testPatience):
		g.t.Errorf("the gateway did not end within %s\n%s", time.Since(start), g.log)
		g.kill()
	}
	g.cmd = nil
}

// kill ends it as a power cut does, as far as a process can.
func (g *running) kill() {
	if err := g.cmd.Process.Kill(); err != nil {
		g.t.Error(err)
	}
	if err := <-g.ended; err == nil {
		g.t.Error("a killed gateway ended with 0")
	}
	g.cmd = nil
}

func (g *running) restart() {
	g.t.Helper()
	if g.cmd != nil {
		g.stop()
	}
	g.start()
}

// cli runs a command against the gateway and returns what it prints.
func (g *running) cli(args ...string) string {
	g.t.Helper()
	out, err := g.tryCLI(args...)
	if err != nil {
		g.t.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (g *running) tryCLI(args ...string) (string, error) {
	cmd := exec.Command("slipway", args...)
	cmd.Env = append(os.Environ(), "SLIPWAY_SOCKET="+g.socket)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// cliJSON runs a command with --format json and decodes what it prints.
func (g *running) cliJSON(v any, args ...string) {
	g.t.Helper()
	out := g.cli(append(args, "--format", "json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		g.t.Fatalf("slipway %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// statusJSON decodes what status prints, which ends with 1 of a gateway in trouble.
func (g *running) statusJSON(v any) {
	g.t.Helper()
	cmd := exec.Command("slipway", "status", "--format", "json")
	cmd.Env = append(os.Environ(), "SLIPWAY_SOCKET="+g.socket)
	out, err := cmd.Output()
	if jsonErr := json.Unmarshal(out, v); jsonErr != nil {
		g.t.Fatalf("slipway status: %v, %v\n%s", err, jsonErr, out)
	}
}

// credentials are what a test's device is flashed with.
type credentials struct {
	Key    string `json:"device_key"`
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

func (g *running) addDevice(model string) credentials {
	g.t.Helper()
	var c credentials
	g.cliJSON(&c, "device", "add", "--model", model)
	return c
}

func (g *running) deviceToken(key string) string {
	g.t.Helper()
	var minted struct {
		AccessToken string `json:"access_token"`
	}
	g.cliJSON(&minted, "device", "token", key)
	return minted.AccessToken
}

func (g *running) operatorToken(role string, flags ...string) string {
	g.t.Helper()
	var made struct{ Token string }
	g.cliJSON(&made, append([]string{"token", "create", "--role", role}, flags...)...)
	return made.Token
}

// answer is a response, read whole.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s: %v\n%s", a.Request.URL, err, a.body)
	}
	return v
}

// ask makes a request; headers are name, value, name, value.
func (g *running) ask(method, path, token string, body io.Reader, headers ...string) answer {
	g.t.Helper()
	a, err := g.tryAsk(method, path, token, body, headers...)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (g *running) tryAsk(method, path, token string, body io.Reader, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, g.url+path, body)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	return answer{resp, read}, err
}

// drop renames a file into the drop folder.
func (g *running) drop(name string, body []byte) {
	g.t.Helper()
	dir := filepath.Join(g.state, "drop")
	hidden := filepath.Join(dir, "."+name)
	if err := os.WriteFile(hidden, body, 0o640); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(hidden, filepath.Join(dir, name)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *running) exists(parts ...string) bool {
	_, err := os.Stat(filepath.Join(append([]string{g.state}, parts...)...))
	return err == nil
}

// testPatience only bounds a hang: a busy machine takes many times as long as an idle one.
const testPatience = 3 * time.Minute

// within waits until what is to hold does. d is what an idle machine is far below; the test fails after testPatience. To look
// takes no more than half of the machine's time, for a look may be a command, and what is waited for needs the machine too.
func (g *running) within(d time.Duration, what string, holds func() bool) {
	g.t.Helper()
	d = max(d, testPatience)
	for end := time.Now().Add(d); ; {
		looked := time.Now()
		if holds() {
			return
		}
		if time.Now().After(end) {
			g.t.Fatalf("not within %s: %s\n%s", d, what, g.log)
		}
		time.Sleep(max(5*time.Millisecond, time.Since(looked)))
	}
}

// bundleOf is the project's own firmware as a bundle.
func bundleOf(t testing.TB, code, version string) []byte {
	t.Helper()
	b, err := firmware.Bundle(code, version)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixture reads a real build's file, or skips.
func fixture(t testing.TB, chip, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "fixtures", "coredumps", chip, name))
	if os.IsNotExist(err) {
		t.Skipf("the real builds are not on this machine: ../shared/fixtures/coredumps/%s/%s", chip, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// uploadPath is the address of an upload with its declarations.
func uploadPath(chip, version string) string {
	return fmt.Sprintf("/api/iot/coredump?chip=%s&firmware_version=%s", chip, version)
}
