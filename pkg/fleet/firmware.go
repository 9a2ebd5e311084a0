package fleet

import (
	"io"
	"os"
	"time"
)

// Submission is a firmware that somebody hands in.
type Submission struct {
	Model   ModelCode // "": the one that the bundle names
	File    string    // what its sender calls it, for the event of a refusal that has no model
	Body    io.Reader
	Size    int64   // bytes, -1 when unknown
	Version Version // "": the one that the image says; an Arduino build says none
	Origin  Origin
	Replace bool // of a version that is there with other bytes
	Store   bool // it, and do not publish it
}

// FirmwareKind is what a submission turned out to be.
type FirmwareKind string

// The two kinds.
const (
	KindBundle FirmwareKind = "bundle"
	KindImage  FirmwareKind = "image"
)

// Accepted is what became of a submission.
type Accepted struct {
	Kind      FirmwareKind `json:"kind"`
	Published bool         `json:"published"` // devices are offered it now
	Changed   bool         `json:"changed"`   // false: the same firmware was there already
	Warnings  []string     `json:"warnings"`
	Build     Build        `json:"build"` // of a plain image: only model, version, chip, project, size and hash
}

// Image is an application image, opened for serving. The caller closes File.
type Image struct {
	File    *os.File
	Size    int64     // bytes
	Version Version   // as the image itself says; of an Arduino build, as it was named
	ETag    string    // quoted, made of the content, so that replaced bytes never resume an old download
	ModTime time.Time // of the file
	Chip    string    // such as "ESP32-C3"
	SHA256  string    // hex
	Sums              // empty where it is no whole image
}
