package depot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostImage bounds an image: no ESP32 has a larger application partition.
const mostImage = 16 << 20

// acceptImage takes a plain image: it replaces the flat file and nothing else, and is offered at once. The flat file
// comes before the record, as the next start can read the version from the file and not the other way round.
func (d *Depot) acceptImage(ctx context.Context, s fleet.Submission, t *durable.Landing, size int64, sum string) (fleet.Accepted, error) {
	if s.Model == "" {
		return fleet.Accepted{}, fleet.Refused("not a ZIP: a plain image does not name its model, so push it to its model")
	}
	if d.options.Manual {
		return fleet.Accepted{}, fleet.Refused("a plain image is offered at once, and firmware.publish is manual: send a bundle")
	}
	if s.Store {
		return fleet.Accepted{}, fleet.Refused("a plain image is offered at once, and this one is only to be stored: send a bundle")
	}
	if size > mostImage {
		return fleet.Accepted{}, fleet.Refused("the image is larger than %d bytes", mostImage)
	}
	image, err := readImage(t.File(), size)
	if err != nil {
		return fleet.Accepted{}, err
	}
	name, err := bundle.NameBuild(*image.App, string(s.Version), "")
	if err != nil {
		return fleet.Accepted{}, asRefused(err)
	}
	version, err := fleet.ParseVersion(name)
	if err != nil {
		return fleet.Accepted{}, err
	}
	accepted := fleet.Accepted{Kind: fleet.KindImage, Published: true, Warnings: warningsOf(image), Build: fleet.Build{
		Model: s.Model, Version: version, Chip: image.Chip, Project: image.App.Project, IDFVersion: image.App.IDFVersion,
		ImageSize: size, ImageSHA256: sum, Sums: sumsOf(image), ELFSHA256: image.App.ELFSHA256, Origin: s.Origin,
		AcceptedAt: d.options.Now().UTC(),
	}}

	defer d.locks.lock(s.Model)()
	model, err := d.options.Recorder.Model(s.Model)
	if err != nil {
		return fleet.Accepted{}, err
	}
	if err := fits(model, image.Chip, image.App.Project); err != nil {
		return fleet.Accepted{}, err
	}
	stored, err := d.options.Recorder.Build(s.Model, version)
	switch {
	case err == nil && stored.ImageSHA256 != sum:
		return fleet.Accepted{}, fleet.Taken("version %s of model %s is a stored build with another image", version, s.Model)
	case err == nil: // a build has its symbols
		accepted.Published = model.FirmwareVersion == version
		return accepted, nil
	case !errors.Is(err, fleet.ErrUnknown):
		return fleet.Accepted{}, err
	}
	accepted.Warnings = append(accepted.Warnings, fleet.Model{Code: s.Model, FirmwareVersion: version, ImageSHA256: sum}.NoSymbols())
	if model.FirmwareVersion == version && model.ImageSHA256 == sum && sumOf(d.flatPath(s.Model)) == sum {
		return accepted, nil
	}
	if why := d.holds(model); why != "" {
		return fleet.Accepted{}, fleet.Taken("a plain image is offered at once: %s", why)
	}
	accepted.Changed = true
	if err := t.Replace(d.flatPath(s.Model)); err != nil {
		return fleet.Accepted{}, err
	}
	d.damage.forget(d.flatPath(s.Model))
	if err := durable.SyncDir(d.options.Dir); err != nil {
		return fleet.Accepted{}, err
	}
	if _, err := d.options.Recorder.PublishImage(ctx, accepted.Build); err != nil {
		return fleet.Accepted{}, err
	}
	return accepted, nil
}

// readImage refuses what is no application image with a descriptor.
func readImage(f *os.File, size int64) (*espimage.Image, error) {
	image, err := espimage.Read(f, size)
	var format *espimage.FormatError
	if errors.As(err, &format) {
		return nil, fleet.Refused("%s", format.Error())
	}
	if err != nil {
		return nil, err
	}
	if image.App == nil {
		return nil, fleet.Refused("the image has no application descriptor: it is a bootloader, or one that is flashed whole and begins with it " +
			"(firmware.factory.bin, NAME.ino.merged.bin). Send the application (NAME.bin, firmware.bin, firmware.ota.bin, NAME.ino.bin)")
	}
	if err := image.App.CheckVersion(); err != nil {
		return nil, fleet.Refused("%s", err.Error())
	}
	return image, nil
}

// warningsOf names what a device will not like about an image that is one.
func warningsOf(image *espimage.Image) []string {
	var warnings []string
	if !image.ChecksumValid {
		warnings = append(warnings, "the image's checksum is wrong: devices will refuse it")
	}
	if image.HashAppended && !image.HashValid {
		warnings = append(warnings, "the image's validation hash is wrong: devices will refuse it")
	}
	if image.App.ELFHashAbsent() {
		warnings = append(warnings, "the image does not carry its ELF's hash: its core dumps cannot be matched for certain")
	}
	return warnings
}

func hashFile(r io.ReaderAt, size int64) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(r, 0, size)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// sumOf is the hash of a file, "" where there is none that can be read.
func sumOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	sum, err := hashFile(f, info.Size())
	if err != nil {
		return ""
	}
	return sum
}
