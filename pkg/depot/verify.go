package depot

import (
	"cmp"
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
	mu     sync.Mutex        // guards found
	found  map[string]string // path to what an operator should know
	unread map[string]string // path to why it cannot be read, which is no damage

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
	delete(d.unread, path)
}

// notRead notes that a file cannot be read, and reports that this is new.
func (d *damage) notRead(path string, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unread == nil {
		d.unread = map[string]string{}
	}
	_, known := d.unread[path]
	d.unread[path] = fmt.Sprintf("firmware cannot be read, and is left as it is: %v", err)
	return !known
}

func (d *damage) of(path string) (what string, damaged bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what, damaged = d.found[path]
	return what, damaged
}

// Trouble is what lies damaged in the depot and could not be mended, and what cannot be read.
func (d *Depot) Trouble() []string {
	d.damage.mu.Lock()
	defer d.damage.mu.Unlock()
	return slices.Concat(slices.Sorted(maps.Values(d.damage.found)), slices.Sorted(maps.Values(d.damage.unread)))
}

// Verify reads every bundle, image and ELF once, at most 5 MB a second, and compares them with their records. A damaged
// image is read from its bundle again, a damaged ELF goes and is inflated at need; a damaged bundle or plain image is
// [Depot.Trouble], and so is what cannot be read, which stays as it is. It ends with ctx or after the last one.
func (d *Depot) Verify(ctx context.Context) (first error) {
	models, err := d.options.Recorder.Models()
	if err != nil {
		return err
	}
	for _, m := range models {
		builds, err := d.options.Recorder.Builds(m.Code)
		if err != nil {
			return err
		}
		if m.ImageSHA256 != "" {
			first = cmp.Or(first, d.verifyImage(ctx, d.flatPath(m.Code), plain(m)))
		}
		for _, b := range builds {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := d.verifyBuild(ctx, b); first == nil && err != nil {
				first = fmt.Errorf("version %s of model %s: %w", b.Version, b.Model, err)
			}
		}
	}
	return first
}

func (d *Depot) verifyBuild(ctx context.Context, b fleet.Build) error {
	return cmp.Or(d.verifyBundle(ctx, b), d.verifyImage(ctx, d.path(b.Model, b.Version, imageSuffix), b), d.verifyELF(ctx, b))
}

func (d *Depot) verifyImage(ctx context.Context, path string, b fleet.Build) error {
	sum, err := gentleSum(ctx, path)
	if err != nil {
		return d.leave(ctx, path, err)
	}
	if sum == b.ImageSHA256 {
		d.damage.forget(path)
		return nil
	}
	return d.mend(b)
}

func (d *Depot) verifyELF(ctx context.Context, b fleet.Build) error {
	elf := d.path(b.Model, b.Version, elfSuffix)
	sum, err := gentleSum(ctx, elf)
	if err != nil {
		return d.leave(ctx, elf, err)
	}
	d.damage.forget(elf)
	if sum == "" || sum == b.ELFSHA256 {
		return nil
	}
	defer d.locks.lock(b.Model)()
	if d.isCurrent(b) {
		d.options.Logger.Warn("inflated ELF removed: it is damaged", "model", b.Model, "version", b.Version)
		d.elves.forget(elf)
	}
	return nil
}

// leave leaves a file that cannot be read as it is: the others are looked at.
func (d *Depot) leave(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if d.damage.notRead(path, err) {
		d.options.Logger.Error("firmware cannot be read, and is left as it is", "error", err)
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
		return d.leave(ctx, path, err)
	}
	defer f.Close()
	whole, err := d.isWhole(gentle{ctx, f}, f, b)
	switch {
	case err != nil:
		return d.leave(ctx, path, err)
	case whole:
		d.damage.forget(path)
		return nil
	case !d.isAt(f, b): // replaced meanwhile
		return nil
	}
	return d.noteBundle(b, "is damaged")
}

// isWhole compares a bundle with its record: byte for byte where its hash is known, else by what is in it. The error is that
// of reading it.
func (d *Depot) isWhole(r io.ReaderAt, f *os.File, b fleet.Build) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if b.BundleSHA256 != "" {
		sum, err := hashFile(r, info.Size())
		return sum == b.BundleSHA256, err
	}
	read, err := d.readBundle(r, info.Size(), b.Model, b.Version)
	var path *fs.PathError
	if errors.As(err, &path) || errors.Is(err, context.Canceled) {
		return false, err
	}
	return err == nil && b.SameFirmware(buildOf(read, b.Model, b.Version, info.Size())), nil
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

// isCurrent reports that a build, or a plain image, is still recorded as it was. The caller holds the model's lock.
func (d *Depot) isCurrent(b fleet.Build) bool {
	now, _, err := d.recorded(b.Model, b.Version)
	return err == nil && now.SameFirmware(b) && now.BundleSHA256 == b.BundleSHA256
}

// mend reads a build's image from its bundle once more, where what lies there is not it. Where that cannot be done the
// image is noted as damaged. A plain image has no bundle.
func (d *Depot) mend(b fleet.Build) error {
	if b.ELFSHA256 == "" {
		return d.notePlain(b)
	}
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

// notePlain notes that a plain image is damaged, unless it was replaced meanwhile.
func (d *Depot) notePlain(b fleet.Build) error {
	defer d.locks.lock(b.Model)()
	path := d.flatPath(b.Model)
	if !d.isCurrent(b) || sumOf(path) == b.ImageSHA256 {
		return nil
	}
	d.damage.note(path, fmt.Sprintf("the image of version %s of model %s is damaged and is not served: send it again", b.Version, b.Model))
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
