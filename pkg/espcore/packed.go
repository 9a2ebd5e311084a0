package espcore

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

var errNotPacked = errors.New("not packed")

var (
	gzipMagic = []byte{0x1F, 0x8B, 8}
	zipMagic  = []byte("PK\x03\x04")
	// foreignPacks are what has to be unpacked by its owner.
	foreignPacks = []struct {
		magic string
		name  string
	}{
		{"\x28\xB5\x2F\xFD", "zstd"},
		{"\xFD7zXZ\x00", "xz"},
		{"7z\xBC\xAF\x27\x1C", "7z"},
		{"BZh", "bzip2"},
		{"Rar!", "RAR"},
	}
)

// unpack looks into gzip and ZIP; errNotPacked where data is neither.
func (f *finder) unpack(data []byte, wraps int) (found, error) {
	switch {
	case bytes.HasPrefix(data, gzipMagic):
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return found{}, fmt.Errorf("%w: gzip: %w", ErrFormat, err)
		}
		inner, warning := inflate(z, len(data))
		return f.findInside(inner, warning, wraps)
	case bytes.HasPrefix(data, zipMagic):
		return f.unzip(data, wraps)
	}
	for _, p := range foreignPacks {
		if bytes.HasPrefix(data, []byte(p.magic)) {
			return found{}, fmt.Errorf("%w: it is packed with %s: unpack it first", ErrFormat, p.name)
		}
	}
	return found{}, errNotPacked
}

func (f *finder) findInside(inner []byte, warning string, wraps int) (found, error) {
	out, err := f.find(inner, wraps-1)
	if err == nil && warning != "" {
		out.warnings = append(out.warnings, warning)
	}
	return out, err
}

// inflate reads as much as may be: what is damaged or too large is read up to there, with a warning.
func inflate(z io.Reader, packed int) (inner []byte, warning string) {
	most := min(mostInflated, leastInflated+inflatedPerByte*packed)
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(z, int64(most)+1))
	switch {
	case err != nil:
		warning = "the packed file is damaged: it was read up to there"
	case n > int64(most):
		warning = fmt.Sprintf("the packed file is larger than %d bytes: it was read up to there", most)
	}
	return out.Bytes()[:min(out.Len(), most)], warning
}

// unzip takes the last file in which there is a dump, and names the others.
func (f *finder) unzip(data []byte, wraps int) (found, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return found{}, fmt.Errorf("%w: ZIP: %w", ErrFormat, err)
	}
	var out found
	var in []string
	told := errUnknown(data)
	for _, entry := range z.File[:min(len(z.File), maxZipped)] {
		if entry.FileInfo().IsDir() || !f.spend(int(min(entry.UncompressedSize64, mostInflated))) { //nolint:gosec // it is bounded
			continue
		}
		file, err := entry.Open()
		if err != nil {
			told = fmt.Errorf("%w: ZIP: %w", ErrFormat, err)
			continue
		}
		inner, warning := inflate(file, len(data))
		file.Close()
		got, err := f.findInside(inner, warning, wraps)
		if err != nil {
			if errors.Is(err, ErrEncrypted) || errors.Is(err, ErrEmpty) {
				told = err
			}
			continue
		}
		out, in = got, append(in, entry.Name)
	}
	if len(in) == 0 {
		return found{}, told
	}
	if last := len(in) - 1; last > 0 {
		out.warnings = append(out.warnings, fmt.Sprintf("%d dumps are in the ZIP: %q was read, not %.200q", len(in), in[last], in[:last]))
	}
	return out, nil
}
