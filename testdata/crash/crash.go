// Package crash is a real crash of the project's own firmware (program/, run in QEMU by its build.sh): the dump, the ELF,
// and both as a gateway gets them, for tests that decode where no device and no real build is.
package crash

import (
	"bytes"
	_ "embed" // the two files below

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
	var image, zip bytes.Buffer
	options := espimage.Options{Chip: espimage.ESP32C3, FlashMode: 2, FlashSize: 0x20}
	if err := espimage.Write(&image, bytes.NewReader(ELF), int64(len(ELF)), options); err != nil {
		return nil, err
	}
	err := bundle.Pack(&zip, code, bundle.Contents{
		Image: image.Bytes(), ELF: ELF, Map: []byte("not kept\n"), Settings: []byte("CONFIG_IDF_TARGET=\"esp32c3\"\n"),
		Versions: []byte(`{"git_commit":"unknown","idf_version":"v5.4.2","firmware_version":"` + Version + `"}`),
	})
	return zip.Bytes(), err
}
