package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func chain(s string) []string { return strings.Fields(s) }

// came is the n-th crash, with a chain.
func came(n int, frames string) Crash {
	return Crash{
		Model: "pump", Kind: "memory", Chain: chain(frames), Fingerprint: "of " + frames,
		Uploaded: time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC),
	}
}

func TestChainsAreNearWithOneFrameMoreOrFewer(t *testing.T) {
	for _, test := range []struct {
		a, b   string
		common int
		near   bool
	}{
		{"a b c", "a b c", 3, true},
		{"a", "a", 1, true},
		{"", "", 0, true},
		{"a b c", "a b", 2, true},
		{"a x b", "a b", 2, true},
		{"x a b", "a b", 2, true},
		{"a b", "a", 1, false},               // only one in common
		{"a b c", "a", 0, false},             // two fewer
		{"a b c", "a b d", 0, false},         // another caller
		{"a b c d e", "a b c d f", 4, false}, // another caller
		{"a b c d e", "a h b c d", 4, true},  // a helper pushed the last one out
		{"a b c d e", "h a b c d", 4, true},  // in front
		{"a b c d e", "a b c d", 4, true},    // one more caller
		{"a b c d e", "a b c x d", 4, true},  // just before the end
		{"a b c d e", "a x y b c", 4, false}, // two more
		{"a b c d e", "b a c d e", 4, false}, // another order
		{"a b c", "c b a", 0, false},         // another order
		{"f@a.c g@b.c", "f@a.c", 1, false},   // a function that everybody calls
	} {
		for range 2 {
			common, near := Near(chain(test.a), chain(test.b))
			if near != test.near || near && common != test.common {
				t.Errorf("%q and %q: %d, %v", test.a, test.b, common, near)
			}
			test.a, test.b = test.b, test.a
		}
	}
}

// randomChain is over few functions, so that many are near to each other.
func randomChain(r *rand.Rand) []string {
	frames := make([]string, r.IntN(MostFrames+1))
	for i := range frames {
		frames[i] = string(rune('a' + r.IntN(3)))
	}
	return frames
}

func TestTheIndexFindsAChainExactlyWhereItIsNear(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 100_000 {
		a, b := randomChain(r), randomChain(r)
		if slices.Equal(a, b) {
			continue
		}
		sought := Sought("pump", "memory", a)
		meets := slices.ContainsFunc(Filed("pump", "memory", b), func(place string) bool { return slices.Contains(sought, place) })
		if _, near := Near(a, b); near != meets {
			t.Fatalf("%q and %q: near %v, in the index %v", a, b, near, meets)
		}
		if meets {
			found++
		}
	}
	if found == 0 {
		t.Error("no two chains were near")
	}
}

func TestOtherModelsAndKindsAreOtherGroups(t *testing.T) {
	var g Grouping
	first := came(0, "a b c")
	g.Add(first)
	for n, change := range []func(*Crash){func(c *Crash) { c.Model = "fan" }, func(c *Crash) { c.Kind = "abort" }} {
		other := came(1+n, "a b")
		other.Fingerprint = fmt.Sprint(n)
		change(&other)
		if group := g.Add(other); group == first.Fingerprint {
			t.Errorf("%+v joins a group of another model or kind", other)
		}
	}
}

func TestWhereSeveralGroupsWouldTakeAChainTheLongestThenTheMostThenTheOldestDoes(t *testing.T) {
	for name, test := range map[string]struct {
		crashes []string
		want    string
	}{
		"longest": {[]string{"a b", "a b", "a b c d", "a b c"}, "of a b c d"},
		"most":    {[]string{"a b x", "a b y", "a b y", "a b"}, "of a b y"},
		"oldest":  {[]string{"a b x", "a b y", "a b"}, "of a b x"},
	} {
		var g Grouping
		group := ""
		for n, frames := range test.crashes {
			group = g.Add(came(n, frames))
		}
		if group != test.want {
			t.Errorf("%s: %q joins %q, want %q", name, test.crashes[len(test.crashes)-1], group, test.want)
		}
	}
}

func TestAGroupHoldsSixteenChains(t *testing.T) {
	var g Grouping
	g.Add(came(0, "a b"))
	for n := range MostChains + 3 {
		group := g.Add(came(1+n, fmt.Sprintf("a b x%d", n)))
		if joined := group == "of a b"; joined != (n < MostChains-1) {
			t.Errorf("chain %d is in %q", n+2, group)
		}
	}
	if group := g.Add(came(99, "a b x1")); group != "of a b" {
		t.Errorf("a chain that the full group has is in %q", group)
	}
}

func TestASummaryStaysSmallWhateverTheDumpSays(t *testing.T) {
	wild := strings.Repeat(`<"\`, 2000)
	r := &espcore.Report{
		Chip: wild, Kind: espcore.Kind(wild), Reason: wild, ELFMatch: espcore.Exact, Chain: []string{wild, wild + "1", wild + "2", wild, wild, wild, wild},
		Tasks: []espcore.Task{{Name: wild, Crashed: true, Frames: []espcore.Frame{{Function: wild, File: wild}}}},
	}
	c := Summarize(Crash{Device: "aaaaaaaa", Model: "pump", DeclaredVersion: strings.Repeat("v", 64), DeclaredChip: strings.Repeat("c", 64)},
		fleet.Build{Model: "fan", Version: "1.0", Chip: "ESP32"}, Exact, r)
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil || b.Len() > 4<<10 {
		t.Errorf("a summary of %d bytes, %v", b.Len(), err)
	}
	if len(c.Chain) != MostFrames || c.Chain[0] == c.Chain[1] {
		t.Errorf("the chain is %q", c.Chain)
	}
}

func TestDamagedDumpsAreOneGroupOfTheirModel(t *testing.T) {
	one := func(model fleet.ModelCode, frames ...string) Crash {
		return Summarize(Crash{Model: model}, fleet.Build{}, UnknownHash, &espcore.Report{Damaged: true, Kind: "abort", Chain: frames})
	}
	a, b, other := one("pump", "a", "b"), one("pump", "c", "d"), one("fan", "a", "b")
	if a.Fingerprint != b.Fingerprint || a.Fingerprint == other.Fingerprint || a.Kind != "damaged" {
		t.Errorf("%+v, %+v, %+v", a, b, other)
	}
}

func TestOfTwoGroupsThatAreOneOpenGoesOverIgnoredOverResolved(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	state := func(word string) Group {
		g := Group{Decision: Decision{State: Open}, Note: word}
		switch word {
		case "ignored":
			g.Ignore(Bound{}, now)
		case "resolved in 1.0", "resolved in 2.0":
			g.Resolve(fleet.Version(strings.TrimPrefix(word, "resolved in ")), now)
		}
		return g
	}
	order := []string{"resolved in 1.0", "resolved in 2.0", "ignored", "open"}
	for i, low := range order {
		for _, high := range order[i:] {
			want := state(high)
			for _, pair := range [][2]string{{low, high}, {high, low}} {
				g := state(pair[0])
				g.Decided(state(pair[1]), byVersion)
				twice := g
				twice.Decided(state(pair[1]), byVersion)
				if g.State != want.State || g.ResolvedIn != want.ResolvedIn || !reflect.DeepEqual(twice, g) {
					t.Errorf("%s and %s become %s %s", pair[0], pair[1], g.State, g.ResolvedIn)
				}
			}
		}
	}
}
