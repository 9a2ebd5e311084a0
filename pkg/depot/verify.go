package depot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// damage remembers which files were found damaged: they are not served until they are whole again.
type damage struct {
	mu    sync.Mutex        // guards found
	found map[string]string // path to what an operator should know

	mending sync.Mutex // one at a time: 8,000 devices may ask for the same image
}

func (d *damage) note(path, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		d.found = map[string]string{}
	}
	d.found[path] = what
}

func (d *damage) forget(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.found, path)
}

func (d *damage) of(path string) (what string, damaged bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what, damaged = d.found[path]
	return what, damaged
}

// Trouble is what lies damaged in the depot and could not be mended.
func (d *Depot) Trouble() []string {
	d.damage.mu.Lock()
	defer d.damage.mu.Unlock()
	return slices.Sorted(maps.Values(d.damage.found))
}

// Verify reads every bundle, image and ELF once, at most 5 MB a second, and compares them with their records. A damaged
// image is read from its bundle again, a damaged ELF goes and is inflated at need; a damaged bundle is [Depot.Trouble]. It
// ends with ctx or after the last one.
func (d *Depot) Verify(ctx context.Context) error {
	models, err := d.options.Recorder.Models()
	if err != nil {
		return err
	}
	for _, m := range models {
		builds, err := d.options.Recorder.Builds(m.Code)
		if err != nil {
			return err
		}
		for _, b := range builds {
			if err := d.verifyBuild(ctx, b); err != nil {
				return fmt.Errorf("version %s of model %s: %w", b.Version, b.Model, err)
			}
		}
	}
	return nil
}

func (d *Depot) verifyBuild(ctx context.Context, b fleet.Build) error {
	if err := d.verifyBundle(ctx, b); err != nil {
		return err
	}
	sum, err := gentleSum(ctx, d.path(b.Model, b.Version, imageSuffix))
	if err != nil {
		return err
	}
	if sum == b.ImageSHA256 {
		d.damage.forget(d.path(b.Model, b.Version, imageSuffix))
	} else if err := d.mend(b); err != nil {
		return err
	}
	elf := d.path(b.Model, b.Version, elfSuffix)
	sum, err = gentleSum(ctx, elf)
	if err != nil || sum == "" || sum == b.ELFSHA256 {
		return err
	}
	defer d.locks.lock(b.Model)()
	if d.isCurrent(b) {
		d.options.Logger.Warn("inflated ELF removed: it is damaged", "model", b.Model, "version", b.Version)
		d.elves.forget(elf)
	}
	return nil
}

// verifyBundle reads a build's ZIP whole.
func (d *Depot) verifyBundle(ctx context.Context, b fleet.Build) error {
	path := d.path(b.Model, b.Version, bundleSuffix)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.noteBundle(b, "is lost")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	read, err := d.readBundle(gentle{ctx, f}, info.Size(), b.Model)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && b.SameFirmware(buildOf(read, b.Model, b.Version, info.Size())):
		d.damage.forget(path)
		return nil
	case !d.isAt(f, b): // replaced meanwhile
		return nil
	}
	return d.noteBundle(b, "is damaged")
}

// noteBundle notes what has become of a bundle, unless its build has gone or was replaced meanwhile.
func (d *Depot) noteBundle(b fleet.Build, what string) error {
	defer d.locks.lock(b.Model)()
	if !d.isCurrent(b) {
		return nil
	}
	text := fmt.Sprintf("the bundle of version %s of model %s %s: send the same bundle again", b.Version, b.Model, what)
	d.damage.note(d.path(b.Model, b.Version, bundleSuffix), text)
	d.options.Logger.Error("bundle on the disk is damaged", "model", b.Model, "version", b.Version, "reason", what)
	return nil
}

// isCurrent reports that a build is still recorded as it was. The caller holds the model's lock.
func (d *Depot) isCurrent(b fleet.Build) bool {
	now, err := d.options.Recorder.Build(b.Model, b.Version)
	return err == nil && now.ImageSHA256 == b.ImageSHA256 && now.ELFSHA256 == b.ELFSHA256
}

// mend reads a build's image from its bundle once more, where what lies there is not it. Where that cannot be done the
// image is noted as damaged.
func (d *Depot) mend(b fleet.Build) error {
	d.damage.mending.Lock()
	defer d.damage.mending.Unlock()
	path := d.path(b.Model, b.Version, imageSuffix)
	if sumOf(path) == b.ImageSHA256 {
		return nil // somebody was faster
	}
	err := d.extractImage(b)
	if err == nil && sumOf(path) == b.ImageSHA256 {
		d.damage.forget(path)
		d.options.Logger.Warn("image mended: it was damaged, and was read from its bundle again", "model", b.Model, "version", b.Version)
		return d.note(d.linkAgain(b))
	}
	if errors.Is(err, fleet.ErrFull) {
		d.options.Logger.Error("image not mended", "model", b.Model, "version", b.Version, "error", err)
	}
	defer d.locks.lock(b.Model)()
	if !d.isCurrent(b) {
		return nil
	}
	d.damage.note(path, fmt.Sprintf("the image of version %s of model %s is damaged and is not served: send the same bundle again", b.Version, b.Model))
	d.options.Logger.Error("image on the disk is damaged", "model", b.Model, "version", b.Version)
	return nil
}

// linkAgain makes the flat file the mended image, where it is the one that is offered.
func (d *Depot) linkAgain(b fleet.Build) error {
	defer d.locks.lock(b.Model)()
	m, err := d.options.Recorder.Model(b.Model)
	if err != nil || m.FirmwareVersion != b.Version {
		return err
	}
	return d.setFlat(b.Model, d.path(b.Model, b.Version, imageSuffix))
}

// gentleSum is the hash of a file, read at most 5 MB a second; "" where there is none.
func gentleSum(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(gentle{ctx, f}, 0, 1<<62)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// gentle rests after each read, so that the background disturbs nobody.
type gentle struct {
	ctx context.Context //nolint:containedctx // of one read of one file
	f   io.ReaderAt
}

func (g gentle) ReadAt(p []byte, at int64) (int, error) {
	const rate = 5 << 20 // bytes a second
	n, err := g.f.ReadAt(p, at)
	select {
	case <-g.ctx.Done():
		return n, g.ctx.Err()
	case <-time.After(time.Duration(n) * time.Second / rate):
		return n, err
	}
}
