package depot

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// fileMode lets the group read what is served.
const fileMode = 0o640

// ensureDir makes a directory, and its name durable.
func ensureDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := durable.Mkdir(dir, 0o750); err != nil {
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
	l, err := durable.BeginLink(image, d.options.Dir)
	if err != nil {
		return err
	}
	defer l.Drop()
	if err := l.Replace(flat); err != nil {
		return err
	}
	d.damage.forget(flat)
	return durable.SyncDir(d.options.Dir)
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
