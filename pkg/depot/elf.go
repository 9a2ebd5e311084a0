package depot

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// elfCache is the inflated ELFs that are in use; how many bytes they may take is Options.ELFCache.
type elfCache struct {
	mu    sync.Mutex     // guards inUse
	inUse map[string]int // path to users

	inflating sync.Mutex // one at a time: each makes room for itself, and takes a whole core
}

// ELF inflates a build's ELF beside its bundle, unless it lies there already, and keeps it until release is called.
// The least recently used ones go when all of them take more than the cache may. The error is ctx's where that ends first,
// and fleet.ErrUnknown for a build that is gone, or replaced meanwhile.
func (d *Depot) ELF(ctx context.Context, b fleet.Build) (path string, release func(), err error) {
	path = d.path(b.Model, b.Version, elfSuffix)
	d.elves.use(path)
	release = func() { d.elves.unuse(path) }
	if err := d.inflate(ctx, b, path); err != nil {
		release()
		return "", nil, err
	}
	return path, release, nil
}

// inflate takes the model's lock only where it looks for the ELF and where it lays it down: 256 MB take seconds, and
// whoever publishes does not wait for them.
func (d *Depot) inflate(ctx context.Context, b fleet.Build, path string) error {
	d.elves.inflating.Lock()
	defer d.elves.inflating.Unlock()
	zip, err := d.bundleUnlessInflated(b, path)
	if err != nil || zip == nil {
		return err
	}
	defer zip.Close()
	limits := bundle.DefaultLimits
	limits.Whole = b.BundleSize
	archive, err := bundle.Open(zip, b.BundleSize, string(b.Model), limits)
	if err != nil {
		return err
	}
	if err := d.evict(b.ELFSize); err != nil {
		return err
	}
	elf := archive.OpenELF()
	defer elf.Close()
	t, err := d.extract(until(ctx, elf), b.ELFSize, d.modelDir(b.Model))
	if err != nil {
		return fleet.OfDisk(err)
	}
	defer t.Drop()
	defer d.locks.lock(b.Model)()
	if now, err := d.options.Recorder.Build(b.Model, b.Version); err != nil {
		return err
	} else if now.ELFSHA256 != b.ELFSHA256 {
		return fleet.Unknown("version %s of model %s was replaced while its ELF was inflated", b.Version, b.Model)
	}
	return t.Replace(path)
}

// bundleUnlessInflated opens the ZIP of a build whose ELF does not lie at path yet, else it is nil.
func (d *Depot) bundleUnlessInflated(b fleet.Build, path string) (*os.File, error) {
	defer d.locks.lock(b.Model)()
	now := d.options.Now()
	// The time of last use is the file's own, so that it outlives a restart; mounts are often noatime.
	if info, err := os.Stat(path); err == nil && info.Size() == b.ELFSize {
		return nil, os.Chtimes(path, now, now)
	}
	return d.openBundle(b.Model, b.Version)
}

// reader is a function as io.Reader.
type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// until reads from a file until ctx ends.
func until(ctx context.Context, from io.Reader) io.Reader {
	return reader(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return from.Read(p)
	})
}

// evict makes room for n bytes. One ELF that is larger than the whole cache is inflated all the same: without it its
// dumps would never be read.
func (d *Depot) evict(n int64) error {
	type cached struct {
		path string
		size int64
		used time.Time
	}
	var all []cached
	var total int64
	err := filepath.WalkDir(d.options.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, elfSuffix) {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		all = append(all, cached{path, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	if err != nil {
		return err
	}
	sort.Slice(all, func(i, j int) bool { return all[i].used.Before(all[j].used) })
	for _, c := range all {
		if total+n <= d.options.ELFCache {
			return nil
		}
		if d.elves.drop(c.path) {
			total -= c.size
		}
	}
	return nil
}

func (c *elfCache) use(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inUse == nil {
		c.inUse = map[string]int{}
	}
	c.inUse[path]++
}

func (c *elfCache) unuse(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inUse[path]--; c.inUse[path] == 0 {
		delete(c.inUse, path)
	}
}

// drop removes an ELF that nobody uses.
func (c *elfCache) drop(path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inUse[path] == 0 && os.Remove(path) == nil
}

// forget removes an ELF that is no longer its build's. A worker that has it open goes on with the old one.
func (c *elfCache) forget(path string) { os.Remove(path) }
