//go:build faults

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own, mounted for a test under a short path.
type disk struct {
	t       testing.TB
	dir     string // where it is mounted
	mount   []string
	mounted bool
}

// newLoop makes a file system, "ext4" or "xfs", in a file of size bytes, and mounts it.
func newLoop(t testing.TB, kind string, size int64) *disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	tell(t, "mkfs."+kind, "-q", image)
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
	tell(d.t, "umount", d.dir)
	d.mounted = false
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

// free is what is left for whoever is not root.
func (d *disk) free() int64 {
	d.t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(d.dir, &s); err != nil {
		d.t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// fill leaves so many bytes free; the file that it makes is the ballast, which empty removes.
func (d *disk) fill(leave int64) {
	d.t.Helper()
	f, err := os.OpenFile(d.path("ballast"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		d.t.Fatal(err)
	}
	// The file system needs blocks of its own to note those of a large file: a few tries come close.
	for size := info.Size(); ; {
		more := d.free() - leave
		if more <= 0 {
			return
		}
		switch err := unix.Fallocate(int(f.Fd()), 0, size, more); {
		case errors.Is(err, unix.ENOSPC):
			return
		case err != nil:
			d.t.Fatal(err)
		}
		size += more
	}
}

// takeInodes makes empty files until there is no inode left for another one.
func (d *disk) takeInodes() {
	d.t.Helper()
	if err := os.MkdirAll(d.path("inodes"), 0o700); err != nil && !errors.Is(err, unix.ENOSPC) {
		d.t.Fatal(err)
	}
	for n := 0; ; n++ {
		f, err := os.Create(d.path("inodes", fmt.Sprint(n)))
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOENT) {
			return
		}
		if err != nil {
			d.t.Fatal(err)
		}
		f.Close()
	}
}

// empty gives back what fill and takeInodes took.
func (d *disk) empty() {
	d.t.Helper()
	for _, name := range []string{"ballast", "inodes"} {
		if err := os.RemoveAll(d.path(name)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// tell runs a command of the system.
func tell(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
