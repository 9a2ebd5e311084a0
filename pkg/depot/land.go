package depot

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// temporary is a file under a name that a start removes.
type temporary struct{ file *os.File }

func newTemporary(dir string) (*temporary, error) {
	f, err := os.CreateTemp(dir, ".*.part")
	if err != nil {
		return nil, err
	}
	t := &temporary{f}
	if err := f.Chmod(0o640); err != nil {
		t.drop()
		return nil, err
	}
	return t, nil
}

// drop removes the file unless it has landed.
func (t *temporary) drop() {
	t.file.Close()
	os.Remove(t.file.Name())
}

// land makes the bytes durable and gives them their name. The directory is the caller's to sync, once for all it lands.
func (t *temporary) land(path string) error {
	if err := t.file.Sync(); err != nil {
		return err
	}
	return os.Rename(t.file.Name(), path)
}

// ensureDir makes a directory, and its name durable.
func ensureDir(dir string) error {
	err := os.Mkdir(dir, 0o750)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// setFlat makes the flat file the same file as a landed image, by a link: no byte is written twice.
func (d *Depot) setFlat(code fleet.ModelCode, image string) error {
	flat := d.flatPath(code)
	if same, err := sameFile(flat, image); err != nil || same {
		return err
	}
	t, err := newTemporary(d.Dir)
	if err != nil {
		return err
	}
	defer t.drop()
	if err := os.Remove(t.file.Name()); err != nil { // the name is ours; a link wants it free
		return err
	}
	if err := os.Link(image, t.file.Name()); err != nil {
		return err
	}
	if err := os.Rename(t.file.Name(), flat); err != nil {
		return err
	}
	return durable.SyncDir(d.Dir)
}

func sameFile(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}

// noRoom turns the kernel's words for a full disk into the house's.
func noRoom(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fleet.Full("no room for firmware on the disk")
	}
	return err
}
