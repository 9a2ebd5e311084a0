package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// noon is the tests' time; nothing in the package looks at a clock.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// settled are the options of a catalog on a disk with room, that fails its test when a sync fails.
func settled(t testing.TB, dir string) Options {
	return Options{
		Dir: dir, Reserve: 64 << 20, Logger: slog.New(slog.DiscardHandler), Beat: func() {},
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
		Now:   func() time.Time { return noon },
	}
}

// open opens a catalog that its test closes.
func open(t testing.TB, dir string) *Catalog {
	t.Helper()
	c, err := Open(settled(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// must is for what a test takes for granted.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want an error that is %v", err, kind)
	}
}

func withModel(t testing.TB, codes ...fleet.ModelCode) *Catalog {
	t.Helper()
	c := open(t, t.TempDir())
	for _, code := range codes {
		must(t, c.AddModel(t.Context(), fleet.Model{Code: code, CreatedAt: noon}))
	}
	return c
}

func keyOf(n int) fleet.DeviceKey { return fleet.DeviceKey(fmt.Sprintf("dev%05d", n)) }

func newDevice(model fleet.ModelCode, n int) auth.NewDevice {
	return auth.NewDevice{
		Device:  fleet.Device{Key: keyOf(n), Model: model, Name: fmt.Sprintf("press %d", n), CreatedAt: noon, UpdatedAt: noon},
		Secrets: auth.DeviceSecrets{Current: auth.HashSecret(fmt.Sprint(n)), ChangedAt: noon},
	}
}

func TestWhatIsAcknowledgedIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	if !c.Created() {
		t.Error("a new catalog does not say that it was created")
	}
	must(t, c.Rebuilt(t.Context()))
	model := fleet.Model{Code: "pump", Name: "Pump", Provisioning: map[string]string{"wifi_ssid": "hall"}, CreatedAt: noon, UpdatedAt: noon}
	must(t, c.AddModel(t.Context(), model))
	one := newDevice("pump", 1)
	must(t, c.AddDevice(t.Context(), one.Device, one.Secrets))
	must(t, c.AddOperatorToken(t.Context(), auth.OperatorToken{ID: "a1", Role: auth.Viewer, Hash: auth.HashSecret("x"), CreatedAt: noon}))
	must(t, c.NoteTime(noon))
	must(t, c.Close())

	c = open(t, dir)
	if c.Created() {
		t.Error("an old catalog says that it was created")
	}
	if got := c.LastStop(); !got.Equal(noon) {
		t.Errorf("last stop %v", got)
	}
	if at, err := c.LastKnownTime(); err != nil || !at.Equal(noon) {
		t.Errorf("last known time %v, %v", at, err)
	}
	m, err := c.Model("pump")
	if err != nil || m.Name != "Pump" || m.Provisioning["wifi_ssid"] != "hall" || !m.CreatedAt.Equal(noon) {
		t.Errorf("model %+v, %v", m, err)
	}
	d, err := c.Device(one.Device.Key)
	if err != nil || d.Name != one.Device.Name || d.Model != "pump" {
		t.Errorf("device %+v, %v", d, err)
	}
	s, err := c.DeviceSecrets(one.Device.Key)
	if err != nil || s != one.Secrets {
		t.Errorf("secrets %+v, %v", s, err)
	}
	if o, err := c.OperatorToken("a1"); err != nil || !o.Hash.Matches("x") {
		t.Errorf("token %+v, %v", o, err)
	}
}

func TestAKillBeforeTheDiskWasReadLeavesTheCatalogNew(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, dir).Close())
	c := open(t, dir)
	if !c.Created() {
		t.Fatal("the rebuilding that never ended is taken for done")
	}
	must(t, c.Rebuilt(t.Context()))
	must(t, c.Close())
	if open(t, dir).Created() {
		t.Error("the rebuilding is repeated at every start")
	}
}

func TestOpenRefusesACatalogOfANewerSlipwayAndTouchesNothing(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"by its file": func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, schemaFile), []byte("3\n"), 0o644))
		},
		"by its record": func(t *testing.T, dir string) {
			c := open(t, dir)
			must(t, c.update(t.Context(), func(tx *tx) error { return tx.set(keySchema, number(Schema+1)) }))
			must(t, c.Close())
			must(t, os.Remove(filepath.Join(dir, schemaFile)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir)
			must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
			must(t, c.Close())
			spoil(t, dir)
			_, err := Open(settled(t, dir))
			var newer *NewerError
			if !errors.As(err, &newer) || newer.Have != Schema+1 {
				t.Fatalf("got %v", err)
			}
			for _, part := range []string{dir, fmt.Sprintf("schema %d", Schema+1), "install the newer slipway"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than one line", err)
			}
		})
	}
}

func TestASecondSlipwayIsToldToStopTheFirst(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	// The other process may have made this file a moment ago and be about to write into it.
	fresh := filepath.Join(dir, "00099.mem")
	must(t, os.WriteFile(fresh, nil, 0o600))
	_, err := Open(settled(t, dir))
	if err == nil || !strings.Contains(err.Error(), "another slipway uses the catalog") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("the running catalog's file was deleted")
	}
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
}

func TestOpenDeletesTheEmptyLogsThatAKillLeaves(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	must(t, c.Close())
	for _, name := range []string{"00077.mem", "000077.vlog"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	c, err := Open(settled(t, dir))
	if err != nil {
		t.Fatalf("an empty log keeps the catalog shut: %v", err)
	}
	if _, err := c.Model("pump"); err != nil {
		t.Error(err)
	}
	must(t, c.Close())
}

func TestBelowTheReserveNothingIsStoredAndEverythingIsRead(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	o := settled(t, t.TempDir())
	o.Space = func() (int64, int64, error) { return free.Load(), 1 << 30, nil }
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	dump := fleet.Dump{Device: keyOf(1), Model: "pump", UploadedAt: noon}
	must(t, c.RecordDumps(t.Context(), []fleet.Dump{dump}))

	free.Store(o.Reserve - 1)
	err = c.AddModel(t.Context(), fleet.Model{Code: "fan"})
	want(t, err, fleet.ErrFull)
	if !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("%q does not say how much is missing", err)
	}
	if _, err := c.Model("pump"); err != nil {
		t.Error(err)
	}
	// What makes room must go on, or a disk that others have filled could never be rotated empty.
	must(t, c.RemoveDump(t.Context(), dump.Device, dump.Name()))

	free.Store(o.Reserve/2 - 1)
	want(t, c.RemoveDump(t.Context(), dump.Device, dump.Name()), fleet.ErrFull)
	free.Store(o.Reserve)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "fan"}))
	must(t, c.Close())

	free.Store(o.Reserve/2 - 1)
	_, err = Open(o)
	want(t, err, fleet.ErrFull)
	if !strings.Contains(err.Error(), "make room") {
		t.Errorf("%q does not say what to do", err)
	}
}

func TestAStopOnAFullDiskIsNoFailure(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	o := settled(t, t.TempDir())
	o.Space = func() (int64, int64, error) { return free.Load(), 1 << 30, nil }
	c, err := Open(o)
	must(t, err)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	free.Store(0)
	must(t, c.Close())
	free.Store(math.MaxInt64)   // else Badger would wait with its last compaction
	must(t, c.store.db.Close()) // what the end of the process does to the lock
}

func TestTheValueLogIsNeverUsed(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	text := strings.Repeat("x", mostRecord-200)
	for i := range 40 {
		_, err := c.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error {
			m.Provisioning = map[string]string{"n": fmt.Sprint(i), "text": text}
			return nil
		})
		must(t, err)
	}
	_, err := c.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error {
		m.Provisioning["text"] += strings.Repeat("x", 200)
		return nil
	})
	want(t, err, fleet.ErrRefused)
	if m, err := c.Model("pump"); err != nil || m.Provisioning["n"] != "39" {
		t.Errorf("the refused record left its mark: %q, %v", m.Provisioning["n"], err)
	}
	must(t, c.Close())
	logs, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	must(t, err)
	if len(logs) == 0 {
		t.Fatal("Badger has no value log: this test looks at nothing")
	}
	for _, log := range logs {
		b, err := os.ReadFile(log)
		must(t, err)
		if bytes.Contains(b, []byte("xxxxxxxx")) {
			t.Errorf("%s holds values", filepath.Base(log))
		}
	}
}

func TestAClosedCatalogRefusesChanges(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.Close())
	want(t, c.AddModel(context.Background(), fleet.Model{Code: "pump"}), errClosed)
	c.RecordDumpLater(fleet.Dump{Device: keyOf(1), UploadedAt: noon}, func(error) { t.Error("a dump was indexed after the end") })
	must(t, c.Close())
}
