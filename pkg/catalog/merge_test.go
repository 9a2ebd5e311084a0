package catalog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// chained is the n-th dump as it is once it has been decoded, with a chain.
func chained(n int, frames string) crash.Crash {
	one := reported(n, "of "+frames, "1.0")
	one.Model, one.Kind, one.Chain, one.Rules = "pump", "memory", strings.Fields(frames), crash.Rules
	return one
}

func groupOf(t *testing.T, c *Catalog, address string) crash.Group {
	t.Helper()
	g, _, _, err := c.Group(address)
	must(t, err)
	return g
}

func TestTheCatalogGroupsAsTheRulesDo(t *testing.T) {
	const dumps = 300
	c := withDumps(t, dumps)
	var rules crash.Grouping
	r := rand.New(rand.NewPCG(3, 4))
	for n := range dumps {
		var frames []string
		for range 1 + r.IntN(5) {
			frames = append(frames, string(rune('a'+r.IntN(3))))
		}
		one := chained(n, strings.Join(frames, " "))
		out := record(t, c, one, 0)
		if want := rules.Add(one); out.Group.Fingerprint != want {
			t.Fatalf("dump %d, %q: the catalog has it in %q, the rules in %q", n, frames, out.Group.Fingerprint, want)
		}
	}
	checkIndexes(t, c)
}

func TestANewChainIsNotComparedWithAllOthersOfItsModel(t *testing.T) {
	const groups = 10_000
	c := withDumps(t, 1)
	must(t, c.inPieces(t.Context(), groups, false, func(t *tx, i int) error {
		one := chained(i, fmt.Sprintf("f%d g h", i))
		_, err := t.countCrash(one)
		return err
	}))
	reads := 0
	must(t, c.update(t.Context(), func(t *tx) error {
		t.reads = 0
		_, err := t.countCrash(chained(0, "f77 x g h"))
		reads = t.reads
		return err
	}))
	if g := groupOf(t, c, "of f77 x g h"); g.Fingerprint != "of f77 g h" {
		t.Errorf("it is in %q", g.Fingerprint)
	}
	if reads > 100 {
		t.Errorf("%d records are read to find one of %d groups", reads, groups)
	}
}

func TestWhatPeopleMergeStaysMergedAndWhatTheySplitStaysSplit(t *testing.T) {
	c := withDumps(t, 12)
	record(t, c, chained(0, "a b c"), 0)
	record(t, c, chained(1, "x y z"), 0)
	record(t, c, chained(2, "x y z"), 0)
	_, err := c.UpdateGroup(t.Context(), "of a b c", func(g *crash.Group) error { g.Ignore(crash.Bound{}, noon); return g.SetNote("the old valve") })
	must(t, err)
	merged, err := c.MergeGroups(t.Context(), "of x y z", "of a b c")
	if err != nil || merged.Fingerprint != "of a b c" || merged.Count != 3 || merged.Devices != 3 || merged.State != crash.Open || merged.Chains != 2 {
		t.Errorf("merged %+v, %v", merged, err)
	}
	_, err = c.MergeGroups(t.Context(), "of x y z", "of a b c")
	want(t, err, fleet.ErrRefused)
	if g := groupOf(t, c, "of x y z"); g.Fingerprint != "of a b c" || g.Note != "the old valve" {
		t.Errorf("the address of the one that is gone leads to %+v", g)
	}
	record(t, c, chained(1, "x y z"), 0) // decoded again
	if out := record(t, c, chained(3, "x y z"), 0); out.Group.Count != 4 || out.News != crash.Known {
		t.Errorf("the next one: %+v", out)
	}
	if out := record(t, c, chained(4, "x y"), 0); out.Group.Fingerprint != "of a b c" {
		t.Errorf("one near to it: %+v", out)
	}
	left, split, err := c.SplitGroup(t.Context(), "of a b c", []string{"of x y z", "of x y"})
	if err != nil || left.Count != 1 || split.Count != 4 || split.Fingerprint != "of x y z" || split.Note != "the old valve" {
		t.Errorf("split into %+v and %+v, %v", left, split, err)
	}
	if out := record(t, c, chained(5, "x y"), 0); out.Group.Fingerprint != "of x y z" || out.Group.Count != 5 {
		t.Errorf("after the split: %+v", out)
	}
	_, err = c.MergeGroups(t.Context(), "of a b c", "of x y z")
	must(t, err)
	left, split, err = c.SplitGroup(t.Context(), "of x y", []string{"of a b c"}) // the first chain keeps the address
	if err != nil || left.Fingerprint != "of a b c" || left.Count != 1 || split.Count != 5 {
		t.Errorf("split by its first chain into %+v and %+v, %v", left, split, err)
	}
	for _, chains := range [][]string{nil, {"of a b c"}, {"nothing"}} {
		_, _, err := c.SplitGroup(t.Context(), "of a b c", chains)
		want(t, err, fleet.ErrRefused)
	}
	_, err = c.MergeGroups(t.Context(), "of a b c", "nobody")
	want(t, err, fleet.ErrUnknown)
	checkIndexes(t, c)
}

func TestADumpThatIsDecodedOtherwiseIsCountedOnce(t *testing.T) {
	c := withDumps(t, 4)
	record(t, c, chained(0, "a b c"), 0)
	record(t, c, chained(1, "a b c"), 0)
	out := record(t, c, chained(0, "p q r"), 0)
	if out.News != "" || out.Group.Count != 1 || groupOf(t, c, "of a b c").Count != 1 {
		t.Errorf("one of two: %+v", out)
	}
	record(t, c, chained(1, "p q r"), 0)
	if g := groupOf(t, c, "of a b c"); g.Fingerprint != "of p q r" || g.Count != 2 || g.Devices != 2 {
		t.Errorf("both: the old address leads to %+v", g)
	}
	if groups, err := c.Groups(crash.GroupFilter{}); err != nil || len(groups) != 1 {
		t.Errorf("groups %+v, %v", groups, err)
	}
	record(t, c, chained(2, "a b c"), 0) // and again the first chain
	record(t, c, chained(3, "a b"), 0)
	total := 0
	groups, err := c.Groups(crash.GroupFilter{})
	must(t, err)
	for _, g := range groups {
		total += g.Count
	}
	if total != 4 {
		t.Errorf("4 crashes are counted as %d", total)
	}
	checkIndexes(t, c)
}

func TestRecordsOfGroupsStaySmall(t *testing.T) {
	c := withDumps(t, 40)
	for n := range 20 {
		one := chained(n, "a b "+strings.Repeat("x", n+1))
		for i := range one.Chain {
			one.Chain[i] += strings.Repeat("f", 110)
		}
		record(t, c, one, 0)
	}
	must(t, c.view(func(txn *badger.Txn) error {
		return each(txn, "g", "", false, func(key string, item *badger.Item) error {
			if item.ValueSize() > 4<<10 {
				t.Errorf("%s has %d bytes", key, item.ValueSize())
			}
			return nil
		})
	}))
}

func TestTheDevicesOfAGroupAreThoseOfAllItsChains(t *testing.T) {
	c := withDumps(t, 9)
	for n := range 9 {
		record(t, c, chained(n, []string{"a b c", "a b", "a b d"}[n%3]), 0)
	}
	g := groupOf(t, c, "of a b")
	devices, total, err := c.GroupDevices("of a b", "", 0)
	sorted := slices.IsSortedFunc(devices, func(a, b crash.DeviceCount) int { return strings.Compare(string(a.Device), string(b.Device)) })
	if err != nil || len(devices) != g.Devices || total != g.Devices || !sorted || len(devices) == 0 {
		t.Errorf("%d devices, and %v, %v", g.Devices, devices, err)
	}
}
