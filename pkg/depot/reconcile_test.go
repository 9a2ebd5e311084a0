package depot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func TestReconcileLeavesABundleThatIsHalfSent(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	zip := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
	r, w := io.Pipe()
	answer := make(chan error)
	go func() {
		_, err := h.Accept(context.Background(), fleet.Submission{Model: "pump", Body: r, Size: int64(len(zip))})
		answer <- err
	}()
	if _, err := w.Write(zip[:len(zip)/2]); err != nil { // returns once the depot has read it
		t.Fatal(err)
	}
	if err := h.Reconcile(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(zip[len(zip)/2:]); err != nil {
		t.Fatal(err)
	}
	w.Close() //nolint:errcheck // of a pipe: it never fails
	if err := <-answer; err != nil {
		t.Fatalf("the upload: %v", err)
	}
	if _, err := h.store.Build("pump", "1.0.0"); err != nil {
		t.Error(err)
	}
}

func TestReconcileRecordsABundleThatLiesThere(t *testing.T) {
	h := open(t, nil)
	zip := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
	if err := os.MkdirAll(h.modelDir("pump"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path("pump", "1.0.0", bundleSuffix), zip, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Reconcile(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	b, err := h.store.Build("pump", "1.0.0")
	if err != nil || b.Origin != fleet.Found || sumOf(h.path("pump", "1.0.0", imageSuffix)) != b.ImageSHA256 {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestAModelWhoseFolderHasAStrangersFileStaysAndSaysWhy(t *testing.T) {
	for _, name := range []string{"note.txt", "firmware-1.0.0.zip"} {
		h := open(t, nil)
		before := h.model(t, "pump")
		if err := os.MkdirAll(h.modelDir("pump"), 0o750); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(h.modelDir("pump"), name)
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := h.RemoveModel(t.Context(), "pump")
		if !errors.Is(err, fleet.ErrTaken) || !bytes.Contains([]byte(err.Error()), []byte(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := h.store.Model("pump"); err != nil || after.Code != before.Code {
			t.Errorf("%s: the model: %v", name, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := h.RemoveModel(t.Context(), "pump"); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
		if err := h.Reconcile(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if _, err := h.store.Model("pump"); !errors.Is(err, fleet.ErrUnknown) {
			t.Errorf("a rebuild brought the model back: %v", err)
		}
	}
}

func TestAModelWhoseFlatFileCannotGoStays(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	if err := os.MkdirAll(filepath.Join(h.flatPath("pump"), "full"), 0o750); err != nil { // not even root removes it
		t.Fatal(err)
	}
	if err := h.RemoveModel(t.Context(), "pump"); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("refused with %v", err)
	}
	if _, err := h.store.Model("pump"); err != nil {
		t.Errorf("the model: %v", err)
	}
}

func TestABuildWhoseImageIsGoneIsNotPublished(t *testing.T) {
	h := open(t, func(o *Options) { o.Manual = true })
	h.model(t, "pump")
	h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"}))
	if err := os.Remove(h.path("pump", "1.0.0", imageSuffix)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Publish(t.Context(), "pump", "1.0.0"); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("refused with %v", err)
	}
	if m := h.model(t, "pump"); m.FirmwareVersion != "" {
		t.Errorf("devices are offered %s", m.FirmwareVersion)
	}
}
