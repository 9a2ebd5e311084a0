package crash

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// ignored is a group that has crashed once and is ignored.
func ignored(until Bound) *Group {
	var g Group
	g.Add(seen("1.0.0", 1, "aaaaaaaa"), true, byVersion)
	g.Ignore(until, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	return &g
}

func TestAGroupIsIgnoredUntilACrashOfAVersionOrALaterOneComes(t *testing.T) {
	for version, want := range map[fleet.Version]GroupState{"1.9.0": Ignored, "1.10.0": Open, "1.11.0": Open} {
		g := ignored(Bound{Version: "1.10.0"})
		c := seen(version, 9, "bbbbbbbb")
		c.DecodedAt = c.Uploaded.Add(time.Minute)
		if news := g.Add(c, true, byVersion); news != Known || g.State != want || g.Count != 2 {
			t.Errorf("%s of what is ignored until 1.10.0: %s, %+v", version, news, g)
		}
		if g.State == Open && (!strings.Contains(g.Reopened, string(version)) || g.Until != Bound{} || !g.ChangedAt.Equal(c.DecodedAt) || g.Urgency() != 0) {
			t.Errorf("it is open again by %s: %+v", version, g)
		}
	}
}

func TestAGroupIsIgnoredUntilSoManyMoreCrashesHaveCome(t *testing.T) {
	g := ignored(Bound{Crashes: 3})
	for n, want := range []string{"until 3 more crashes (2 of them to come)", "until 3 more crashes (1 of them to come)"} {
		g.Take(seen("1.0.0", 2, "aaaaaaaa"), false, byVersion) // decoded again: it came before
		if g.Add(seen("2.0.0", 2, "aaaaaaaa"), false, byVersion); g.State != Ignored || g.Until.String() != want {
			t.Errorf("after %d: %s, %s", n+1, g.State, g.Until)
		}
	}
	if news := g.Add(seen("1.0.0", 3, "aaaaaaaa"), false, byVersion); news != Known || g.State != Open || !strings.Contains(g.Reopened, "3 more crashes") {
		t.Errorf("after the third: %s, %+v", news, g)
	}
}

func TestAGroupIsIgnoredUntilATimeHoweverManyCrashesCome(t *testing.T) {
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	g := ignored(Bound{At: at})
	if g.Add(seen("9.0.0", 20, "aaaaaaaa"), false, byVersion); g.State != Ignored || g.Due(at.Add(-time.Second)) || !g.Due(at) {
		t.Errorf("before its time: %+v", g)
	}
	if g.EndIgnoring(at); g.State != Open || g.Due(at) || !strings.Contains(g.Reopened, "2026-02-01T00:00:00Z") {
		t.Errorf("after its time: %+v", g)
	}
	if g := ignored(Bound{}); g.Due(at.AddDate(100, 0, 0)) {
		t.Error("what is ignored for good is due")
	}
}

func TestADecisionTakesTheOneBeforeAwayWithItsBound(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	decisions := map[string]func(*Group){
		"resolved": func(g *Group) { g.Resolve("2.0.0", now) }, "open": func(g *Group) { g.Reopen(now) }, "ignored": func(g *Group) { g.Ignore(Bound{}, now) },
	}
	for state, decide := range decisions {
		waits, over := ignored(Bound{Crashes: 1}), ignored(Bound{Crashes: 1})
		over.Add(seen("1.0.0", 2, "aaaaaaaa"), false, byVersion)
		for _, g := range []*Group{waits, over} {
			if decide(g); string(g.State) != state || g.Until != (Bound{}) || g.Reopened != "" || !g.ChangedAt.Equal(now) {
				t.Errorf("%s: %+v", state, g)
			}
		}
	}
}

func TestOfTwoIgnoredGroupsThatAreOneCountsWhatWasDecidedLaterWithItsBound(t *testing.T) {
	early, late := ignored(Bound{Version: "2.0.0"}), ignored(Bound{Crashes: 5})
	late.ChangedAt = early.ChangedAt.Add(time.Hour)
	late.Until.Left = 2
	for _, bound := range []Bound{late.Until, {}} {
		late.Until = bound
		for _, pair := range [][2]*Group{{early, late}, {late, early}} {
			one := *pair[0]
			one.Decided(*pair[1], byVersion)
			twice := one
			if twice.Decided(*pair[1], byVersion); one.Until != bound || !one.ChangedAt.Equal(late.ChangedAt) || !reflect.DeepEqual(twice, one) {
				t.Errorf("%s and %s become %s", pair[0].Until, pair[1].Until, one.Until)
			}
		}
	}
	again := ignored(Bound{Crashes: 1})
	again.Add(seen("1.0.0", 2, "aaaaaaaa"), false, byVersion)
	open := Group{Decision: Decision{State: Open}}
	for _, pair := range [][2]Group{{*again, *late}, {*late, *again}, {open, *again}, {*again, open}} {
		one := pair[0]
		if one.Decided(pair[1], byVersion); one.State != Open || one.Reopened != again.Reopened {
			t.Errorf("with one that is open again: %+v", one.Decision)
		}
	}
}
