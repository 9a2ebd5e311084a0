package depot

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// names are the files of the model pump, and its flat one.
func (h *house) names(t *testing.T) (all []string) {
	t.Helper()
	for _, dir := range []string{h.dir, h.modelDir("pump")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				all = append(all, e.Name())
			}
		}
	}
	return all
}

func TestARemovalThatIsCutOffIsEndedOrHasNeverBegun(t *testing.T) {
	for name, c := range map[string]struct {
		cut   func(t *testing.T, h *house)
		there bool
	}{
		"before the record is gone": {func(t *testing.T, h *house) { must(t, h.setAside(h.path("pump", "1.0.0", bundleSuffix))) }, true},
		"after the record is gone": {func(t *testing.T, h *house) {
			must(t, h.setAside(h.path("pump", "1.0.0", bundleSuffix)))
			must(t, h.store.RemoveBuild(t.Context(), "pump", "1.0.0"))
		}, false},
		"after its image is gone": {func(t *testing.T, h *house) {
			must(t, h.setAside(h.path("pump", "1.0.0", bundleSuffix)))
			must(t, h.store.RemoveBuild(t.Context(), "pump", "1.0.0"))
			must(t, os.Remove(h.path("pump", "1.0.0", imageSuffix)))
		}, false},
		"refused": {func(t *testing.T, h *house) {
			must(t, h.store.RemoveBuild(t.Context(), "pump", "1.0.0"))
			if err := h.Remove(t.Context(), "pump", "1.0.0"); !errors.Is(err, fleet.ErrUnknown) {
				t.Errorf("%v", err)
			}
		}, true}, // its bundle has its name again, and is found
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			h.model(t, "pump")
			for _, v := range []string{"1.0.0", "1.1.0"} {
				h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: v}))
			}
			c.cut(t, h)
			must(t, h.Recover(t.Context(), false))
			_, err := h.store.Build("pump", "1.0.0")
			if there := err == nil; there != c.there {
				t.Errorf("its record: %v", err)
			}
			for _, name := range h.names(t) {
				if strings.HasPrefix(name, ".") || strings.Contains(name, "1.0.0") && !c.there {
					t.Errorf("%s is left", name)
				}
			}
			if f, err := h.OpenBundle("pump", "1.0.0"); c.there != (err == nil) {
				t.Errorf("its bundle: %v", err)
			} else if err == nil {
				f.Close()
			}
		})
	}
}

func TestAModelWhoseRemovalIsCutOffIsWholeOrGone(t *testing.T) {
	for _, recordGone := range []bool{false, true} {
		h := open(t, nil)
		h.model(t, "pump")
		image, err := firmware.Build{Code: "pump", Version: "3.0.0"}.Image()
		must(t, err)
		h.accept(t, fleet.Submission{Model: "pump"}, image)
		must(t, h.setAside(h.flatPath("pump")))
		if recordGone {
			must(t, h.store.RemoveModel(t.Context(), "pump"))
		}
		must(t, h.Recover(t.Context(), false))
		must(t, h.Reconcile(t.Context(), true)) // a rebuild makes models of what lies there
		_, err = h.store.Model("pump")
		_, flat := os.Stat(h.flatPath("pump"))
		if gone := errors.Is(err, fleet.ErrUnknown); gone != recordGone || errors.Is(flat, os.ErrNotExist) != recordGone {
			t.Errorf("record gone %v: the model: %v, its flat file: %v", recordGone, err, flat)
		}
		if left, err := filepath.Glob(filepath.Join(h.dir, ".gone-*")); len(left) > 0 || err != nil {
			t.Errorf("left: %v %v", left, err)
		}
	}
}

// fullRecorder is a catalog that takes no build while it is full.
type fullRecorder struct {
	recorder
	full bool
}

func (r *fullRecorder) RecordBuild(ctx context.Context, b fleet.Build, publish bool) (fleet.Build, fleet.Model, error) {
	if r.full {
		return b, fleet.Model{}, fleet.Full("no room")
	}
	return r.recorder.RecordBuild(ctx, b, publish)
}

func TestAStartWhoseCatalogHasNoRoomServesAndRecordsLater(t *testing.T) {
	recorder := &fullRecorder{}
	h := open(t, func(o *Options) {
		recorder.recorder = o.Recorder
		o.Recorder = recorder
	})
	h.model(t, "pump")
	h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"}))
	must(t, h.store.RemoveBuild(t.Context(), "pump", "1.0.0")) // a kill came between its files and its record
	recorder.full = true
	must(t, h.Recover(t.Context(), false))
	fw, err := h.OpenImage(h.model(t, "pump"), "1.0.0")
	must(t, err)
	fw.File.Close()
	recorder.full = false
	must(t, h.Reconcile(t.Context(), true))
	if _, err := h.store.Build("pump", "1.0.0"); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestABuildInARolloutIsNeitherReplacedNorRemovedNorLeftToRetention(t *testing.T) {
	h := open(t, func(o *Options) { o.KeepVersions = 1 })
	h.model(t, "pump")
	for _, v := range []string{"1.0.0", "1.1.0"} {
		h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: v}))
		begun := fleet.Rollout{Model: "pump", Version: fleet.Version(v), Base: "0.9", State: fleet.RolloutRunning}
		r, err := h.store.AddRollout(t.Context(), begun, rollout.Change{})
		if err != nil {
			t.Fatal(err)
		}
		if v == "1.0.0" { // of it a device still has it
			d := fleet.Device{Key: "aaaaaaaa", Model: "pump"}
			if err := h.store.AddDevice(t.Context(), d, auth.DeviceSecrets{}); err != nil {
				t.Fatal(err)
			}
			r.State, r.Base = fleet.RolloutHalted, "1.1.0"
			change := rollout.Change{Model: "pump", Number: r.Number, Rollout: &r, Members: []fleet.Member{{Device: d.Key, State: fleet.MemberUp, Has: true}}}
			if err := h.store.SaveRollout(t.Context(), change); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.Remove(t.Context(), "pump", "1.0.0"); !errors.Is(err, fleet.ErrTaken) || !strings.Contains(err.Error(), "rollout 1") {
		t.Errorf("of a halted rollout: %v", err)
	}
	before, err := os.ReadFile(h.path("pump", "1.1.0", bundleSuffix))
	if err != nil {
		t.Fatal(err)
	}
	other := bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0", Base: "1.0.0"})
	_, err = h.hand(t, fleet.Submission{Model: "pump", Replace: true}, other)
	if !errors.Is(err, fleet.ErrTaken) || !strings.Contains(err.Error(), "rollout 2") {
		t.Errorf("of an unfinished rollout: %v", err)
	}
	if after, err := os.ReadFile(h.path("pump", "1.1.0", bundleSuffix)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("its bundle is another one now, %v", err)
	}
	h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.2.0"}))
	if _, err := h.store.Build("pump", "1.1.0"); err != nil {
		t.Errorf("retention took it: %v", err)
	}
}
