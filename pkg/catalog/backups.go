package catalog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Backups makes a copy of the catalog every day, reads it back, and keeps the last seven.
type Backups struct {
	Catalog *Catalog
	Dir     string
	Logger  *slog.Logger
	Now     func() time.Time

	mu      sync.Mutex // guards trouble
	trouble string
}

const (
	backupEvery  = 24 * time.Hour
	backupRetry  = time.Hour // also how far behind a day a copy may be
	keepBackups  = 7
	backupPrefix = "catalog-"
	backupSuffix = ".backup.gz"
	backupTime   = "20060102T150405Z"
)

// Run makes copies until ctx ends. One that fails is tried again an hour later, and [Backups.Trouble] says so.
func (b *Backups) Run(ctx context.Context) error {
	tick := time.NewTicker(backupRetry)
	defer tick.Stop()
	for {
		err := b.makeDue()
		if err != nil {
			b.Logger.Error("catalog not backed up", "error", err)
		}
		b.note(err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Trouble says that there is no copy of today and why, else "".
func (b *Backups) Trouble() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble
}

func (b *Backups) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble = ""
	if err != nil {
		b.trouble = "the catalog could not be backed up: " + err.Error()
	}
}

// makeDue makes a copy when the newest one is a day old. One from the future, left by a clock that was wrong, counts
// for nothing but the order of names.
func (b *Backups) makeDue() error {
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return err
	}
	names, err := b.tidy()
	if err != nil {
		return err
	}
	at := b.Now().UTC().Truncate(time.Second)
	if len(names) > 0 {
		newest, err := time.Parse(backupPrefix+backupTime+backupSuffix, names[len(names)-1])
		if err != nil {
			return err // tidy has looked at it
		}
		if age := at.Sub(newest); age >= 0 && age < backupEvery {
			return nil
		}
		if at.Before(newest) {
			at = newest.Add(time.Second)
		}
	}
	name := backupPrefix + at.Format(backupTime) + backupSuffix
	size, records, err := b.write(name)
	if err != nil {
		return err
	}
	b.Logger.Info("catalog backed up", "file", name, "bytes", size, "records", records)
	for _, old := range names[:max(0, len(names)+1-keepBackups)] {
		if err := os.Remove(filepath.Join(b.Dir, old)); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what a kill has left and lists the copies, oldest first. Other files are other people's.
func (b *Backups) tidy() ([]string, error) {
	entries, err := os.ReadDir(b.Dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "."+backupPrefix) {
			if err := os.Remove(filepath.Join(b.Dir, name)); err != nil {
				return nil, err
			}
		}
		if _, err := time.Parse(backupPrefix+backupTime+backupSuffix, name); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// write makes a copy under a temporary name, reads it back, and gives it its name.
func (b *Backups) write(name string) (size int64, records int, err error) {
	free, _, err := b.Catalog.Space()
	if err != nil {
		return 0, 0, err
	}
	if err := b.Catalog.room(free, false); err != nil {
		return 0, 0, err
	}
	f, err := os.OpenFile(filepath.Join(b.Dir, "."+name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		err = errors.Join(err, ignoreGone(os.Remove(f.Name())))
		f.Close()
	}()
	out := bufio.NewWriter(f)
	if err := errors.Join(b.Catalog.Backup(out), out.Flush()); err != nil {
		return 0, 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, 0, err
	}
	if size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return 0, 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	if records, err = CheckBackup(f); err != nil {
		return 0, 0, fmt.Errorf("read the copy back: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(b.Dir, name)); err != nil {
		return 0, 0, err
	}
	return size, records, syncDir(b.Dir)
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
