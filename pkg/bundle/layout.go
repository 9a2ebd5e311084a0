package bundle

import (
	"bytes"
	"cmp"
	"io"
	"slices"
)

const (
	localSignature      = 0x04034b50
	descriptorSignature = 0x08074b50
	localSize           = 30
)

// checkLayout follows the files through the archive: they lie one behind the other from the first byte to the
// directory, and their local headers say what the directory says. It fills in where their bytes are.
func checkLayout(r io.ReaderAt, dir directory) error {
	files := slices.Clone(dir.files)
	slices.SortFunc(files, func(a, b *File) int { return cmp.Compare(a.header, b.header) })
	next := int64(0)
	for i, f := range files {
		if f.header < next {
			return refuse("the ZIP is a trap: %s lies over another file", quote(f.Name))
		}
		if f.header > next {
			return refuse("the ZIP has %d bytes before %s that belong to no file", f.header-next, quote(f.Name))
		}
		limit := dir.start
		if i+1 < len(files) {
			limit = files[i+1].header
		}
		end, err := f.checkLocal(r, limit)
		if err != nil {
			return err
		}
		next = end
	}
	if next != dir.start {
		return refuse("the ZIP has %d bytes before its directory that belong to no file", dir.start-next)
	}
	return nil
}

// checkLocal compares the local header with the directory and returns where the file ends, its data descriptor
// included. All of it must lie before limit.
func (f *File) checkLocal(r io.ReaderAt, limit int64) (int64, error) {
	overlap := refuse("the ZIP is a trap: %s lies over another file", quote(f.Name))
	differs := refuse("the ZIP is damaged: %s is described in two ways", quote(f.Name))
	if limit-f.header < localSize {
		return 0, overlap
	}
	b := make([]byte, localSize)
	if err := readAt(r, b, f.header); err != nil {
		return 0, err
	}
	if le.Uint32(b) != localSignature {
		return 0, refuse("the ZIP is damaged: %s is not where its directory says", quote(f.Name))
	}
	names, extras := int64(le.Uint16(b[26:])), int64(le.Uint16(b[28:]))
	f.data = f.header + localSize + names + extras
	if f.data > limit || f.Packed > limit-f.data {
		return 0, overlap
	}
	if extras > maxExtra || names != int64(len(f.Name)) {
		return 0, differs
	}
	rest := make([]byte, names+extras)
	if err := readAt(r, rest, f.header+localSize); err != nil {
		return 0, err
	}
	flags := le.Uint16(b[6:])
	if flags&flagsEncrypted != 0 {
		return 0, refuse("%s is encrypted; make the ZIP without a password", quote(f.Name))
	}
	method := uint16(methodDeflated)
	if f.stored {
		method = methodStored
	}
	if !bytes.Equal(rest[:names], []byte(f.Name)) || le.Uint16(b[8:]) != method || f.stored && f.Size != f.Packed ||
		f.streamed != (flags&flagDescriptor != 0) {
		return 0, differs
	}
	crc, packed, size := le.Uint32(b[14:]), int64(le.Uint32(b[18:])), int64(le.Uint32(b[22:]))
	widened := widen(rest[names:], &size, &packed, nil, nil)
	if f.streamed {
		// Who streams leaves open what it does not know yet, each field for itself: Info-ZIP notes only the size.
		if crc != 0 && crc != f.CRC32 || !openOr(packed, f.Packed) || !openOr(size, f.Size) {
			return 0, differs
		}
		return f.checkDescriptor(r, limit)
	}
	if !widened || crc != f.CRC32 || packed != f.Packed || size != f.Size {
		return 0, differs
	}
	return f.data + f.Packed, nil
}

// openOr reports that a streamed entry's field is left open or is what it should be.
func openOr(field, want int64) bool { return field == 0 || field == all32 || field == want }

// checkDescriptor reads the data descriptor behind the bytes: CRC and two sizes of 4 or 8 bytes each, with or without
// a signature before them. Which form it has shows in the room that is left.
func (f *File) checkDescriptor(r io.ReaderAt, limit int64) (int64, error) {
	at := f.data + f.Packed
	room := limit - at
	if room != 12 && room != 16 && room != 20 && room != 24 {
		return 0, refuse("the ZIP has bytes behind %s that belong to no file", quote(f.Name))
	}
	b := make([]byte, room)
	if err := readAt(r, b, at); err != nil {
		return 0, err
	}
	if room == 16 || room == 24 {
		if le.Uint32(b) != descriptorSignature {
			return 0, refuse("the ZIP has bytes behind %s that belong to no file", quote(f.Name))
		}
		b = b[4:]
	}
	packed, size := uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	if len(b) == 20 {
		packed, size = le.Uint64(b[4:]), le.Uint64(b[12:])
	}
	if le.Uint32(b) != f.CRC32 || packed != uint64(f.Packed) || size != uint64(f.Size) {
		return 0, refuse("the ZIP is damaged: %s is described in two ways", quote(f.Name))
	}
	return limit, nil
}
