package depot

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// sketch is an Arduino build whose papers say a version.
func sketch(version string) firmware.Build {
	return firmware.Build{Code: "pump", Version: version, Arduino: true}
}

func (h *house) offered(t *testing.T) (fleet.Version, string) {
	t.Helper()
	m := h.model(t, "pump")
	image, err := h.OpenImage(m, m.FirmwareVersion)
	must(t, err)
	defer image.File.Close()
	sum, err := hashFile(image.File, image.Size)
	must(t, err)
	return image.Version, sum
}

func TestArduinoBuildsKeepTheNamesThatTheyCameWithOverARestartAndALostCatalog(t *testing.T) {
	dir := t.TempDir()
	h := openIn(t, dir, nil)
	h.model(t, "pump")
	h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, sketch("1.0.0")))
	second := h.accept(t, fleet.Submission{Model: "pump", Version: "1.1.0"}, bundleOf(t, sketch("0.9.9"))).Build
	if second.Version != "1.1.0" {
		t.Fatalf("the name that it was handed in with is not its own: %s", second.Version)
	}
	if again := h.accept(t, fleet.Submission{Model: "pump", Version: "1.1.0"}, bundleOf(t, sketch("0.9.9"))); again.Changed {
		t.Error("the same again was stored once more")
	}
	for _, when := range []string{"at once", "after a start"} {
		if v, sum := h.offered(t); v != "1.1.0" || sum != second.ImageSHA256 {
			t.Errorf("%s %s is offered", when, v)
		}
		must(t, h.Recover(t.Context(), false))
		if trouble := verified(t, h); trouble != "" {
			t.Error(trouble)
		}
	}
	must(t, h.store.RemoveBuild(t.Context(), "pump", "1.0.0")) // as a catalog that never knew it
	must(t, h.Recover(t.Context(), false))
	if b, err := h.store.Build("pump", "1.0.0"); err != nil || b.Origin != fleet.Found {
		t.Errorf("found again: %+v, %v", b, err)
	}
}

func TestAPlainArduinoImageIsOfferedUnderTheNameThatItCameWith(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	image, err := sketch("1.0.0").Image()
	must(t, err)
	_, err = h.hand(t, fleet.Submission{Model: "pump"}, image)
	if !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), "name this build with --version") {
		t.Fatalf("without a name: %v", err)
	}
	sum := h.accept(t, fleet.Submission{Model: "pump", Version: "1.0.0"}, image).Build.ImageSHA256
	for range 2 {
		if v, served := h.offered(t); v != "1.0.0" || served != sum {
			t.Errorf("%s is offered, of another image: %t", v, served != sum)
		}
		must(t, h.Recover(t.Context(), false))
	}
	// Its bundle brings the symbols, and its name stays.
	b := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, sketch("1.0.0")))
	if m := h.model(t, "pump"); b.Build.ImageSHA256 != sum || m.FirmwareVersion != "1.0.0" || m.ImageSHA256 != "" {
		t.Errorf("%+v of %+v", b.Build, m)
	}
	_, err = h.Accept(t.Context(), fleet.Submission{Model: "pump", Version: "1.0.1", Body: bytes.NewReader(image[:0:0]), Size: 0})
	if !errors.Is(err, fleet.ErrRefused) {
		t.Error(err)
	}
}

func TestWhatAnSdkconfigThatNobodyHadWouldSayIsNotKnown(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	b := firmware.Build{Code: "pump", Version: "1.0.0"}
	image, err := b.Image()
	must(t, err)
	elf, err := b.ELF()
	must(t, err)
	h.accept(t, fleet.Submission{Model: "pump"}, image)
	if a := h.accept(t, fleet.Submission{Model: "pump"}, elf); a.Kind != fleet.KindBundle || a.Build.Version != "1.0.0" || !a.Published || len(h.woken) != 1 {
		t.Errorf("%+v, woken %d", a, len(h.woken))
	}
	if traits, err := h.Traits("pump", "1.0.0"); err != nil || !traits.Unsaid {
		t.Errorf("made: %+v, %v", traits, err)
	}
	h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0"}))
	if traits, err := h.Traits("pump", "1.1.0"); err != nil || traits.Unsaid {
		t.Errorf("handed in: %+v, %v", traits, err)
	}
}
