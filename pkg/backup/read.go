package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Taker is given the parts of a backup in their order. What it was given is worth nothing until [Read] has returned nil.
type Taker struct {
	Manifest func(Manifest) error
	Settings func([]byte) error // nil: the backup has none
	Key      func(name string, content []byte) error
	Catalog  func(io.Reader) error // reads to the end
}

// Read reads a decrypted backup to its end.
func Read(r io.Reader, to Taker) error {
	in := &reader{Reader: tar.NewReader(r)}
	if err := in.next(); err != nil {
		return err
	}
	if err := in.manifest(to); err != nil {
		return err
	}
	if err := in.settings(to); err != nil {
		return err
	}
	if err := in.keys(to); err != nil {
		return err
	}
	if in.ended || in.header.Name != partName(0) {
		return damaged("it has no catalog")
	}
	if err := to.Catalog(&partReader{in: in}); err != nil {
		return err
	}
	if !in.ended {
		return damaged("there is more behind the catalog")
	}
	if _, err := io.Copy(io.Discard, r); err != nil { // age has compared everything only at the very end
		return broken(err)
	}
	return nil
}

// reader is at one file of the tar at a time.
type reader struct {
	*tar.Reader
	header *tar.Header
	ended  bool
}

func (in *reader) next() error {
	header, err := in.Next()
	if errors.Is(err, io.EOF) {
		in.ended = true
		return nil
	}
	if err != nil {
		return broken(err)
	}
	if header.Typeflag != tar.TypeReg || len(header.PAXRecords) > 0 { // of which holes are made, terabytes in a line
		return damaged("%q in it is no file", header.Name)
	}
	in.header = header
	return nil
}

// broken marks a malformed archive as ErrDamaged and passes on errors of the reader (disk, network).
func broken(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// content is the current file, whole; then the next one is the current one.
func (in *reader) content(most int64) ([]byte, error) {
	if in.header.Size > most {
		return nil, damaged("%q has %d bytes, at most %d are right", in.header.Name, in.header.Size, most)
	}
	b, err := io.ReadAll(in.Reader)
	if err != nil {
		return nil, broken(err)
	}
	return b, in.next()
}

func (in *reader) manifest(to Taker) error {
	if in.ended || in.header.Name != manifestName {
		return damaged("it does not begin with its manifest")
	}
	b, err := in.content(mostManifest)
	if err != nil {
		return err
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil || m.Format < 1 {
		return damaged("its manifest cannot be read")
	}
	if m.Format > format {
		return fmt.Errorf("this backup was made by slipway %q, and its format %d is newer than this version reads: install that version and restore again", m.Slipway, m.Format)
	}
	return to.Manifest(m)
}

func (in *reader) settings(to Taker) error {
	if in.ended || in.header.Name != settingsName {
		return to.Settings(nil)
	}
	b, err := in.content(mostSettings)
	if err != nil {
		return err
	}
	return to.Settings(append([]byte{}, b...))
}

func (in *reader) keys(to Taker) error {
	last, names := "", keyNames()
	for n := 0; !in.ended && strings.HasPrefix(in.header.Name, keysPrefix); n++ {
		name := strings.TrimPrefix(in.header.Name, keysPrefix)
		switch {
		case !names.MatchString(name):
			return damaged("it has a key %q", name)
		case name <= last:
			return damaged("its key %q is not in its place", name)
		case n == mostKeys:
			return damaged("it has more than %d keys", mostKeys)
		}
		last = name
		b, err := in.content(mostKey)
		if err != nil {
			return err
		}
		if err := to.Key(name, b); err != nil {
			return err
		}
	}
	return nil
}

// partReader joins the parts of the catalog.
type partReader struct {
	in *reader
	n  int // of the current part
}

func (p *partReader) Read(b []byte) (int, error) {
	for !p.in.ended {
		n, err := p.in.Read(b)
		if n > 0 || len(b) == 0 {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, broken(err)
		}
		if err := p.in.next(); err != nil {
			return 0, err
		}
		if p.n++; !p.in.ended && p.in.header.Name != partName(p.n) {
			return 0, damaged("%q follows the catalog's part %d", p.in.header.Name, p.n-1)
		}
	}
	return 0, io.EOF
}
