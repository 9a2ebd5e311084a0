package durable

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// The kernel refuses to sync what has nothing to sync: a call that is left out, or of which nobody looks at the error, would
// say that all is well.
func TestTheKernelIsReallyAskedToSync(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := (Kernel{}).Sync(w); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a pipe was synced: %v", err)
	}
	if err := (Kernel{}).SyncDir("/proc"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("/proc was synced: %v", err)
	}
}

// failed is a disk whose journal is given up; a sync succeeds all the same.
type failed struct{ Kernel }

func (failed) Kept(*os.File) error { return syscall.EROFS }

func TestNamesThatTheFileSystemHasNotKeptAreNotDurable(t *testing.T) {
	defer Use(failed{})()
	var sync *SyncError
	if err := SyncDir(t.TempDir()); !errors.As(err, &sync) || !errors.Is(err, syscall.EROFS) {
		t.Errorf("%v", err)
	}
}

func TestAFileSystemThatWorksKeepsWhatItSays(t *testing.T) {
	for _, path := range []string{t.TempDir(), "/proc"} { // the latter has no flags
		f, err := os.Open(path)
		if err == nil {
			err = (Kernel{}).Kept(f)
		}
		if err != nil {
			t.Error(err)
		}
		f.Close()
		if err := (Kernel{}).Kept(f); err == nil {
			t.Error("a file that is closed is kept")
		}
	}
}

// Setting a file's flags changes when it was changed: a question that takes no place in the journal does not.
func TestTheKernelIsReallyAskedWhatItHasNotKept(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	changed := func() syscall.Timespec {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ctim
	}
	before := changed()
	for try := 0; changed() == before; try++ { // a kernel's times may be some milliseconds coarse
		if err := (Kernel{}).Kept(f); err != nil || try == 100 {
			t.Fatalf("the file is as it was: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestARenameToANameThatIsTakenReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"from", "to"} {
		if err := os.WriteFile(dir+"/"+name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Kernel{}).RenameNew(dir+"/from", dir+"/to"); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(dir + "/to"); string(got) != "to" {
		t.Errorf("%q, %v", got, err)
	}
}
