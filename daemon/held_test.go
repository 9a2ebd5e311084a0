package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestASocketThatSystemdHoldsTakesThePlaceOfASettingAndSaysSo(t *testing.T) {
	t.Parallel()
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	file, err := held.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dir, err := os.MkdirTemp("", "slw") // a unix socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec slipway serve "$@"`, "sh", "--set", "state_dir="+t.TempDir(), "--set", "socket="+socket,
		"--set", "listen.https=127.0.0.1:1", "--set", "log.format=text")
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=https")
	cmd.ExtraFiles = []*os.File{file} // descriptor 3, as systemd has it
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &running{t: t, socket: socket}
	var status string
	g.within(20*time.Second, "a gateway that answers", func() bool {
		status, err = g.tryCLI("status")
		return strings.Contains(status, "up since")
	})
	if page := "https://" + held.Addr().String(); !strings.Contains(status, "page:               "+page+"\n") {
		t.Errorf("the page is not %s:\n%s", page, status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if want := "listen.https is 127.0.0.1:1 in --set, but slipway.socket holds " + held.Addr().String(); strings.Count(log.String(), want) != 1 {
		t.Errorf("the log does not say %q:\n%s", want, log.String())
	}
}
