package depot

import (
	"context"
	"errors"
	"os"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Publish offers a stored build to the model's devices: the record first, then the flat file.
func (d *Depot) Publish(ctx context.Context, code fleet.ModelCode, v fleet.Version) (fleet.Model, error) {
	if err := d.trusted(); err != nil {
		return fleet.Model{}, err
	}
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
	return m, d.note(d.setFlat(code, d.path(code, v, imageSuffix)))
}

// retain removes the builds that were accepted first beyond KeepVersions, but neither the current one nor one that a
// dump waits for, a device is pinned to or a rollout needs.
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
