package depot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// acceptBundle takes a bundle's whole way: verify, land ZIP and image, record, replace the flat file, wake who waits.
func (d *Depot) acceptBundle(ctx context.Context, s fleet.Submission, t *durable.Landing, size int64, sum string) (fleet.Accepted, error) {
	b, err := d.readBundle(t.File(), size, s.Model, s.Version)
	if err != nil {
		return fleet.Accepted{}, err
	}
	version, err := fleet.ParseVersion(b.Version)
	if err != nil {
		return fleet.Accepted{}, err
	}
	code, err := fleet.ParseModelCode(b.Code)
	if err != nil {
		return fleet.Accepted{}, err
	}
	build := buildOf(b, code, version, size)
	build.BundleSHA256, build.Origin, build.AcceptedAt = sum, s.Origin, d.options.Now().UTC()
	accepted := fleet.Accepted{Kind: fleet.KindBundle, Build: build, Warnings: b.Warnings}

	defer d.locks.lock(code)()
	model, err := d.model(ctx, s, code)
	if err != nil {
		return fleet.Accepted{}, err
	}
	if err := fits(model, build.Chip, build.Project); err != nil {
		return fleet.Accepted{}, err
	}
	same, err := d.known(model, build, s.Replace)
	if err != nil {
		return fleet.Accepted{}, err
	}
	switch {
	case same == nil:
		why := d.holds(model)
		if why != "" && model.FirmwareVersion != version {
			accepted.Warnings = append(slices.Clip(accepted.Warnings), "not published: "+why)
		}
		return d.store(ctx, accepted, b, t, !d.options.Manual && !s.Store && why == "")
	case d.intact(*same):
		accepted.Build, accepted.Published = *same, model.FirmwareVersion == version
		return accepted, nil
	}
	// The same firmware once more: nothing about when it was accepted, and after which other, changes.
	accepted.Build.Sequence, accepted.Build.AcceptedAt, accepted.Build.Origin = same.Sequence, same.AcceptedAt, same.Origin
	accepted.Warnings = append(slices.Clip(accepted.Warnings), "what lay on the gateway's disk of this version was damaged, and is replaced")
	return d.store(ctx, accepted, b, t, false)
}

// holds says why a build is not published by coming in.
func (d *Depot) holds(m fleet.Model) string {
	if d.options.Holds == nil {
		return ""
	}
	return d.options.Holds(m)
}

// intact reads what is stored of a build, all of it. Flash forgets, and whoever brings the same bundle again may do so
// because of that.
func (d *Depot) intact(b fleet.Build) bool {
	zip, err := d.openBundle(b.Model, b.Version)
	if err != nil {
		return false
	}
	defer zip.Close()
	read, err := d.readBundle(zip, b.BundleSize, b.Model, b.Version)
	return err == nil && b.SameFirmware(buildOf(read, b.Model, b.Version, b.BundleSize)) &&
		(b.BundleSHA256 == "" || sumOf(d.path(b.Model, b.Version, bundleSuffix)) == b.BundleSHA256) &&
		sumOf(d.path(b.Model, b.Version, imageSuffix)) == b.ImageSHA256
}

// readBundle verifies a bundle of a model and a version, or of whichever it names.
func (d *Depot) readBundle(r io.ReaderAt, size int64, code fleet.ModelCode, v fleet.Version) (*bundle.Bundle, error) {
	limits := bundle.DefaultLimits
	limits.Whole = d.options.MaxBytes
	b, err := bundle.Read(r, size, bundle.Expected{Code: string(code), Version: string(v)}, limits)
	return b, asRefused(err)
}

// asRefused turns what bundle has against a firmware into a refusal.
func asRefused(err error) error {
	var refusal *bundle.Refusal
	if errors.As(err, &refusal) {
		return fleet.Refused("%s", refusal.Reason)
	}
	return err
}

func buildOf(b *bundle.Bundle, code fleet.ModelCode, v fleet.Version, size int64) fleet.Build {
	return fleet.Build{
		Model: code, Version: v, Chip: b.Image.Chip, Project: b.Image.App.Project, IDFVersion: b.Image.App.IDFVersion,
		GitCommit: b.GitCommit, BundleSize: size, ImageSize: b.ImageSize(), ImageSHA256: b.ImageSHA256,
		ELFSHA256: b.ELFSHA256, ELFSize: b.ELFSize(), Warnings: b.Warnings, Sums: sumsOf(b.Image),
	}
}

// known decides about a version that is there already: the same firmware changes nothing (same is its record), another
// is refused unless it is to be replaced, which one in a rollout is not. A build that was found on disk has never been offered to anybody: when its
// bundle comes it is taken as new.
func (d *Depot) known(m fleet.Model, b fleet.Build, replace bool) (same *fleet.Build, err error) {
	stored, err := d.options.Recorder.Build(m.Code, b.Version)
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		if m.FirmwareVersion != b.Version {
			return nil, nil
		}
		// The model runs a plain image of this version: devices may be in the middle of it.
		if sum := sumOf(d.flatPath(m.Code)); sum != "" && sum != b.ImageSHA256 {
			if replace {
				return nil, d.options.Recorder.MayReplaceBuild(m.Code, b.Version)
			}
			return nil, fleet.Taken("model %s runs version %s as a plain image with other bytes: raise the version, or replace it with slipway firmware add --replace", m.Code, b.Version)
		}
		return nil, nil
	case err != nil:
		return nil, err
	case !stored.SameFirmware(b):
		if replace {
			return nil, d.options.Recorder.MayReplaceBuild(m.Code, b.Version)
		}
		return nil, fleet.Taken("version %s of model %s is stored with another image or ELF: raise the version, or replace it with slipway firmware add --replace", b.Version, m.Code)
	case stored.Origin == fleet.Found && m.FirmwareVersion != b.Version:
		return nil, nil
	}
	return &stored, nil
}

func (d *Depot) store(ctx context.Context, accepted fleet.Accepted, b *bundle.Bundle, t *durable.Landing, publish bool) (fleet.Accepted, error) {
	build := accepted.Build
	if err := ensureDir(d.modelDir(build.Model)); err != nil {
		return fleet.Accepted{}, err
	}
	if err := d.trusted(); err != nil { // since this upload began
		return fleet.Accepted{}, err
	}
	if err := d.landBuild(build, b, t); err != nil {
		if d.guard.Note(err) {
			d.takeBack(build)
		}
		return fleet.Accepted{}, err
	}
	recorded, model, err := d.options.Recorder.RecordBuild(ctx, build, publish)
	if err != nil {
		return fleet.Accepted{}, err
	}
	accepted.Build, accepted.Changed = recorded, true
	accepted.Published = model.FirmwareVersion == build.Version
	if accepted.Published {
		if err := d.setFlat(build.Model, d.path(build.Model, build.Version, imageSuffix)); err != nil {
			return fleet.Accepted{}, err
		}
	}
	for _, w := range accepted.Warnings {
		d.options.Logger.Warn("build accepted with a warning", "model", build.Model, "version", build.Version, "warning", w)
	}
	// The build is safe: what follows must not make its sender believe otherwise.
	if err := d.retain(event.ByItself(ctx), model); err != nil {
		d.options.Logger.Error("old builds not removed", "model", model.Code, "error", err)
	}
	if err := d.options.Waker.BuildArrived(ctx, recorded); err != nil {
		d.options.Logger.Error("waiting dumps not woken", "model", model.Code, "version", build.Version, "error", err)
	}
	return accepted, nil
}

// landBuild makes ZIP and image durable under their names. The ZIP comes first: an image without its ZIP would be
// nobody's, while a ZIP without its image gives it again.
func (d *Depot) landBuild(build fleet.Build, b *bundle.Bundle, t *durable.Landing) error {
	inside := b.OpenImage()
	defer inside.Close()
	image, err := d.extract(inside, build.ImageSize, d.modelDir(build.Model))
	if err != nil {
		return err
	}
	defer image.Drop()
	if err := t.Replace(d.path(build.Model, build.Version, bundleSuffix)); err != nil {
		return err
	}
	if err := image.Replace(d.path(build.Model, build.Version, imageSuffix)); err != nil {
		return err
	}
	d.damage.forget(d.path(build.Model, build.Version, bundleSuffix))
	d.damage.forget(d.path(build.Model, build.Version, imageSuffix))
	d.elves.forget(d.path(build.Model, build.Version, elfSuffix)) // of the build that this one replaces
	return durable.SyncDir(d.modelDir(build.Model))
}

// extract writes a file of a bundle to a temporary one.
func (d *Depot) extract(from io.Reader, size int64, dir string) (*durable.Landing, error) {
	if err := d.room(size); err != nil {
		return nil, err
	}
	t, err := durable.Begin(dir, fileMode)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(t, from)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes extracted, want %d", n, size)
	}
	if err != nil {
		t.Drop()
		return nil, err
	}
	return t, nil
}
