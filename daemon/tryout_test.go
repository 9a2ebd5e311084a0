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

// TestMakeRunPrintsLinesThatWorkAsPrinted is a newcomer's first minute: what `make run` starts, and what it tells to type.
func TestMakeRunPrintsLinesThatWorkAsPrinted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the printed lines need curl, which this machine does not have")
	}
	probe, err := net.Listen("tcp", "127.0.0.1:8480")
	if err != nil {
		t.Skip("port 8480 is taken: a gateway of `make run` may be running")
	}
	probe.Close()
	slipway, err := exec.LookPath("slipway")
	if err != nil {
		t.Fatal(err)
	}
	out := &lockedBuffer{}
	cmd := exec.Command("testdata/tryout/run.sh", slipway, filepath.Join(t.TempDir(), "state"))
	cmd.Dir = ".."
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
	})
	const first, last = "# a device asks", "decode testdata/crash/core.dmp"
	for end := time.Now().Add(testPatience); !strings.Contains(out.String(), last); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nothing to type within %s:\n%s", testPatience, out)
		}
	}
	_, lines, _ := strings.Cut(out.String(), first)
	lines, rest, _ := strings.Cut(lines, last)
	rest, _, _ = strings.Cut(rest, "\n") // what comes behind is not to be typed
	lines = first + lines + last + rest + "\n"
	lines = strings.ReplaceAll(lines, "firmware.bin", filepath.Join(t.TempDir(), "firmware.bin"))
	lines = strings.ReplaceAll(lines, "resumed.bin", filepath.Join(t.TempDir(), "resumed.bin"))
	typed := exec.Command("sh", "-e")
	typed.Dir = ".."
	typed.Stdin = strings.NewReader(lines)
	typed.Env = os.Environ()
	said, err := typed.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, lines, said)
	}
	for _, want := range []string{"resumed\n", `"status":"ok"`, `"coredumps":[{`, "plant::regulate"} {
		if !bytes.Contains(said, []byte(want)) {
			t.Errorf("nothing says %q:\n%s", want, said)
		}
	}
}
