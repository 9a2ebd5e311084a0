package depot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Recover makes disk and records agree. Removals that were cut off are ended, temporary names go. A whole bundle without a record is recorded as found, not
// offered; a record without its bundle goes; an image that is missing is extracted again. The flat file follows the
// record of a bundle, and the record of a plain image follows the flat file.
//
// With rebuild, for a catalog that is new, it also makes a model for each code with a bundle or a flat file, current
// at the flat file's version.
func (d *Depot) Recover(ctx context.Context, rebuild bool) error {
	if err := os.MkdirAll(d.options.Dir, 0o750); err != nil {
		return err
	}
	codes, err := d.codes()
	if err != nil {
		return err
	}
	err = fleet.OfDisk(d.tidy(codes))
	if errors.Is(err, fleet.ErrFull) { // what is recorded is served; [Depot.Reconcile] does the rest
		d.untidy.Store(true)
		d.options.Logger.Warn("firmware not recovered: the disk takes nothing", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	return d.agree(ctx, codes, rebuild)
}

// tidy ends removals that were cut off, and removes temporary names.
func (d *Depot) tidy(codes []fleet.ModelCode) error {
	if err := d.endRemovals(codes); err != nil {
		return err
	}
	if err := removeTemporaries(d.options.Dir); err != nil {
		return err
	}
	for _, code := range codes {
		if err := removeTemporaries(d.modelDir(code)); err != nil {
			return err
		}
	}
	return nil
}

// Reconcile is Recover while the depot is in use: temporary names stay, they may be uploads on their way, and no model is
// locked while a bundle is read.
func (d *Depot) Reconcile(ctx context.Context, rebuild bool) error {
	codes, err := d.codes()
	if err != nil {
		return err
	}
	if d.untidy.Load() {
		for _, code := range codes {
			if err := d.endRemovalsOf(code); err != nil {
				return err
			}
		}
		d.untidy.Store(false)
	}
	return d.agree(ctx, codes, rebuild)
}

// endRemovalsOf is endRemovals of one model while the depot is in use.
func (d *Depot) endRemovalsOf(code fleet.ModelCode) error {
	defer d.locks.lock(code)()
	return d.endRemovals([]fleet.ModelCode{code})
}

func (d *Depot) agree(ctx context.Context, codes []fleet.ModelCode, rebuild bool) error {
	for _, code := range codes {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := fleet.OfDisk(d.recoverModel(ctx, code, rebuild))
		if errors.Is(err, fleet.ErrFull) { // what is recorded is served; [Depot.Reconcile] goes on when there is room
			d.options.Logger.Warn("firmware not recovered: the disk is full", "model", code)
			continue
		}
		if err != nil {
			return fmt.Errorf("recover the firmware of model %s: %w", code, err)
		}
	}
	return nil
}

// codes are the models that the folder or the catalog knows.
func (d *Depot) codes() ([]fleet.ModelCode, error) {
	entries, err := os.ReadDir(d.options.Dir)
	if err != nil {
		return nil, err
	}
	seen := map[fleet.ModelCode]bool{}
	var codes []fleet.ModelCode
	add := func(s string) {
		if code, err := fleet.ParseModelCode(s); err == nil && !seen[code] {
			seen[code] = true
			codes = append(codes, code)
		}
	}
	for _, e := range entries {
		if e.IsDir() {
			add(e.Name())
		} else if stem, ok := strings.CutPrefix(e.Name(), "firmware-"); ok {
			if code, ok := strings.CutSuffix(stem, imageSuffix); ok {
				add(code)
			}
		}
	}
	models, err := d.options.Recorder.Models()
	for _, m := range models {
		add(string(m.Code))
	}
	return codes, err
}

func (d *Depot) recoverModel(ctx context.Context, code fleet.ModelCode, rebuild bool) error {
	known, err := d.ensureModel(ctx, code, rebuild)
	if err != nil || !known {
		return err
	}
	if err := d.recoverBuilds(ctx, code); err != nil {
		return err
	}
	defer d.locks.lock(code)()
	model, err := d.options.Recorder.Model(code)
	if errors.Is(err, fleet.ErrUnknown) {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	return d.recoverFlat(ctx, model, rebuild)
}

// ensureModel makes a model that the catalog does not know, with rebuild, where there is firmware of it.
func (d *Depot) ensureModel(ctx context.Context, code fleet.ModelCode, rebuild bool) (known bool, err error) {
	defer d.locks.lock(code)()
	_, err = d.options.Recorder.Model(code)
	if !errors.Is(err, fleet.ErrUnknown) {
		return err == nil, err
	}
	if there, err := d.hasFirmware(code); err != nil || !there {
		return false, err // it was removed meanwhile, or nothing but its folder is left
	}
	if !rebuild {
		d.options.Logger.Warn("firmware of an unknown model lies in the depot", "model", code)
		return false, nil
	}
	now := d.options.Now().UTC()
	return true, d.options.Recorder.AddModel(ctx, fleet.Model{Code: code, CreatedAt: now, UpdatedAt: now})
}

// hasFirmware reports that there is a flat file or a bundle of the model.
func (d *Depot) hasFirmware(code fleet.ModelCode) (bool, error) {
	if _, err := os.Stat(d.flatPath(code)); err == nil {
		return true, nil
	}
	entries, err := os.ReadDir(d.modelDir(code))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "firmware-") && strings.HasSuffix(e.Name(), bundleSuffix) {
			return true, nil
		}
	}
	return false, err
}

func (d *Depot) recoverBuilds(ctx context.Context, code fleet.ModelCode) error {
	builds, err := d.options.Recorder.Builds(code)
	if err != nil {
		return err
	}
	for _, b := range builds {
		lost, err := d.forgetLost(ctx, b)
		if err != nil {
			return err
		}
		if lost {
			continue
		}
		if err := d.restoreImage(b); err != nil && !errors.Is(err, fleet.ErrUnknown) { // removed meanwhile
			return err
		}
	}
	entries, err := os.ReadDir(d.modelDir(code))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		stem, isZIP := strings.CutSuffix(e.Name(), bundleSuffix)
		name, isFirmware := strings.CutPrefix(stem, "firmware-")
		version, err := fleet.ParseVersion(name)
		if !isZIP || !isFirmware || err != nil {
			continue
		}
		if _, err := d.options.Recorder.Build(code, version); err == nil {
			continue
		} else if !errors.Is(err, fleet.ErrUnknown) {
			return err
		}
		if err := d.recordFound(ctx, code, version); err != nil && !errors.Is(err, fleet.ErrUnknown) { // removed meanwhile
			return err
		}
	}
	return nil
}

// forgetLost forgets a build whose bundle is gone.
func (d *Depot) forgetLost(ctx context.Context, b fleet.Build) (lost bool, err error) {
	defer d.locks.lock(b.Model)()
	if _, err := os.Stat(d.path(b.Model, b.Version, bundleSuffix)); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err = d.options.Recorder.RemoveBuild(ctx, b.Model, b.Version)
	if errors.Is(err, fleet.ErrUnknown) { // removed meanwhile
		return true, nil
	}
	d.damage.note(d.path(b.Model, b.Version, bundleSuffix), fmt.Sprintf("the bundle of version %s of model %s is lost: send the same bundle again", b.Version, b.Model))
	d.options.Logger.Error("build lost: its bundle is not on the disk", "model", b.Model, "version", b.Version)
	return true, err
}

// recordFound records a bundle that lies there whole without a record: a kill came between its files and its record.
// One that is not whole is left for a person to look at.
func (d *Depot) recordFound(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	f, err := d.openBundle(code, v)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b, err := d.readBundle(f, info.Size(), code, v)
	if errors.Is(err, fleet.ErrRefused) {
		d.options.Logger.Error("bundle on the disk is damaged", "model", code, "version", v, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	build := buildOf(b, code, v, info.Size())
	build.Origin, build.AcceptedAt = fleet.Found, info.ModTime().UTC()
	if build.BundleSHA256, err = hashFile(f, info.Size()); err != nil {
		return err
	}
	if err := d.restoreImage(build); err != nil {
		return err
	}
	defer d.locks.lock(code)()
	if _, err := d.options.Recorder.Build(code, v); err == nil || !d.isAt(f, build) {
		return nil // accepted, replaced or removed meanwhile
	} else if !errors.Is(err, fleet.ErrUnknown) {
		return err
	}
	if _, _, err := d.options.Recorder.RecordBuild(ctx, build, false); err != nil {
		return err
	}
	d.options.Logger.Info("build found", "model", code, "version", v)
	return nil
}

// restoreImage extracts a build's image again where it is missing.
func (d *Depot) restoreImage(b fleet.Build) error {
	if info, err := os.Stat(d.path(b.Model, b.Version, imageSuffix)); err == nil && info.Size() == b.ImageSize {
		return nil
	}
	return d.extractImage(b)
}

// extractImage reads a build's image from its bundle, in the place of whatever lies there. A bundle that is damaged leaves
// it as it is.
func (d *Depot) extractImage(b fleet.Build) error {
	f, err := d.openBundle(b.Model, b.Version)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	archive, err := d.readBundle(f, info.Size(), b.Model, b.Version)
	if err != nil {
		d.options.Logger.Error("bundle on the disk is damaged", "model", b.Model, "version", b.Version, "error", err)
		return nil
	}
	inside := archive.OpenImage()
	defer inside.Close()
	t, err := d.extract(inside, b.ImageSize, d.modelDir(b.Model))
	if err != nil {
		return err
	}
	defer t.Drop()
	defer d.locks.lock(b.Model)()
	if !d.isAt(f, b) {
		return nil // replaced or removed meanwhile
	}
	return t.Replace(d.path(b.Model, b.Version, imageSuffix)) // it is made again at need: its name may be lost
}

// isAt reports that an open bundle is still the build's.
func (d *Depot) isAt(f *os.File, b fleet.Build) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(d.path(b.Model, b.Version, bundleSuffix))
	return err == nil && os.SameFile(mine, now)
}

// recoverFlat makes the flat file and the model's record agree.
func (d *Depot) recoverFlat(ctx context.Context, m fleet.Model, rebuild bool) error {
	if m.FirmwareVersion != "" {
		_, err := d.options.Recorder.Build(m.Code, m.FirmwareVersion)
		if err == nil {
			return d.setFlat(m.Code, d.path(m.Code, m.FirmwareVersion, imageSuffix))
		}
		if !errors.Is(err, fleet.ErrUnknown) {
			return err
		}
	}
	f, err := os.Open(d.flatPath(m.Code))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	image, err := readImage(f, info.Size())
	if err != nil {
		d.options.Logger.Error("flat file is not an image", "model", m.Code, "error", err)
		return nil
	}
	if image.App.FromArduino() {
		if m.FirmwareVersion == "" { // only its record had its name
			d.options.Logger.Warn("plain image not offered: an Arduino build does not say its version, send it again", "model", m.Code)
		}
		return nil
	}
	version, err := fleet.ParseVersion(image.App.Version)
	if err != nil {
		d.options.Logger.Error("flat file is not an image", "model", m.Code, "error", err)
		return nil
	}
	sum, err := hashFile(f, info.Size())
	if err != nil {
		return err
	}
	// An upload of the same version may have been cut off before its record. What a disk has changed has the old time.
	replaced := m.ImageSHA256 != "" && m.ImageSHA256 != sum && image.HashAppended && image.HashValid && info.ModTime().After(m.UpdatedAt)
	if version == m.FirmwareVersion && !replaced || m.FirmwareVersion == "" && !rebuild && d.options.Manual {
		return nil
	}
	_, err = d.options.Recorder.PublishImage(ctx, fleet.Build{
		Model: m.Code, Version: version, Chip: image.Chip, Project: image.App.Project, ImageSHA256: sum, Sums: sumsOf(image),
	})
	return err
}

func removeTemporaries(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
