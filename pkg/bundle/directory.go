package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	endSignature       = 0x06054b50
	end64Signature     = 0x06064b50
	locator64Signature = 0x07064b50
	centralSignature   = 0x02014b50

	endSize       = 22
	end64Size     = 56 // with no extensible data, which nobody writes
	locator64Size = 20
	centralSize   = 46
	maxComment    = 65535 // of the archive; the field has 16 bits

	extraZIP64 = 1
	all16      = 0xFFFF
	all32      = 0xFFFFFFFF

	methodStored   = 0
	methodDeflated = 8

	flagsEncrypted = 1<<0 | 1<<6 | 1<<13 // plain, strong, hidden directory
	flagDescriptor = 1 << 3
	creatorUnix    = 3
	creatorMac     = 19
	unixTypeMask   = 0xF000
	unixRegular    = 0x8000
	unixDirectory  = 0x4000
	dosDirectory   = 0x10
	dosVolumeLabel = 0x08
)

var le = binary.LittleEndian

// directory is the central directory and where it lies.
type directory struct {
	files []*File
	start int64 // of the first central header, in bytes from the file's start
}

// end is what the end records say.
type end struct {
	at      int64 // offset of the first byte behind the central directory
	entries int64
	start   int64
	size    int64
}

var errNoEnd = &Refusal{Reason: "it is not a ZIP, or only the beginning of one: its end record is not at its end"}

// Complete reports whether the file ends with the end record of a ZIP, as a file that is still being copied does not.
// It says nothing of the bytes before; an error is the reader's.
func Complete(r io.ReaderAt, size int64) (bool, error) {
	_, err := findEnd(r, size)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return false, nil
	}
	return err == nil, err
}

// findEnd finds the end record that closes the file, its comment included, and the ZIP64 records before it.
func findEnd(r io.ReaderAt, size int64) (end, error) {
	tail := make([]byte, min(max(size, 0), endSize+maxComment))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return end{}, err
	}
	for i := len(tail) - endSize; i >= 0; i-- {
		b := tail[i:]
		if le.Uint32(b) != endSignature || int(le.Uint16(b[20:])) != len(b)-endSize {
			continue
		}
		e, err := parseEnd(r, size-int64(len(b)), b)
		if err != nil {
			return end{}, err
		}
		if e.start < 0 || e.size < 0 || e.start > e.at || e.at-e.start != e.size {
			return end{}, refuse("the ZIP is damaged: its directory does not lie before its end record")
		}
		return e, nil
	}
	return end{}, errNoEnd
}

func parseEnd(r io.ReaderAt, at int64, b []byte) (end, error) {
	e := end{at: at, entries: int64(le.Uint16(b[10:])), size: int64(le.Uint32(b[12:])), start: int64(le.Uint32(b[16:]))}
	disk, first, here := le.Uint16(b[4:]), le.Uint16(b[6:]), int64(le.Uint16(b[8:]))
	large, ok, err := parseEnd64(r, at)
	if err != nil {
		return end{}, err
	}
	if ok {
		// A field that is not full must say what the ZIP64 record says: programs differ in which one they believe.
		for _, pair := range []struct{ small, full, large int64 }{
			{e.entries, all16, large.entries}, {e.size, all32, large.size}, {e.start, all32, large.start}, {here, all16, large.entries},
		} {
			if pair.small != pair.full && pair.small != pair.large {
				return end{}, refuse("the ZIP is damaged: its two end records contradict each other")
			}
		}
		return large, nil
	}
	if disk != 0 || first != 0 || here != e.entries {
		return end{}, refuse("the ZIP is one part of several; make it in one piece")
	}
	return e, nil
}

// parseEnd64 reads the ZIP64 end record that lies before the end record at at, if there is one.
func parseEnd64(r io.ReaderAt, at int64) (end, bool, error) {
	if at < locator64Size+end64Size {
		return end{}, false, nil
	}
	b := make([]byte, end64Size+locator64Size)
	if err := readAt(r, b, at-int64(len(b))); err != nil {
		return end{}, false, err
	}
	locator := b[end64Size:]
	if le.Uint32(locator) != locator64Signature {
		return end{}, false, nil
	}
	record := at - int64(len(b))
	damaged := refuse("the ZIP is damaged: its ZIP64 end record is not where it should be")
	if le.Uint32(b) != end64Signature || le.Uint64(b[4:]) != end64Size-12 || le.Uint64(locator[8:]) != uint64(record) {
		return end{}, false, damaged
	}
	if le.Uint32(b[16:]) != 0 || le.Uint32(b[20:]) != 0 || le.Uint32(locator[4:]) != 0 || le.Uint64(b[24:]) != le.Uint64(b[32:]) {
		return end{}, false, refuse("the ZIP is one part of several; make it in one piece")
	}
	e := end{at: record, entries: int64(le.Uint64(b[32:])), size: int64(le.Uint64(b[40:])), start: int64(le.Uint64(b[48:]))}
	return e, true, nil
}

// readDirectory reads every central header; they must fill the directory exactly.
func readDirectory(r io.ReaderAt, size int64) (directory, error) {
	e, err := findEnd(r, size)
	if err != nil {
		return directory{}, err
	}
	if e.entries > maxEntries || e.entries < 0 {
		return directory{}, refuse("the ZIP holds more than %d files; a bundle has five", maxEntries)
	}
	dir := directory{start: e.start}
	at := e.start
	for range e.entries {
		f, n, err := readCentral(r, at, e.at)
		if err != nil {
			return directory{}, err
		}
		dir.files = append(dir.files, f)
		at += n
	}
	if at != e.at {
		return directory{}, refuse("the ZIP is damaged: its directory holds more than the %d files that it counts", e.entries)
	}
	return dir, nil
}

// readCentral reads the central header at at, which must end before limit, and its length.
func readCentral(r io.ReaderAt, at, limit int64) (*File, int64, error) {
	damaged := refuse("the ZIP is damaged: its directory ends within an entry")
	if limit-at < centralSize {
		return nil, 0, damaged
	}
	b := make([]byte, centralSize)
	if err := readAt(r, b, at); err != nil {
		return nil, 0, err
	}
	names, extras, comments := int64(le.Uint16(b[28:])), int64(le.Uint16(b[30:])), int64(le.Uint16(b[32:]))
	total := centralSize + names + extras + comments
	switch {
	case le.Uint32(b) != centralSignature || limit-at < total:
		return nil, 0, damaged
	case names > maxName || extras > maxExtra || comments > maxExtra:
		return nil, 0, refuse("the ZIP holds an entry whose name or notes are too long")
	}
	rest := make([]byte, names+extras)
	if err := readAt(r, rest, at+centralSize); err != nil {
		return nil, 0, err
	}
	f := &File{
		Name:     string(rest[:names]),
		CRC32:    le.Uint32(b[16:]),
		Packed:   int64(le.Uint32(b[20:])),
		Size:     int64(le.Uint32(b[24:])),
		header:   int64(le.Uint32(b[42:])),
		stored:   le.Uint16(b[10:]) == methodStored,
		streamed: le.Uint16(b[8:])&flagDescriptor != 0,
	}
	f.folded = strings.ToLower(f.Name)
	if err := f.checkKind(b); err != nil {
		return nil, 0, err
	}
	disk := int64(le.Uint16(b[34:]))
	if !widen(rest[names:], &f.Size, &f.Packed, &f.header, &disk) {
		return nil, 0, refuse("the ZIP is damaged: %s has sizes that cannot be", quote(f.Name))
	}
	if disk != 0 {
		return nil, 0, refuse("the ZIP is one part of several; make it in one piece")
	}
	return f, total, nil
}

// checkKind refuses what is a link or another special file in a form that every program reads.
func (f *File) checkKind(b []byte) error {
	attributes, creator := le.Uint32(b[38:]), b[5]
	mode := uint32(0)
	if creator == creatorUnix || creator == creatorMac {
		mode = attributes >> 16 & unixTypeMask
	}
	method := le.Uint16(b[10:])
	switch {
	case f.Name == "":
		return refuse("the ZIP holds an entry without a name")
	case strings.HasSuffix(f.Name, "/") || mode == unixDirectory || attributes&dosDirectory != 0:
		return refuse("the ZIP holds the folder %s; put the five files at its top", quote(f.Name))
	case mode != 0 && mode != unixRegular, attributes&dosVolumeLabel != 0:
		return refuse("%s is a link or another special file, not a regular file", quote(f.Name))
	case le.Uint16(b[8:])&flagsEncrypted != 0:
		return refuse("%s is encrypted; make the ZIP without a password", quote(f.Name))
	case method != methodStored && method != methodDeflated:
		return refuse("%s is packed with method %d; make the ZIP with the ordinary one (deflate) or none", quote(f.Name), method)
	}
	return nil
}

// widen replaces the fields that are full by those of the ZIP64 extra field, in the format's order: sizes, offset,
// disk. It is false where the extra field is missing, damaged, or there twice.
func widen(extra []byte, size, packed, header, disk *int64) bool {
	var large []byte
	found := false
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return false
		}
		if id == extraZIP64 {
			if found {
				return false
			}
			large, found = extra[4:4+n], true
		}
		extra = extra[4+n:]
	}
	for _, field := range []*int64{size, packed, header} {
		if field == nil || *field != all32 {
			continue
		}
		if len(large) < 8 {
			return false
		}
		*field = int64(le.Uint64(large))
		if *field < 0 {
			return false
		}
		large = large[8:]
	}
	if disk != nil && *disk == all16 {
		if len(large) < 4 {
			return false
		}
		*disk = int64(le.Uint32(large))
	}
	return true
}

func quote(s string) string { return fmt.Sprintf("%q", printable(s)) }

// readAt fills b; the caller knows that so many bytes are there.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read ZIP at %d: %w", at, err)
}
