package corpus_test

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/testdata/crash/corpus"
)

// What grouping owes people: two bugs in one group hide one of them, and a bug in two groups is read twice.
const (
	leastPrecision = 0.99
	leastRecall    = 0.90
)

// pairs counts pairs of dumps: those in one group, those of one bug, and those that are both.
type pairs struct{ together, alike, both int }

func (p pairs) precision() float64 { return share(p.both, p.together) }
func (p pairs) recall() float64    { return share(p.both, p.alike) }

func share(part, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(part) / float64(of)
}

// group sorts dumps into groups by the gateway's own rules, in the order in which they are uploaded.
func group(dumps []decoded) []string {
	var grouping crash.Grouping
	var groups []string
	for i, d := range dumps {
		c := crash.Crash{Model: "press", Uploaded: time.Unix(int64(1e9+i), 0).UTC()}
		groups = append(groups, grouping.Add(crash.Summarize(c, fleet.Build{}, crash.Exact, d.report)))
	}
	return groups
}

// inTheCatalog sorts them as the gateway does: it records each in a real catalog, which says in which group it is.
func inTheCatalog(t *testing.T, dumps []decoded) []string {
	t.Helper()
	space := func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil }
	store, err := catalog.Open(catalog.Options{
		Dir: t.TempDir(), Space: space, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Beat: func() {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	uploads := make([]fleet.Dump, len(dumps))
	for i := range dumps {
		uploads[i] = fleet.Dump{Device: "press001", Model: "press", FirmwareVersion: "1.0", UploadedAt: time.Unix(int64(1e9+i), 0).UTC()}
	}
	if err := store.RecordDumps(t.Context(), uploads); err != nil {
		t.Fatal(err)
	}
	var groups []string
	for i, d := range dumps {
		c := crash.Crash{Device: uploads[i].Device, Model: "press", Name: uploads[i].Name(), Uploaded: uploads[i].UploadedAt}
		out, err := store.RecordCrash(t.Context(), crash.Summarize(c, fleet.Build{Version: "1.0"}, crash.Exact, d.report), 0)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, out.Group.Fingerprint)
	}
	return groups
}

func count(dumps []decoded, groups []string) pairs {
	var p pairs
	for i := range dumps {
		for j := range i {
			together, alike := groups[i] == groups[j], dumps[i].Cause() == dumps[j].Cause()
			switch {
			case together && alike:
				p.both++
				fallthrough
			case together:
				p.together++
			}
			if alike {
				p.alike++
			}
		}
	}
	return p
}

func TestCorpusGroupsAreTheBugs(t *testing.T) {
	dumps := everything(t)
	own := slices.DeleteFunc(slices.Clone(dumps), func(d decoded) bool { return d.Build.Paths != corpus.Own })
	for _, set := range []struct {
		what  string
		dumps []decoded
	}{{"all builds", dumps}, {"builds in somebody's own folders", own}} {
		worst := pairs{}
		for seed := range uint64(10) { // a fleet's dumps come in no order; the first are build by build
			order := slices.Clone(set.dumps)
			if seed > 0 {
				r := rand.New(rand.NewPCG(seed, 0))
				r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			}
			groups := group(order)
			if seed == 0 {
				if stored := inTheCatalog(t, order); !slices.Equal(stored, groups) {
					t.Errorf("%s: the catalog groups otherwise than its rules", set.what)
					groups = stored
				}
			}
			p := count(order, groups)
			if seed == 0 || min(p.precision(), p.recall()) < min(worst.precision(), worst.recall()) {
				worst = p
			}
			if p.precision() < leastPrecision || p.recall() < leastRecall {
				t.Errorf("%s, order %d: precision %.4f, recall %.4f", set.what, seed, p.precision(), p.recall())
				explain(t, order, groups)
				break
			}
		}
		t.Logf("figure: groups of %d dumps, %s: pairwise precision %.4f, recall %.4f", len(set.dumps), set.what, worst.precision(), worst.recall())
	}
}

// explain shows the bugs that are in several groups, and the groups that have several bugs.
func explain(t *testing.T, dumps []decoded, groups []string) {
	t.Helper()
	byCause, byGroup := map[string][]string{}, map[string][]string{}
	for i := range dumps {
		byCause[dumps[i].Cause()] = append(byCause[dumps[i].Cause()], groups[i])
		byGroup[groups[i]] = append(byGroup[groups[i]], dumps[i].Cause())
	}
	for group, causes := range byGroup {
		slices.Sort(causes)
		if causes = slices.Compact(causes); len(causes) > 1 {
			t.Logf("group %s has %q", group, causes)
		}
	}
	for i := range dumps {
		if of := byCause[dumps[i].Cause()]; slices.ContainsFunc(of, func(g string) bool { return g != of[0] }) {
			t.Logf("%s in %s: group %s, %s %q", dumps[i].Cause(), dumps[i].Build.Name, groups[i], dumps[i].report.Kind, dumps[i].report.Chain)
		}
	}
}
