// Package crash is a real crash of the project's own firmware (program/, run in QEMU by its build.sh): the dump, the ELF,
// and both as a gateway gets them, for tests that decode where no device and no real build is.
package crash

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the two files below
	"encoding/hex"
	"errors"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// What the crashed build is called, and where it crashed.
const (
	Version  = "2.0.1"
	TopFrame = "plant::Valve::drive crash.cpp:75"
)

// Dump is a core dump as a device uploads it.
//
//go:embed core.dmp
var Dump []byte

// ELF is the ELF of the build that crashed.
//
//go:embed crash.elf
var ELF []byte

// Bundle is the build that crashed, for a model, as the drop folder takes it.
func Bundle(code string) ([]byte, error) {
	image, err := imageOf(ELF)
	if err != nil {
		return nil, err
	}
	var zip bytes.Buffer
	err = bundle.Pack(&zip, code, bundle.Contents{
		Image: image, ELF: ELF, Map: []byte("not kept\n"), Settings: []byte("CONFIG_IDF_TARGET=\"esp32c3\"\n"),
		Versions: []byte(`{"git_commit":"unknown","idf_version":"v5.4.2","firmware_version":"` + Version + `"}`),
	})
	return zip.Bytes(), err
}

func imageOf(elf []byte) ([]byte, error) {
	var image bytes.Buffer
	options := espimage.Options{Chip: espimage.ESP32C3, FlashMode: 2, FlashSize: 0x20}
	err := espimage.Write(&image, bytes.NewReader(elf), int64(len(elf)), options)
	return image.Bytes(), err
}

// Build is the same program built once more.
type Build struct {
	ELF, Image []byte
	Dump       []byte // of the same crash
}

// Rebuilt gives the program another version, or for an Arduino build the descriptor that the core gives every sketch; seed tells
// such builds apart. The dump is as the rebuilt program would have written it: it names the new ELF.
func Rebuilt(version, seed string, arduino bool) (b Build, err error) {
	project := "slipway_crash"
	if arduino {
		version, project = "esp-idf: v4.4.7 38eeba213a", "arduino-lib-builder"
	}
	b.ELF = append(bytes.Clone(ELF), seed...)
	at := bytes.Index(b.ELF, []byte{0x32, 0x54, 0xCD, 0xAB}) // the descriptor
	if at < 0 {
		return b, errors.New("the ELF has no app descriptor")
	}
	const versionAt, projectAt, width = 16, 48, 32
	clear(b.ELF[at+versionAt : at+projectAt+width])
	copy(b.ELF[at+versionAt:at+versionAt+width], version)
	copy(b.ELF[at+projectAt:at+projectAt+width], project)
	if b.Image, err = imageOf(b.ELF); err != nil {
		return b, err
	}
	const digits = 16 // of the ELF's hash that the dump has
	before, after := sha256.Sum256(ELF), sha256.Sum256(b.ELF)
	b.Dump = bytes.Replace(Dump, []byte(hex.EncodeToString(before[:])[:digits]), []byte(hex.EncodeToString(after[:])[:digits]), 1)
	covered := b.Dump[:len(b.Dump)-sha256.Size]
	sum := sha256.Sum256(covered)
	b.Dump = append(bytes.Clone(covered), sum[:]...)
	return b, nil
}
