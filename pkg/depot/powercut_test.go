package depot

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable/powercut"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// A build that was accepted, and what was published last, are there after a power cut at any moment, whatever the disk
// kept of what it was not told to keep.
func TestAnAcceptedBuildOutlivesAPowerCutAtEveryStep(t *testing.T) {
	root := t.TempDir()
	h := openIn(t, root, nil)
	h.model(t, "pump")
	h.model(t, "fan")
	record := powercut.Record(t, h.dir)
	accept := func(s fleet.Submission, body []byte) {
		t.Helper()
		a := h.accept(t, s, body)
		record.Acknowledge(fmt.Sprintf("%s/%s/%s", s.Model, a.Build.Version, a.Build.ImageSHA256))
	}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		accept(fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: version}))
	}
	// What flash has forgotten is brought again; a plain image replaces only the flat file.
	if err := os.Remove(h.path("pump", "1.1.0", imageSuffix)); err != nil {
		t.Fatal(err)
	}
	accept(fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0"}))
	image, err := firmware.Build{Code: "fan", Version: "3.0.0"}.Image()
	if err != nil {
		t.Fatal(err)
	}
	accept(fleet.Submission{Model: "fan"}, image)
	record.Cut(t, lasts)
}

// Without a publication nothing else syncs the folder of all models.
func TestABuildThatNobodyIsOfferedOutlivesAPowerCutToo(t *testing.T) {
	h := openIn(t, t.TempDir(), func(o *Options) { o.Manual = true })
	h.model(t, "fan")
	record := powercut.Record(t, h.dir)
	a := h.accept(t, fleet.Submission{Model: "fan"}, bundleOf(t, firmware.Build{Code: "fan", Version: "1.0.0"}))
	record.Acknowledge(fmt.Sprintf("fan/1.0.0/%s", a.Build.ImageSHA256))
	record.Cut(t, lasts)
}

// lasts opens what a power cut has left and asks for each build that was acknowledged before it.
func lasts(t *testing.T, root string, acknowledged []string) {
	place := t.TempDir()
	if err := os.Rename(root, filepath.Join(place, "assets")); err != nil {
		t.Fatal(err)
	}
	h := openIn(t, place, nil) // a new catalog: what it knows it has from the disk
	for _, one := range acknowledged {
		parts := strings.Split(one, "/")
		m := h.model(t, fleet.ModelCode(parts[0]))
		fw, err := h.OpenImage(m, fleet.Version(parts[1]))
		if err != nil {
			t.Errorf("%s: %v", one, err)
			continue
		}
		served, err := io.ReadAll(fw.File)
		fw.File.Close()
		if sum, _ := hashFile(bytes.NewReader(served), int64(len(served))); err != nil || sum != parts[2] {
			t.Errorf("%s: other bytes are served, %s, %v", one, sum, err)
		}
		if parts[0] == "pump" && h.current(t, "pump") < parts[1] {
			t.Errorf("%s was published, and %q is current", one, h.current(t, "pump"))
		}
	}
}

func (h *house) current(t *testing.T, code fleet.ModelCode) string {
	t.Helper()
	return string(h.model(t, code).FirmwareVersion)
}

// A build that was removed does not come back: a start would find its bundle and record it.
func TestARemovedBuildStaysRemovedAfterAPowerCut(t *testing.T) {
	h := openIn(t, t.TempDir(), nil)
	h.model(t, "pump")
	for _, version := range []string{"1.0.0", "1.1.0"} {
		h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: version}))
	}
	record := powercut.Record(t, h.dir)
	must(t, h.Remove(t.Context(), "pump", "1.0.0"))
	record.Acknowledge("gone")
	record.Cut(t, func(t *testing.T, root string, acknowledged []string) {
		place := t.TempDir()
		must(t, os.Rename(root, filepath.Join(place, "assets")))
		h := openIn(t, place, nil) // a new catalog: what it knows it has from the disk
		_, err := h.store.Build("pump", "1.0.0")
		if len(acknowledged) > 0 && err == nil {
			t.Error("it is there again")
		}
		if _, err := h.store.Build("pump", "1.1.0"); err != nil {
			t.Errorf("the other one: %v", err)
		}
	})
}
