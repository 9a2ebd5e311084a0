package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

// openFullable is a catalog whose disk takes nothing while full is set.
func openFullable(t *testing.T, logger *slog.Logger) (store *catalog.Catalog, full *atomic.Bool) {
	t.Helper()
	full = &atomic.Bool{}
	store = openCatalog(t, func(o *catalog.Options) {
		o.Reserve, o.Logger = Reserve, logger
		o.Space = func() (int64, int64, error) {
			if full.Load() {
				return 0, 1 << 40, nil
			}
			return 1 << 40, 1 << 41, nil
		}
	})
	t.Cleanup(func() { full.Store(false) }) // it is closed then
	return store, full
}

// until waits for a condition; the deadline only bounds a hang.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestADamagedDumpOnAFullDiskEndsNothingAndItsRecordGoesWhenThereIsRoom(t *testing.T) {
	var journal bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&journal, nil))
	store, full := openFullable(t, logger)
	g := &Gateway{store: store, logger: logger}
	space := func() (int64, int64, error) { return 1 << 40, 1 << 41, nil }
	g.depot = depot.New(depot.Options{Dir: t.TempDir(), Recorder: store, Space: space, Logger: logger, Now: time.Now})
	g.dumps = &dumpFront{options: dumps.Options{
		Dir: t.TempDir(), MaxBytes: 1 << 20, KeepPerDevice: 9, MaxUse: func(int64) int64 { return 1 << 40 }, KeepFree: func(int64) int64 { return 0 },
		Space: space, Index: dumpIndex{store, &waker{triage: crash.NewTriage(crash.Options{})}, &g.debt}, Logger: logger, Now: time.Now,
	}}
	if err := g.dumps.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, err := g.dumps.Write(t.Context(), fleet.Dump{Device: "aaaaaaaa", Model: "pump"}, strings.NewReader("bytes"), 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.dumps.Path(d.Device, d.Name()), []byte("?????"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "recorded", func() bool {
		_, err := store.Dump(d.Device, d.Name())
		return err == nil
	})
	full.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.verify(ctx) }()
	until(t, "its record is owed", g.debt.owed.Load)
	full.Store(false)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended the gateway: %v", err)
	}
	if err := g.dumps.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Dump(d.Device, d.Name()); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("its record: %v\n%s", err, &journal)
	}
}

func TestATroubleWhoseSentenceChangesIsToldOnceAndEndsOnce(t *testing.T) {
	g, err := New(settings(t), Binary{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}()
	var known []trouble
	for _, built := range []time.Time{time.Now().Add(years), time.Now().Add(2 * years), time.Now().Add(3 * years), {}, {}} {
		g.whole.clock.built = built
		if known, err = g.tellTroubles(t.Context(), known); err != nil {
			t.Fatal(err)
		}
	}
	page, err := g.store.Events(event.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var told []fleet.EventKind
	for _, e := range page.Events {
		if e.Kind == event.TroubleBegan || e.Kind == event.TroubleEnded {
			told = append(told, e.Kind)
		}
	}
	if !slices.Equal(told, []fleet.EventKind{event.TroubleBegan, event.TroubleEnded}) {
		t.Errorf("%v", told)
	}
}

func TestTroublesWithoutAnObjectAreTheSameByTheirSentences(t *testing.T) {
	a, b := trouble{text: "the bundle of 1.0.0 is damaged"}, trouble{text: "the bundle of 1.1.0 is damaged"}
	if a.same(b) || !a.same(a) || (trouble{about: "clock", text: "it says 1"}).same(trouble{about: "gate", text: "it says 1"}) {
		t.Error("mixed up")
	}
}

// lines counts what a journal is told.
type lines struct{ said *atomic.Int64 }

func (l lines) Write(b []byte) (int, error) {
	l.said.Add(1)
	return len(b), nil
}

// indebted is a storage whose trouble and whose index a test makes.
func indebted(t *testing.T, again func() error) (s *storage, fault *atomic.Pointer[string], said *atomic.Int64) {
	fault, said = &atomic.Pointer[string]{}, &atomic.Int64{}
	s = &storage{
		faults: []func() string{func() string {
			if text := fault.Load(); text != nil {
				return *text
			}
			return ""
		}},
		again: func(context.Context) error { return again() }, debt: &debt{}, logger: slog.New(slog.NewTextHandler(lines{said}, nil)),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, fault, said
}

func TestWhatTheIndexIsBehindByIsOwedUntilItWasPaid(t *testing.T) {
	for what, failed := range map[string]error{"no room": fleet.Full("no room"), "a disk that fails": io.ErrUnexpectedEOF} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int64
				s, _, _ := indebted(t, func() error {
					if tries.Add(1) < 4 {
						return failed
					}
					return nil
				})
				time.Sleep(time.Minute)
				synctest.Wait()
				if tries.Load() != 0 {
					t.Fatalf("%d tries, and nothing is owed", tries.Load())
				}
				s.debt.owed.Store(true) // a refusal that was over before anybody looked: no edge is seen
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if tries.Load() != 1 {
					t.Fatalf("%d tries at once", tries.Load())
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if tries.Load() != 4 || s.debt.owed.Load() {
					t.Errorf("%d tries, owed %v", tries.Load(), s.debt.owed.Load())
				}
			})
		})
	}
}

func TestADiskThatIsAllButFullIsSaidOnceAndNothingIsComparedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		_, fault, said := indebted(t, func() error { tries.Add(1); return nil })
		full := "less than 64 MiB is free"
		for range 100 {
			fault.Store(&full)
			time.Sleep(2 * time.Second)
			fault.Store(nil)
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		if said.Load() != 1 || tries.Load() != 0 {
			t.Errorf("%d lines, %d times compared", said.Load(), tries.Load())
		}
		time.Sleep(settled + 2*time.Second)
		synctest.Wait()
		if said.Load() != 2 || tries.Load() != 1 {
			t.Errorf("with room again: %d lines, %d times compared", said.Load(), tries.Load())
		}
	})
}

func TestABallastThatCannotBeGivenUpIsSaidOnce(t *testing.T) {
	var journal bytes.Buffer
	b := newBallast(t.TempDir(), slog.New(slog.NewTextHandler(&journal, nil)))
	if err := os.MkdirAll(filepath.Join(b.path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // each millisecond of a second
		b.lighten(1)
	}
	if n := strings.Count(journal.String(), "\n"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// interrupted is a catalog whose models cannot be read for a while.
type interrupted struct {
	*catalog.Catalog
	left int
}

func (i *interrupted) Models() ([]fleet.Model, error) {
	if i.left--; i.left >= 0 {
		return nil, fleet.Away("it is being opened again")
	}
	return i.Catalog.Models()
}

func TestAStartWaitsForACatalogThatIsOpenedAgain(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	store, _ := openFullable(t, logger)
	dir := t.TempDir()
	book := sighting.Open(sighting.Options{Store: store, Logger: logger, Now: time.Now, Beat: func() {}})
	r := &recovery{store: store, dumps: &dumpFront{}, book: book, over: make(chan struct{})}
	r.depot = depot.New(depot.Options{Dir: dir, Recorder: &interrupted{store, 2}, Space: SpaceOf(dir), Logger: logger, Now: time.Now})
	if err := r.run(t.Context()); err != nil || !r.isOver() {
		t.Errorf("%v", err)
	}
}

// synced notes which directories were synced.
type synced struct {
	durable.Kernel
	dirs []string
}

func (s *synced) SyncDir(dir string) error {
	s.dirs = append(s.dirs, dir)
	return s.Kernel.SyncDir(dir)
}

func TestACatalogThatWasMovedAsideIsThereAfterAPowerCut(t *testing.T) {
	disk := &synced{}
	defer durable.Use(disk)()
	state := t.TempDir()
	dir := filepath.Join(state, "catalog")
	if err := os.MkdirAll(filepath.Join(dir, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	if aside, err := moveAside(dir, ".before"); err != nil || len(aside) != 1 || !slices.Contains(disk.dirs, state) {
		t.Errorf("%v, %v; synced %v", aside, err, disk.dirs)
	}
}
