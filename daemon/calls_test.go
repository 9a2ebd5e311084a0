package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"

	"github.com/slipway-gateway/slipway/testdata/described"
)

// What a request costs in system calls and bytes, counted while strace looks at a real gateway. Waiting (futex, epoll_pwait) and
// memory are left out: how often a thread waits depends on the machine. SLIPWAY_BEFORE=BINARY counts another build's, for
// the figures that -v prints.

// The calls that count.
const (
	callsOfFiles       = "?openat,?close,?read,?pread64,?readv,?lseek,?fstat,?newfstatat,?statx,?fcntl,?getdents64"
	callsOfConnections = "?accept4,?sendto,?recvfrom,?sendmsg,?recvmsg,?getsockopt,?setsockopt,?getsockname,?getpeername,?shutdown,?epoll_ctl"
	callsThatSend      = "?write,?writev,?sendfile,?splice,?copy_file_range"
	callsThatSync      = "?fsync,?fdatasync,?msync,?sync_file_range,?syncfs"
	callsThatChange    = "?pwrite64,?pwritev,?fallocate,?ftruncate,?renameat,?renameat2,?linkat,?unlinkat,?mkdirat"
)

// imageOfCalls is how many bytes of firmware a download has here.
const imageOfCalls = 1 << 20

// call is one system call.
type call struct {
	name string
	on   string // the file, "socket:[NUMBER]" or anon_inode that it is about; of a call that names a path, its line
	n    int64  // what it returned
}

func (c call) syncs() bool { return strings.Contains(callsThatSync, "?"+c.name) }

// changesDisk is true of a call that waits for a disk, too.
func (c call) changesDisk() bool {
	return c.syncs() || strings.Contains(callsThatChange, "?"+c.name) || strings.Contains(callsThatSend, "?"+c.name) && strings.HasPrefix(c.on, "/")
}

// watched is a gateway that strace looks at, with one device.
type watched struct {
	*running
	device credentials
	token  string
	trace  string
	marks  int
	c      net.Conn // kept alive
	r      *bufio.Reader
}

// watchGateway starts one, with a build of 1 MiB.
func watchGateway(t *testing.T) *watched {
	t.Helper()
	described.Unwatched(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: nobody can count system calls")
	}
	slipway, err := exec.LookPath("slipway")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := &watched{trace: filepath.Join(dir, "trace"), running: newGateway(t, filepath.Join(dir, "state"), "dumps.per_minute=1000", "dumps.burst=1000")}
	looks := "strace -D -f -y --seccomp-bpf -qqq -s 64 -e signal=none"
	if err := exec.Command("sh", "-c", looks+" -o "+w.trace+" -e trace=?openat true").Run(); err != nil {
		t.Skipf("strace may not look at programs here: %v", err)
	}
	calls := strings.Join([]string{callsOfFiles, callsOfConnections, callsThatSend, callsThatSync, callsThatChange}, ",")
	script := fmt.Sprintf("#!/bin/sh\nexec %s -o %s -e trace=%s %s \"$@\"\n", looks, w.trace, calls, cmp.Or(os.Getenv("SLIPWAY_BEFORE"), slipway))
	w.program = filepath.Join(dir, "watched")
	if err := os.WriteFile(w.program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.cli("model", "add", "pump")
	w.device = w.addDevice("pump")
	w.token = w.deviceToken(w.device.Key)
	image, err := firmware.Build{Code: "pump", Version: "1.0.0"}.Image()
	if err != nil {
		t.Fatal(err)
	}
	image = append(image, make([]byte, imageOfCalls-len(image))...)
	if a := w.ask("POST", uploadAddress, w.operatorToken("pipeline"), bytes.NewReader(image)); a.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	w.connect()
	return w
}

func (w *watched) connect() {
	w.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(testPatience)); err != nil {
		w.t.Fatal(err)
	}
	w.c, w.r = c, bufio.NewReader(c)
}

// request is one with the device's token.
func (w *watched) request(method, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", method, path, w.token, len(body), body)
}

// exchange asks on the connection that is kept and returns the answer's status and how many bytes it was.
func (w *watched) exchange(ask string) (status, size int) {
	w.t.Helper()
	if _, err := io.WriteString(w.c, ask); err != nil {
		w.t.Fatal(err)
	}
	var wire bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(oneByOne{w.r}, &wire)), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, wire.Len()
}

// oneByOne reads no byte ahead of what is asked for by HTTP: the rest of the connection stays in its reader.
type oneByOne struct{ r *bufio.Reader }

func (o oneByOne) Read(b []byte) (int, error) {
	if _, err := o.r.Peek(1); err != nil {
		return 0, err
	}
	return o.r.Read(b[:min(len(b), o.r.Buffered())])
}

// mark is a request that the trace shows; it returns when the trace has it.
func (w *watched) mark() string {
	w.t.Helper()
	w.marks++
	name := fmt.Sprintf("/mark-%d ", w.marks) // net/http reads the first byte by itself, while it waits
	w.exchange("GET " + name + "HTTP/1.1\r\nHost: gateway\r\n\r\n")
	w.within(time.Second, "the mark in the trace", func() bool {
		trace, err := os.ReadFile(w.trace)
		return err == nil && bytes.Contains(trace, []byte(name))
	})
	return name
}

// during are the calls that the gateway makes while do asks, and what it does by itself in the meantime.
func (w *watched) during(do func()) []call {
	w.t.Helper()
	from := w.mark()
	do()
	to := w.mark()
	trace, err := os.ReadFile(w.trace)
	if err != nil {
		w.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(trace), from)
	part, _, _ := strings.Cut(rest, to)
	return callsIn(part)
}

var (
	lineOfCall = regexp.MustCompile(`^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*?)(?: <unfinished \.\.\.>| = (-?\d+).*)?$`)
	fileOfCall = regexp.MustCompile(`^\d+<([^>]*)>`)
)

// callsIn reads a trace. A call of which the trace has two halves, as another thread's came in between, is one.
func callsIn(trace string) []call {
	var calls []call
	begun := map[string]string{} // thread: what it is about
	for line := range strings.Lines(trace) {
		m := lineOfCall.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		c := call{name: m[2] + m[3], on: m[4]}
		if f := fileOfCall.FindStringSubmatch(m[4]); f != nil {
			c.on = f[1]
		}
		if m[2] != "" {
			c.on = begun[m[1]]
		}
		if m[5] == "" {
			begun[m[1]] = c.on
			continue
		}
		c.n, _ = strconv.ParseInt(m[5], 10, 64)
		if strings.Contains(c.on, "eventfd") { // a thread wakes another one, which depends on the machine
			continue
		}
		calls = append(calls, c)
	}
	return calls
}

func count(calls []call, counts func(call) bool) int {
	n := 0
	for _, c := range calls {
		if counts(c) {
			n++
		}
	}
	return n
}

// holds measures until a round is within its bounds, five times at most: what the gateway does by itself now and then may
// come in between.
func (w *watched) holds(what string, round func() (found string, ok bool)) {
	w.t.Helper()
	var found string
	for range 5 {
		var ok bool
		if found, ok = round(); ok || os.Getenv("SLIPWAY_BEFORE") != "" {
			w.t.Logf("%s: %s", what, found)
			return
		}
	}
	w.t.Errorf("%s, of five rounds the last: %s", what, found)
}

// names says which calls there were, a request.
func names(calls []call, requests int) string {
	by := map[string]int{}
	for _, c := range calls {
		by[c.name]++
	}
	all := make([]string, 0, len(by))
	for _, name := range slices.Sorted(maps.Keys(by)) {
		all = append(all, fmt.Sprintf("%s %.2f", name, float64(by[name])/float64(requests)))
	}
	return strings.Join(all, ", ")
}

// sum are the bytes of the calls that are picked.
func sum(calls []call, picked func(call) bool) (bytes int64) {
	for _, c := range calls {
		if picked(c) && c.n > 0 {
			bytes += c.n
		}
	}
	return bytes
}

// asks makes n requests and expects that each is answered with the status.
func (w *watched) asks(n, status int, ask func(i int) string) {
	w.t.Helper()
	for i := range n {
		if got, _ := w.exchange(ask(i)); got != status {
			w.t.Fatalf("request %d: status %d", i, got)
		}
	}
}

func TestASmallRequestCostsAFewSystemCallsAndNothingOfTheDisk(t *testing.T) {
	w := watchGateway(t)
	form := "grant_type=client_credentials&client_id=" + w.device.ID + "&client_secret=" + w.device.Secret
	for _, of := range []struct {
		what, ask string
		calls     float64 // a request; measured are 3.0 to 3.9: a read in vain, the first byte, the rest, and a write
		bytes     int     // both ways, without TCP's own
	}{
		{"a version poll", w.request("GET", "/api/iot/firmware-version", ""), 4.5, 620}, // 429 there, 162 back
		{"a configuration request", w.request("GET", "/api/iot/config", ""), 4.5, 670},  // 419, 213
		{"a token request", "POST /api/oauth/token HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/x-www-form-urlencoded\r\n" + // 240, 524
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(form), form), 4.5, 800},
	} {
		const requests = 100
		w.asks(5, http.StatusOK, func(int) string { return of.ask }) // what the first ones make is made once
		_, size := w.exchange(of.ask)
		if size += len(of.ask); size > of.bytes {
			t.Errorf("%s is %d bytes on the wire, at most are %d", of.what, size, of.bytes)
		}
		w.holds(of.what, func() (string, bool) {
			calls := w.during(func() { w.asks(requests, http.StatusOK, func(int) string { return of.ask }) })
			each, disk := float64(len(calls))/requests, count(calls, call.changesDisk)
			return fmt.Sprintf("%.2f calls (%s), %d of all change a disk, %d bytes on the wire", each, names(calls, requests), disk, size),
				each <= of.calls && disk == 0
		})
	}
}

// What the gateway wraps around a connection must not hide it from the kernel: a download by read and write costs a copy
// of every byte.
func TestADownloadGoesOutBySendfile(t *testing.T) {
	const downloads = 10
	w := watchGateway(t)
	ask := w.request("GET", "/api/iot/firmware", "")
	w.asks(1, http.StatusOK, func(int) string { return ask })
	w.holds("a download of 1 MiB", func() (string, bool) {
		calls := w.during(func() { w.asks(downloads, http.StatusOK, func(int) string { return ask }) })
		sent := sum(calls, func(c call) bool { return c.name == "sendfile" })
		read := sum(calls, func(c call) bool { return strings.HasSuffix(c.on, ".bin") && strings.Contains(c.name, "read") })
		written := sum(calls, func(c call) bool { return c.name == "write" && strings.HasPrefix(c.on, "socket:") })
		// How often the kernel asks for more, and how often it is asked what has arrived, depends on the machine.
		rest := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.name == "sendfile" || c.name == "getsockopt" })
		each, disk := float64(len(rest))/downloads, count(calls, call.changesDisk)
		return fmt.Sprintf("%d bytes by sendfile, %d read from the image, %d written to the connection, %.1f other calls (%s), %d of all change a disk",
				sent/downloads, read/downloads, written/downloads, each, names(calls, downloads), disk),
			// net/http looks at the first 512 bytes itself; measured are 16.1 other calls. That an image has arrived is saved for
			// all devices together, twice a second at most: two syncs each time, where a download of its own would make 20.
			sent >= downloads*(imageOfCalls-512) && read <= downloads*512 && written <= downloads*1024 && each <= 20 && disk <= downloads
	})
}

func TestAFirmwareCheckThatStopsAfterABlockCostsLittle(t *testing.T) {
	const checks = 20
	w := watchGateway(t)
	var worst int64
	d := &lwipDevice{g: w.running, way: "http", token: w.token}
	check := func() {
		c, plain := d.dial()
		defer c.Close()
		if _, err := io.WriteString(c, w.request("GET", "/api/iot/firmware", "")); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(c, 512)
		status, err := r.ReadString('\n')
		for line := status; err == nil && line != "\r\n"; {
			line, err = r.ReadString('\n')
		}
		if err == nil {
			_, err = io.ReadFull(r, make([]byte, 1024))
		}
		if err != nil || !strings.Contains(status, "200 OK") {
			t.Fatal(status, err)
		}
		received, err := bytesReceived(plain)
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, received)
	}
	check()
	w.holds("a firmware check", func() (string, bool) {
		calls := w.during(func() {
			for range checks {
				check()
			}
		})
		sent := sum(calls, func(c call) bool { return c.name == "sendfile" })
		rest := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.name == "sendfile" || c.name == "getsockopt" })
		each, disk := float64(len(rest))/checks, count(calls, call.changesDisk)
		return fmt.Sprintf("%.1f calls (%s), %d bytes handed to the kernel, at most %d on the wire, %d of all change a disk",
			each, names(calls, checks), sent/checks, worst, disk), each <= 40 && worst <= 32<<10 && sent <= checks*64<<10 && disk == 0
	})
}

// Three syncs are what README and the design promise of a dump that is answered with 201: of the dump, of its sidecar, and
// of the folder. The catalog's record is an index, which nobody waits for.
func TestADumpCostsThreeSyncs(t *testing.T) {
	const dumps = 15 // rotation begins behind 20
	w := watchGateway(t)
	upload := func(i int) string {
		return w.request("POST", uploadPath("esp32c3", "1.0.0"), fmt.Sprintf("core bytes %d of round %d", i, w.marks))
	}
	w.asks(1, http.StatusCreated, upload) // makes the device's folder
	calls := w.during(func() { w.asks(dumps, http.StatusCreated, upload) })
	folder := dumpDir(w.running, w.device.Key)
	data := count(calls, func(c call) bool { return c.name == "fdatasync" && filepath.Dir(c.on) == folder })
	names := count(calls, func(c call) bool { return c.name == "fsync" && c.on == folder })
	t.Logf("%d dumps: %d times fdatasync of a file, %d times fsync of their folder", dumps, data, names)
	if data != 2*dumps || names != dumps {
		t.Errorf("%d dumps cost %d syncs of a file and %d of their folder", dumps, data, names)
	}
}
