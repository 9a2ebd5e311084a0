package depot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// whileInflating opens a depot with one build and has something done while its ELF is inflated: then the depot asks how
// much room there is.
func whileInflating(t *testing.T, meanwhile func(*house, fleet.Build)) (*house, fleet.Build, error) {
	t.Helper()
	var during func()
	h := open(t, func(o *Options) {
		space := o.Space
		o.Space = func() (int64, int64, error) {
			if do := during; do != nil {
				during = nil
				do()
			}
			return space()
		}
	})
	h.model(t, "pump")
	b := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})).Build
	during = func() { meanwhile(h, b) }
	_, release, err := h.ELF(t.Context(), b)
	if err == nil {
		release()
	}
	return h, b, err
}

func TestTheELFThatIsHandedOutIsTheOneInTheBundle(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	b := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})).Build
	f, err := h.OpenELF(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	elf, err := io.ReadAll(f)
	if sum := sha256.Sum256(elf); err != nil || hex.EncodeToString(sum[:]) != b.ELFSHA256 {
		t.Errorf("%x, %v; want %s", sum, err, b.ELFSHA256)
	}
	b.Version = "2.0.0"
	if _, err := h.OpenELF(t.Context(), b); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("of a build that is not there: %v", err)
	}
}

func TestPublishingDoesNotWaitForAnELFThatIsInflated(t *testing.T) {
	_, _, err := whileInflating(t, func(h *house, b fleet.Build) {
		if _, err := h.Publish(t.Context(), b.Model, b.Version); err != nil { // would wait for ever
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnELFOfABuildThatWasReplacedMeanwhileIsNotTakenForTheNewOnes(t *testing.T) {
	h, b, err := whileInflating(t, func(h *house, b fleet.Build) {
		h.accept(t, fleet.Submission{Model: "pump", Replace: true},
			bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0", Base: "1.1.0"}))
	})
	if !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(h.path(b.Model, b.Version, elfSuffix)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an ELF lies there: %v", err)
	}
}

func TestAnELFThatNobodyWantsAnyMoreIsNotInflated(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	b := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})).Build
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.ELF(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(h.path(b.Model, b.Version, elfSuffix)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an ELF lies there: %v", err)
	}
}
