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

// Publish offers a stored build to the model's devices: the record first, then the flat file.
func (d *Depot) Publish(ctx context.Context, code fleet.ModelCode, v fleet.Version) (fleet.Model, error) {
	defer d.locks.lock(code)()
	if _, err := d.options.Recorder.Build(code, v); err != nil {
		return fleet.Model{}, err
	}
	if _, err := os.Stat(d.path(code, v, imageSuffix)); errors.Is(err, os.ErrNotExist) {
		return fleet.Model{}, fleet.Taken("the image of version %s of model %s is not on the disk: send its bundle again", v, code)
	}
	if what, damaged := d.damage.of(d.path(code, v, imageSuffix)); damaged {
		return fleet.Model{}, fleet.Damaged("%s", what)
	}
	m, err := d.options.Recorder.PublishVersion(ctx, code, v)
	if err != nil {
		return m, err
	}
	return m, d.setFlat(code, d.path(code, v, imageSuffix))
}

// Remove removes a build: its record, then its files. The model's current one stays.
func (d *Depot) Remove(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	defer d.locks.lock(code)()
	return d.remove(ctx, code, v)
}

func (d *Depot) remove(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	m, err := d.options.Recorder.Model(code)
	if err != nil {
		return err
	}
	if m.FirmwareVersion == v {
		return fleet.Taken("version %s is the one that devices of model %s are offered: publish another one first", v, code)
	}
	if err := d.options.Recorder.RemoveBuild(ctx, code, v); err != nil {
		return err
	}
	for _, suffix := range []string{bundleSuffix, imageSuffix, elfSuffix} {
		d.damage.forget(d.path(code, v, suffix))
		if err := os.Remove(d.path(code, v, suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// RemoveModel removes a model that has neither devices nor builds, with its flat file and its folder. Where these cannot
// go, such as a folder with files that no record knows of, it is refused, and the model stays.
func (d *Depot) RemoveModel(ctx context.Context, code fleet.ModelCode) error {
	defer d.locks.lock(code)()
	m, err := d.options.Recorder.Model(code)
	if err != nil {
		return err
	}
	if err := d.emptied(code); err != nil {
		return err
	}
	if err := d.options.Recorder.RemoveModel(ctx, code); err != nil {
		return err
	}
	// The folder comes first: it is the one that may not go, and a model without a folder is whole.
	for _, path := range []string{d.modelDir(code), d.flatPath(code)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fleet.Taken("model %q stays: %s", code, err), d.options.Recorder.AddModel(ctx, m))
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

// retain removes the builds that were accepted first beyond KeepVersions, but neither the current one nor one that a
// dump waits for or a device is pinned to.
func (d *Depot) retain(ctx context.Context, m fleet.Model) error {
	builds, err := d.options.Recorder.Builds(m.Code)
	if err != nil {
		return err
	}
	for _, b := range builds[:max(0, len(builds)-d.options.KeepVersions)] { // first accepted first
		if b.Version == m.FirmwareVersion {
			continue
		}
		needed, err := d.options.Recorder.NeedsBuild(b)
		if err != nil {
			return err
		}
		if needed {
			continue
		}
		if err := d.remove(ctx, m.Code, b.Version); err != nil {
			return err
		}
	}
	return nil
}
