//go:build boot

package packaging

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// box is a machine of its own: a Debian with systemd as PID 1, in namespaces, with one address in a network that ends at
// its walls.
type box struct {
	t       *testing.T
	root    string // where its root file system lies on this machine
	address string
	nspawn  *exec.Cmd
	leader  int // its PID 1, as this machine counts
}

// lan gives the box its address before any service starts, and at every boot.
const lan = `[Unit]
Before=network.target
[Service]
Type=oneshot
ExecStart=/usr/sbin/ip address replace %s/24 dev lo
[Install]
WantedBy=multi-user.target
`

// newBox unpacks the root file system that test-boot.sh has made, and boots it.
func newBox(t *testing.T, address string) *box {
	t.Helper()
	b := &box{t: t, root: t.TempDir(), address: address}
	tar := os.Getenv("SLIPWAY_BOX_ROOT")
	if tar == "" {
		t.Fatal("SLIPWAY_BOX_ROOT is not set: run it with `make test-boot`")
	}
	if out, err := exec.Command("tar", "-xf", tar, "-C", b.root).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	units := filepath.Join(b.root, "etc/systemd/system")
	wants := filepath.Join(units, "multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(units, "lan.service"), fmt.Appendf(nil, lan, address), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../lan.service", filepath.Join(wants, "lan.service")); err != nil {
		t.Fatal(err)
	}
	b.boot()
	t.Cleanup(b.pullThePlug)
	return b
}

// stage is one part of a box's life, with the time that it took in the log.
func (b *box) stage(name string, play func(t *testing.T)) {
	b.t.Helper()
	outer, began := b.t, time.Now()
	passed := outer.Run(name, func(t *testing.T) {
		b.t = t
		play(t)
	})
	b.t = outer
	outer.Logf("%s %6.1f s  %s", time.Now().Format("15:04:05"), time.Since(began).Seconds(), name)
	if !passed {
		outer.FailNow() // the next stage stands on this one
	}
}

func (b *box) boot() {
	b.t.Helper()
	began := time.Now()
	b.nspawn = exec.Command("setsid", "--wait", "systemd-nspawn", "-q", "-D", b.root, "-M", "slipway-"+strconv.Itoa(os.Getpid()), "--boot",
		"--register=no", "--keep-unit", "--private-network", "--console=pipe", "--resolv-conf=off", "--timezone=off")
	b.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	console, err := os.CreateTemp("", "console")
	if err != nil {
		b.t.Fatal(err)
	}
	defer console.Close()
	defer os.Remove(console.Name())
	b.nspawn.Stdout, b.nspawn.Stderr = console, console
	if err := b.nspawn.Start(); err != nil {
		b.t.Fatal(err)
	}
	for time.Since(began) < patience {
		time.Sleep(50 * time.Millisecond)
		if b.leader = leaderBelow(b.nspawn.Process.Pid); b.leader == 0 {
			continue
		}
		if state, _ := b.try("systemctl is-system-running"); state == "running" || state == "degraded" {
			b.t.Logf("booted in %.1f s: %s", time.Since(began).Seconds(), state)
			return
		}
	}
	text, _ := os.ReadFile(console.Name())
	b.t.Fatalf("the box did not boot within %s:\n%s", patience, text)
}

// leaderBelow is the box's PID 1: systemd, the only child of nspawn, which is a child of setsid.
func leaderBelow(pid int) int {
	for range 3 {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil || len(bytes.Fields(children)) == 0 {
			return 0
		}
		if pid, err = strconv.Atoi(string(bytes.Fields(children)[0])); err != nil {
			return 0
		}
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || string(name) == "systemd\n" {
			return pid
		}
	}
	return 0
}

// pullThePlug ends everything in the box at once, as a power cut does, but for what the machine's own memory keeps.
func (b *box) pullThePlug() {
	if b.leader == 0 {
		return
	}
	if p, err := os.FindProcess(b.leader); err == nil {
		_ = p.Kill() // the box may have ended by itself
	}
	_ = b.nspawn.Wait() // it says that the box was killed
	b.leader = 0
}

// powerOff shuts the box down in order.
func (b *box) powerOff() {
	b.t.Helper()
	_, _ = b.try("systemctl poweroff") // the answer may be lost on the way down
	timer := time.AfterFunc(patience, func() { _ = b.nspawn.Process.Kill() })
	defer timer.Stop()
	if err := b.nspawn.Wait(); err != nil {
		b.t.Fatalf("the box did not shut down in order: %v", err)
	}
	b.leader = 0
}

// try types a line into a root shell of the box.
func (b *box) try(line string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(b.leader), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root",
		"DEBIAN_FRONTEND=noninteractive", "sh", "-c", "cd /root && "+line)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run is try for lines that must work.
func (b *box) run(line string) string {
	b.t.Helper()
	out, err := b.try(line)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s\n%s", line, err, out, b.state())
	}
	return out
}

// refuses is try for lines that must not work.
func (b *box) refuses(line string) string {
	b.t.Helper()
	out, err := b.try(line)
	if err == nil {
		b.t.Fatalf("it worked: %s\n%s", line, out)
	}
	return out
}

// patience only bounds a hang: a busy machine takes many times as long as an idle one.
const patience = 5 * time.Minute

// within waits until a line works. limit is what an idle machine is far below; the test fails after patience.
func (b *box) within(limit time.Duration, line string) string {
	b.t.Helper()
	limit = max(limit, patience)
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		out, err := b.try(line)
		if err == nil {
			return out
		}
		if time.Since(began) > limit {
			b.t.Fatalf("not within %s: %s: %v\n%s\n%s", limit, line, err, out, b.state())
		}
	}
}

// state is what an operator would look at.
func (b *box) state() string {
	out, _ := b.try("systemctl status slipway.service slipway.socket --no-pager -l; journalctl -u slipway --no-pager | tail -60")
	return out
}

// path is where a file of the box lies on this machine.
func (b *box) path(name string) string { return filepath.Join(b.root, name) }

// put writes a file into the box's /root.
func (b *box) put(name string, data []byte) {
	b.t.Helper()
	if err := os.WriteFile(b.path("root/"+name), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// putPackage copies the package of a version to /root and returns its name.
func (b *box) putPackage(version, suffix string) string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(os.Getenv("SLIPWAY_BOX_PACKAGES"), version, "slipway*"+suffix))
	if err != nil || len(found) != 1 {
		b.t.Fatalf("packages of %s: %q, %v: run it with `make test-boot`", version, found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(filepath.Base(found[0]), data)
	return filepath.Base(found[0])
}
