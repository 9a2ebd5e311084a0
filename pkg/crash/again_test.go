package crash

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// laidAs lays a dump that was looked at.
func (p *plant) laidAs(name fleet.DumpName, state State) {
	p.lay(name, "1.0.0", "aaaa")
	c := p.crashes[name]
	c.State, c.DecodedBy = state, "v1"
	if state == Reported {
		c.Fingerprint, c.Version, c.Rules = "old", "1.0.0", Rules-1
	}
	p.crashes[name] = c
}

func TestADumpIsDecodedAgainForWhoeverAsksInWhateverStateItIs(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11")}
	p.stopped = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) // no report is looked for
	states := map[fleet.DumpName]State{"failed": Failed, "missing": Missing, "reported": Reported}
	for name, state := range states {
		p.laidAs(name, state)
		p.reports[name] = []byte("old")
	}
	p.work(t, "v1", func(triage *Triage) {
		for name := range states {
			if err := triage.DecodeAgain(t.Context(), "aaaaaaaa", name); err != nil {
				t.Error(err)
			}
		}
		if err := triage.DecodeAgain(t.Context(), "aaaaaaaa", "none"); !errors.Is(err, fleet.ErrUnknown) {
			t.Errorf("one that is not there: %v", err)
		}
	})
	for name := range states {
		if c := p.crashes[name]; c.State != Reported || c.Fingerprint == "old" || c.Rules != Rules || c.Again != nil || !whole(p.reports[name]) {
			t.Errorf("%s: %+v, a report of %d bytes", name, c, len(p.reports[name]))
		}
		if n := len(slices.DeleteFunc(slices.Clone(p.decoded), func(d string) bool { return d != "1.0.0 "+string(name) })); n != 1 {
			t.Errorf("%s was decoded %d times", name, n)
		}
	}
}

func TestWhatSomebodyAskedForIsDecodedAfterARestart(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11")}
	p.laidAs("d1", Failed)
	if err := p.AskAgain(t.Context(), "aaaaaaaa", "d1"); err != nil {
		t.Fatal(err)
	}
	p.work(t, "v1", nil)
	if c := p.crashes["d1"]; c.State != Reported || c.Again != nil {
		t.Errorf("%+v", c)
	}
}

func TestAReportThatCannotBeMadeAgainStaysAndSaysWhy(t *testing.T) {
	for what, test := range map[string]struct {
		bad    string
		builds []fleet.Build
		says   string
	}{
		"whose dump is damaged":      {"a container that nobody knows", []fleet.Build{build("1.0.0", "aaaa11")}, "a container that nobody knows"},
		"whose firmware was removed": {"", nil, "its firmware is not here any more"},
	} {
		p := newPlant()
		p.builds = test.builds
		p.laidAs("d1", Reported)
		before := p.crashes["d1"]
		p.reports["d1"], p.bad["d1"], p.stopped = []byte("old"), test.bad, time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		p.work(t, "v1", func(triage *Triage) {
			if err := triage.DecodeAgain(t.Context(), "aaaaaaaa", "d1"); err != nil {
				t.Error(err)
			}
		})
		c := p.crashes["d1"]
		if c.State != Reported || c.Fingerprint != before.Fingerprint || string(p.reports["d1"]) != "old" || c.Again != nil || !strings.Contains(c.Why, test.says) {
			t.Errorf("one %s: %+v", what, c)
		}
		if len(p.decoded) > 1 {
			t.Errorf("one %s was decoded %d times", what, len(p.decoded))
		}
	}
}

func TestManyThatSomebodyAsksForHoldUpNobodyWhoWaits(t *testing.T) {
	p := newPlant()
	p.builds = []fleet.Build{build("1.0.0", "aaaa11")}
	for _, name := range []fleet.DumpName{"d1", "d2", "d3", "d4", "d5", "d6"} {
		p.laidAs(name, Failed)
		if err := p.AskAgain(t.Context(), "aaaaaaaa", name); err != nil {
			t.Fatal(err)
		}
	}
	p.lay("d7", "1.0.0", "aaaa")
	p.work(t, "v1", nil)
	if want := []fleet.DumpName{"d1", "d2", "d3", "d4", "d7", "d5", "d6"}; !slices.Equal(p.order, want) {
		t.Errorf("recorded in the order %v, want %v", p.order, want)
	}
}
