package symbol

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxInflated bounds all inflated sections of one ELF together. The largest firmware measured has 30 MB of DWARF.
	maxInflated = 96 << 20
	// maxRatio is more than deflate can reach (1032:1): a section that claims more lies, and nothing is allocated for it.
	maxRatio = 1040
	// maxString is the longest string that is read. C++ names of some thousand characters are real.
	maxString = 64 << 10
	// window is what is read at once where a list's length is known only by its end, and longest what such a list has
	// at least, which is more than compilers write.
	window  = 64 << 10
	longest = 8 << 10
)

// source is the ELF file.
type source struct {
	r      io.ReaderAt
	size   int64
	mapped []byte // the whole file where the reader offers it
}

func newSource(r io.ReaderAt, size int64) source {
	s := source{r: r, size: size}
	if m, ok := r.(interface{ Bytes() []byte }); ok {
		if b := m.Bytes(); int64(len(b)) >= size {
			s.mapped = b[:size]
		}
	}
	return s
}

// slice gives n bytes at off, nil where the file does not have them all.
func (s *source) slice(off, n int64) []byte {
	if off < 0 || n < 0 || off > s.size || n > s.size-off {
		return nil
	}
	if s.mapped != nil {
		return s.mapped[off : off+n : off+n]
	}
	b := make([]byte, n)
	if _, err := s.r.ReadAt(b, off); err != nil && err != io.EOF {
		return nil
	}
	return b
}

// section is the contents of one ELF section. A nil section is an absent one: it has no bytes.
type section struct {
	src  *source
	addr uint32
	off  int64
	size uint64
	held []byte // all of it, where it had to be inflated or was asked for as a whole

	seen   []byte // what from read last, and where
	seenAt uint64
}

func (s *section) len() uint64 {
	if s == nil {
		return 0
	}
	return s.size
}

// slice gives n bytes at off, nil where the section does not have them all.
func (s *section) slice(off, n uint64) []byte {
	if s == nil || off > s.size || n > s.size-off {
		return nil
	}
	if s.held != nil {
		return s.held[off : off+n : off+n]
	}
	return s.src.slice(s.off+int64(off), int64(n))
}

// all gives the whole section and keeps it.
func (s *section) all() []byte {
	if s == nil {
		return nil
	}
	if s.held == nil {
		s.held = s.src.slice(s.off, int64(s.size))
	}
	return s.held
}

// from gives the bytes at off: all that follow, or at least longest of them.
func (s *section) from(off uint64) []byte {
	if s == nil || off >= s.size {
		return nil
	}
	rest := s.size - off
	if s.held != nil || s.src.mapped != nil {
		return s.slice(off, rest)
	}
	if off < s.seenAt || off+min(rest, longest) > s.seenAt+uint64(len(s.seen)) {
		s.seen, s.seenAt = s.slice(off, min(rest, window)), off
	}
	return tail(s.seen, off-s.seenAt)
}

// cstring gives the bytes before the NUL at off, nil where there is no end within maxString.
func (s *section) cstring(off uint64) []byte {
	if s == nil || off >= s.size {
		return nil
	}
	for n := uint64(256); ; n *= 8 {
		n = min(n, s.size-off, maxString)
		b := s.slice(off, n)
		if end := bytes.IndexByte(b, 0); end >= 0 {
			return b[:end]
		}
		if b == nil || n == maxString || n == s.size-off {
			return nil
		}
	}
}

// inflate unpacks a compressed section: SHF_COMPRESSED with an Elf32_Chdr of 12 bytes (type 1 is zlib, 2 Zstandard, then
// size and alignment), or the older .zdebug form of "ZLIB" and a big-endian size of 8 bytes. It returns nil where the
// claim cannot be true or is over left bytes.
func (s *section) inflate(gnu bool, left uint64) []byte {
	head := s.slice(0, 12)
	if head == nil {
		return nil
	}
	claim := uint64(binary.LittleEndian.Uint32(head[4:]))
	packed := io.NewSectionReader(s.src.r, s.off+12, int64(s.size-12))
	if gnu {
		if !bytes.HasPrefix(head, []byte("ZLIB")) {
			return nil
		}
		claim = binary.BigEndian.Uint64(head[4:])
	} else if kind := binary.LittleEndian.Uint32(head); kind == zstandard && claim <= left {
		return inflateZstandard(packed, claim)
	} else if kind != 1 {
		return nil
	}
	if claim > left || claim/maxRatio > s.size-12 {
		return nil
	}
	z, err := zlib.NewReader(packed)
	if err != nil {
		return nil
	}
	out := make([]byte, claim)
	if _, err := io.ReadFull(z, out); err != nil {
		return nil
	}
	return out
}

// zstandard is ELFCOMPRESS_ZSTD.
const zstandard = 2

// inflateZstandard unpacks claim bytes. Zstandard can reach any ratio, so memory is taken only as bytes come.
func inflateZstandard(packed io.Reader, claim uint64) []byte {
	const mostWindow = 8 << 20 // what compressors use up to level 19
	z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostWindow))
	if err != nil {
		return nil
	}
	defer z.Close()
	var out bytes.Buffer
	if n, err := io.Copy(&out, io.LimitReader(z, int64(claim))); err != nil || uint64(n) != claim {
		return nil
	}
	return out.Bytes()
}
