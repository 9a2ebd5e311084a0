package bundle

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Names that are the same in every bundle.
const (
	settingsName = "sdkconfig"
	versionsName = "version.json"
)

// Archive is a ZIP whose structure is that of a bundle; what its files hold was not looked at.
type Archive struct {
	Code string // of the model, as the file names have it
	Size int64  // bytes of the ZIP

	image, elf, linkMap, settings, versions *File

	in io.ReaderAt
}

// File is one of the five.
type File struct {
	Name   string
	Size   int64 // inflated, in bytes
	Packed int64 // bytes in the ZIP
	CRC32  uint32

	stored   bool
	streamed bool  // a data descriptor follows the bytes
	header   int64 // offset of the local header
	data     int64 // offset of the bytes
	folded   string
}

var codePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_]{1,50}$`) })

// Open checks the structure of a ZIP of size bytes and finds its five files, for one who wants a single one of them.
// A code of "" is taken from the name of the .bin.
func Open(r io.ReaderAt, size int64, code string, l Limits) (*Archive, error) {
	if size > l.Whole {
		return nil, refuse("the ZIP has %d bytes, at most %d are allowed", size, l.Whole)
	}
	dir, err := readDirectory(r, size)
	if err != nil {
		return nil, err
	}
	if code == "" {
		if code, err = findCode(dir.files); err != nil {
			return nil, err
		}
	}
	a := &Archive{Code: code, Size: size, in: r}
	if err := a.sort(dir.files, l); err != nil {
		return nil, err
	}
	if err := checkLayout(r, dir); err != nil {
		return nil, err
	}
	return a, nil
}

// OpenImage reads the image; the reader fails at its end where the bytes are not those of the directory.
func (a *Archive) OpenImage() io.ReadCloser { return a.open(a.image) }

// OpenELF reads the ELF, as OpenImage does.
func (a *Archive) OpenELF() io.ReadCloser { return a.open(a.elf) }

// ImageSize is the image's in bytes.
func (a *Archive) ImageSize() int64 { return a.image.Size }

// ELFSize is the ELF's in bytes.
func (a *Archive) ELFSize() int64 { return a.elf.Size }

// Files are the five, in the order of the documentation.
func (a *Archive) Files() []File {
	return []File{*a.image, *a.elf, *a.linkMap, *a.settings, *a.versions}
}

// findCode takes the model code from the .bin's name; with several .bin files, from the only one that has an .elf of the
// same name.
func findCode(files []*File) (string, error) {
	names := map[string]bool{}
	for _, f := range files {
		names[f.Name] = true
	}
	var codes []string
	for _, f := range files {
		code, ok := strings.CutSuffix(f.Name, ".bin")
		if ok && codePattern().MatchString(code) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	if len(codes) > 1 {
		codes = slices.DeleteFunc(codes, func(c string) bool { return !names[c+".elf"] })
	}
	if len(codes) != 1 {
		return "", refuse("the ZIP does not show its model: want one <model code>.bin at its top, the code of a-z, 0-9 and _")
	}
	return codes[0], nil
}

// sort gives the five files their places and refuses any other.
func (a *Archive) sort(files []*File, l Limits) error {
	places := []struct {
		name string
		file **File
		most int64
	}{
		{a.Code + ".bin", &a.image, l.Image},
		{a.Code + ".elf", &a.elf, l.ELF},
		{a.Code + ".map", &a.linkMap, l.Map},
		{settingsName, &a.settings, l.Settings},
		{versionsName, &a.versions, l.Versions},
	}
	seen := map[string]string{}
	var extra, missing []string
	for _, f := range files {
		if first, twice := seen[f.folded]; twice {
			return refuse("the ZIP holds %q and %q, which are the same name", first, f.Name)
		}
		seen[f.folded] = f.Name
		known := false
		for _, p := range places {
			if f.Name != p.name {
				continue
			}
			if f.Size > p.most {
				return refuse("%s has %d bytes, at most %d are allowed", f.Name, f.Size, p.most)
			}
			*p.file, known = f, true
		}
		if !known {
			extra = append(extra, quote(f.Name))
		}
	}
	for _, p := range places {
		if *p.file == nil {
			missing = append(missing, p.name)
		}
	}
	return refuseNames(missing, extra)
}

func refuseNames(missing, extra []string) error {
	const rule = "a bundle has exactly the five files <model code>.bin, .elf and .map, sdkconfig and version.json, in no folder"
	switch {
	case len(missing) > 0 && len(extra) > 0:
		return refuse("the ZIP lacks %s and holds %s, which does not belong there: %s",
			strings.Join(missing, ", "), strings.Join(extra, ", "), rule)
	case len(missing) > 0:
		return refuse("the ZIP lacks %s: %s", strings.Join(missing, ", "), rule)
	case len(extra) > 0:
		return refuse("the ZIP holds %s, which does not belong there: %s", strings.Join(extra, ", "), rule)
	}
	return nil
}
