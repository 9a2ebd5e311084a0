// Package firmware is the sample firmware of the project's own (sample/, built by its build.sh) as bundles, for tests and
// for `make run`. It makes any number of builds out of the two committed ELFs by writing another version or project
// into the app descriptor: each is whole, its hashes included, so that the gateway takes it as it takes a real one.
package firmware

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// Project is the name in the descriptor of a Build that says no other.
const Project = "slipway_sample"

//go:embed sample/1.0.0 sample/1.1.0
var builds embed.FS

// Build says what a build shall be.
type Build struct {
	Code    string        // of the model
	Version string        // "1.0.0" and "1.1.0" are as the compiler made them
	Project string        // "" is Project
	Base    string        // which committed ELF it is made of, "1.0.0" or "1.1.0"; "" is that of the version, else 1.0.0
	Arduino bool          // a sketch: the descriptor is the Arduino core's, and only version.json has the version
	Chip    espimage.Chip // 0 is the ESP32-C3; of the others only those work that map flash where the C3 does (the S3)
}

// Bundle is the bundle of a build, as the drop folder takes it.
func Bundle(code, version string) ([]byte, error) {
	return Build{Code: code, Version: version}.Bundle()
}

// Bundle is the ZIP.
func (b Build) Bundle() ([]byte, error) {
	c, err := b.Contents()
	if err != nil {
		return nil, err
	}
	var zip bytes.Buffer
	if err := bundle.Pack(&zip, b.Code, c); err != nil {
		return nil, err
	}
	return zip.Bytes(), nil
}

// Contents are the five files.
func (b Build) Contents() (bundle.Contents, error) {
	elf, err := b.ELF()
	if err != nil {
		return bundle.Contents{}, err
	}
	image, err := b.image(elf)
	if err != nil {
		return bundle.Contents{}, err
	}
	var papers struct {
		Commit   string `json:"git_commit"`
		IDF      string `json:"idf_version"`
		Firmware string `json:"firmware_version"`
	}
	if err := json.Unmarshal(b.file("version.json"), &papers); err != nil {
		return bundle.Contents{}, err
	}
	papers.Firmware = b.Version
	versions, err := json.Marshal(papers)
	if err != nil {
		return bundle.Contents{}, err
	}
	return bundle.Contents{
		Image: image, ELF: elf, Map: b.file("sample.map"), Settings: b.file("sdkconfig"), Versions: versions,
	}, nil
}

// ELF is the ELF with its DWARF.
func (b Build) ELF() ([]byte, error) {
	elf := b.file("sample.elf")
	at := bytes.Index(elf, []byte{0x32, 0x54, 0xCD, 0xAB})
	if at < 0 {
		return nil, fmt.Errorf("the sample's ELF has no app descriptor")
	}
	version, project := b.Version, cmp.Or(b.Project, Project)
	if b.Arduino {
		elf = append(elf, b.Version...) // nothing else would tell two sketches apart
		version, project = "esp-idf: v4.4.7 38eeba213a", "arduino-lib-builder"
	}
	const versionAt, projectAt, width = 16, 48, 32
	for _, field := range []struct {
		at   int
		text string
	}{{versionAt, version}, {projectAt, project}} {
		if len(field.text) > width {
			return nil, fmt.Errorf("%q is longer than the %d bytes of the app descriptor", field.text, width)
		}
		place := elf[at+field.at : at+field.at+width]
		clear(place)
		copy(place, field.text)
	}
	return elf, nil
}

// Image is the application image.
func (b Build) Image() ([]byte, error) {
	elf, err := b.ELF()
	if err != nil {
		return nil, err
	}
	return b.image(elf)
}

func (b Build) image(elf []byte) ([]byte, error) {
	chip := b.Chip
	if chip == 0 {
		chip = espimage.ESP32C3
	}
	var image bytes.Buffer
	err := espimage.Write(&image, bytes.NewReader(elf), int64(len(elf)), espimage.Options{Chip: chip, FlashMode: 2, FlashSize: 0x20})
	return image.Bytes(), err
}

// file is a committed file of the base.
func (b Build) file(name string) []byte {
	data, err := builds.ReadFile("sample/" + cmp.Or(b.Base, b.Version) + "/" + name)
	if err != nil {
		data, err = builds.ReadFile("sample/1.0.0/" + name)
	}
	if err != nil {
		panic(err) // it is embedded
	}
	return data
}
