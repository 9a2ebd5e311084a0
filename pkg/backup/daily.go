package backup

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/durable"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Daily makes a backup every day, encrypted to the key among the gateway's keys, reads it back, and keeps the last
// seven. They are there to be copied elsewhere: on a disk that died they are gone as well.
type Daily struct {
	Source  *Source
	Dir     string
	Space   func() (free, total int64, err error)
	Reserve int64 // bytes that must stay free
	Logger  *slog.Logger
	Now     func() time.Time

	mu      sync.Mutex // guards trouble
	trouble string
}

const (
	every      = 24 * time.Hour
	retry      = time.Hour // also how far behind a day a copy may be
	keep       = 7
	namePrefix = "slipway-"
	nameTime   = "20060102T150405Z"
	nameSuffix = ".age"
)

// Run makes copies until ctx ends. One that fails is tried again an hour later, and [Daily.Trouble] says so.
func (d *Daily) Run(ctx context.Context) error {
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		err := d.makeDue()
		if err != nil {
			d.Logger.Error("gateway not backed up", "error", err)
		}
		d.note(err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Trouble says that there is no copy of today and why, else "".
func (d *Daily) Trouble() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trouble
}

func (d *Daily) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = ""
	if err != nil {
		d.trouble = "there is no backup of today: " + err.Error()
	}
}

// makeDue makes a copy when the newest one is a day old. One from the future, left by a clock that was wrong, counts
// for nothing but the order of names.
func (d *Daily) makeDue() error {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return err
	}
	names, err := d.tidy()
	if err != nil {
		return err
	}
	at := d.Now().UTC().Truncate(time.Second)
	if len(names) > 0 {
		newest, err := time.Parse(namePrefix+nameTime+nameSuffix, names[len(names)-1])
		if err != nil {
			return err // tidy has looked at it
		}
		if age := at.Sub(newest); age >= 0 && age < every {
			return nil
		}
		if at.Before(newest) {
			at = newest.Add(time.Second)
		}
	}
	if err := d.make(namePrefix + at.Format(nameTime) + nameSuffix); err != nil {
		return err
	}
	for _, old := range names[:max(0, len(names)+1-keep)] {
		if err := os.Remove(filepath.Join(d.Dir, old)); err != nil {
			return err
		}
	}
	return nil
}

// Before makes a copy before what cannot be taken back, such as an upgrade of the catalog, and says where it lies. It is
// kept until somebody removes it.
func (d *Daily) Before(what string) (file string, err error) {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return "", err
	}
	name := namePrefix + "before-" + what + "-" + d.Now().UTC().Format(nameTime) + nameSuffix
	return filepath.Join(d.Dir, name), d.make(name)
}

func (d *Daily) make(name string) error {
	if free, _, err := d.Space(); err != nil {
		return err
	} else if free < d.Reserve {
		return fleet.Full("less than %d MiB is free in %s", d.Reserve>>20, d.Dir)
	}
	id, err := ensureKey(d.Source.KeysDir, d.Dir, d.Now())
	if err != nil {
		return err
	}
	size, found, err := WriteFile(filepath.Join(d.Dir, name), d.Source.Write, []age.Recipient{id.Recipient()}, id)
	if err != nil {
		return err
	}
	d.Logger.Info("gateway backed up", "file", name, "bytes", size, "records", found.Records)
	return nil
}

// Newest is the path of the newest copy in a folder, whatever it was made for; "" for none.
func Newest(dir string) (path string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var newest time.Time
	for _, e := range entries {
		stem, sealed := strings.CutSuffix(e.Name(), nameSuffix)
		if !sealed || !strings.HasPrefix(stem, namePrefix) {
			continue
		}
		at, err := time.Parse(nameTime, stem[max(0, len(stem)-len(nameTime)):])
		if err == nil && at.After(newest) {
			newest, path = at, filepath.Join(dir, e.Name())
		}
	}
	return path, nil
}

// KeepNewest takes the newest daily copy out of the seven that come and go: it is kept until somebody removes it. It says
// where it is now, "" for none.
func KeepNewest(dir, what string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, e := range slices.Backward(entries) { // in the order of names
		at, err := time.Parse(namePrefix+nameTime+nameSuffix, e.Name())
		if err != nil {
			continue
		}
		kept := filepath.Join(dir, namePrefix+"before-"+what+"-"+at.Format(nameTime)+nameSuffix)
		if err := os.Rename(filepath.Join(dir, e.Name()), kept); err != nil {
			return "", err
		}
		return kept, durable.SyncDir(dir)
	}
	return "", nil
}

// tidy removes what a kill has left and lists the copies, oldest first. Other files are other people's.
func (d *Daily) tidy() ([]string, error) {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if durable.IsTemporary(name) || strings.HasPrefix(name, "."+namePrefix) { // the latter as Slipway 0.1 named them
			if err := os.Remove(filepath.Join(d.Dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
		}
		if _, err := time.Parse(namePrefix+nameTime+nameSuffix, name); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
