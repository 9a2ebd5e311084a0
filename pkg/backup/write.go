package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
)

// Source is the gateway that is backed up.
type Source struct {
	Catalog      records
	KeysDir      string
	SettingsFile string // may be absent
	Slipway      string // the version of this program
	Now          func() time.Time
}

// records is what a backup needs of the catalog.
type records interface {
	Backup(io.Writer) error
	// Whole reads all of the catalog. What is damaged, or has lost records, is not backed up.
	Whole() (catalog.Counts, error)
}

// Write writes a backup without its encryption. It holds private keys.
func (s *Source) Write(w io.Writer) error {
	out := &writer{Writer: tar.NewWriter(w), at: s.Now().UTC().Truncate(time.Second)}
	manifest, err := s.manifest(out.at)
	if err != nil {
		return err
	}
	if err := out.file(manifestName, manifest); err != nil {
		return err
	}
	settings, err := os.ReadFile(s.SettingsFile)
	if err == nil {
		err = out.file(settingsName, settings)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.writeKeys(out); err != nil {
		return err
	}
	parts := &partWriter{out: out}
	if err := s.Catalog.Backup(parts); err != nil {
		return err
	}
	return errors.Join(parts.flush(), out.Close())
}

func (s *Source) manifest(at time.Time) ([]byte, error) {
	counts, err := s.Catalog.Whole()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // it is for people
	}
	return json.MarshalIndent(Manifest{format, at, s.Slipway, host, counts}, "", "  ")
}

func (s *Source) writeKeys(out *writer) error {
	entries, err := os.ReadDir(s.KeysDir) // in the order of names
	if err != nil {
		return err
	}
	names := keyNames()
	for _, e := range entries {
		if !names.MatchString(e.Name()) {
			continue // the TLS leaf, and what people leave
		}
		key, err := os.ReadFile(filepath.Join(s.KeysDir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // an old signing key went meanwhile
		}
		if err != nil {
			return err
		}
		if err := out.file(keysPrefix+e.Name(), key); err != nil {
			return err
		}
	}
	return nil
}

type writer struct {
	*tar.Writer
	at time.Time
}

func (w *writer) file(name string, content []byte) error {
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600, ModTime: w.at})
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// partWriter cuts the catalog's stream into files, as tar wants to know sizes beforehand.
type partWriter struct {
	out     *writer
	n       int
	pending []byte
}

func (p *partWriter) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		n := min(len(b), mostPart-len(p.pending))
		p.pending, b = append(p.pending, b[:n]...), b[n:]
		if len(p.pending) == mostPart {
			if err := p.flush(); err != nil {
				return written - len(b), err
			}
		}
	}
	return written, nil
}

func (p *partWriter) flush() error {
	if len(p.pending) == 0 {
		return nil
	}
	err := p.out.file(partName(p.n), p.pending)
	p.n, p.pending = p.n+1, p.pending[:0]
	return err
}

func partName(n int) string { return fmt.Sprintf("%s%06d", catalogPrefix, n) }
