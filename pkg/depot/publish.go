package depot

import (
	"context"
	"errors"
	"os"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Publish offers a stored build to the model's devices: the record first, then the flat file.
func (d *Depot) Publish(ctx context.Context, code fleet.ModelCode, v fleet.Version) (fleet.Model, error) {
	defer d.locks.lock(code)()
	if _, err := d.Recorder.Build(code, v); err != nil {
		return fleet.Model{}, err
	}
	m, err := d.Recorder.PublishVersion(ctx, code, v)
	if err != nil {
		return m, err
	}
	d.Logger.Info("build published", "model", code, "version", v)
	return m, d.setFlat(code, d.path(code, v, imageSuffix))
}

// Remove removes a build: its record, then its files. The model's current one stays.
func (d *Depot) Remove(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	defer d.locks.lock(code)()
	return d.remove(ctx, code, v)
}

func (d *Depot) remove(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	m, err := d.Recorder.Model(code)
	if err != nil {
		return err
	}
	if m.FirmwareVersion == v {
		return fleet.Taken("version %s is the one that devices of model %s are offered: publish another one first", v, code)
	}
	if err := d.Recorder.RemoveBuild(ctx, code, v); err != nil {
		return err
	}
	for _, suffix := range []string{bundleSuffix, imageSuffix, elfSuffix} {
		if err := os.Remove(d.path(code, v, suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	d.Logger.Info("build removed", "model", code, "version", v)
	return nil
}

// RemoveFlat removes what a removed model leaves: its flat file and its empty directory.
func (d *Depot) RemoveFlat(code fleet.ModelCode) error {
	defer d.locks.lock(code)()
	for _, path := range []string{d.flatPath(code), d.modelDir(code)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// retain removes the builds that were accepted first beyond KeepVersions, but neither the current one nor one that a
// dump waits for.
func (d *Depot) retain(ctx context.Context, m fleet.Model) error {
	builds, err := d.Recorder.Builds(m.Code)
	if err != nil {
		return err
	}
	for _, b := range builds[:max(0, len(builds)-d.KeepVersions)] { // first accepted first
		if b.Version == m.FirmwareVersion {
			continue
		}
		needed, err := d.Recorder.NeedsBuild(b)
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
