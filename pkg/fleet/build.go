package fleet

import (
	"strings"
	"time"
	"unicode"
)

// Build is one accepted bundle of a model. Its files are assets/<model>/firmware-<version>.zip and .bin. A plain image
// is no build: it replaces the flat file and sets the model's version.
type Build struct {
	Model        ModelCode `json:"model_code"`
	Version      Version   `json:"firmware_version"`
	Chip         string    `json:"chip"`
	Project      string    `json:"project"`
	IDFVersion   string    `json:"idf_version"`
	GitCommit    string    `json:"git_commit,omitempty"`
	BundleSize   int64     `json:"bundle_size"`             // bytes
	BundleSHA256 string    `json:"bundle_sha256,omitempty"` // of the ZIP; "" in what was recorded before there was one
	ImageSize    int64     `json:"image_size"`              // bytes
	ImageSHA256  string    `json:"image_sha256"`
	Sums
	ELFSHA256  string    `json:"elf_sha256"` // of the ELF file; a dump's hash is a prefix of it
	ELFSize    int64     `json:"elf_size"`   // bytes
	Origin     Origin    `json:"origin"`
	Sequence   uint64    `json:"sequence"` // order of acceptance over all models, set by the catalog
	AcceptedAt time.Time `json:"accepted_at"`
	Warnings   []string  `json:"warnings,omitempty"`
	Note       string    `json:"note,omitempty"` // what people say of it; it stays when the build is replaced
}

// mostNote is how many bytes people may say of a build: what is new in it, and not its manual.
const mostNote = 2 << 10

// SetNote replaces what people say of the build; "" removes it. It may have several lines.
func (b *Build) SetNote(note string) error {
	note = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', unicode.IsPrint(r):
			return r
		case r != '\r' && unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(note, "?"))
	note = strings.TrimSpace(note)
	if len(note) > mostNote {
		return Refused("a note of %d bytes: at most %d are kept", len(note), mostNote)
	}
	b.Note = note
	return nil
}

// Sums are what devices know an image by, in hex. All are "" in what was recorded before there were any.
type Sums struct {
	ImageMD5     string `json:"image_md5,omitempty"`     // of the file, as a device checks its download
	ImageSHA1    string `json:"image_sha1,omitempty"`    // of the same
	SketchMD5    string `json:"sketch_md5,omitempty"`    // of the image without its signature, as an Arduino sketch tells it
	SketchSHA256 string `json:"sketch_sha256,omitempty"` // its own hash at its end, or of all of it where there is none
}

// Sketch reports that a sketch which tells this hash of itself, MD5 or SHA-256 in lower-case hex, is this image.
func (s Sums) Sketch(hash string) bool {
	return hash != "" && (hash == s.SketchMD5 || hash == s.SketchSHA256)
}

// Origin is the way by which a build came.
type Origin string

// The three ways.
const (
	FromAPI  Origin = "api"
	FromDrop Origin = "drop"
	Found    Origin = "found" // lay on disk without a record; never published by itself
)

// SameFirmware reports that two builds have the same image and ELF, whatever ZIP is around them.
func (b Build) SameFirmware(o Build) bool {
	return b.ImageSHA256 == o.ImageSHA256 && b.ELFSHA256 == o.ELFSHA256
}

// Newer orders two builds of one model: by version, and where that does not decide by acceptance.
func (b Build) Newer(o Build) bool {
	if sign, decided := CompareVersions(b.Version, o.Version); decided {
		return sign > 0
	}
	return b.Sequence > o.Sequence
}
