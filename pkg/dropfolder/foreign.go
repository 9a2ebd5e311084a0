package dropfolder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// wanted is what every reason ends with.
const wanted = "Want a bundle: a ZIP of exactly <model>.bin, <model>.elf, <model>.map, sdkconfig and version.json."

// stays says what a name is that is no regular file, and what to do: it is left where it lies.
func stays(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "it is a folder, and folders are not looked into: drop the ZIP itself"
	case mode&fs.ModeSymlink != 0:
		return "it is a symbolic link, which is not followed: copy the file itself"
	case mode&fs.ModeNamedPipe != 0:
		return "it is a named pipe: drop a file"
	case mode&fs.ModeSocket != 0:
		return "it is a socket: drop a file"
	}
	return "it is a device: drop a file"
}

// kind is a sort of file that people drop and that is no bundle.
type kind struct {
	offset int
	magic  string
	what   string
}

// kinds by their first bytes. What a file is called decides nothing where they speak.
var kinds = []kind{
	{0, "\x7fELF", "an ELF, which belongs in a bundle together with its image"},
	{0, "\xe9", "a plain ESP32 image, which does not say its model: slipway firmware add --model CODE FILE takes it"},
	{0, "\x1f\x8b", "a gzip file (.gz, .tgz)"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{0, "Rar!\x1a\x07", "a RAR archive"},
	{0, "BZh", "a bzip2 file"},
	{0, "\xfd7zXZ\x00", "an xz file"},
	{0, "\x28\xb5\x2f\xfd", "a zstd file"},
	{0, "UF2\n", "a UF2 file"},
	{0, ":", "a HEX file"},
	{0, "!<arch>\n", "a library or a Debian package"},
	{0, "MZ", "a Windows program"},
	{0, "#!", "a script"},
	{0, "{", "a JSON file"},
	{257, "ustar", "a tar archive"},
}

// endings tell the sort of file where its first bytes do not.
var endings = map[string]string{
	".bin": "a .bin file, but no ESP32 image", ".elf": "an .elf file, but no ELF", ".map": "a linker map, which belongs in a bundle",
	".dmp": "a core dump: slipway decode reads one, and devices upload theirs", ".tar": "a .tar file", ".tgz": "a .tgz file", ".gz": "a .gz file",
	".7z": "a .7z file", ".rar": "a .rar file", ".hex": "a HEX file", ".txt": "a text file", ".json": "a JSON file", ".csv": "a CSV file", ".xz": "an xz file",
}

const headBytes = 512 // of a file, enough for tar's mark

// foreign says what a file is that starts as no ZIP does, "" where it may still become one or nobody can tell.
func foreign(r io.ReaderAt) string {
	head := make([]byte, headBytes)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	head = head[:n]
	for _, k := range kinds {
		if len(head) > k.offset && bytes.HasPrefix(head[k.offset:], []byte(k.magic)) {
			return k.what
		}
	}
	return ""
}

// unfinished is the reason for a file that does not grow and does not end as a ZIP does.
func unfinished(name string, r io.ReaderAt, size int64, after fmt.Stringer) string {
	if size == 0 {
		return fmt.Sprintf("the file is empty, and has been for %s. %s", after, wanted)
	}
	head := make([]byte, 2)
	if _, err := r.ReadAt(head, 0); err == nil && string(head) == "PK" {
		return fmt.Sprintf("the file is incomplete: it has not grown for %s and does not end as a ZIP does. Copy it again.", after)
	}
	ending := strings.ToLower(filepath.Ext(name))
	what, ok := endings[ending]
	switch {
	case ok:
	case ending == ".zip":
		what = "not a ZIP, although its name says so: it starts with other bytes, or its start is missing, and so it is incomplete"
	case ending == "":
		what = "not a ZIP"
	default:
		what = fmt.Sprintf("not a ZIP, and its ending %q is unknown", ending)
	}
	return "the file is " + what + ". " + wanted
}
