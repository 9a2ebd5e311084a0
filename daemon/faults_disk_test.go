//go:build faults

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own, mounted for a test under a short path.
type disk struct {
	t       testing.TB
	dir     string // where it is mounted
	mount   []string
	mounted bool
}

// newLoop makes a file system, "ext4" or "xfs", in a file of size bytes, and mounts it. Options are those of its mkfs.
func newLoop(t testing.TB, kind string, size int64, options ...string) *disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	tell(t, "mkfs."+kind, append(options, "-q", image)...)
	return mountAt(t, "-o", "loop", "-t", kind, image)
}

// newTmpfs mounts one of size bytes with so many inodes, 0 for as many as the kernel gives.
func newTmpfs(t testing.TB, size int64, inodes int) *disk {
	t.Helper()
	return mountAt(t, "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,nr_inodes=%d", size, inodes), "tmpfs")
}

func mountAt(t testing.TB, args ...string) *disk {
	t.Helper()
	dir, err := os.MkdirTemp("", "slw") // unix sockets may lie in it, and their paths are short
	if err != nil {
		t.Fatal(err)
	}
	d := &disk{t: t, dir: dir, mount: append(args, dir)}
	t.Cleanup(func() {
		if d.mounted {
			d.unmount()
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	d.mountAgain()
	return d
}

func (d *disk) mountAgain() {
	d.t.Helper()
	tell(d.t, "mount", d.mount...)
	d.mounted = true
}

func (d *disk) unmount() {
	d.t.Helper()
	d.once("umount", d.dir)
	d.mounted = false
}

// once runs a command that wants the disk for itself: who was killed may hold a file for a moment more, and so does whoever the
// tests beside this one start just then.
func (d *disk) once(name string, args ...string) {
	d.t.Helper()
	for try := 0; ; try++ {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err == nil {
			return
		}
		if try == 200 {
			d.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// path is one on it.
func (d *disk) path(parts ...string) string {
	return filepath.Join(append([]string{d.dir}, parts...)...)
}

// The same number is EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN: _IOR('X', 125, u32). The flag leaves the log unwritten, as a
// power cut does.
const (
	shutdownRequest = 0x8004587d
	withoutTheLog   = 2
)

// cut takes the power away: what the file system had not written it will never write, and every call on it fails. It is
// back after unmount and mountAgain.
func (d *disk) cut() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdownRequest, withoutTheLog); err != nil {
		d.t.Fatalf("shut down the file system: %v", err)
	}
}

// empty removes what is called "ballast", with which a row has filled it.
func (d *disk) empty() {
	d.t.Helper()
	if err := os.RemoveAll(d.path("ballast")); err != nil {
		d.t.Fatal(err)
	}
}
