// Package press is the firmware of the fleet that `make run` plays: two builds of which real dumps are there. Each is a
// program of the crash corpus, with what makes an application image of it: the app descriptor, and 256 KiB of the data
// that real firmware has, so that a device which reads the first block has not read all.
//
// A dump names its build by the hash of the ELF. The ELF is another one with the descriptor in it, so the dump is told of
// that hash; nothing else of it is touched.
package press

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

// Versions are the builds, in their order. In each another of the corpus's programs crashes, in two places.
var Versions = []string{"1.0.0", "1.1.0"}

var programs = map[string]string{"1.0.0": "ring", "1.1.0": "lambda_scan", "1.2.0": "ring"} // 1.2.0 is for tests: it crashes where 1.0.0 does

// Build is one of the builds.
type Build struct {
	Version string
	ELF     []byte
	Dumps   map[string][]byte // by the bug's name
}

// Read makes the build of a version.
func Read(version string) (Build, error) {
	dumps, err := corpus.Read(corpus.Builds[0])
	if err != nil {
		return Build{}, err
	}
	b := Build{Version: version, Dumps: map[string][]byte{}}
	for _, d := range dumps {
		if d.Program != programs[version] {
			continue
		}
		if b.ELF == nil {
			if b.ELF, err = withDescriptor(d.ELF, version); err != nil {
				return Build{}, err
			}
		}
		if b.Dumps[d.Program+"-"+d.Bug], err = relabel(d.Core, d.ELF, b.ELF); err != nil {
			return Build{}, err
		}
	}
	if b.ELF == nil {
		return Build{}, fmt.Errorf("there is no build %q", version)
	}
	return b, nil
}

// Bundle is the build for a model, as the drop folder takes it.
func (b Build) Bundle(code string) ([]byte, error) {
	var image, zip bytes.Buffer
	options := espimage.Options{Chip: espimage.ESP32C3, FlashMode: 2, FlashSize: 0x20}
	if err := espimage.Write(&image, bytes.NewReader(b.ELF), int64(len(b.ELF)), options); err != nil {
		return nil, err
	}
	err := bundle.Pack(&zip, code, bundle.Contents{
		Image: image.Bytes(), ELF: b.ELF, Map: []byte("not kept\n"), Settings: []byte("CONFIG_IDF_TARGET=\"esp32c3\"\nCONFIG_ESP_COREDUMP_ENABLE=y\n"),
		Versions: []byte(`{"git_commit":"unknown","idf_version":"v5.4.2","firmware_version":"` + b.Version + `"}`),
	})
	return zip.Bytes(), err
}

// Where an ESP32-C3 maps its flash; the image begins with the descriptor.
const (
	descriptorAt = 0x3C000020
	assetsAt     = 0x3C000120
	assetsSize   = 256 << 10
)

func withDescriptor(elf []byte, version string) ([]byte, error) {
	descriptor := make([]byte, 256) // esp_app_desc_t
	copy(descriptor, []byte{0x32, 0x54, 0xcd, 0xab})
	copy(descriptor[16:48], version)
	copy(descriptor[48:80], "press")
	copy(descriptor[112:144], "v5.4.2")
	assets, luck := make([]byte, assetsSize), rand.New(rand.NewPCG(1, 1))
	for i := range assets {
		assets[i] = byte(luck.Uint32())
	}
	return addSections(elf, section{".flash.appdesc", descriptorAt, descriptor}, section{".flash.rodata", assetsAt, assets})
}

// relabel tells a dump of another ELF: 16 digits of its hash in the note, behind the version of four bytes, and the SHA-256
// of everything at the end.
func relabel(core, elf, other []byte) ([]byte, error) {
	const digits = 16
	digitsOf := func(elf []byte) []byte {
		sum := sha256.Sum256(elf)
		return []byte(hex.EncodeToString(sum[:])[:digits])
	}
	body := bytes.Clone(core[:len(core)-sha256.Size])
	if bytes.Count(body, digitsOf(elf)) != 1 {
		return nil, errors.New("the dump does not name its ELF once")
	}
	body = bytes.Replace(body, digitsOf(elf), digitsOf(other), 1)
	sum := sha256.Sum256(body)
	return append(body, sum[:]...), nil
}
