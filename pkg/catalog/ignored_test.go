package catalog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// ignoring is a catalog with a clock and four groups, f0 to f3.
type ignoring struct {
	*Catalog
	t   *testing.T
	dir string
	now time.Time
}

func newIgnoring(t *testing.T) *ignoring {
	i := &ignoring{t: t, dir: t.TempDir(), now: noon}
	i.start()
	t.Cleanup(func() { must(t, i.Close()) })
	var dumps []fleet.Dump
	for n := range 12 {
		dumps = append(dumps, dumpAt(n))
	}
	must(t, i.RecordDumps(t.Context(), dumps))
	for n := range 4 {
		record(t, i.Catalog, reported(n, fmt.Sprint("f", n), "1.0"), 0)
	}
	return i
}

func (i *ignoring) start() {
	o := settled(i.t, i.dir)
	o.Now = func() time.Time { return i.now }
	var err error
	i.Catalog, err = Open(o)
	must(i.t, err)
}

func (i *ignoring) restart() {
	must(i.t, i.Close())
	i.start()
}

func (i *ignoring) ignore(fingerprint string, until crash.Bound) {
	i.t.Helper()
	_, err := i.UpdateGroup(i.t.Context(), fingerprint, func(g *crash.Group) error { g.Ignore(until, i.now); return nil })
	must(i.t, err)
}

// passes has the clock say a time, and looks what is due.
func (i *ignoring) passes(to time.Time) {
	i.t.Helper()
	i.now = to
	must(i.t, i.EndIgnoring(i.t.Context(), to))
}

// wants says which groups are open, by the list, by the numbers and by their order.
func (i *ignoring) wants(when, open string) {
	i.t.Helper()
	groups, err := i.Groups(crash.GroupFilter{State: crash.Open})
	must(i.t, err)
	var names []string
	for _, g := range groups {
		names = append(names, g.Fingerprint)
	}
	stock, err := i.Stock()
	must(i.t, err)
	urgent, _, err := i.UrgentGroups(len(names))
	must(i.t, err)
	if got := strings.Join(names, " "); got != open || stock.Open != len(names) || slices.ContainsFunc(urgent, func(g crash.Group) bool { return g.State != crash.Open }) {
		i.t.Errorf("%s: %q are open, %d by the numbers, want %q", when, got, stock.Open, open)
	}
	checkStock(i.t, i.Catalog)
	checkIndexes(i.t, i.Catalog)
}

// told are the events of a group, and who they are of.
func (i *ignoring) told(fingerprint string) (all []string) {
	i.t.Helper()
	page, err := i.Events(event.Filter{Object: fleet.Object{Type: "crash", ID: fingerprint}})
	must(i.t, err)
	for _, e := range page.Events {
		all = append(all, fmt.Sprint(e.Kind, " ", e.Actor.Type, " ", string(e.Details)))
	}
	return all
}

func TestWhatSomebodyHasDecidedMeanwhileStays(t *testing.T) {
	i := newIgnoring(t)
	i.ignore("f1", crash.Bound{At: noon.Add(time.Hour)})
	listed := ignoredKey(groupOf(t, i.Catalog, "f1"))
	_, err := i.UpdateGroup(t.Context(), "f1", func(g *crash.Group) error { g.Resolve("2.0", i.now); return nil })
	must(t, err)
	must(t, i.store.write(map[string][]byte{listed: {}})) // as it was when it was looked what is due
	i.passes(noon.Add(2 * time.Hour))
	if g := groupOf(t, i.Catalog, "f1"); g.State != crash.Resolved {
		t.Errorf("it is %s", g.State)
	}
	must(t, i.store.write(map[string][]byte{listed: nil}))
}

func TestWhatIsIgnoredUntilATimeIsOpenAgainThenWithoutACrash(t *testing.T) {
	i := newIgnoring(t)
	at := noon.Add(48 * time.Hour)
	i.ignore("f1", crash.Bound{At: at})
	i.ignore("f2", crash.Bound{At: at.Add(time.Hour)})
	i.ignore("f3", crash.Bound{})
	i.passes(at.Add(-time.Microsecond))
	i.wants("before", "f0")
	i.restart()
	i.passes(time.Unix(0, 0))
	i.wants("by a clock that has jumped back", "f0")
	i.passes(at)
	i.wants("at the time of the first", "f0 f1")
	i.restart()
	i.wants("after a restart", "f0 f1")
	i.passes(at.AddDate(70, 0, 0))
	i.wants("by a clock that has jumped ahead", "f0 f1 f2")
	i.passes(noon)
	i.wants("by one that is right again", "f0 f1 f2")
	if g := groupOf(t, i.Catalog, "f1"); !g.ChangedAt.Equal(at) || g.Reopened == "" {
		t.Errorf("%+v", g)
	}
	told := i.told("f1")
	if last := told[len(told)-1]; !strings.HasPrefix(last, "crash.reopened gateway ") || !strings.Contains(last, `"why":"it was ignored until 2026-05-06T12:00:00Z"`) {
		t.Errorf("told is %s", told)
	}
	i.passes(at.Add(31 * 24 * time.Hour))
	if again := i.told("f1"); len(again) != len(told) {
		t.Errorf("it is told twice: %s", again)
	}
}

func TestATimeThatSomebodyTookBackOpensNothing(t *testing.T) {
	i := newIgnoring(t)
	at := noon.Add(time.Hour)
	for _, fingerprint := range []string{"f0", "f1", "f2"} {
		i.ignore(fingerprint, crash.Bound{At: at})
	}
	_, err := i.UpdateGroup(t.Context(), "f0", func(g *crash.Group) error { g.Resolve("2.0", noon); return nil })
	must(t, err)
	i.ignore("f1", crash.Bound{At: at.Add(time.Hour)})
	i.ignore("f2", crash.Bound{Crashes: 2})
	i.passes(at)
	i.wants("at the first time", "f3")
}

func TestACrashThatWasWaitedForOpensAnIgnoredGroupWithAnEvent(t *testing.T) {
	i := newIgnoring(t)
	i.ignore("f0", crash.Bound{Version: "1.5"})
	i.ignore("f1", crash.Bound{Crashes: 2})
	record(t, i.Catalog, reported(4, "f0", "1.4"), 0)
	record(t, i.Catalog, reported(5, "f1", "1.0"), 0)
	i.wants("after stragglers", "f2 f3")
	i.restart()
	record(t, i.Catalog, reported(5, "f1", "1.0"), 0) // decoded again
	i.wants("after a restart", "f2 f3")
	for n, fingerprint := range []string{"f0", "f1"} {
		out := record(t, i.Catalog, reported(6+n, fingerprint, "1.5"), 0)
		told := i.told(fingerprint)
		if last := told[len(told)-1]; out.News != crash.Known || out.Group.Reopened == "" || !strings.HasPrefix(last, "crash.reopened gateway ") || !strings.Contains(last, `"before":"ignored"`) {
			t.Errorf("%+v, and told is %s", out, told)
		}
	}
	i.wants("after what was waited for", "f0 f1 f2 f3")
}

func TestABoundGoesAlongWithMergesSplitsBackupsAndDumpsThatAreDecodedOtherwise(t *testing.T) {
	i := newIgnoring(t)
	at := noon.Add(time.Hour)
	i.ignore("f0", crash.Bound{Crashes: 9})
	i.now = noon.Add(time.Minute)
	i.ignore("f2", crash.Bound{At: at})
	merged, err := i.MergeGroups(t.Context(), "f0", "f2")
	if err != nil || merged.Fingerprint != "f0" || !merged.Until.At.Equal(at) {
		t.Fatalf("%+v, %v", merged, err)
	}
	left, split, err := i.SplitGroup(t.Context(), "f0", []string{"f2"})
	if err != nil || left.Until != split.Until || left.State != crash.Ignored {
		t.Fatalf("%+v and %+v, %v", left, split, err)
	}
	record(t, i.Catalog, reported(2, "f4", "1.0"), 0) // of f2, by other rules
	if g := groupOf(t, i.Catalog, "f4"); !g.Until.At.Equal(at) || g.State != crash.Ignored {
		t.Errorf("%+v", g)
	}
	i.wants("before", "f1 f3")
	backup := backupOf(t, i.Catalog)
	other := &ignoring{t: t, dir: t.TempDir(), now: i.now}
	o := settled(t, other.dir)
	_, err = Restore(o, bytes.NewReader(backup))
	must(t, err)
	other.start()
	t.Cleanup(func() { must(t, other.Close()) })
	for name, c := range map[string]*ignoring{"where it was made": i, "restored": other} {
		c.wants(name+", before", "f1 f3")
		c.passes(at)
		c.wants(name, "f0 f1 f3 f4")
	}
}

// TestAStartFindsWhatIsIgnoredUntilATimeWhereAnOlderVersionWrote plays one that knows no index of them.
func TestAStartFindsWhatIsIgnoredUntilATimeWhereAnOlderVersionWrote(t *testing.T) {
	i := newIgnoring(t)
	at := noon.Add(time.Hour)
	i.ignore("f0", crash.Bound{At: at})
	batch := i.store.db.NewWriteBatch()
	must(t, batch.Delete([]byte(ignoredKey(groupOf(t, i.Catalog, "f0")))))
	must(t, batch.Set([]byte(ignoredPrefix+"0000000000000001/f1"), nil))
	must(t, batch.Flush())
	i.restart()
	i.passes(at)
	i.wants("after its start", "f0 f1 f2 f3")
}
