package decoding

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Mapped is a file in memory as the kernel pages it in: reading an index over a large ELF touches a small part of it.
// A file that is truncated while it is mapped kills the process, which is why only the worker and the command line map.
type Mapped struct{ data []byte }

// MapFile maps a regular file for reading. The mapping lasts as long as the process.
func MapFile(path string) (*Mapped, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mapped(f)
}

// MapSummed maps a regular file for reading, and has its SHA-256 in hex. For that it is read: through the mapping, each of its
// pages would stay in the process.
func MapSummed(path string) (m *Mapped, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	if m, err = mapped(f); err != nil {
		return nil, "", err
	}
	const block = 32 << 10
	hash := sha256.New()
	n, err := io.CopyBuffer(hash, io.NewSectionReader(f, 0, m.Size()), make([]byte, block))
	if err == nil && n < m.Size() {
		err = io.ErrUnexpectedEOF // and the mapping has less than it did
	}
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	return m, hex.EncodeToString(hash.Sum(nil)), nil
}

func mapped(f *os.File) (*Mapped, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	}
	if info.Size() == 0 {
		return &Mapped{}, nil
	}
	if info.Size() > math.MaxInt32 { // ELF32 has no more, and a 32-bit gateway no more addresses
		return nil, fmt.Errorf("%s is larger than 2 GiB", f.Name())
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return &Mapped{data: data}, nil
}

// Bytes are the file's bytes; they must not be written to.
func (m *Mapped) Bytes() []byte { return m.data }

// Size is the file's length in bytes.
func (m *Mapped) Size() int64 { return int64(len(m.data)) }

// ReadAt is io.ReaderAt.
func (m *Mapped) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
