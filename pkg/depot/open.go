package depot

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// OpenImage opens the image of one version of a model: the versioned file where there is one, else the flat file where
// the version is the model's current one. Else it is ErrUnknown.
func (d *Depot) OpenImage(m fleet.Model, v fleet.Version) (fleet.Image, error) {
	f, err := os.Open(d.path(m.Code, v, imageSuffix))
	if errors.Is(err, fs.ErrNotExist) && v == m.FirmwareVersion {
		f, err = os.Open(d.flatPath(m.Code))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.Image{}, fleet.Unknown("version %s of model %s is not here", v, m.Code)
	}
	if err != nil {
		return fleet.Image{}, err
	}
	fw, err := d.label(f)
	if err != nil {
		f.Close()
	}
	return fw, err
}

// OpenBundle opens a build's ZIP as it was uploaded.
func (d *Depot) OpenBundle(code fleet.ModelCode, v fleet.Version) (*os.File, error) {
	f, err := os.Open(d.path(code, v, bundleSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fleet.Unknown("there is no bundle of version %s of model %s", v, code)
	}
	return f, err
}

// Rollback reports that a build's bootloader goes back to the image before when the new one is not confirmed.
func (d *Depot) Rollback(code fleet.ModelCode, v fleet.Version) (bool, error) {
	f, err := d.OpenBundle(code, v)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	limits := bundle.DefaultLimits
	limits.Whole = info.Size()
	a, err := bundle.Open(f, info.Size(), string(code), limits)
	if err != nil {
		return false, err
	}
	return a.Rollback()
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
	version fleet.Version
	etag    string
}

// mostLabels bounds the memory: beyond it the oldest knowledge is cheap to gain again.
const mostLabels = 1024

func (d *Depot) label(f *os.File) (fleet.Image, error) {
	info, err := f.Stat()
	if err != nil {
		return fleet.Image{}, err
	}
	fw := fleet.Image{File: f, Size: info.Size(), ModTime: info.ModTime()}
	id := identify(info)
	d.labels.mu.Lock()
	l, known := d.labels.files[id]
	d.labels.mu.Unlock()
	if !known {
		if l, err = readLabel(f, info.Size()); err != nil {
			return fleet.Image{}, err
		}
		d.labels.remember(id, l)
	}
	fw.Version, fw.ETag = l.version, l.etag
	return fw, nil
}

func (l *labels) remember(id fileID, known label) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files == nil || len(l.files) >= mostLabels {
		l.files = map[fileID]label{}
	}
	l.files[id] = known
}

func readLabel(f *os.File, size int64) (label, error) {
	_, app, err := espimage.ReadDescriptor(f, size)
	if err != nil {
		return label{}, err
	}
	sum, err := hashFile(f, size)
	if err != nil {
		return label{}, err
	}
	return label{version: fleet.Version(app.Version), etag: `"` + sum[:32] + `"`}, nil
}
