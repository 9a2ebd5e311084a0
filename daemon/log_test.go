package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The pipe is full before the gateway logs its first line: it starts, serves and stops all the same.
func TestAFullPipeBehindTheLogHoldsUpNoRequestAndNoStop(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "slw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	g := &running{t: t, state: filepath.Join(t.TempDir(), "state"), socket: filepath.Join(dir, "s"), log: &lockedBuffer{}}
	cmd := exec.Command("slipway", g.arguments()...)
	cmd.Stderr = w // the child has it as any program has: its writes wait
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	patience := time.AfterFunc(testPatience, func() { _ = cmd.Process.Kill() })
	defer patience.Stop()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", g.socket)
	}}}
	g.within(testPatience, "the gateway answers", func() bool {
		answer, err := client.Get("http://slipway/api/models")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode != http.StatusServiceUnavailable
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
