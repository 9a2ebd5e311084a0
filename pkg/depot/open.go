package depot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// OpenImage opens the image of one version of a model: the versioned file where there is one, else the flat file where
// the version is the model's current one. Else it is ErrUnknown. One that is not what its record says is read from its
// bundle again; where that cannot be done it is ErrDamaged, and never served. While its record cannot be read, or was changed
// in between, it is ErrAway.
func (d *Depot) OpenImage(m fleet.Model, v fleet.Version) (fleet.Image, error) {
	for range 2 {
		image, sum, err := d.openImage(m, v)
		if sum == "" {
			return image, err
		}
		b, want, unread := d.recorded(m.Code, v)
		if unread == nil && (want == sum || want == "") {
			if err == nil {
				err = d.remember(image)
			}
			return image, err
		}
		if err == nil {
			image.File.Close()
		}
		if unread != nil {
			return fleet.Image{}, unread
		}
		if err := d.mend(b); err != nil {
			return fleet.Image{}, err
		}
	}
	return fleet.Image{}, fleet.Away("version %s of model %s is being replaced: ask again", v, m.Code)
}

// recorded is the hash that an image should have, and its build, which of a plain image has no bundle. It is "" for a plain
// image that was recorded before there were hashes of them, and for one that is none any more.
func (d *Depot) recorded(code fleet.ModelCode, v fleet.Version) (b fleet.Build, sum string, err error) {
	b, err = d.options.Recorder.Build(code, v)
	if !errors.Is(err, fleet.ErrUnknown) {
		return b, b.ImageSHA256, err
	}
	m, err := d.options.Recorder.Model(code)
	if err != nil || m.FirmwareVersion != v {
		return b, "", err
	}
	return plain(m), m.ImageSHA256, nil
}

// plain is a model's plain image as a build.
func plain(m fleet.Model) fleet.Build {
	return fleet.Build{Model: m.Code, Version: m.FirmwareVersion, ImageSHA256: m.ImageSHA256}
}

// openImage says the image's hash where it was not known before.
func (d *Depot) openImage(m fleet.Model, v fleet.Version) (image fleet.Image, sum string, err error) {
	path := d.path(m.Code, v, imageSuffix)
	if what, damaged := d.damage.of(path); damaged {
		return image, "", fleet.Damaged("%s", what)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && v == m.FirmwareVersion {
		if what, damaged := d.damage.of(d.flatPath(m.Code)); damaged {
			return image, "", fleet.Damaged("%s", what)
		}
		f, err = os.Open(d.flatPath(m.Code))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return image, "", fleet.Unknown("version %s of model %s is not here", v, m.Code)
	}
	if err != nil {
		return image, "", err
	}
	if image, sum, err = d.label(f); err != nil {
		f.Close()
	}
	if image.Version == "" {
		image.Version = v
	}
	return image, sum, err
}

// OpenBundle opens a build's ZIP as it was uploaded. One that was found damaged is ErrDamaged.
func (d *Depot) OpenBundle(code fleet.ModelCode, v fleet.Version) (*os.File, error) {
	if what, damaged := d.damage.of(d.path(code, v, bundleSuffix)); damaged {
		return nil, fleet.Damaged("%s", what)
	}
	return d.openBundle(code, v)
}

func (d *Depot) openBundle(code fleet.ModelCode, v fleet.Version) (*os.File, error) {
	f, err := os.Open(d.path(code, v, bundleSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fleet.Unknown("there is no bundle of version %s of model %s", v, code)
	}
	return f, err
}

// OpenELF opens a build's ELF, inflated from its bundle. The caller closes it; what is open is read to its end, also when the
// cache lets it go meanwhile.
func (d *Depot) OpenELF(ctx context.Context, b fleet.Build) (*os.File, error) {
	path, release, err := d.ELF(ctx, b)
	if err != nil {
		return nil, err
	}
	defer release()
	return os.Open(path)
}

// labels remembers what was read from an image: its version and its hash. Thousands of devices ask for the same file,
// and it is hashed once.
type labels struct {
	mu    sync.Mutex // guards files
	files map[fileID]label
}

// fileID changes whenever a file is replaced: the depot renames over, it never writes in place.
type fileID struct {
	inode, device uint64
	size          int64
	modified      time.Time
}

type label struct {
	version fleet.Version // as the image says; "" for an Arduino build
	sha256  string
	chip    string
	sums    fleet.Sums
}

func (l label) etag() string { return `"` + l.sha256[:32] + `"` }

// mostLabels bounds the memory: beyond it the oldest knowledge is cheap to gain again.
const mostLabels = 1024

func (d *Depot) label(f *os.File) (fw fleet.Image, sum string, err error) {
	info, err := f.Stat()
	if err != nil {
		return fleet.Image{}, "", err
	}
	fw = fleet.Image{File: f, Size: info.Size(), ModTime: info.ModTime()}
	id := identify(info)
	d.labels.mu.Lock()
	l, known := d.labels.files[id]
	d.labels.mu.Unlock()
	if !known {
		if l, sum, err = readLabel(f, info.Size()); err != nil {
			return fleet.Image{}, sum, err
		}
	}
	fw.Version, fw.ETag, fw.SHA256, fw.Chip, fw.Sums = l.version, l.etag(), l.sha256, l.chip, l.sums
	return fw, sum, nil
}

// remember is called for an image that is what its record says.
func (d *Depot) remember(image fleet.Image) error {
	info, err := image.File.Stat()
	if err == nil {
		d.labels.remember(identify(info), label{version: image.Version, sha256: image.SHA256, chip: image.Chip, sums: image.Sums})
	}
	return err
}

func (l *labels) remember(id fileID, known label) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files == nil || len(l.files) >= mostLabels {
		l.files = map[fileID]label{}
	}
	l.files[id] = known
}

func readLabel(f *os.File, size int64) (l label, sum string, err error) {
	if sum, err = hashFile(f, size); err != nil {
		return label{}, "", err
	}
	head, app, err := espimage.ReadDescriptor(f, size)
	if err != nil {
		return label{}, sum, err
	}
	l = label{version: fleet.Version(app.Version), sha256: sum, chip: head.Chip}
	if app.FromArduino() {
		l.version = ""
	}
	if whole, err := espimage.Read(f, size); err == nil {
		l.sums = sumsOf(whole)
	}
	return l, sum, nil
}
