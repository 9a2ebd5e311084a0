package depot

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// absent is a catalog whose builds cannot be read while it is away.
type absent struct {
	recorder
	away atomic.Bool
}

func (a *absent) Build(code fleet.ModelCode, v fleet.Version) (fleet.Build, error) {
	if a.away.Load() {
		return fleet.Build{}, fleet.Away("it is being opened again")
	}
	return a.recorder.Build(code, v)
}

// openAbsent is a depot with version 1.0.0 of the model pump.
func openAbsent(t *testing.T) (h *house, a *absent, b fleet.Build) {
	t.Helper()
	a = &absent{}
	h = open(t, func(o *Options) { a.recorder, o.Recorder = o.Recorder, a })
	h.model(t, "pump")
	return h, a, h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})).Build
}

// torn is a disk that syncs no directory, and whose failure is noticed by the catalog as well.
type torn struct {
	durable.Kernel
	failing atomic.Bool
	befalls func()
}

func (d *torn) SyncDir(dir string) error {
	if !d.failing.Load() {
		return d.Kernel.SyncDir(dir)
	}
	d.befalls()
	return syscall.EIO
}

func TestFirmwareWithARecordStaysWhileTheCatalogCannotBeRead(t *testing.T) {
	disk := &torn{}
	defer durable.Use(disk)()
	h, a, b := openAbsent(t)
	disk.befalls = func() { a.away.Store(true) }
	disk.failing.Store(true)
	other := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0", Base: "1.1.0"})
	_, err := h.hand(t, fleet.Submission{Model: "pump", Replace: true}, other)
	if !errors.Is(err, fleet.ErrFull) || !a.away.Load() {
		t.Fatalf("%v", err)
	}
	for _, suffix := range []string{bundleSuffix, imageSuffix} {
		if _, err := os.Stat(h.path("pump", b.Version, suffix)); err != nil {
			t.Errorf("firmware that is recorded was removed: %v", err)
		}
	}
}

func TestAnImageIsNotServedUncheckedWhileItsRecordCannotBeRead(t *testing.T) {
	h, a, b := openAbsent(t)
	flip(t, h.path("pump", b.Version, imageSuffix))
	a.away.Store(true)
	if image, err := h.OpenImage(h.model(t, "pump"), b.Version); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("%v", err)
		if err == nil {
			image.File.Close()
		}
	}
	a.away.Store(false)
	if err := h.serves(t, b); err != nil { // the damaged bytes must not be taken for known
		t.Error(err)
	}
}

func TestAnImageWhoseDescriptorWasFlippedIsMendedWhenItIsAskedFor(t *testing.T) {
	h, _, b := withBuild(t)
	image := h.path("pump", b.Version, imageSuffix)
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, 64), 0)
	must(t, errors.Join(err, f.Close()))
	if err := h.serves(t, b); err != nil {
		t.Error(err)
	}
}

func TestABuildThatCannotBeRemovedForGoodStaysWhole(t *testing.T) {
	disk := &torn{befalls: func() {}}
	defer durable.Use(disk)()
	h, _, _ := openAbsent(t)
	h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0"}))
	disk.failing.Store(true)
	for range 2 {
		if err := h.Remove(t.Context(), "pump", "1.0.0"); !errors.Is(err, fleet.ErrFull) || h.Fault() == "" {
			t.Fatalf("%v; fault %q", err, h.Fault())
		}
	}
	if err := h.RemoveModel(t.Context(), "pump"); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("the model: %v", err)
	}
	if _, err := h.store.Build("pump", "1.0.0"); err != nil {
		t.Error(err)
	}
	f, err := h.OpenBundle("pump", "1.0.0")
	if err != nil {
		t.Fatalf("a build that stays has lost its bundle: %v", err)
	}
	f.Close()
}
