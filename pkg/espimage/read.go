package espimage

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// readBuffer is all that Read holds of an image at a time.
const readBuffer = 32 << 10

// Read reads an image of size bytes from its first to its last byte, once. What a device would refuse (a checksum, a
// hash) is in the result; a [FormatError] says that there is no image, or not all of it.
func Read(r io.ReaderAt, size int64) (*Image, error) {
	return Scan(io.NewSectionReader(r, 0, max(size, 0)), size)
}

// Scan is [Read] for an image that passes by only once, such as one that is being inflated.
func Scan(r io.Reader, size int64) (*Image, error) {
	size = max(size, 0)
	w := &walk{
		in:   bufio.NewReaderSize(io.LimitReader(r, size), readBuffer),
		hash: sha256.New(),
		md5:  md5.New(),
		sha1: sha1.New(),
		size: size,
	}
	img, err := w.image()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the walk asks for no byte beyond size
	}
	if refused := (*FormatError)(nil); err != nil && !errors.As(err, &refused) {
		return nil, fmt.Errorf("read image at %d of %d bytes: %w", w.at, size, err)
	}
	return img, err
}

// walk goes through an image once, hashing what it passes.
type walk struct {
	in   *bufio.Reader
	hash hash.Hash
	md5  hash.Hash
	sha1 hash.Hash
	size int64
	at   int64 // bytes passed
	xor  byte  // checksum of the segments so far
}

func (w *walk) image() (*Image, error) {
	head, err := w.next(min(headerSize, w.size))
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(head)
	if err != nil {
		return nil, err
	}
	img := &Image{Size: w.size, Type: h.Chip, Version: 1, Header: h, Segments: []Segment{}}
	w.xor = checksumSeed
	for i := range h.SegmentCount {
		if err := w.segment(img, i); err != nil {
			return nil, err
		}
	}
	if err := w.footer(img); err != nil {
		return nil, err
	}
	if img.Signature, err = w.signature(); err != nil {
		return nil, err
	}
	if err := w.pass(w.left(), nil); err != nil {
		return nil, err
	}
	img.MD5, img.SHA1 = hex.EncodeToString(w.md5.Sum(nil)), hex.EncodeToString(w.sha1.Sum(nil))
	return img, nil
}

func (w *walk) segment(img *Image, i int) error {
	offset := w.at
	if w.left() < segmentHeader {
		return notImage("too short: it ends at byte %d, before segment %d of %d", w.size, i, img.SegmentCount)
	}
	b, err := w.next(segmentHeader)
	if err != nil {
		return err
	}
	address, length := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if int64(length) > w.left() {
		return notImage("too short: segment %d has %d bytes from byte %d, but the image ends at %d",
			i, length, w.at, w.size)
	}
	img.Segments = append(img.Segments, Segment{
		Index: i, Length: Length(length), Address: Hex32(address), Offset: Hex32(offset),
		Memories: img.ChipID.memoriesAt(address),
	})
	left := int64(length)
	if i == 0 && left >= descriptorSize {
		d, err := w.next(descriptorSize)
		if err != nil {
			return err
		}
		w.sum(d)
		left -= descriptorSize
		if app, ok := parseApp(d); ok {
			img.App = &app
		}
	}
	return w.pass(left, w.sum)
}

// footer reads the padding, the checksum and the hash.
func (w *walk) footer(img *Image) error {
	toChecksum := checksumAlign - 1 - w.at%checksumAlign
	if w.left() < toChecksum+1 {
		return notImage("too short: it ends at byte %d, before its checksum", w.size)
	}
	if err := w.pass(toChecksum, nil); err != nil {
		return err
	}
	b, err := w.next(1)
	if err != nil {
		return err
	}
	img.Checksum, img.ChecksumCalculated = Hex8(b[0]), Hex8(w.xor)
	img.ChecksumValid = b[0] == w.xor
	img.HashAppended = img.appendsHash == 1
	if !img.HashAppended {
		img.RunningMD5, img.RunningSHA256 = hex.EncodeToString(w.md5.Sum(nil)), hex.EncodeToString(w.hash.Sum(nil))
		return nil
	}
	calculated := w.hash.Sum(nil)
	if w.left() < hashSize {
		return notImage("too short: it ends at byte %d, before its hash", w.size)
	}
	stored, err := w.next(hashSize)
	if err != nil {
		return err
	}
	img.Hash = hex.EncodeToString(calculated)
	img.HashValid = string(stored) == string(calculated)
	img.RunningMD5, img.RunningSHA256 = hex.EncodeToString(w.md5.Sum(nil)), hex.EncodeToString(stored)
	return nil
}

func (w *walk) left() int64 { return w.size - w.at }

// next passes n bytes and returns them; n is small.
func (w *walk) next(n int64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(w.in, b); err != nil {
		return nil, err
	}
	w.hash.Write(b)
	w.md5.Write(b)
	w.sha1.Write(b)
	w.at += n
	return b, nil
}

// pass goes over n bytes, showing them to see.
func (w *walk) pass(n int64, see func([]byte)) error {
	for n > 0 {
		b, err := w.in.Peek(int(min(n, readBuffer)))
		if len(b) == 0 {
			return err
		}
		w.hash.Write(b)
		w.md5.Write(b)
		w.sha1.Write(b)
		if see != nil {
			see(b)
		}
		if _, err := w.in.Discard(len(b)); err != nil {
			return err
		}
		w.at += int64(len(b))
		n -= int64(len(b))
	}
	return nil
}

func (w *walk) sum(b []byte) {
	x := w.xor
	for _, c := range b {
		x ^= c
	}
	w.xor = x
}
