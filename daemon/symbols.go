package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/symbol"
)

// symbols is an ELF file that is ready to be asked.
type symbols struct {
	*mapping
	index  *symbol.Index
	sha256 string // hex, of the ELF file
	model  string // code, where a bundle told it
}

// openSymbols opens an ELF file, or the ELF in a bundle.
func openSymbols(path string) (*symbols, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	s := &symbols{}
	start := make([]byte, 4)
	if _, err := file.ReadAt(start, 0); err == nil && string(start) == "PK\x03\x04" {
		if file, err = s.unpack(file, info.Size()); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	if s.mapping, err = mapFile(file); err != nil {
		return nil, err
	}
	size := int64(len(s.data))
	if s.index, err = symbol.Open(s.mapping, size); err != nil {
		s.Close()
		return nil, err
	}
	sum := sha256.Sum256(s.data)
	s.sha256 = hex.EncodeToString(sum[:])
	return s, nil
}

// unpack inflates the ELF of a bundle into a file without a name, which ends with the process.
func (s *symbols) unpack(zip *os.File, size int64) (*os.File, error) {
	archive, err := bundle.Open(zip, size, "", bundle.DefaultLimits)
	if err != nil {
		return nil, err
	}
	s.model = archive.Code
	out, err := os.CreateTemp("", "slipway-*.elf")
	if err != nil {
		return nil, err
	}
	elf := archive.OpenELF()
	defer elf.Close()
	_, err = io.Copy(out, elf)
	if err = errors.Join(err, os.Remove(out.Name())); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// mapping is a file in memory, of which the kernel holds what is used.
type mapping struct{ data []byte }

func mapFile(file *os.File) (*mapping, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() == 0:
		return nil, fmt.Errorf("%w: it is empty", symbol.ErrFormat)
	case info.Size() != int64(int(info.Size())):
		return nil, fmt.Errorf("%d bytes are too large for this computer", info.Size())
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	return &mapping{data}, nil
}

// Bytes is the whole file.
func (m *mapping) Bytes() []byte { return m.data }

func (m *mapping) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 || at > int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(b, m.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Close ends the mapping; nothing may be asked any more.
func (m *mapping) Close() error { return unix.Munmap(m.data) }
