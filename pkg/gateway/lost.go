package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/certificate"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/durable"
)

// orRestore adds to what is lost or damaged how to go on. Nothing is made anew in its place by itself: a new catalog knows no
// device, and a new CA is trusted by none.
func orRestore(cfg config.Config, err error) error {
	file := ""
	if cfg.File != "" && cfg.File != config.DefaultFile {
		file = " --config " + cfg.File
	}
	newest, lookErr := backup.Newest(cfg.BackupDir(), time.Now())
	switch {
	case lookErr != nil:
		return errors.Join(err, lookErr)
	case newest == "":
		newest = fmt.Sprintf("there is no backup in %s; with one from elsewhere: slipway backup restore FILE --replace%s", cfg.BackupDir(), file)
	default:
		newest = fmt.Sprintf("the newest backup is %s: slipway backup restore %s --replace%s", newest, newest, file)
	}
	if _, missing := os.Stat(filepath.Join(cfg.KeysDir(), backup.KeyName)); missing != nil {
		newest += " --key FILE, the key that 'slipway backup key' has printed"
	}
	return fmt.Errorf("%w. %s. Without a backup, giving up all devices: slipway catalog new --without-backup%s", err, newest, file)
}

// damaged is orRestore for a catalog that is damaged, and leaves every other error as it is.
func damaged(cfg config.Config, err error) error {
	var bad *catalog.DamagedError
	if errors.As(err, &bad) {
		return orRestore(cfg, err)
	}
	return err
}

// mayBegin says that this gateway had a catalog: a catalog is new only where nothing else is there.
func mayBegin(cfg config.Config) error {
	for _, dir := range []string{cfg.KeysDir(), cfg.BackupDir(), cfg.AssetsDir, cfg.CoredumpsDir} {
		if dir == "" {
			continue
		}
		held, err := holdsFiles(dir)
		if err != nil {
			return err
		}
		if held != "" {
			return orRestore(cfg, fmt.Errorf("the catalog in %s is lost: there is none, and this is no new gateway, as %s is there", cfg.CatalogDir, held))
		}
	}
	return nil
}

// holdsFiles names a file in a folder or below, "" for none. Hidden ones are nobody's.
func holdsFiles(dir string) (path string, err error) {
	err = filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case at != dir && strings.HasPrefix(e.Name(), "."), e.Name() == "lost+found":
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir():
			return nil
		}
		path = at
		return fs.SkipAll
	})
	return path, err
}

// lostKey is an error where a file is gone that lay among the keys.
func (g *Gateway) lostKey() error {
	noted, err := g.store.KeyFiles()
	if err != nil {
		return err
	}
	dir := g.cfg.KeysDir()
	lost, err := auth.LostKey(dir, noted, g.cfg.TokenLifetime, time.Now())
	if err != nil {
		return err
	}
	if lost != "" {
		return fmt.Errorf("the signing key %s is lost: put it back", filepath.Join(dir, lost))
	}
	if g.cfg.TLSCert != "" {
		return nil
	}
	for _, name := range certificate.Files {
		if _, err := os.Lstat(filepath.Join(dir, name)); slices.Contains(noted, name) && errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s of the certificate authority that devices trust is lost: put it back", filepath.Join(dir, name))
		}
	}
	return nil
}

// noteKeys notes which key files there are.
func (g *Gateway) noteKeys(ctx context.Context) error {
	names := g.keys.Files()
	for _, name := range certificate.Files {
		if _, err := os.Lstat(filepath.Join(g.cfg.KeysDir(), name)); err == nil {
			names = append(names, name)
		}
	}
	noted, err := g.store.KeyFiles()
	if err != nil || slices.Equal(noted, names) {
		return err
	}
	return g.store.NoteKeyFiles(ctx, names)
}

// NewCatalog makes a catalog in the place of one that is lost or damaged, and says where what was there is now. The next
// start records in it what lies on the disk. Devices are lost. No gateway may run.
func NewCatalog(cfg config.Config, logger *slog.Logger, now time.Time) (aside []string, err error) {
	if err := Unanswered(cfg.Socket); err != nil {
		return nil, fmt.Errorf("%w (systemctl stop slipway.socket slipway.service)", err)
	}
	if err := backup.CheckFinished(cfg.StateDir); err != nil {
		return nil, err
	}
	held, err := catalog.Lock(cfg.CatalogDir)
	if err == nil {
		defer held.Close() // the folder that was moved
		if aside, err = moveAside(cfg.CatalogDir, ".before-new-"+now.UTC().Format("20060102T150405Z")); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(aside) == 0 && held != nil {
		held.Close() // it was empty, and takes the new one
	}
	kept, err := backup.KeepNewest(cfg.BackupDir(), "new-catalog", now)
	if err != nil {
		return aside, err
	}
	if kept != "" {
		aside = append(aside, kept)
	}
	c, err := catalog.Open(catalog.Options{
		Dir: cfg.CatalogDir, Reserve: Reserve, Space: SpaceOf(cfg.StateDir), Logger: logger, Now: time.Now, Beat: func() {},
	})
	if err != nil {
		return aside, err
	}
	return aside, errors.Join(c.Close(), ownedAs(cfg.CatalogDir, cfg.StateDir))
}

// moveAside gives a folder another name, unless it is empty; two may come within a second.
func moveAside(dir, suffix string) (aside []string, err error) {
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		return nil, err
	}
	path := dir + suffix
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return []string{path}, errors.Join(os.Rename(dir, path), durable.SyncDir(filepath.Dir(dir)))
		} else if err != nil {
			return nil, err
		}
		path = fmt.Sprintf("%s%s-%d", dir, suffix, n)
	}
}

// ownedAs gives a folder's files to whom another one belongs: root makes them, and the gateway is another user.
func ownedAs(dir, as string) error {
	info, err := os.Stat(as)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t) // as os has it on every Unix
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}
