package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/slipway-gateway/slipway/pkg/durable"
)

// staged is a backup that was read and has not taken its place yet: beside what it will replace, so that renames do it.
type staged struct {
	place         Place
	keys, catalog string // folders
	settings      []byte
	uid, gid      int // of the state folder: whose everything will be
}

const stagedSuffix = ".restoring"

func stage(p Place, settings []byte) (*staged, error) {
	if err := os.MkdirAll(p.StateDir, 0o711); err != nil {
		return nil, err
	}
	info, err := os.Stat(p.StateDir)
	if err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t) // as os has it on every Unix
	s := &staged{
		place: p, keys: p.KeysDir + stagedSuffix, catalog: p.CatalogDir + stagedSuffix, settings: settings,
		uid: int(owner.Uid), gid: int(owner.Gid),
	}
	s.clean() // of an earlier restore that was cut off
	if err := os.MkdirAll(s.keys, 0o700); err != nil {
		return nil, err
	}
	return s, os.MkdirAll(s.catalog, 0o700)
}

func (s *staged) clean() {
	os.RemoveAll(s.keys)
	os.RemoveAll(s.catalog)
}

// key writes one file; its name is of a closed list.
func (s *staged) key(name string, content []byte) error {
	mode := fs.FileMode(0o600)
	if name == caName {
		mode = 0o644
	}
	return durable.WriteFile(filepath.Join(s.keys, name), content, mode)
}

// fingerprint is that of the CA, "" where an operator brings the certificate.
func (s *staged) fingerprint() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.keys, caName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", damaged("its CA is no PEM")
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:]), nil
}

// freeSuffix makes a suffix under which nothing lies yet: two restores may come within a second, or by a clock that was
// set back.
func (s *staged) freeSuffix(wanted string) string {
	suffix := wanted
	for n := 2; ; n++ {
		taken := false
		for _, path := range []string{s.place.KeysDir, s.place.CatalogDir, s.place.SettingsFile} {
			_, err := os.Lstat(path + suffix)
			taken = taken || err == nil
		}
		if !taken {
			return suffix
		}
		suffix = fmt.Sprintf("%s-%d", wanted, n)
	}
}

// take renames the staged parts to where they belong and what was there to a name that ends in suffix. After an error
// everything is where it was.
func (s *staged) take(suffix string) (aside []string, err error) {
	if err := s.own(); err != nil {
		return nil, err
	}
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
		aside = nil
	}()
	rename := func(from, to string) error {
		if err := durable.Rename(from, to); err != nil {
			return err
		}
		undo = append(undo, func() error { return durable.Rename(to, from) })
		return durable.SyncDir(filepath.Dir(to))
	}
	for _, part := range []struct{ staged, place string }{{s.keys, s.place.KeysDir}, {s.catalog, s.place.CatalogDir}} {
		err := rename(part.place, part.place+suffix)
		if err == nil {
			aside = append(aside, part.place+suffix)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := rename(part.staged, part.place); err != nil {
			return nil, err
		}
	}
	kept, err := s.takeSettings(suffix)
	return append(aside, kept...), err
}

// takeSettings replaces the settings file, keeping its owner and its mode.
func (s *staged) takeSettings(suffix string) (aside []string, err error) {
	path := s.place.SettingsFile
	if path == "" || s.settings == nil {
		return nil, nil
	}
	mode, uid, gid := fs.FileMode(0o644), -1, -1
	old, err := os.ReadFile(path)
	if err == nil && string(old) == string(s.settings) {
		return nil, nil
	}
	if err == nil {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		owner := info.Sys().(*syscall.Stat_t)
		mode, uid, gid = info.Mode().Perm(), int(owner.Uid), int(owner.Gid)
		if err := writeOwned(path+suffix, old, mode, uid, gid); err != nil {
			return nil, err
		}
		aside = []string{path + suffix}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return aside, writeOwned(path, s.settings, mode, uid, gid)
}

func writeOwned(path string, content []byte, mode fs.FileMode, uid, gid int) error {
	if err := durable.WriteFile(path, content, mode); err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

// own gives the staged files to whom the state folder belongs: root restores, and the gateway is another user.
func (s *staged) own() error {
	for _, dir := range []string{s.keys, s.catalog} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, s.uid, s.gid)
		})
		if err != nil {
			return err
		}
	}
	return durable.SyncDir(s.keys)
}
