package gateway

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// smallDisk mounts one of 128 MiB in memory.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): run as root to see what a full one does", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestADiskThatTakesNothingSaysWhy(t *testing.T) {
	dir := smallDisk(t, "size=128m,nr_inodes=200")
	d := storage{dirs: []string{dir, filepath.Join(dir, ".")}}
	said := func(want string) {
		t.Helper()
		got := d.trouble()
		if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	said("")
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	said("read-only")
	if _, _, err := SpaceOf(dir)(); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("read-only: %v", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		if err := os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	said("inodes")
	if free, _, err := SpaceOf(dir)(); err != nil || free >= Reserve || free == 0 {
		t.Errorf("%d free with few inodes, %v", free, err)
	}
	for i := range 150 {
		if err := os.Remove(filepath.Join(dir, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "others"), make([]byte, 100<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	said("64 MiB")
}
