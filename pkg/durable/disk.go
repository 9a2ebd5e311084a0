package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Disk is what landing asks of the kernel. Each call is the system call of its name, and its error the kernel's.
type Disk interface {
	// Create makes a file of a name that nobody has: pattern with its last "*" replaced.
	Create(dir, pattern string) (*os.File, error)
	Sync(f *os.File) error // the file's content and size
	Rename(from, to string) error
	RenameNew(from, to string) error // os.ErrExist where to is there
	Link(from, to string) error
	Remove(path string) error
	MakeDir(dir string, mode os.FileMode) error
	SyncDir(dir string) error
	Kept(f *os.File) error // what the file's file system was told before, see [Kept]
}

// disk is the kernel, but in tests that call Use.
var disk Disk = Kernel{}

// Use lets d stand for the disk until restore is called. It is for tests: nothing may be landing meanwhile.
func Use(d Disk) (restore func()) {
	before := disk
	disk = d
	return func() { disk = before }
}

// Kernel is the disk itself.
type Kernel struct{}

// Create opens the file for reading and writing, mode 0600.
func (Kernel) Create(dir, pattern string) (*os.File, error) { return os.CreateTemp(dir, pattern) }

// Sync is fdatasync: of the inode it writes what is needed to read the content again.
func (Kernel) Sync(f *os.File) error {
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

// Rename replaces what is there.
func (Kernel) Rename(from, to string) error { return os.Rename(from, to) }

// RenameNew replaces nothing.
func (Kernel) RenameNew(from, to string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return &os.LinkError{Op: "renameat2", Old: from, New: to, Err: err}
	}
	return nil
}

// Link gives a file a second name.
func (Kernel) Link(from, to string) error { return os.Link(from, to) }

// Remove takes a name away.
func (Kernel) Remove(path string) error { return os.Remove(path) }

// MakeDir makes one directory.
func (Kernel) MakeDir(dir string, mode os.FileMode) error { return os.Mkdir(dir, mode) }

// SyncDir is fsync of the directory.
func (Kernel) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Kept sets the file's flags to what they are: that takes a place in the journal and changes nothing. A file system without such
// flags, and a file that is another user's, are not asked.
func (Kernel) Kept(f *os.File) error {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
	}
	switch {
	case err == nil, errors.Is(err, errors.ErrUnsupported), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL), errors.Is(err, os.ErrPermission):
		return nil
	}
	return &os.PathError{Op: "set flags", Path: f.Name(), Err: err}
}
