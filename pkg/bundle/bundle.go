// Package bundle knows the firmware ZIP of one build: exactly five files, <code>.bin, <code>.elf, <code>.map, sdkconfig
// and version.json, at the top of the archive.
//
// It promises that whoever reads an accepted bundle with whatever ZIP program sees the same five files: no overlap, no
// gap, no byte before or behind, no second directory, no encryption, no links, and what the headers say twice they say
// alike. It reads in memory that does not depend on the bundle, and never more than the limits allow, whatever the
// headers claim. Everything that an engineer could have done wrong is a [Refusal], with a message that a shift worker
// can act on; other errors are the reader's own.
//
// It distrusts every byte. The ELF, the map and sdkconfig are opaque but for the ELF's hash, whether the name of its
// debug information stands in it, and one line of sdkconfig;
// the image's app descriptor is the truth about version, project and chip.
//
// Source of the format: PKWARE's APPNOTE.TXT 6.3.10, and what Info-ZIP, Go, Python, Java, 7-Zip and PowerShell write.
package bundle

import (
	"encoding/hex"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// Bundle is a verified bundle: all its bytes were read and all checksums were right.
type Bundle struct {
	*Archive
	Image         *espimage.Image
	Version       string // of the app descriptor, of an Arduino build that of its papers; not empty and UTF-8, but perhaps no good file name
	ImageSHA256   string // hex
	ELFSHA256     string // hex, of the ELF file
	GitCommit     string // of version.json
	IDFVersion    string // of version.json
	ELFHashAbsent bool   // the image does not say which ELF it was made of
	Warnings      []string

	expected string // version
}

// Expected is what is known of a bundle before it is read.
type Expected struct {
	Code    string // of its model; "": the name of the .bin has it
	Version string // "": what the image says, or where that is an Arduino build, version.json
}

// Read verifies a bundle of size bytes, which has to be what is expected. It reads every file once.
func Read(r io.ReaderAt, size int64, want Expected, l Limits) (*Bundle, error) {
	a, err := Open(r, size, want.Code, l)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Archive: a, expected: want.Version}
	for _, step := range []func() error{b.readImage, b.readVersions, b.readSettings, b.readELF, b.readMap} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Bundle) readImage() error {
	var img *espimage.Image
	sum, err := b.digest(b.image, func(r io.Reader) (err error) {
		img, err = espimage.Scan(r, b.image.Size)
		return err
	})
	if err != nil {
		return err
	}
	if img.App == nil {
		return refuse("%s has no app descriptor, which would hold its version", b.image.Name)
	}
	if err := img.App.CheckVersion(); err != nil {
		return refuseImage(b.image.Name, err)
	}
	b.Image, b.ImageSHA256 = img, sum
	if !img.ChecksumValid {
		b.warn("%s: its checksum is %s, calculated %s: a device will not start it", b.image.Name, img.Checksum, img.ChecksumCalculated)
	}
	if img.HashAppended && !img.HashValid {
		b.warn("%s: its validation hash is wrong: a device will not start it", b.image.Name)
	}
	if !img.ChipID.Known() {
		b.warn("%s is for %s", b.image.Name, img.Chip)
	}
	return nil
}

func (b *Bundle) readELF() error {
	described := false
	sum, err := b.digest(b.elf, func(r io.Reader) (err error) {
		described, err = hasDebugInfo(r)
		return err
	})
	if err != nil {
		return err
	}
	b.ELFSHA256 = sum
	if !described {
		b.warn("%s has no debug information (was it stripped?): reports of its crashes will have no files and lines", b.elf.Name)
	}
	switch {
	case b.Image.App.ELFHashAbsent():
		b.ELFHashAbsent = true
		b.warn("%s does not say which ELF it was made of: dumps of it cannot be told from those of another build", b.image.Name)
	case b.Image.App.ELFSHA256 != sum:
		return refuse("%s was not made from %s: it names an ELF with the SHA-256 %s, but this one has %s",
			b.image.Name, b.elf.Name, b.Image.App.ELFSHA256, sum)
	}
	return nil
}

func (b *Bundle) readMap() error {
	_, err := b.digest(b.linkMap, nil)
	return err
}

func (b *Bundle) warn(format string, args ...any) {
	b.Warnings = append(b.Warnings, fmt.Sprintf(format, args...))
}

// digest reads a whole file, its checksum and bounds included, and returns its SHA-256; see looks at it in passing and
// need not look to the end. That a file is damaged comes before what see thinks of it.
func (a *Archive) digest(f *File, see func(io.Reader) error) (string, error) {
	d := newDigest(a.open(f))
	var seen error
	if see != nil {
		seen = see(d)
	}
	if _, err := io.Copy(io.Discard, d); err != nil {
		return "", err
	}
	if seen != nil {
		return "", refuseImage(f.Name, seen)
	}
	return hex.EncodeToString(d.hash.Sum(nil)), nil
}

// printable is foreign text for a message.
func printable(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "…"
	}
	if !utf8.ValidString(s) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
