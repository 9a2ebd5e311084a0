package depot

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func sumsOf(image *espimage.Image) fleet.Sums {
	return fleet.Sums{ImageMD5: image.MD5, ImageSHA1: image.SHA1, SketchMD5: image.RunningMD5, SketchSHA256: image.RunningSHA256}
}

// FillSums gives the builds and plain images that were recorded without [fleet.Sums] theirs, once each, reading at most 5 MB
// a second. What cannot be read is left: [Depot.Verify] tells of it.
func (d *Depot) FillSums(ctx context.Context) error {
	models, err := d.options.Recorder.Models()
	if err != nil {
		return err
	}
	for _, m := range models {
		builds, err := d.options.Recorder.Builds(m.Code)
		if err != nil {
			return err
		}
		if m.ImageSHA256 != "" && m.ImageSHA1 == "" {
			err = d.fillSums(ctx, d.flatPath(m.Code), plain(m))
		}
		for _, b := range builds {
			if b.ImageSHA1 == "" {
				err = cmp.Or(err, d.fillSums(ctx, d.path(b.Model, b.Version, imageSuffix), b))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Depot) fillSums(ctx context.Context, path string, b fleet.Build) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return d.leave(ctx, path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return d.leave(ctx, path, err)
	}
	if sum, err := hashFile(gentle{ctx, f}, info.Size()); err != nil || sum != b.ImageSHA256 {
		return ctx.Err()
	}
	image, err := espimage.Read(f, info.Size())
	if err != nil {
		return nil
	}
	b.Sums = sumsOf(image)
	return d.options.Recorder.NoteSums(ctx, b)
}
