package catalog

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// manyCrashes are of four groups and two versions, from three devices.
func manyCrashes(n int) (some []crash.Crash) {
	for i := range n {
		some = append(some, reported(i, fmt.Sprintf("f%d", i%4), fleet.Version([]string{"1.0", "1.1"}[i/7%2])))
	}
	return some
}

// outcomes are the outcomes and errors of many, as texts.
func outcomes(t *testing.T, c *Catalog, some []crash.Crash, keep int) (all []string) {
	t.Helper()
	c.RecordCrashes(t.Context(), some, keep, func(one crash.Crash, out crash.Outcome, err error) {
		all = append(all, fmt.Sprintf("%s %s %d %v", one.Name, out.News, out.Group.Count, err))
	})
	return all
}

func TestManyCrashesAtOnceBecomeWhatTheyBecomeOneByOne(t *testing.T) {
	const n = 60
	one, many := withDumps(t, n), withDumps(t, n)
	var byOne, surplus []string
	for _, c := range manyCrashes(n) {
		out := record(t, one, c, 2)
		byOne = append(byOne, fmt.Sprintf("%s %s %d %v", c.Name, out.News, out.Group.Count, nil))
		surplus = append(surplus, fmt.Sprint(out.Surplus))
	}
	if got := outcomes(t, many, manyCrashes(n), 2); !reflect.DeepEqual(got, byOne) {
		t.Errorf("at once:\n%q\none by one:\n%q", got, byOne)
	}
	for i, c := range manyCrashes(n)[n-8:] { // decoded again: as much lies between the first and the last
		if out := record(t, many, c, 2); fmt.Sprint(out.Surplus) != surplus[n-8+i] {
			t.Errorf("surplus beside %s: %v, want %s", c.Name, out.Surplus, surplus[n-8+i])
		}
	}
	for g := range 4 {
		f := fmt.Sprintf("f%d", g)
		a, av, _, err := one.Group(f)
		b, bv, _, berr := many.Group(f)
		if err != nil || berr != nil || a.Count != b.Count || a.Devices != b.Devices || fmt.Sprint(av) != fmt.Sprint(bv) {
			t.Errorf("%s: %+v %+v and %+v %+v, %v, %v", f, a, av, b, bv, err, berr)
		}
	}
	checkIndexes(t, many)
}

func TestABurstOfCrashesTakesAFewCommits(t *testing.T) {
	const n, most = 64, 4
	c := withDumps(t, n)
	before := c.store.db.MaxVersion()
	outcomes(t, c, manyCrashes(n), 0)
	if commits := c.store.db.MaxVersion() - before; commits > most {
		t.Errorf("%d crashes took %d commits, want %d at most", n, commits, most)
	}
}

// TestACrashThatCannotBeRecordedKeepsNoOtherFromIt has one in the middle whose group cannot be read.
func TestACrashThatCannotBeRecordedKeepsNoOtherFromIt(t *testing.T) {
	c := withDumps(t, 9)
	must(t, c.update(t.Context(), func(x *tx) error {
		return x.set(crashKey(dumpAt(4).Device, dumpAt(4).Name()), []byte("{"))
	}))
	var failed []fleet.DumpName
	c.RecordCrashes(t.Context(), manyCrashes(9), 0, func(one crash.Crash, _ crash.Outcome, err error) {
		if err != nil {
			failed = append(failed, one.Name)
		}
	})
	if len(failed) != 1 || failed[0] != dumpAt(4).Name() {
		t.Errorf("not recorded: %v, want %s alone", failed, dumpAt(4).Name())
	}
	if stored, err := c.CrashesIn(crash.Reported, anyCrash); err != nil || len(stored) != 8 {
		t.Errorf("%d recorded, %v; want 8", len(stored), err)
	}
}
