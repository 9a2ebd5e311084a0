package dropfolder

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What was rejected can be taken again, once what was wrong with it is mended, such as a model that there was not.

const (
	reasonSuffix = ".reason.txt"
	mostReason   = 16 << 10 // bytes of a reason that are read: anybody of the group may have written it
)

// Rejected are the files that were rejected and are still there, by name.
func (f *Folder) Rejected() ([]fleet.Drop, error) {
	all, _, err := f.rejected()
	return all, err
}

// rejected has their names on disk, too.
func (f *Folder) rejected() (all []fleet.Drop, names []string, err error) {
	dir := filepath.Join(f.options.Dir, rejectedDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fleet.Away("the rejected files cannot be read: %v", err)
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name()] = true
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if of, ok := strings.CutSuffix(e.Name(), reasonSuffix); ok && there[of] {
			continue
		}
		d := fleet.Drop{Name: printable(e.Name()), Size: info.Size(), RejectedAt: info.ModTime().UTC()}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok { // the move set it; the file's own time is that of whoever made it
			d.RejectedAt = time.Unix(stat.Ctim.Unix()).UTC()
		}
		d.Reason = reasonIn(filepath.Join(dir, e.Name()+reasonSuffix))
		d.Mend, d.Lacks = fleet.Mending(d.Reason)
		at, _ := slices.BinarySearchFunc(all, d, func(a, b fleet.Drop) int { return strings.Compare(a.Name, b.Name) })
		all, names = slices.Insert(all, at, d), slices.Insert(names, at, e.Name())
	}
	return all, names, nil
}

// reasonIn reads what was written for whoever dropped a file, without its first line.
func reasonIn(path string) string {
	file, err := openRegular(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := io.ReadAll(io.LimitReader(file, mostReason)) // what could be read
	_, reason, _ := strings.Cut(string(text), "\n\n")
	return strings.TrimSpace(printable(reason))
}

// find is a rejected file by the name that Rejected has, and its name on disk.
func (f *Folder) find(name string) (d fleet.Drop, onDisk string, err error) {
	all, names, err := f.rejected()
	if err != nil {
		return d, "", err
	}
	at := slices.IndexFunc(all, func(d fleet.Drop) bool { return d.Name == name })
	if at < 0 {
		return d, "", fleet.Unknown("no rejected file is named %q", name)
	}
	return all[at], names[at], nil
}

// Retry lays a rejected file into the folder again, where it is taken as if it had just been dropped. told is called before.
func (f *Folder) Retry(name string, told func(fleet.Drop) error) error {
	d, onDisk, err := f.find(name)
	if err != nil {
		return err
	}
	from, to := filepath.Join(f.options.Dir, rejectedDir, onDisk), filepath.Join(f.options.Dir, onDisk)
	if _, err := os.Lstat(to); err == nil {
		return fleet.Taken("another file named %q lies in the drop folder, and is looked at first", d.Name)
	}
	if err := told(d); err != nil {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err != nil {
		return notMoved(d, err)
	}
	return removed(from + reasonSuffix)
}

// Dismiss removes a rejected file, and the reason beside it. told is called before.
func (f *Folder) Dismiss(name string, told func(fleet.Drop) error) error {
	d, onDisk, err := f.find(name)
	if err != nil {
		return err
	}
	if err := told(d); err != nil {
		return err
	}
	path := filepath.Join(f.options.Dir, rejectedDir, onDisk)
	return errors.Join(removed(path), removed(path+reasonSuffix))
}

func notMoved(d fleet.Drop, err error) error {
	switch {
	case errors.Is(err, unix.EEXIST):
		return fleet.Taken("another file named %q lies in the drop folder, and is looked at first", d.Name)
	case errors.Is(err, unix.ENOENT):
		return fleet.Unknown("no rejected file is named %q any more", d.Name)
	}
	return fleet.OfDisk(err)
}

// removed removes a file that may be gone already.
func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fleet.OfDisk(err)
	}
	return nil
}
