package depot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// asidePrefix is before the name of a file whose record is about to go. A start that finds one ends what was cut off: where
// the record is still there the file has its name again, and nothing was removed; else what belongs to it goes.
const asidePrefix = ".gone-"

func aside(path string) string {
	return filepath.Join(filepath.Dir(path), asidePrefix+filepath.Base(path))
}

// setAside takes a file's name away; one that is not there has none. Where that cannot be synced the file has its name again:
// its record stays.
func (d *Depot) setAside(path string) error {
	err := durable.Rename(path, aside(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		if err = durable.SyncDir(filepath.Dir(path)); err != nil {
			err = errors.Join(d.note(err), putBack(path))
		}
	}
	return err
}

// putBack gives a file its name again.
func putBack(path string) error {
	if _, err := os.Lstat(aside(path)); errors.Is(err, os.ErrNotExist) {
		return nil // of a read-only disk a rename says that, whatever is there
	}
	return durable.Rename(aside(path), path)
}

// Remove removes a build: its record, then its files. The model's current one stays, one that a device is pinned to, and
// one that a rollout needs.
func (d *Depot) Remove(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	if err := d.trusted(); err != nil {
		return err
	}
	defer d.locks.lock(code)()
	return d.remove(ctx, code, v)
}

// remove takes the bundle's name away first: a bundle without a record would be found by the next start, as a build.
func (d *Depot) remove(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	m, err := d.options.Recorder.Model(code)
	if err != nil {
		return err
	}
	if m.FirmwareVersion == v {
		return fleet.Taken("version %s is the one that devices of model %s are offered: publish another one first", v, code)
	}
	bundle := d.path(code, v, bundleSuffix)
	if err := d.setAside(bundle); err != nil {
		return err
	}
	if err := d.options.Recorder.RemoveBuild(ctx, code, v); err != nil {
		return errors.Join(err, putBack(bundle))
	}
	return d.removeFiles(code, v)
}

// removeFiles removes the files of a build whose record is gone. The one that says so is the last.
func (d *Depot) removeFiles(code fleet.ModelCode, v fleet.Version) error {
	for _, suffix := range []string{imageSuffix, elfSuffix, bundleSuffix} {
		path := d.path(code, v, suffix)
		d.damage.forget(path)
		if suffix == bundleSuffix {
			path = aside(path)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// RemoveModel removes a model that has neither devices nor builds, with its flat file and its folder. Where these cannot
// go, such as a folder with files that no record knows of, it is refused, and the model stays.
func (d *Depot) RemoveModel(ctx context.Context, code fleet.ModelCode) error {
	if err := d.trusted(); err != nil {
		return err
	}
	defer d.locks.lock(code)()
	m, err := d.options.Recorder.Model(code)
	if err != nil {
		return err
	}
	if err := d.emptied(code); err != nil {
		return err
	}
	flat := d.flatPath(code)
	if err := d.setAside(flat); err != nil {
		return err
	}
	if err := d.options.Recorder.RemoveModel(ctx, code); err != nil {
		return errors.Join(err, putBack(flat))
	}
	d.damage.forget(flat)
	// The folder comes first: it is the one that may not go, and a model without a folder is whole.
	for _, path := range []string{d.modelDir(code), aside(flat)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fleet.Taken("model %q stays: %s", code, err), d.options.Recorder.AddModel(ctx, m), putBack(flat))
		}
	}
	return nil
}

// emptied removes from a model's folder what the depot makes again at need, and refuses where anything else is in it.
func (d *Depot) emptied(code fleet.ModelCode) error {
	dir := d.modelDir(code)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fleet.Taken("model %q stays: %s", code, err)
	}
	builds, err := d.options.Recorder.Builds(code)
	if err != nil || len(builds) > 0 {
		return err // the catalog says how many there are
	}
	for _, e := range entries {
		name := e.Name()
		if !durable.IsTemporary(name) && !strings.HasSuffix(name, elfSuffix) {
			return fleet.Taken("model %q stays: %s lies in its folder %s and belongs to no build: move it away first", code, strconv.Quote(name), dir)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fleet.Taken("model %q stays: %s", code, err)
		}
	}
	return nil
}

// endRemovals ends, at a start, what a kill has cut off in the middle of a removal.
func (d *Depot) endRemovals(codes []fleet.ModelCode) error {
	for _, code := range codes {
		if _, err := d.options.Recorder.Model(code); err == nil {
			if err := putBack(d.flatPath(code)); err != nil {
				return err
			}
		} else if !errors.Is(err, fleet.ErrUnknown) {
			return err
		}
		entries, err := os.ReadDir(d.modelDir(code))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			name, gone := strings.CutPrefix(e.Name(), asidePrefix+"firmware-")
			v, err := fleet.ParseVersion(strings.TrimSuffix(name, bundleSuffix))
			if !gone || err != nil {
				continue
			}
			if err := d.endRemoval(code, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Depot) endRemoval(code fleet.ModelCode, v fleet.Version) error {
	_, err := d.options.Recorder.Build(code, v)
	if err == nil {
		return putBack(d.path(code, v, bundleSuffix))
	}
	if !errors.Is(err, fleet.ErrUnknown) {
		return err
	}
	return d.removeFiles(code, v)
}
