package systemd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// datagrams listens on a unix datagram socket, as the service manager and the journal do.
func datagrams(t *testing.T) (path string, next func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") // a socket's path is short, and a test's folder is not
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return path, func() string {
		b := make([]byte, 64<<10)
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(b)
		if err != nil {
			return err.Error()
		}
		return string(b[:n])
	}
}

func TestTheServiceManagerHearsReadyAndStopping(t *testing.T) {
	path, next := datagrams(t)
	t.Setenv("NOTIFY_SOCKET", path)
	for _, test := range []struct {
		say  func() error
		want string
	}{{Ready, "READY=1"}, {Stopping, "STOPPING=1"}} {
		if err := test.say(); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != test.want {
			t.Errorf("heard %q, want %q", got, test.want)
		}
	}
}

func TestWithoutAServiceManagerNothingIsSaidAndNothingFails(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("JOURNAL_STREAM", "")
	if err := Ready(); err != nil {
		t.Error(err)
	}
	if err := NewWatchdog(slog.New(slog.DiscardHandler)).Run(t.Context()); err != nil {
		t.Error(err)
	}
	if UnderJournal() {
		t.Error("the journal was found")
	}
	held, err := Listeners()
	if err != nil || len(held) != 0 {
		t.Errorf("%v, %v", held, err)
	}
}

func TestTheWatchdogIsFedWhileEveryPartBeatsAndNoLonger(t *testing.T) {
	path, next := datagrams(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", fmt.Sprint((3 * time.Second).Microseconds()))
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		w := NewWatchdog(slog.New(slog.NewTextHandler(&log, nil)))
		lively := w.Part("lively", time.Minute)
		wedged := w.Part("wedged", 2500*time.Millisecond)
		time.Sleep(10 * time.Second) // longer than the part may be silent: only what comes after Run counts
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		time.Sleep(500 * time.Millisecond)
		lively()
		wedged() // its last beat, after the first feeding
		time.Sleep(20 * time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
	if err := Ready(); err != nil { // a mark behind what was said
		t.Fatal(err)
	}
	fed := 0
	for next() == "WATCHDOG=1" {
		fed++
	}
	if fed != 4 { // at 0, 1, 2 and 3 s, and no more
		t.Errorf("fed %d times", fed)
	}
	if n := strings.Count(log.String(), "part=wedged"); n != 1 || strings.Contains(log.String(), "lively") {
		t.Errorf("log %q", log.String())
	}
}

func TestSocketsThatSystemdHoldsComeWithTheirNames(t *testing.T) {
	if os.Getenv("BE_A_SERVICE") != "" {
		t.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
		held, err := Listeners()
		if err != nil || len(held["https"]) != 1 || len(held["device_http"]) != 1 {
			t.Fatalf("%v, %v", held, err)
		}
		fmt.Println("addresses", held["https"][0].Addr(), held["device_http"][0].Addr())
		return
	}
	var files []*os.File
	var addresses []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files, addresses = append(files, file), append(addresses, l.Addr().String())
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "BE_A_SERVICE=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=https:device_http")
	child.ExtraFiles = files // from descriptor 3 on, as systemd has it
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "addresses "+strings.Join(addresses, " ")) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestARecordReachesTheJournalWithFieldsOfItsOwn(t *testing.T) {
	path, next := datagrams(t)
	probe := filepath.Join(t.TempDir(), "probe")
	build := exec.Command("go", "build", "-ldflags", "-X github.com/coreos/go-systemd/v22/journal.journalSocket="+path, "-o", probe, "./testdata/probe")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(probe).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	first, second := fieldsOf(next()), fieldsOf(next())
	for name, want := range map[string]string{
		"PRIORITY": "6", "SYSLOG_IDENTIFIER": "slipway", "SLIPWAY_EVENT": "dump stored", "SLIPWAY_DEVICE": "a1b2c3d4",
		"SLIPWAY_MODEL": "pump", "SLIPWAY_BUILD": "1.0.0", "SLIPWAY_BYTES": "4096", "SLIPWAY_PART_NAME": "dumps",
		"MESSAGE": "dump stored model=pump device=a1b2c3d4 version=1.0.0 bytes=4096 part.name=dumps",
	} {
		if first[name] != want {
			t.Errorf("%s is %q, want %q", name, first[name], want)
		}
	}
	if second["PRIORITY"] != "3" || second["SLIPWAY_ERROR"] != "two\nlines" || second["MESSAGE"] != `dump lost model=pump error="two\nlines"` {
		t.Errorf("%v", second)
	}
}

// fieldsOf reads a datagram of the journal's native protocol: NAME=value, or NAME, length and value for several lines.
func fieldsOf(datagram string) map[string]string {
	fields := map[string]string{}
	for datagram != "" {
		line, rest, _ := strings.Cut(datagram, "\n")
		if name, value, short := strings.Cut(line, "="); short {
			fields[name], datagram = value, rest
			continue
		}
		n := binary.LittleEndian.Uint64([]byte(rest[:8]))
		fields[line], datagram = rest[8:8+n], rest[8+n+1:]
	}
	return fields
}

func TestAFieldsNameIsOneThatTheJournalTakes(t *testing.T) {
	for attr, want := range map[string]string{
		"device": "SLIPWAY_DEVICE", "version": "SLIPWAY_BUILD", "a.b-c": "SLIPWAY_A_B_C", "größe": "SLIPWAY_GR__E",
		strings.Repeat("x", 80): "SLIPWAY_" + strings.Repeat("X", 56),
	} {
		if got := fieldName(attr); got != want {
			t.Errorf("%s is %s, want %s", attr, got, want)
		}
	}
}

func TestBelowTheLevelNothingIsWritten(t *testing.T) {
	h := NewHandler(slog.LevelInfo)
	if h.Enabled(t.Context(), slog.LevelDebug) || !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("the level is not kept")
	}
}

func TestWhatASenderSaysSteersNoTerminalFromTheJournal(t *testing.T) {
	var message string
	var fields map[string]string
	h := &Handler{level: slog.LevelInfo, send: func(m string, _ journal.Priority, f map[string]string) error {
		message, fields = m, f
		return nil
	}}
	for value, want := range map[string]struct{ text, field string }{
		"plain":               {"plain", "plain"},
		"größer":              {"größer", "größer"},
		"\x1b[2Jevil.zip":     {`"\x1b[2Jevil.zip"`, `"\x1b[2Jevil.zip"`},
		"\u009b0m":            {`"\u009b0m"`, `"\u009b0m"`},
		"\xff":                {`"\xff"`, `"\xff"`},
		"\u202egpj.exe":       {`"\u202egpj.exe"`, `"\u202egpj.exe"`},
		"a stack\n\tof calls": {`"a stack\n\tof calls"`, "a stack\n\tof calls"},
	} {
		slog.New(h).Info("dropped file rejected", "file", value)
		if message != "dropped file rejected file="+want.text || fields["SLIPWAY_FILE"] != want.field {
			t.Errorf("%q: %s, field %q", value, message, fields["SLIPWAY_FILE"])
		}
	}
}
