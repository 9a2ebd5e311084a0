package press_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/symbol"
	"github.com/slipway-gateway/slipway/testdata/tryout/press"
)

func TestEachBuildIsAWholeBundleWithoutWarnings(t *testing.T) {
	for _, version := range press.Versions {
		zip, err := build(t, version).Bundle("press")
		if err != nil {
			t.Fatal(err)
		}
		got, err := bundle.Read(bytes.NewReader(zip), int64(len(zip)), bundle.Expected{Code: "press"}, bundle.DefaultLimits)
		if err != nil || got.Version != version || len(got.Warnings) > 0 || !got.Image.HashValid {
			t.Errorf("%s: %+v, %v", version, got, err)
		}
	}
}

func TestEachDumpIsWholeAndOfItsBuild(t *testing.T) {
	for _, version := range press.Versions {
		b := build(t, version)
		symbols, err := symbol.Open(elfInMemory{bytes.NewReader(b.ELF), b.ELF}, int64(len(b.ELF)))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b.ELF)
		tops := map[string]bool{}
		for name, core := range b.Dumps {
			dump, err := espcore.Read(core)
			if err != nil {
				t.Fatal(err)
			}
			r := espcore.Decode(dump, symbols, espcore.Options{ELFSHA256: hex.EncodeToString(sum[:]), Model: "press"})
			if len(r.Warnings) > 0 || r.Fingerprint == "" {
				t.Errorf("%s %s: %q", version, name, r.Warnings)
			}
			tops[r.Fingerprint] = true
		}
		if len(tops) != 2 {
			t.Errorf("%s crashes in %d places", version, len(tops))
		}
	}
}

func build(t *testing.T, version string) press.Build {
	t.Helper()
	b, err := press.Read(version)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type elfInMemory struct {
	*bytes.Reader
	data []byte
}

func (e elfInMemory) Bytes() []byte { return e.data }
