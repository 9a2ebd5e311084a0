package depot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Usage is how many bytes the folder's files take; one that has two names counts once. Prometheus asks for it all the
// time: only directories that have changed are read again.
func (d *Depot) Usage() (int64, error) {
	entries, err := os.ReadDir(d.options.Dir)
	if err != nil {
		return 0, err
	}
	dirs := []string{d.options.Dir}
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(d.options.Dir, e.Name()))
		}
	}
	return d.usage.of(dirs, d.options.Now)
}

// usage remembers what lies in each directory.
type usage struct {
	mu   sync.Mutex // guards dirs
	dirs map[string]listing
}

// listing is a directory's files, as of a time of its last change. Files come and go by renames only, which change that.
type listing struct {
	changed time.Time
	files   map[fileID]int64 // bytes
}

// settled is how old a change must be for a listing to be remembered: a directory's time is as coarse as a tick of the
// kernel, and a second change in the same tick would not be seen.
const settled = time.Second

func (u *usage) of(dirs []string, now func() time.Time) (total int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	kept := make(map[string]listing, len(dirs))
	seen := map[fileID]bool{}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		l, known := u.dirs[dir]
		if !known || !l.changed.Equal(info.ModTime()) {
			if l, err = list(dir, info.ModTime()); err != nil {
				return 0, err
			}
		}
		if now().Sub(l.changed) > settled {
			kept[dir] = l
		}
		for id, size := range l.files {
			if !seen[id] {
				seen[id] = true
				total += size
			}
		}
	}
	u.dirs = kept
	return total, nil
}

func list(dir string, changed time.Time) (listing, error) {
	l := listing{changed: changed, files: map[fileID]int64{}}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
			continue
		}
		if err != nil {
			return l, err
		}
		l.files[identify(info)] = info.Size()
	}
	return l, nil
}
