//go:build faults

package main

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/lasting"
)

// fullPipe is one that nobody reads and that takes nothing more.
func fullPipe(t *testing.T) (w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	return w
}

// stuckJournal runs a command in a mount namespace in which journald's socket is one that nobody reads.
func stuckJournal(t *testing.T, command []string) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "slw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	script := `mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && exec "$@"`
	return append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, dir}, command...)
}

// mute is a gateway whose log nobody takes: it cannot say that it is ready or where it listens.
type mute struct {
	*running
	journal bool
}

// tryMute starts it and returns when it answers; false is that it does not, for as long as a start may take.
func (m *mute) tryMute(t *testing.T, patience time.Duration) bool {
	t.Helper()
	command := append([]string{cmp.Or(m.program, "slipway")}, m.arguments()...)
	if m.journal {
		command = stuckJournal(t, command)
	}
	m.cmd = exec.Command(command[0], command[1:]...)
	m.cmd.Stderr, m.log = fullPipe(t), &lockedBuffer{}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := m.cmd
	m.ended = make(chan error, 1)
	go func() { m.ended <- cmd.Wait() }()
	hasty := http.Client{Timeout: time.Second}                                                       // a control's answer may wait for its log for ever
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // it polls
		if a, err := hasty.Get(m.url + "/api/health"); err == nil {
			a.Body.Close()
			if a.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

// TestFaultsALogThatNobodyReadsHoldsUpNothing lets a fleet ask a gateway whose log goes nowhere from its first line on. The
// control writes each line at once.
func TestFaultsALogThatNobodyReadsHoldsUpNothing(t *testing.T) {
	direct := without(t, "pkg/systemd/queue.go", "func (q *Queue) put(size int, write func() error) {",
		"func (q *Queue) put(size int, write func() error) {\n\tif write() == nil {\n\t\treturn\n\t}")
	for _, journal := range []bool{false, true} {
		name, format := "log into a full pipe", "json"
		if journal {
			name, format = "journal's socket stuck", "journal"
		}
		t.Run(name, func(t *testing.T) {
			row := newFault(t, name, "the log", 1)
			if journal {
				row.needsRoot()
			}
			address := lasting.Address(t)
			settings := forLoad("listen.http="+address, "log.format="+format)
			g := newGateway(t, filepath.Join(t.TempDir(), "state"), forLoad("listen.http="+address)...)
			g.start()
			l := newLoad(t, g)
			g.stop()
			g.sets = settings
			m := &mute{g, journal}
			if !m.tryMute(t, time.Minute) {
				t.Fatal("it does not answer")
			}
			l.begin(0)
			l.until(times(300, 5000))
			l.end()
			g.stop()
			g.sets = forLoad("listen.http=" + address)
			g.start()
			l.check(0)
			row.found("%d acknowledged, none lost; it stops on SIGTERM", l.answers())

			g.stop()
			g.sets, g.program = settings, direct
			noticed := ""
			if !m.tryMute(t, 5*time.Second) {
				noticed = "no answer within 5 s"
			} else {
				l.begin(1)
				if made := l.within(100, 5*time.Second); made < 100 {
					noticed = fmt.Sprintf("%d answers within 5 s", made)
				}
			}
			_ = g.cmd.Process.Signal(syscall.SIGKILL)
			<-g.ended //nolint:errcheck // it was killed
			g.cmd, g.program = nil, ""
			if l.round == 1 {
				l.end()
			}
			row.noticed("without the queue", noticed)
		})
	}
}
