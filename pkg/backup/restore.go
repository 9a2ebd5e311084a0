package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Place is where a backup is restored to.
type Place struct {
	StateDir     string
	CatalogDir   string
	KeysDir      string
	SettingsFile string // "": the backup's settings are not restored
	Reserve      int64  // bytes that must stay free
	Space        func() (free, total int64, err error)
}

// Restoring is one restore.
type Restoring struct {
	// At says where to, once the backup's settings are known; nil is a backup without them. An error refuses the backup.
	At      func(settings []byte) (Place, error)
	Replace bool // also what is not blank
	Logger  *slog.Logger
	Now     func() time.Time
}

// Restored is what was restored.
type Restored struct {
	Contents
	CA    string   `json:"ca_sha256,omitempty"` // of the certificate, in hexadecimal: what devices trust
	Aside []string `json:"aside"`               // where what was there before is now
}

// markerName is in the state folder while a restore changes it. A gateway that finds it does not start: half of a
// restored state would make keys that no device trusts.
const markerName = "restore-unfinished"

// CheckFinished is an error where a restore was cut off.
func CheckFinished(stateDir string) error {
	marker := filepath.Join(stateDir, markerName)
	if _, err := os.Lstat(marker); err == nil {
		return fmt.Errorf("a restore is under way or was cut off (%s): wait, or run 'slipway backup restore' again", marker)
	}
	return nil
}

// Run restores an encrypted backup. Until all of it was read and compared nothing of the gateway changes, and the
// gateway must not run. What lies there is moved aside, not removed. It must be blank, which a fresh installation is:
// without models, devices and operators' tokens.
func (r *Restoring) Run(ctx context.Context, backup io.Reader, by ...age.Identity) (Restored, error) {
	var done Restored
	var s *staged
	defer func() {
		if s != nil {
			s.clean()
		}
	}()
	err := Open(backup, Taker{
		Manifest: func(m Manifest) error { done.Manifest = m; return nil },
		Settings: func(settings []byte) error {
			place, err := r.At(settings)
			if err != nil {
				return err
			}
			done.Settings = settings != nil && place.SettingsFile != ""
			s, err = stage(place, settings)
			return err
		},
		Key: func(name string, content []byte) error {
			done.Keys++
			return s.key(name, content)
		},
		Catalog: func(in io.Reader) (err error) {
			done.Records, err = catalog.Restore(r.options(s.place, s.catalog), in)
			return err
		},
	}, by...)
	if err != nil {
		return done, err
	}
	if done.CA, err = s.fingerprint(); err != nil {
		return done, err
	}
	if err := ctx.Err(); err != nil { // from here on it is done, whole
		return done, err
	}
	done.Aside, err = r.swap(s)
	return done, err
}

// options opens a catalog that nobody else has open.
func (r *Restoring) options(p Place, dir string) catalog.Options {
	return catalog.Options{
		Dir: dir, Reserve: p.Reserve, Space: p.Space, Logger: r.Logger, Now: r.Now,
		Beat: func() {},
	}
}

// swap takes the staged parts in, while no gateway can start.
func (r *Restoring) swap(s *staged) (aside []string, err error) {
	marker := filepath.Join(s.place.StateDir, markerName)
	if err := durable.WriteFile(marker, []byte("a restore is changing this folder\n"), 0o644); err != nil {
		return nil, err
	}
	defer func() { // a power cut leaves it; everything else that goes wrong was taken back
		if removed := durable.Remove(marker); removed != nil {
			err = errors.Join(err, removed)
			return
		}
		err = errors.Join(err, durable.SyncDir(s.place.StateDir))
	}()
	if err := r.free(s.place); err != nil {
		return nil, err
	}
	// A gateway that had looked for the marker before it was there gets no further than this.
	old, err := catalog.Lock(s.place.CatalogDir)
	if err == nil {
		defer old.Close()
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, stopFirst(err)
	}
	return s.take(s.freeSuffix(".before-restore-" + r.Now().UTC().Format(nameTime)))
}

// free is an error where a gateway runs, or where something would be lost.
func (r *Restoring) free(p Place) error {
	entries, err := os.ReadDir(p.CatalogDir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	held, err := r.holds(p)
	if errors.Is(err, catalog.ErrInUse) {
		return stopFirst(err)
	}
	if r.Replace {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; --replace moves it aside", err)
	}
	if held != "" {
		return fleet.Taken("the catalog in %s has %s: --replace moves it aside and takes the backup", p.CatalogDir, held)
	}
	return nil
}

func stopFirst(err error) error {
	return fmt.Errorf("%w: systemctl stop slipway.socket slipway.service", err)
}

// holds says what a catalog has that a fresh one has not.
func (r *Restoring) holds(p Place) (held string, err error) {
	c, err := catalog.Open(r.options(p, p.CatalogDir))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	models, err := c.Models()
	if err != nil {
		return "", err
	}
	devices, err := c.CountDevices("")
	if err != nil {
		return "", err
	}
	tokens, err := c.OperatorTokens()
	if err != nil {
		return "", err
	}
	if len(models)+devices+len(tokens) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d models, %d devices and %d tokens of operators", len(models), devices, len(tokens)), nil
}
