package deviceapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const dumpPath = "/api/iot/coredump?chip=esp32s3&firmware_version=1.0"

// raw sends bytes as they are and returns the answer as it came, an interim one before it included.
func (r *rig) raw(t *testing.T, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	from := bufio.NewReader(io.TeeReader(c, &answer))
	method, _, _ := strings.Cut(request, " ")
	for {
		res, err := http.ReadResponse(from, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusContinue {
			return answer.String()
		}
	}
}

// unsized hides a body's length, so that it is sent in chunks.
func unsized(n int) io.Reader { return struct{ io.Reader }{bytes.NewReader(make([]byte, n))} }

func TestADumpIsStoredAsItWasSent(t *testing.T) {
	r := open(t, nil)
	content := bytes.Repeat([]byte{0, 1, 0xff}, 1000)
	got := r.do(t, "POST", dumpPath, bytes.NewReader(content), pumpsToken)
	if got.status != 201 || strings.TrimSpace(string(got.body)) != `{"status":"ok","filename":"coredump_20260102T030405_000678Z.dmp"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	if len(r.bodies) != 1 || !bytes.Equal(r.bodies[0], content) || r.dumps[0].Chip != "esp32s3" || r.dumps[0].FirmwareVersion != "1.0" {
		t.Errorf("stored %+v", r.dumps)
	}
}

func TestDumpsOfOneMebibyteAreTheLargest(t *testing.T) {
	r := open(t, nil)
	for _, c := range []struct {
		body io.Reader
		want int
	}{
		{bytes.NewReader(make([]byte, 1<<20)), 201},
		{bytes.NewReader(make([]byte, 1<<20+1)), 400},
		{unsized(1 << 20), 201},
		{unsized(1<<20 + 1), 400},
		{unsized(1), 201},
		{unsized(0), 400},
		{nil, 400},
	} {
		if got := r.do(t, "POST", dumpPath, c.body, pumpsToken); got.status != c.want {
			t.Errorf("%d %s, want %d", got.status, got.body, c.want)
		}
	}
}

func TestWhatADeviceDeclaresIsCheckedBeforeTheBodyIsSent(t *testing.T) {
	long := strings.Repeat("v", 64)
	for query, named := range map[string]string{
		"":                                       "chip",
		"?firmware_version=1":                    "chip",
		"?chip=&firmware_version=1":              "chip",
		"?chip=esp32":                            "firmware_version",
		"?chip=esp32&firmware_version=":          "firmware_version",
		"?chip=esp32&firmware_version=%C3%A4":    "firmware_version",
		"?chip=esp32&firmware_version=%00":       "firmware_version",
		"?chip=a%0Ab&firmware_version=1":         "chip",
		"?chip=esp32&firmware_version=x" + long:  "firmware_version",
		"?chip=x" + long + "&firmware_version=1": "chip",
	} {
		r := open(t, nil)
		answer := r.raw(t, fmt.Sprintf("POST /api/iot/coredump%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n", query, pumpsToken))
		if !strings.HasPrefix(answer, "HTTP/1.1 400") || !strings.Contains(answer, `"details":{"parameter":"`+named+`"}`) {
			t.Errorf("%q: %s", query, answer)
		}
	}
	r := open(t, nil)
	for _, c := range []struct{ query, chip, version string }{
		{"?chip=" + long + "&firmware_version=" + long, long, long},
		{"?chip=esp32c3&firmware_version=1.0+build~5", "esp32c3", "1.0+build~5"}, // as firmware in the field sends it
		{"?chip=esp32c3&firmware_version=1.0%2Bbuild", "esp32c3", "1.0+build"},
		{"?chip=..%2F..%2Fetc&firmware_version=..%2Fx", "../../etc", "../x"}, // recorded, never a path
		// PROJECT_VER is free text, and ESP-IDF puts it into the address as it is.
		{"?chip=esp32&firmware_version=2.1;rc1", "esp32", "2.1;rc1"},
		{"?firmware_version=2.1;rc1&chip=esp32", "esp32", "2.1;rc1"},
		{"?chip=esp32&firmware_version=1.0-50%", "esp32", "1.0-50%"},
		{"?chip=esp32&firmware_version=1.0%zz", "esp32", "1.0%zz"},
		{"?chip=esp32&firmware_version=1%2", "esp32", "1%2"},
		{"?firmware_version=%&chip=esp32", "esp32", "%"},
		{"?chip=esp32&firmware_version=50%25", "esp32", "50%"},
		{"?chip=esp32&firmware_version=1=2?3", "esp32", "1=2?3"},
		{"?firmware_version=R&D-1&chip=esp32", "esp32", "R&D-1"},
		{"?chip=esp32&firmware_version=1&chip=esp32s3&firmware_version=2&more=x", "esp32", "1"},
	} {
		if got := r.do(t, "POST", "/api/iot/coredump"+c.query, strings.NewReader("x"), pumpsToken); got.status != 201 {
			t.Fatalf("%q: %d %s", c.query, got.status, got.body)
		}
		if last := r.dumps[len(r.dumps)-1]; last.Chip != c.chip || last.FirmwareVersion != c.version {
			t.Errorf("%q: recorded %q %q", c.query, last.Chip, last.FirmwareVersion)
		}
	}
}

func TestDumpsThatAreOffSaySo(t *testing.T) {
	r := open(t, func(o *Options) { o.Dumps = nil })
	if got := r.do(t, "POST", dumpPath, strings.NewReader("x"), pumpsToken); got.status != 400 || !strings.Contains(string(got.body), "not configured") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestWhatTheDiskSaysBecomesAStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{fleet.Full("no room"), 507}, {fleet.Refused("no"), 400}, {errors.New("input/output error"), 500},
		{&fs.PathError{Op: "open", Path: "/secret", Err: syscall.ENOSPC}, 507}, {&fs.PathError{Op: "open", Path: "/secret", Err: syscall.EDQUOT}, 507},
		{&fs.PathError{Op: "open", Path: "/secret", Err: syscall.EROFS}, 507}, {&fs.PathError{Op: "open", Path: "/secret", Err: syscall.EACCES}, 500},
	} {
		r := open(t, nil)
		r.failing = c.err
		got := r.do(t, "POST", dumpPath, strings.NewReader("x"), pumpsToken)
		if got.status != c.want || strings.Contains(string(got.body), "input/output") || strings.Contains(string(got.body), "/secret") {
			t.Errorf("%v: %d %s", c.err, got.status, got.body)
		}
	}
}

func TestAClientThatAsksFirstIsRefusedWithoutItsBody(t *testing.T) {
	r := open(t, nil)
	ask := "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
	for path, want := range map[string]string{
		"/api/iot/coredump?chip=esp32": "HTTP/1.1 400", dumpPath: "HTTP/1.1 401",
	} {
		credentials := pumpsToken
		if strings.HasSuffix(want, "401") {
			credentials = "X: none"
		}
		if answer := r.raw(t, fmt.Sprintf(ask, path, credentials)); !strings.HasPrefix(answer, want) || strings.Contains(answer, "100 Continue") {
			t.Errorf("%s: %s", path, answer)
		}
	}
	if answer := r.raw(t, fmt.Sprintf(ask, dumpPath, pumpsToken)+"dump"); !strings.HasPrefix(answer, "HTTP/1.1 100 Continue") || !strings.Contains(answer, "HTTP/1.1 201") {
		t.Errorf("taken: %s", answer)
	}
}

func TestADumpThatBreaksOffIsTheClientsFault(t *testing.T) {
	r := open(t, nil)
	c, err := net.Dial("tcp", r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 100\r\n\r\nhalf", dumpPath, pumpsToken)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") || len(r.dumps) != 0 {
		t.Errorf("%s %v", answer, err)
	}
}

func TestACrashLoopIsToldWhenToComeAgain(t *testing.T) {
	now := time.Now()
	r := open(t, func(o *Options) {
		o.Uploads = Pace{PerMinute: 10, Burst: 3}
		o.Now = func() time.Time { return now }
	})
	upload := func(token string) reply { return r.do(t, "POST", dumpPath, strings.NewReader("x"), token) }
	for range 3 {
		if got := upload(pumpsToken); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	for range 3 { // being refused costs nothing
		if got := upload(pumpsToken); got.status != 429 || got.header.Get("Retry-After") != "6" {
			t.Errorf("%d, Retry-After %q", got.status, got.header.Get("Retry-After"))
		}
	}
	if want := []string{"1.0", "1.0", "1.0"}; !slices.Equal(r.refused, want) {
		t.Errorf("refused are counted for %q, want %q", r.refused, want)
	}
	if got := upload(emptysToken); got.status != 201 {
		t.Errorf("another device: %d", got.status)
	}
	now = now.Add(6 * time.Second)
	if got := upload(pumpsToken); got.status != 201 {
		t.Errorf("after the wait: %d", got.status)
	}
}

func TestTheTableOfPacesIsBoundedAndRemembersWhoUploadsOften(t *testing.T) {
	p := newPaces(Pace{PerMinute: 1, Burst: 2})
	now := time.Now()
	p.take("busy", now)
	p.take("busy", now)
	for i := range 5 * generation {
		if wait := p.take(fleet.DeviceKey(fmt.Sprintf("%08d", i)), now); wait != 0 {
			t.Fatalf("device %d has to wait %v", i, wait)
		}
		if i%(generation/2) == 0 && p.take("busy", now) == 0 {
			t.Fatalf("the busy device was forgotten after %d others", i)
		}
	}
	if n := len(p.buckets.young) + len(p.buckets.old); n > 2*generation {
		t.Errorf("%d buckets", n)
	}
}
