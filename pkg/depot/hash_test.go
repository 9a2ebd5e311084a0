package depot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// flipAt changes one bit of a file and leaves its time.
func flipAt(t *testing.T, path string, at int) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	b, err := os.ReadFile(path)
	must(t, err)
	b[at] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func verified(t *testing.T, h *house) string {
	t.Helper()
	must(t, h.Verify(t.Context()))
	return strings.Join(h.Trouble(), "\n")
}

func TestAFlippedBitThatIsNeitherInTheImageNorInTheELFIsFoundAndMendedByTheSameBundle(t *testing.T) {
	h, zip, b := withBuild(t)
	const modified = 10 // of the first local header: no checksum covers it
	flipAt(t, h.path("pump", b.Version, bundleSuffix), modified)
	if trouble := verified(t, h); !strings.Contains(trouble, "the bundle of version 1.0.0 of model pump is damaged") {
		t.Errorf("trouble: %q", trouble)
	}
	if _, err := h.OpenBundle("pump", b.Version); !errors.Is(err, fleet.ErrDamaged) {
		t.Errorf("served: %v", err)
	}
	h.accept(t, fleet.Submission{Model: "pump"}, zip)
	if trouble := verified(t, h); trouble != "" {
		t.Errorf("after the same bundle came again: %q", trouble)
	}
}

func TestABuildThatWasRecordedWithoutAHashOfItsBundleIsVerifiedByWhatIsInIt(t *testing.T) {
	h, _, b := withBuild(t)
	b.BundleSHA256 = ""
	_, _, err := h.store.RecordBuild(t.Context(), b, true)
	must(t, err)
	if trouble := verified(t, h); trouble != "" {
		t.Errorf("trouble: %q", trouble)
	}
	flip(t, h.path("pump", b.Version, bundleSuffix))
	if trouble := verified(t, h); !strings.Contains(trouble, "is damaged") {
		t.Errorf("trouble: %q", trouble)
	}
}

// withImage is a depot whose model pump runs a plain image.
func withImage(t *testing.T) (h *house, image []byte) {
	t.Helper()
	h = open(t, nil)
	h.model(t, "pump")
	image, err := firmware.Build{Code: "pump", Version: "1.0.0"}.Image()
	must(t, err)
	h.accept(t, fleet.Submission{Model: "pump"}, image)
	return h, image
}

func TestAPlainImageThatWasDamagedIsServedToNobodyUntilItComesAgain(t *testing.T) {
	for _, when := range []string{"in the background", "when it is asked for"} {
		h, image := withImage(t)
		flipAt(t, h.flatPath("pump"), len(image)/2)
		if when == "in the background" {
			verified(t, h)
		}
		if got, err := h.OpenImage(h.model(t, "pump"), "1.0.0"); !errors.Is(err, fleet.ErrDamaged) {
			t.Errorf("%s: %v", when, err)
			if err == nil {
				got.File.Close()
			}
		}
		if trouble := strings.Join(h.Trouble(), "\n"); trouble != "the image of version 1.0.0 of model pump is damaged and is not served: send it again" {
			t.Errorf("%s: trouble %q", when, trouble)
		}
		h.accept(t, fleet.Submission{Model: "pump"}, image)
		got, err := h.OpenImage(h.model(t, "pump"), "1.0.0")
		must(t, err)
		got.File.Close()
		if trouble := verified(t, h); trouble != "" {
			t.Errorf("%s: after it came again: %q", when, trouble)
		}
	}
}

func TestAPlainImageThatWasRecordedWithoutAHashIsServed(t *testing.T) {
	h, _ := withImage(t)
	_, err := h.store.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error { m.ImageSHA256 = ""; return nil })
	must(t, err)
	got, err := h.OpenImage(h.model(t, "pump"), "1.0.0")
	must(t, err)
	got.File.Close()
	if trouble := verified(t, h); trouble != "" {
		t.Error(trouble)
	}
}

func TestAStartTakesAPlainImageThatReplacedAnotherForItselfAndADamagedOneNot(t *testing.T) {
	h, first := withImage(t)
	before := h.model(t, "pump").ImageSHA256
	other, err := firmware.Build{Code: "pump", Version: "1.0.0", Base: "1.1.0"}.Image()
	must(t, err)
	flat := h.flatPath("pump")
	must(t, os.WriteFile(flat, other, 0o600)) // a kill came before its record
	later := time.Now().Add(time.Minute)
	must(t, os.Chtimes(flat, later, later))
	must(t, h.Recover(t.Context(), false))
	if now := h.model(t, "pump").ImageSHA256; now == before || now != sumOf(flat) {
		t.Errorf("recorded %s, before %s", now, before)
	}
	before = sumOf(flat)
	long := time.Now().Add(-time.Hour)
	must(t, os.WriteFile(flat, first, 0o600)) // whole, and not what is recorded: no upload has done that
	must(t, os.Chtimes(flat, long, long))
	must(t, h.Recover(t.Context(), false))
	if now := h.model(t, "pump").ImageSHA256; now != before {
		t.Error("what the disk has changed was recorded as an upload")
	}
}

func TestFirmwareThatCannotBeReadIsTroubleAndStays(t *testing.T) {
	for _, suffix := range []string{bundleSuffix, imageSuffix, elfSuffix} {
		t.Run(suffix, func(t *testing.T) {
			h, _, b := withBuild(t)
			_, release, err := h.ELF(t.Context(), b)
			must(t, err)
			release()
			second := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0"})).Build
			path := h.path("pump", b.Version, suffix)
			aside := filepath.Join(t.TempDir(), "aside")
			must(t, errors.Join(os.Rename(path, aside), os.Mkdir(path, 0o700))) // it is opened, and each read of it fails
			flip(t, h.path("pump", second.Version, imageSuffix))
			if trouble := verified(t, h); !strings.Contains(trouble, "cannot be read") || strings.Contains(trouble, "damaged") {
				t.Errorf("trouble: %q", trouble)
			}
			if sumOf(h.path("pump", second.Version, imageSuffix)) != second.ImageSHA256 {
				t.Error("the build behind it was not looked at")
			}
			must(t, errors.Join(os.Remove(path), os.Rename(aside, path)))
			if trouble := verified(t, h); trouble != "" {
				t.Errorf("once it can be read: %q", trouble)
			}
		})
	}
}
