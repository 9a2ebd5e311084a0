package depot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// arrivals notes which builds woke whoever waits.
type arrivals []fleet.Build

func (a *arrivals) BuildArrived(_ context.Context, b fleet.Build) error {
	*a = append(*a, b)
	return nil
}

// house is a depot over a real catalog.
type house struct {
	*Depot
	store *catalog.Catalog
	woken arrivals
	dir   string
}

func open(t *testing.T, change func(*Options)) *house {
	t.Helper()
	return openIn(t, t.TempDir(), change)
}

func openIn(t *testing.T, dir string, change func(*Options)) *house {
	t.Helper()
	space := func() (int64, int64, error) { return 1 << 40, 1 << 41, nil }
	logger := slog.New(slog.DiscardHandler)
	store, err := catalog.Open(catalog.Options{Dir: filepath.Join(dir, "catalog"), Space: space, Logger: logger, Now: time.Now, Beat: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{store: store, dir: filepath.Join(dir, "assets")}
	o := Options{Dir: h.dir, MaxBytes: 64 << 20, KeepVersions: 10, ELFCache: 64 << 20, Reserve: 64 << 20, Space: space, Recorder: store, Waker: &h.woken, Logger: logger, Now: time.Now}
	if change != nil {
		change(&o)
	}
	h.Depot = New(o)
	if err := h.Recover(t.Context(), store.Created()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) model(t *testing.T, code fleet.ModelCode) fleet.Model {
	t.Helper()
	if err := h.store.AddModel(t.Context(), fleet.Model{Code: code}); err != nil && !errors.Is(err, fleet.ErrTaken) {
		t.Fatal(err)
	}
	m, err := h.store.Model(code)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func bundleOf(t *testing.T, b firmware.Build) []byte {
	t.Helper()
	zip, err := b.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	return zip
}

// hand hands in a firmware.
func (h *house) hand(t *testing.T, s fleet.Submission, body []byte) (fleet.Accepted, error) {
	s.Body, s.Size = bytes.NewReader(body), int64(len(body))
	return h.Accept(t.Context(), s)
}

// accept is hand for what must be taken.
func (h *house) accept(t *testing.T, s fleet.Submission, body []byte) fleet.Accepted {
	t.Helper()
	a, err := h.hand(t, s, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnAcceptedBundleIsServedRecordedAndWakesWhoWaits(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	zip := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
	a := h.accept(t, fleet.Submission{Model: "pump", Origin: fleet.FromAPI}, zip)
	if a.Kind != fleet.KindBundle || !a.Published || !a.Changed || len(h.woken) != 1 {
		t.Errorf("%+v, woken %d", a, len(h.woken))
	}
	m := h.model(t, "pump")
	fw, err := h.OpenImage(m, m.FirmwareVersion)
	if err != nil {
		t.Fatal(err)
	}
	defer fw.File.Close()
	served, err := io.ReadAll(fw.File)
	want, imageErr := firmware.Build{Code: "pump", Version: "1.0.0"}.Image()
	if err != nil || imageErr != nil || !bytes.Equal(served, want) || fw.Version != "1.0.0" {
		t.Errorf("served %d bytes of %s, %v, %v", len(served), fw.Version, err, imageErr)
	}
	flat, err := os.Stat(filepath.Join(h.dir, "firmware-pump.bin"))
	versioned, err2 := os.Stat(filepath.Join(h.dir, "pump", "firmware-1.0.0.bin"))
	if err != nil || err2 != nil || !os.SameFile(flat, versioned) {
		t.Errorf("the flat file is a second copy: %v %v", err, err2)
	}
	usage, err := h.Usage()
	if err != nil || usage != int64(len(zip)+len(want)) {
		t.Errorf("usage %d, %v: the image has two names and counts once", usage, err)
	}
}

func TestAChipThatAnOperatorNamesTakesItsImagesHoweverItIsSpelled(t *testing.T) {
	for chip, fits := range map[string]bool{"ESP32-C3": true, "esp32c3": true, "esp32s3": false} {
		h := open(t, nil)
		if err := h.store.AddModel(t.Context(), fleet.Model{Code: "pump", Chip: chip}); err != nil {
			t.Fatal(err)
		}
		zip := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
		_, err := h.hand(t, fleet.Submission{Model: "pump", Origin: fleet.FromAPI}, zip)
		if (err == nil) != fits || !fits && !errors.Is(err, fleet.ErrRefused) {
			t.Errorf("a bundle for the ESP32-C3, and the model is %s: %v", chip, err)
		}
	}
}

func TestAFullDiskRefusesAndLeavesNothing(t *testing.T) {
	h := open(t, func(o *Options) { o.Space = func() (int64, int64, error) { return 64<<20 + 100, 1 << 41, nil } })
	h.model(t, "pump")
	zip := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
	_, err := h.hand(t, fleet.Submission{Model: "pump"}, zip)
	if !errors.Is(err, fleet.ErrFull) {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(h.dir); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestWithManualPublishingABuildIsOfferedOnlyWhenSomebodySaysSo(t *testing.T) {
	h := open(t, func(o *Options) { o.Manual = true })
	h.model(t, "pump")
	a := h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"}))
	if m := h.model(t, "pump"); a.Published || m.FirmwareVersion != "" {
		t.Errorf("offered without being published: %+v", m)
	}
	if _, err := h.Publish(t.Context(), "pump", "1.0.0"); err != nil || h.model(t, "pump").FirmwareVersion != "1.0.0" {
		t.Errorf("publish: %v", err)
	}
	image, err := firmware.Build{Code: "pump", Version: "2.0.0"}.Image()
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.hand(t, fleet.Submission{Model: "pump"}, image)
	if !errors.Is(err, fleet.ErrRefused) {
		t.Errorf("a plain image, which is offered at once: %v", err)
	}
}

func TestRetentionKeepsTheCurrentBuildAndThoseThatDumpsWaitFor(t *testing.T) {
	h := open(t, func(o *Options) { o.KeepVersions = 2 })
	h.model(t, "pump")
	versions := []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"}
	for i, v := range versions {
		h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: v}))
		if i == 0 { // a dump of 1.0.0 waits to be decoded
			at := time.Now().UTC().Truncate(time.Microsecond)
			d := fleet.Dump{Device: "a1b2c3d4", Model: "pump", FirmwareVersion: "1.0.0", Chip: "esp32c3", UploadedAt: at}
			if err := h.store.RecordDumps(t.Context(), []fleet.Dump{d}); err != nil {
				t.Fatal(err)
			}
		}
		if i == 1 {
			if _, err := h.Publish(t.Context(), "pump", "1.1.0"); err != nil {
				t.Fatal(err)
			}
			h.options.Manual = true // 1.1.0 stays the current one
		}
	}
	builds, err := h.store.Builds("pump")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, b := range builds {
		left = append(left, string(b.Version))
	}
	if !slices.Equal(left, []string{"1.0.0", "1.1.0", "1.3.0", "1.4.0"}) {
		t.Errorf("left: %v", left)
	}
	if err := h.Remove(t.Context(), "pump", "1.1.0"); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("the current build was removed: %v", err)
	}
}

func TestAStartMendsWhatAKillLeft(t *testing.T) {
	dir := t.TempDir()
	assets := filepath.Join(dir, "assets", "pump")
	if err := os.MkdirAll(assets, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"firmware-1.0.0.zip": bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"}), // no record, no image
		"firmware-9.9.9.zip": []byte("damaged"),
		".123.part":          []byte("temporary"),
	} {
		if err := os.WriteFile(filepath.Join(assets, name), body, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	h := openIn(t, dir, nil) // the catalog is new: models are made, nothing is offered
	m := h.model(t, "pump")
	b, err := h.store.Build("pump", "1.0.0")
	if err != nil || b.Origin != fleet.Found || m.FirmwareVersion != "" {
		t.Errorf("build %+v, %v, offered %q", b, err, m.FirmwareVersion)
	}
	for name, want := range map[string]bool{"firmware-1.0.0.bin": true, "firmware-9.9.9.zip": true, ".123.part": false} {
		if _, err := os.Stat(filepath.Join(assets, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// When its bundle comes again, it is taken as new.
	a := h.accept(t, fleet.Submission{Origin: fleet.FromDrop}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"}))
	if !a.Published || h.model(t, "pump").FirmwareVersion != "1.0.0" {
		t.Errorf("%+v", a)
	}
	// A record without bytes goes, and a flat file that disagrees with a bundle's record follows it.
	if err := os.WriteFile(filepath.Join(dir, "assets", "flat"), []byte("other"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "assets", "flat"), filepath.Join(dir, "assets", "firmware-pump.bin")); err != nil {
		t.Fatal(err)
	}
	if err := h.Recover(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if sumOf(h.flatPath("pump")) != a.Build.ImageSHA256 {
		t.Error("the flat file does not follow the record")
	}
	h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0"}))
	if err := os.Remove(filepath.Join(assets, "firmware-1.0.0.zip")); err != nil {
		t.Fatal(err)
	}
	if err := h.Recover(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Build("pump", "1.0.0"); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("a record without bytes: %v", err)
	}
}

func TestInflatedELFsAreABoundedCache(t *testing.T) {
	h := open(t, nil)
	h.model(t, "pump")
	var builds []fleet.Build
	for _, v := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		builds = append(builds, h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: v})).Build)
	}
	h.options.ELFCache = builds[0].ELFSize + builds[1].ELFSize // two of three
	var paths []string
	for _, b := range builds {
		path, release, err := h.ELF(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		elf, err := os.ReadFile(path)
		want, elfErr := firmware.Build{Code: "pump", Version: string(b.Version)}.ELF()
		if err != nil || elfErr != nil || !bytes.Equal(elf, want) {
			t.Errorf("%s: %d bytes, %v, %v", b.Version, len(elf), err, elfErr)
		}
		release()
		paths = append(paths, path)
	}
	for i, want := range []bool{false, true, true} {
		if _, err := os.Stat(paths[i]); (err == nil) != want {
			t.Errorf("%s: %v", paths[i], err)
		}
	}
	// One that is in use stays, whatever the bound.
	_, release, err := h.ELF(t.Context(), builds[1])
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	h.options.ELFCache = 1
	_, other, err := h.ELF(t.Context(), builds[0])
	if err != nil {
		t.Fatal(err)
	}
	defer other()
	if _, err := os.Stat(paths[1]); err != nil {
		t.Error("an ELF went while it was in use:", err)
	}
}

func TestTheSameBundleAgainMendsWhatTheDiskHasDamaged(t *testing.T) {
	zip := bundleOf(t, firmware.Build{Code: "pump", Version: "1.0.0"})
	flip := func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for name, damage := range map[string]func(h *house){
		"the bundle":              func(h *house) { flip(h.path("pump", "1.0.0", bundleSuffix)) },
		"the image":               func(h *house) { flip(h.path("pump", "1.0.0", imageSuffix)) },
		"the bundle has vanished": func(h *house) { os.Remove(h.path("pump", "1.0.0", bundleSuffix)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, nil)
			h.model(t, "pump")
			first := h.accept(t, fleet.Submission{Model: "pump"}, zip)
			h.accept(t, fleet.Submission{Model: "pump"}, bundleOf(t, firmware.Build{Code: "pump", Version: "1.1.0"}))
			if a := h.accept(t, fleet.Submission{Model: "pump"}, zip); a.Changed || len(a.Warnings) != len(first.Warnings) {
				t.Errorf("of a whole one: %+v", a)
			}
			damage(h)
			a := h.accept(t, fleet.Submission{Model: "pump"}, zip)
			if !a.Changed || len(a.Warnings) != len(first.Warnings)+1 || a.Published || h.model(t, "pump").FirmwareVersion != "1.1.0" {
				t.Errorf("of a damaged one: %+v, offered is %s", a, h.model(t, "pump").FirmwareVersion)
			}
			if stored, err := h.store.Build("pump", "1.0.0"); err != nil || stored.Sequence != first.Build.Sequence || !stored.AcceptedAt.Equal(first.Build.AcceptedAt) {
				t.Errorf("it counts as accepted anew: %+v, %v", stored, err)
			}
			if stored, err := os.ReadFile(h.path("pump", "1.0.0", bundleSuffix)); err != nil || !bytes.Equal(stored, zip) {
				t.Errorf("the bundle is not whole again: %v", err)
			}
			if sumOf(h.path("pump", "1.0.0", imageSuffix)) != first.Build.ImageSHA256 {
				t.Error("the image is not whole again")
			}
			if last := h.woken[len(h.woken)-1]; last.Version != "1.0.0" {
				t.Errorf("nobody who waits for it is woken: %s", last.Version)
			}
		})
	}
}
