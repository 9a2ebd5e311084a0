package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/systemd"
	"github.com/slipway-gateway/slipway/testdata/described"
	"github.com/slipway-gateway/slipway/testdata/lasting"
)

// The costs that the gateway promises, each as a benchmark that fails when it is not kept:
//
//	go test -run '^$' -bench . -benchtime 1x ./daemon

const (
	manyDevices = 10_000
	manyDumps   = 10_000
)

// fill gives a stopped gateway many devices and many dumps, as they lie after years.
func fill(b *testing.B, g *running) {
	b.Helper()
	g.cli("model", "add", "pump")
	var csv strings.Builder
	for i := range manyDevices {
		fmt.Fprintf(&csv, "pump,dev%05d,secret-of-device-%05d\n", i, i)
	}
	path := filepath.Join(b.TempDir(), "devices.csv")
	if err := os.WriteFile(path, []byte(csv.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	g.cli("device", "import", path)
	g.stop()
	body := bytes.Repeat([]byte("dump"), 256)
	sum := sha256.Sum256(body)
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
	for i := range manyDumps {
		d := fleet.Dump{Chip: "esp32", FirmwareVersion: "1.0.0", Device: fleet.DeviceKey(fmt.Sprintf("dev%05d", i/10)), Model: "pump",
			UploadedAt: at.Add(time.Duration(i) * time.Microsecond), Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}
		dir := filepath.Join(g.state, "coredumps", string(d.Device))
		sidecar, err := json.Marshal(d)
		if err == nil {
			err = os.MkdirAll(dir, 0o750)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, string(d.Name())+".dmp"), body, 0o640)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, string(d.Name())+".json"), sidecar, 0o640)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	g.start() // finds them
	g.settle()
	g.stop()
}

// settle waits until no dump waits to be looked at.
func (g *running) settle() {
	g.t.Helper()
	g.within(5*time.Minute, "every dump looked at", func() bool {
		var s struct {
			Waiting int `json:"coredumps_waiting"`
		}
		g.statusJSON(&s)
		return s.Waiting == 0
	})
}

// anonymous is a process's anonymous memory in bytes: what cannot be dropped when memory is scarce.
func anonymous(b *testing.B, pid int) int64 {
	b.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "RssAnon:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	b.Fatal("no RssAnon")
	return 0
}

// build makes a program as it is released, and says where.
func build(b *testing.B, folder string) (path string) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "program")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return path
}

// asInstalled has a benchmark measure the program that people install: the tests' own is larger, and looks at each answer.
func asInstalled(b *testing.B) {
	b.Helper()
	described.Unwatched(b)
	dir := b.TempDir()
	if err := os.Rename(build(b, "."), filepath.Join(dir, "slipway")); err != nil {
		b.Fatal(err)
	}
	b.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// idleMemory is what a gateway holds once it is idle: what is stored was verified, and what a start took was given back. So
// it is looked at until it has stood still for a minute.
func idleMemory(b *testing.B, pid int) int64 {
	const look, still = 5 * time.Second, 12
	least, since := anonymous(b, pid), 0
	for looks := 0; since < still && looks < 60; looks++ {
		time.Sleep(look)
		now := anonymous(b, pid)
		since++
		if now < least-least/50 {
			least, since = now, 0
		}
	}
	return anonymous(b, pid)
}

func BenchmarkStartAndIdleMemoryWithTenThousandDevicesAndDumps(b *testing.B) {
	asInstalled(b)
	g := startGateway(b)
	fill(b, g)
	for b.Loop() {
		start := time.Now()
		g.start()
		ready := time.Since(start)
		const most = 25e6
		memory := idleMemory(b, g.cmd.Process.Pid)
		g.stop()
		b.ReportMetric(ready.Seconds(), "s/start")
		b.ReportMetric(float64(memory)/1e6, "MB-anonymous")
		if ready > time.Second {
			b.Errorf("ready after %s, promised is 1 s", ready)
		}
		if memory > most {
			b.Errorf("%.1f MB of anonymous memory, promised are %.0f", float64(memory)/1e6, most/1e6)
		}
	}
}

// serveHere runs the gateway within this process and returns its address and socket.
func serveHere(b *testing.B) (url, socket string) {
	b.Helper()
	dir, err := os.MkdirTemp("", "slw")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	address := lasting.Address(b)
	socket = filepath.Join(dir, "s")
	settings := []string{"state_dir=" + filepath.Join(b.TempDir(), "state"), "socket=" + socket, "listen.https=off", "listen.http=" + address}
	cfg, err := config.Load(config.Options{Sets: settings})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, slog.New(slog.DiscardHandler), systemd.NewQueue()) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	for range 200 {
		resp, err := http.Get("http://" + address + "/api/health")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + address, socket
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("not healthy within 10 s")
	return "", ""
}

func BenchmarkVersionPoll(b *testing.B) {
	asInstalled(b)
	url, socket := serveHere(b)
	g := &running{t: b, socket: socket, url: url}
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	const polls = 50_000
	for b.Loop() {
		var left atomic.Int64
		left.Store(polls)
		start := time.Now()
		var wait sync.WaitGroup
		for range 32 {
			wait.Go(func() {
				for left.Add(-1) >= 0 {
					req, err := http.NewRequest(http.MethodGet, url+"/api/iot/firmware-version", nil)
					if err != nil {
						b.Error(err)
						return
					}
					req.Header.Set("Authorization", "Bearer "+token)
					resp, err := client.Do(req)
					if err != nil || resp.StatusCode != http.StatusOK {
						b.Error("poll", err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
		wait.Wait()
		rate := polls / time.Since(start).Seconds()
		b.ReportMetric(rate, "polls/s")
		if rate < 10_000 {
			b.Errorf("%.0f polls a second, promised are 10,000", rate)
		}
	}
}

// storm is how 8,000 devices boot after a power cut.
type storm struct {
	b       *testing.B
	address string
	trust   *tls.Config
	mu      sync.Mutex // guards wire
	wire    []int64    // bytes received per firmware check
}

// dial opens a new connection, as the client in the field does for each request, with lwIP's receive window.
func (s *storm) dial() (*tls.Conn, *net.TCPConn, error) {
	const window = 5744
	d := net.Dialer{Timeout: 60 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, window) // the kernel doubles it, half is its own
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, window)
		})
	}}
	raw, err := d.Dial("tcp", s.address)
	if err != nil {
		return nil, nil, err
	}
	c := tls.Client(raw, s.trust)
	if err := c.Handshake(); err != nil {
		return nil, nil, errors.Join(err, raw.Close())
	}
	return c, raw.(*net.TCPConn), nil
}

// request makes one on a connection of its own, which closes with the body.
func (s *storm) request(method, path, token, body string) (*http.Response, *net.TCPConn, error) {
	c, raw, err := s.dial()
	if err != nil {
		return nil, nil, err
	}
	kind, auth := "", ""
	if body != "" {
		kind = fmt.Sprintf("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(body))
	}
	if token != "" {
		auth = "Authorization: Bearer " + token + "\r\n"
	}
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: gateway\r\nUser-Agent: ESP32 HTTP Client/1.0\r\n%s%s\r\n%s", method, path, kind, auth, body); err != nil {
		return nil, nil, errors.Join(err, raw.Close())
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return nil, nil, errors.Join(err, raw.Close())
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{resp.Body, raw} // closing a body would read the rest of it, which no device does
	return resp, raw, nil
}

// boot is token, configuration, first block of the firmware.
func (s *storm) boot(key, secret string) error {
	form := "grant_type=client_credentials&scope=openid+profile+email&client_id=iotdevice-pump-" + key + "&client_secret=" + secret
	resp, _, err := s.request("POST", "/api/oauth/token", "", form)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	err = json.NewDecoder(resp.Body).Decode(&token)
	resp.Body.Close()
	if err != nil || token.AccessToken == "" {
		return fmt.Errorf("token: %s, %w", resp.Status, err)
	}
	resp, _, err = s.request("GET", "/api/iot/config", token.AccessToken, "")
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("config: %s, %w", resp.Status, err)
	}
	resp, raw, err := s.request("GET", "/api/iot/firmware", token.AccessToken, "")
	if err != nil {
		return fmt.Errorf("firmware: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1024)); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("firmware: %s, %w", resp.Status, err)
	}
	time.Sleep(20 * time.Millisecond) // the device compares versions; what the gateway sends ahead has time to arrive
	received, err := bytesReceived(raw)
	s.mu.Lock()
	s.wire = append(s.wire, received)
	s.mu.Unlock()
	return err
}

// bytesReceived is what the kernel has acknowledged on a connection, handshake included.
func bytesReceived(c *net.TCPConn) (int64, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int64
	var failed error
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if failed = err; err == nil {
			n = int64(info.Bytes_received)
		}
	})
	if err == nil {
		err = failed
	}
	return n, err
}

func BenchmarkEightThousandDevicesBoot(b *testing.B) {
	asInstalled(b)
	const devices, within, most = 8000, 60 * time.Second, 120 * time.Second
	g := startGateway(b, "listen.https=127.0.0.1:0")
	g.cli("model", "add", "pump")
	var csv strings.Builder
	for i := range devices {
		fmt.Fprintf(&csv, "pump,dev%05d,secret-of-device-%05d\n", i, i)
	}
	path := filepath.Join(b.TempDir(), "devices.csv")
	if err := os.WriteFile(path, []byte(csv.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	g.cli("device", "import", path)
	image := fixture(b, "esp32c3", "app.bin")
	if a := g.ask("POST", uploadAddress, g.operatorToken("pipeline"), bytes.NewReader(image)); a.StatusCode != http.StatusOK {
		b.Fatalf("%s %s", a.Status, a.body)
	}
	pem, err := os.ReadFile(filepath.Join(g.state, "keys", "ca.crt"))
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	for b.Loop() {
		s := &storm{b: b, address: strings.TrimPrefix(g.urls["https"], "https://"), trust: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
		start := time.Now()
		var wait sync.WaitGroup
		var failed atomic.Int64
		for i := range devices {
			wait.Go(func() {
				time.Sleep(time.Until(start.Add(within * time.Duration(i) / devices)))
				if err := s.boot(fmt.Sprintf("dev%05d", i), fmt.Sprintf("secret-of-device-%05d", i)); err != nil {
					if failed.Add(1) <= 5 {
						b.Error(err)
					}
				}
			})
		}
		wait.Wait()
		took := time.Since(start)
		slices.Sort(s.wire)
		worst := s.wire[len(s.wire)-1]
		b.ReportMetric(took.Seconds(), "s/all")
		b.ReportMetric(float64(worst)/1024, "KiB/check-worst")
		b.ReportMetric(float64(s.wire[len(s.wire)/2])/1024, "KiB/check-median")
		if failed.Load() > 0 || took > most {
			b.Errorf("%d boots failed, all were served after %s", failed.Load(), took)
		}
		if worst > 32<<10 {
			b.Errorf("%d bytes on the wire for a check that stops after its first block", worst)
		}
	}
}
