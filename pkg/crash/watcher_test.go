package crash

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// counted is a plant whose catalog knows what was counted before, and a watcher.
type counted struct {
	*plant
	seen []fleet.Seen
}

func (c *counted) RecordCrash(ctx context.Context, one Crash, keep int) (Outcome, error) {
	again := c.crashes[one.Name].State == Reported
	outcome, err := c.plant.RecordCrash(ctx, one, keep)
	if again {
		outcome.News = ""
	}
	return outcome, err
}

func (c *counted) RecordCrashes(ctx context.Context, some []Crash, keep int, done func(Crash, Outcome, error)) {
	for _, one := range some {
		outcome, err := c.RecordCrash(ctx, one, keep)
		done(one, outcome, err)
	}
}

func (c *counted) Seen(s fleet.Seen) { c.seen = append(c.seen, s) }

func TestAnIdentifiedDumpIsShownToTheWatcherOnce(t *testing.T) {
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	base := Crash{Device: "aaaaaaaa", Model: "pump", Name: "coredump_20260504T120000_000000Z", Uploaded: noon, State: Reported,
		DeclaredVersion: "1.0", Version: "1.1", ELFHash: "1111", Grade: Exact, Fingerprint: "f"}
	for name, c := range map[string]struct {
		change func(*Crash)
		shown  bool
	}{
		"of a known build":          {func(*Crash) {}, true},
		"without a hash":            {func(c *Crash) { c.Grade = UnknownHash }, false},
		"of another model's build":  {func(c *Crash) { c.Model = "fan" }, false},
		"of another ELF":            {func(c *Crash) { c.ELFHash = "2222" }, false},
		"that declares no version":  {func(c *Crash) { c.DeclaredVersion = "esp-idf: v4.4" }, false},
		"that declares its own one": {func(c *Crash) { c.DeclaredVersion = "1.1" }, true},
	} {
		p := &counted{plant: newPlant()}
		p.builds = []fleet.Build{{Model: "pump", Version: "1.1", ELFSHA256: "11112222"}}
		triage := NewTriage(Options{Store: p, Files: p, Watcher: p, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
		one := base
		c.change(&one)
		p.crashes[one.Name] = Crash{Device: one.Device, Name: one.Name, State: Waiting}
		for range 2 {
			if err := triage.record(t.Context(), []Crash{one}); err != nil {
				t.Fatal(err)
			}
		}
		if !c.shown {
			if len(p.seen) != 0 {
				t.Errorf("a dump %s: %+v", name, p.seen)
			}
			continue
		}
		if len(p.seen) != 1 {
			t.Errorf("a dump %s is shown %d times", name, len(p.seen))
			continue
		}
		got := p.seen[0]
		want := fleet.SeenDump{Declared: fleet.Version(one.DeclaredVersion), Build: "1.1", ELF: "11112222"}
		if got.Device != "aaaaaaaa" || got.By != fleet.HeardDump || !got.At.Equal(noon) || got.Dump == nil || *got.Dump != want {
			t.Errorf("a dump %s: %+v %+v", name, got, got.Dump)
		}
	}
}
