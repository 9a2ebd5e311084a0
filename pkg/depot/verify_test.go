package depot

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// flip changes one bit in the middle of a file, as flash does: its times stay.
func flip(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b[0] ^ 8}, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func withBuild(t *testing.T) (h *house, zip []byte, b fleet.Build) {
	t.Helper()
	h = open(t, nil)
	h.model(t, "pump")
	zip = bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
	return h, zip, h.accept(t, fleet.Submission{Model: "pump"}, zip).Build
}

func (h *house) serves(t *testing.T, b fleet.Build) error {
	t.Helper()
	fw, err := h.OpenImage(h.model(t, b.Model), b.Version)
	if err != nil {
		return err
	}
	defer fw.File.Close()
	sum, err := hashFile(fw.File, fw.Size)
	if err == nil && sum != b.ImageSHA256 {
		t.Error("damaged bytes are served")
	}
	return err
}

func TestADamagedImageIsMendedFromItsBundleInTheBackgroundAndWhenItIsAskedFor(t *testing.T) {
	for _, when := range []string{"in the background", "when it is asked for"} {
		h, _, b := withBuild(t)
		image := h.path("pump", b.Version, imageSuffix)
		flip(t, image)
		if when == "in the background" {
			if err := h.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.serves(t, b); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if sumOf(image) != b.ImageSHA256 || sumOf(h.flatPath("pump")) != b.ImageSHA256 || len(h.Trouble()) > 0 {
			t.Errorf("%s: it is not mended; trouble %v", when, h.Trouble())
		}
	}
}

func TestWhatIsDamagedAndCannotBeMendedIsTroubleAndNeverServedUntilItComesAgain(t *testing.T) {
	h, zip, b := withBuild(t)
	if err := h.serves(t, b); err != nil { // its label is known from now on
		t.Fatal(err)
	}
	flip(t, h.path("pump", b.Version, imageSuffix))
	flip(t, h.path("pump", b.Version, bundleSuffix))
	if err := h.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if trouble := strings.Join(h.Trouble(), "\n"); !strings.Contains(trouble, "bundle of version 1.0.0") || !strings.Contains(trouble, "image of version 1.0.0") {
		t.Errorf("trouble: %s", trouble)
	}
	if err := h.serves(t, b); !errors.Is(err, fleet.ErrDamaged) {
		t.Errorf("the image: %v", err)
	}
	if _, err := h.OpenBundle("pump", b.Version); !errors.Is(err, fleet.ErrDamaged) {
		t.Errorf("the bundle: %v", err)
	}
	h.accept(t, fleet.Submission{Model: "pump"}, zip)
	if err := h.serves(t, b); err != nil || len(h.Trouble()) > 0 {
		t.Errorf("after the same bundle came again: %v, %v", err, h.Trouble())
	}
}

func TestADamagedInflatedELFGoesAndIsInflatedAgain(t *testing.T) {
	h, _, b := withBuild(t)
	path, release, err := h.ELF(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	release()
	flip(t, path)
	if err := h.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if path, release, err = h.ELF(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	defer release()
	if sumOf(path) != b.ELFSHA256 {
		t.Error("the damaged ELF is used")
	}
}
