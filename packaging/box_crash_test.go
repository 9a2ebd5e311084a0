//go:build boot || emulated

package packaging

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/testdata/crash"
)

// crashed is a build of a model, and the dump of one of its devices.
type crashed struct {
	bundle, image, dump []byte
	version, topFrame   string
}

// crashOf is a real ESP32-C3's, where ../shared/fixtures is, and else the project's own firmware's.
func crashOf(t *testing.T, code string) crashed {
	t.Helper()
	c := crashed{dump: crash.Dump, version: crash.Version, topFrame: crash.TopFrame}
	var err error
	folder := filepath.Join("..", "..", "shared", "fixtures", "coredumps", "esp32c3")
	if _, missing := os.Stat(folder); missing != nil {
		t.Log("../shared/fixtures is not there: the box gets the project's own firmware, not a real build")
		if c.bundle, err = crash.Bundle(code); err != nil {
			t.Fatal(err)
		}
	} else {
		c.version, c.topFrame = "v1.0-56-g30082bf-dirty", "fail_once test_core_dump.c:14"
		read := func(name string) []byte {
			b, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		c.dump = nil
		for line := range strings.Lines(string(read("core.b64"))) {
			part, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
			if err != nil {
				continue // the markers around it
			}
			c.dump = append(c.dump, part...)
		}
		var packed bytes.Buffer
		err = bundle.Pack(&packed, code, bundle.Contents{
			Image: read("app.bin"), ELF: read("app.elf"), Map: []byte("map"), Settings: []byte("CONFIG_IDF_TARGET=\"esp32c3\"\n"),
			Versions: []byte(`{"git_commit":"x","idf_version":"x","firmware_version":"x"}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.bundle = packed.Bytes()
	}
	c.image = imageIn(t, c.bundle, code)
	return c
}

// imageIn is what a device must get of a bundle.
func imageIn(t *testing.T, bundle []byte, code string) []byte {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	image, err := fs.ReadFile(archive, code+".bin")
	if err != nil {
		t.Fatal(err)
	}
	return image
}
