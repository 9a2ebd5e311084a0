package depot

import (
	"context"
	"errors"
	"os"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// trusted is nil, or the refusal of a firmware.
func (d *Depot) trusted() error {
	if err := d.guard.Failed(); err != nil {
		return fleet.Full("no firmware is stored, as its disk failed (%v): it is taken again once the disk works", err)
	}
	return nil
}

// note remembers a sync that failed, and makes it the refusal that everybody gets until [Depot.Mend] has found that the disk
// works.
func (d *Depot) note(err error) error {
	if d.guard.Note(err) {
		return d.trusted()
	}
	return fleet.OfDisk(err)
}

// Mend has the depot written to again after a failed sync, once its disk works. It ends with ctx.
func (d *Depot) Mend(ctx context.Context) error { return d.guard.Mend(ctx, d.options.Dir) }

// Fault says that firmware is refused as a sync has failed, "" when it is not.
func (d *Depot) Fault() string {
	if err := d.trusted(); err != nil {
		return err.Error()
	}
	return ""
}

// takeBack removes the files of a build whose names could not be synced, where there is no record of its version: nobody was
// told that they last, and whoever sent them sends them again. A catalog that cannot be read now may have one.
func (d *Depot) takeBack(b fleet.Build) {
	if _, err := d.options.Recorder.Build(b.Model, b.Version); !errors.Is(err, fleet.ErrUnknown) {
		return
	}
	for _, suffix := range []string{imageSuffix, bundleSuffix} {
		os.Remove(d.path(b.Model, b.Version, suffix)) // a bundle that stays is found by the next start
	}
}
