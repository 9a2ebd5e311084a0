package bundle

import (
	"bufio"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"io"
)

// packedBuffer is all that is read ahead of a file in the ZIP.
const packedBuffer = 32 << 10

// open reads a file, checking while it passes that it has the size and the checksum that the directory claims.
func (a *Archive) open(f *File) io.ReadCloser {
	packed := bufio.NewReaderSize(io.NewSectionReader(a.in, f.data, f.Packed), packedBuffer)
	e := &entry{file: f, packed: packed, crc: crc32.NewIEEE()}
	if f.stored {
		e.in = io.NopCloser(packed)
	} else {
		e.in = flate.NewReader(packed)
	}
	return e
}

type entry struct {
	file   *File
	packed *bufio.Reader // its rest, when in is at its end, must be empty
	in     io.ReadCloser
	crc    hash.Hash32
	passed int64
	err    error
}

func (e *entry) Close() error { return e.in.Close() }

func (e *entry) Read(p []byte) (int, error) {
	if e.err != nil || len(p) == 0 {
		return 0, e.err
	}
	n, err := e.in.Read(p)
	e.passed += int64(n)
	if e.passed > e.file.Size {
		e.err = refuse("the ZIP is a trap: %s is larger than the %d bytes that it claims", e.file.Name, e.file.Size)
		return 0, e.err
	}
	e.crc.Write(p[:n])
	e.err = e.judge(err)
	return n, e.err
}

// judge tells damaged bytes from a reader that fails, and looks at the sums when the file ends.
func (e *entry) judge(err error) error {
	if err == nil {
		return nil
	}
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF) && !e.file.stored:
		return e.damaged()
	case !errors.Is(err, io.EOF):
		return err
	}
	if _, err := e.packed.Peek(1); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return refuse("the ZIP has bytes behind %s that belong to no file", quote(e.file.Name))
	}
	if e.passed != e.file.Size || e.crc.Sum32() != e.file.CRC32 {
		return e.damaged()
	}
	return io.EOF
}

func (e *entry) damaged() error {
	return refuse("%s is damaged: its bytes do not have the checksum that the ZIP notes (copy it again)", e.file.Name)
}

// digest hashes what is read through it.
type digest struct {
	in   io.Reader
	hash hash.Hash
}

func newDigest(r io.Reader) *digest { return &digest{in: r, hash: sha256.New()} }

func (d *digest) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	d.hash.Write(p[:n])
	return n, err
}
