package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// unsized hides a reader's length, so that the request goes out chunked.
type unsized struct{ io.Reader }

func dumpDir(g *running, key string) string { return filepath.Join(g.state, "coredumps", key) }

func filesIn(t testing.TB, dir, suffix string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestAnUploadedDumpLiesInItsDevicesDirectoryWithItsSidecar(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)

	a := g.ask("POST", uploadPath("esp32c3", "1.0.0")+"&device_key=zzzzzzzz&model=other&filename=../../x", token, strings.NewReader("core bytes"),
		"X-Device", "zzzzzzzz", "Content-Disposition", `attachment; filename="../../../etc/passwd"`)
	if a.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", a.Status, a.body)
	}
	name, _ := a.json(t)["filename"].(string)
	if !regexp.MustCompile(`^coredump_\d{8}T\d{6}_\d{6}Z\.dmp$`).MatchString(name) || a.json(t)["status"] != "ok" {
		t.Errorf("answer %s", a.body)
	}
	stored, err := os.ReadFile(filepath.Join(dumpDir(g, device.Key), name))
	if err != nil || string(stored) != "core bytes" {
		t.Fatalf("stored %q, %v", stored, err)
	}
	raw, err := os.ReadFile(filepath.Join(dumpDir(g, device.Key), strings.TrimSuffix(name, ".dmp")+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var sidecar struct {
		Chip       string
		Version    string    `json:"firmware_version"`
		Device     string    `json:"device_key"`
		Model      string    `json:"model_code"`
		UploadedAt time.Time `json:"uploaded_at"`
	}
	if err := json.Unmarshal(raw, &sidecar); err != nil {
		t.Fatal(err)
	}
	if sidecar.Chip != "esp32c3" || sidecar.Version != "1.0.0" || sidecar.Device != device.Key || sidecar.Model != "pump" ||
		sidecar.UploadedAt.Location() != time.UTC || time.Since(sidecar.UploadedAt) > time.Minute {
		t.Errorf("sidecar %s", raw)
	}
	if others, err := os.ReadDir(filepath.Join(g.state, "coredumps")); err != nil || len(others) != 1 {
		t.Errorf("directories %v, %v", others, err)
	}
	var line string
	g.within(time.Second, "a line in the journal", func() bool {
		line = regexp.MustCompile(`\{[^\n]*"msg":"dump stored"[^\n]*\}`).FindString(g.log.String())
		return line != ""
	})
	var logged map[string]any
	if err := json.Unmarshal([]byte(line), &logged); err != nil {
		t.Fatalf("the journal says %q", g.log)
	}
	for name, want := range map[string]any{"level": "INFO", "device": device.Key, "model": "pump", "version": "1.0.0", "chip": "esp32c3", "file": name, "bytes": 10.0} {
		if logged[name] != want {
			t.Errorf("dump stored: %s is %v, want %v", name, logged[name], want)
		}
	}
}

func TestAnUploadThatCannotBeTakenSaysWhy(t *testing.T) {
	g := startGateway(t, "dumps.per_minute=10000", "dumps.burst=10000")
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	mib := bytes.Repeat([]byte{1}, 1<<20)
	for name, test := range map[string]struct {
		path   string
		token  string
		body   io.Reader
		status int
		says   string
	}{
		"no chip":                       {"/api/iot/coredump?firmware_version=1", token, neverRead{t}, 400, "chip"},
		"no version":                    {"/api/iot/coredump?chip=esp32", token, neverRead{t}, 400, "firmware_version"},
		"empty":                         {uploadPath("esp32", "1"), token, strings.NewReader(""), 400, "empty"},
		"empty, without a length":       {uploadPath("esp32", "1"), token, unsized{strings.NewReader("")}, 400, "empty"},
		"the limit":                     {uploadPath("esp32", "1"), token, bytes.NewReader(mib), 201, "filename"},
		"the limit, without a length":   {uploadPath("esp32", "1"), token, unsized{bytes.NewReader(mib)}, 201, "filename"},
		"one more":                      {uploadPath("esp32", "1"), token, bytes.NewReader(append(mib, 1)), 400, "1048576"},
		"one more, without a length":    {uploadPath("esp32", "1"), token, unsized{bytes.NewReader(append(mib, 1))}, 400, "1048576"},
		"no token":                      {uploadPath("esp32", "1"), "", strings.NewReader("x"), 401, "token"},
		"a token that is none":          {uploadPath("esp32", "1"), "a.b.c", strings.NewReader("x"), 401, "token"},
		"a token with another's claims": {uploadPath("esp32", "1"), token + "x", strings.NewReader("x"), 401, "token"},
		"no token and no chip":          {"/api/iot/coredump", "", neverRead{t}, 401, "token"},
	} {
		a, err := g.tryAsk("POST", test.path, test.token, test.body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a.StatusCode != test.status || !strings.Contains(string(a.body), test.says) {
			t.Errorf("%s: %s %s", name, a.Status, a.body)
		}
		if a.ContentLength < 0 {
			t.Errorf("%s: no Content-Length", name)
		}
		if a.StatusCode >= 400 {
			if _, ok := a.json(t)["details"].(map[string]any); !ok {
				t.Errorf("%s: details is no object: %s", name, a.body)
			}
		}
	}
	if n := len(filesIn(t, dumpDir(g, device.Key), "")); n != 2 {
		t.Errorf("%d files, want one pair: both times it was the same dump", n)
	}
}

// neverRead is a body that nobody may ask for: the client waits for 100 Continue.
type neverRead struct{ t *testing.T }

func (n neverRead) Read([]byte) (int, error) { return 0, io.EOF }

func TestWithDumpsOffAnUploadIsToldThatTheyAreNotConfigured(t *testing.T) {
	g := startGateway(t, "coredumps_dir=off")
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	a := g.ask("POST", uploadPath("esp32", "1"), g.deviceToken(device.Key), strings.NewReader("x"))
	if a.StatusCode != http.StatusBadRequest || !strings.Contains(string(a.body), "not configured") {
		t.Errorf("%s %s", a.Status, a.body)
	}
}

func TestInTestModeARequestNamesItsDevice(t *testing.T) {
	g := startGateway(t, "auth.device=none")
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	for name, test := range map[string]struct {
		query  string
		status int
	}{
		"none": {"", 401}, "unknown": {"&device_key=zzzzzzzz", 404}, "known": {"&device_key=" + device.Key, 201}, "a path": {"&device_key=../../..", 404},
	} {
		a := g.ask("POST", uploadPath("esp32", "1")+test.query, "", strings.NewReader("x"))
		if a.StatusCode != test.status {
			t.Errorf("%s: %s %s", name, a.Status, a.body)
		}
	}
	if !strings.Contains(g.log.String(), "test mode") {
		t.Error("the start does not say that it is in test mode")
	}
}

func TestThirtyTwoUploadsOfOneDeviceAtOnceMakeThirtyTwoPairs(t *testing.T) {
	g := startGateway(t, "dumps.keep_per_device=100", "dumps.burst=100")
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	var wait sync.WaitGroup
	var mu sync.Mutex
	names := map[any]bool{}
	for i := range 32 {
		wait.Go(func() {
			a, err := g.tryAsk("POST", uploadPath("esp32", "1"), token, strings.NewReader(fmt.Sprint("dump ", i)))
			if err != nil || a.StatusCode != http.StatusCreated {
				t.Errorf("upload %d: %v %s", i, err, a.body)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			names[a.json(t)["filename"]] = true
		})
	}
	wait.Wait()
	if len(names) != 32 || len(filesIn(t, dumpDir(g, device.Key), ".dmp")) != 32 || len(filesIn(t, dumpDir(g, device.Key), ".json")) != 32 {
		t.Errorf("%d names, %d dumps", len(names), len(filesIn(t, dumpDir(g, device.Key), ".dmp")))
	}
}

func TestTheTwentyFirstDumpOfADeviceRemovesTheOldest(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "dumps.burst=100")
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	var oldest string
	for i := range 21 {
		a := g.ask("POST", uploadPath("esp32", "1"), token, strings.NewReader(fmt.Sprint("dump ", i)))
		if i == 0 {
			oldest, _ = a.json(t)["filename"].(string)
		}
	}
	left := filesIn(t, dumpDir(g, device.Key), ".dmp")
	if len(left) != 20 || len(filesIn(t, dumpDir(g, device.Key), ".json")) != 20 || left[0] == oldest {
		t.Errorf("%d left, the first is %s", len(left), left[0])
	}
}

func TestMoreUploadsThanACrashLoopCouldMakeAreTooMany(t *testing.T) {
	g := startGateway(t, "dumps.burst=3", "dumps.per_minute=1")
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	for i := range 4 {
		a := g.ask("POST", uploadPath("esp32", "1"), token, strings.NewReader("x"))
		if i < 3 && a.StatusCode != http.StatusCreated || i == 3 && (a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "") {
			t.Errorf("upload %d: %s, Retry-After %q", i, a.Status, a.Header.Get("Retry-After"))
		}
	}
}

func TestDumpsAreThereAfterAKill(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	g.ask("POST", uploadPath("esp32", "1"), g.deviceToken(device.Key), strings.NewReader("x"))
	g.kill()
	g.start()
	var listed struct{ Coredumps []map[string]any }
	g.cliJSON(&listed, "dump", "list")
	if len(listed.Coredumps) != 1 || listed.Coredumps[0]["device_key"] != device.Key {
		t.Errorf("listed %v", listed)
	}
}
