package catalog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// reported is the n-th dump as it is once it has been decoded.
func reported(n int, fingerprint string, v fleet.Version) crash.Crash {
	d := dumpAt(n)
	return crash.Crash{
		Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, DeclaredVersion: d.FirmwareVersion,
		State: crash.Reported, Fingerprint: fingerprint, Version: v,
	}
}

func record(t *testing.T, c *Catalog, one crash.Crash, keep int) crash.Outcome {
	t.Helper()
	out, err := c.RecordCrash(t.Context(), one, keep)
	must(t, err)
	return out
}

func TestACrashIsCountedOnceHoweverOftenItIsDecoded(t *testing.T) {
	c := withDumps(t, 6)
	if out := record(t, c, reported(0, "f", "1.0"), 0); out.News != crash.New || out.Group.Count != 1 || out.Group.Devices != 1 {
		t.Errorf("first: %+v", out)
	}
	if out := record(t, c, reported(0, "f", "1.0"), 0); out.News != "" || out.Group.Count != 1 {
		t.Errorf("again: %+v", out)
	}
	if l, err := c.Dump(dumpAt(0).Device, dumpAt(0).Name()); err != nil || l.Crash.News != crash.New {
		t.Errorf("it is %q now, %v", l.Crash.News, err)
	}
	if out := record(t, c, reported(3, "f", "1.1"), 0); out.News != crash.Known || out.Group.Count != 2 || out.Group.Devices != 1 {
		t.Errorf("the same device: %+v", out)
	}
	if out := record(t, c, reported(1, "f", "1.1"), 0); out.Group.Count != 3 || out.Group.Devices != 2 || out.Group.LastVersion != "1.1" {
		t.Errorf("another device: %+v", out)
	}
	g, versions, _, err := c.Group("f")
	if err != nil || len(versions) != 2 || versions[0].Count != 1 || versions[1].Count != 2 || g.FirstVersion != "1.0" {
		t.Errorf("group %+v, versions %+v, %v", g, versions, err)
	}
	dumps, err := c.GroupDumps("f", 2)
	if err != nil || len(dumps) != 2 || dumps[0].Dump != dumpAt(3) || dumps[1].Dump != dumpAt(1) {
		t.Errorf("dumps %+v, %v", dumps, err)
	}
	_, err = c.RecordCrash(t.Context(), reported(77, "f", "1.0"), 0) // removed while it was decoded
	want(t, err, fleet.ErrUnknown)
	checkIndexes(t, c)
}

func TestWhereVersionsDoNotDecideTheOrderOfAcceptanceDoes(t *testing.T) {
	c := withDumps(t, 4)
	must(t, c.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	for _, v := range []fleet.Version{"nightly-b", "nightly-a"} { // accepted in this order
		_, _, err := c.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: v, ELFSHA256: string(v)}, false)
		must(t, err)
	}
	record(t, c, reported(0, "f", "nightly-b"), 0)
	_, err := c.UpdateGroup(t.Context(), "f", func(g *crash.Group) error { g.Resolve("nightly-a", noon); return nil })
	must(t, err)
	if out := record(t, c, reported(2, "f", "nightly-a"), 0); out.News != crash.Regression || out.Group.State != crash.Open {
		t.Errorf("back in the later build: %+v", out)
	}
}

func TestStormControlKeepsTheFirstAndTheLastOfAVersion(t *testing.T) {
	c := withDumps(t, 12)
	for n := range 4 {
		if out := record(t, c, reported(n, "f", "1.0"), 2); len(out.Surplus) != 0 {
			t.Errorf("dump %d: %+v is too much", n, out.Surplus)
		}
	}
	record(t, c, reported(4, "f", "1.1"), 2)
	record(t, c, reported(5, "g", "1.0"), 2)
	out := record(t, c, reported(6, "f", "1.0"), 2)
	if len(out.Surplus) != 1 || out.Surplus[0] != (crash.Ref{Device: dumpAt(2).Device, Name: dumpAt(2).Name()}) {
		t.Errorf("too much is %+v", out.Surplus)
	}
	if out := record(t, c, reported(7, "f", "1.0"), 0); len(out.Surplus) != 0 {
		t.Errorf("storm control is off, and %+v is too much", out.Surplus)
	}
	failed := reported(8, "", "")
	failed.State = crash.Failed
	if out := record(t, c, failed, 2); len(out.Surplus) != 0 || out.News != "" {
		t.Errorf("a dump without a group: %+v", out)
	}
}

func TestTheFirstAndTheLastDumpOfACrashAreKnownAsSuch(t *testing.T) {
	c := withDumps(t, 4)
	for n, version := range []string{"1.1", "1.0", "1.1"} {
		record(t, c, reported(n, "f", fleet.Version(version)), 0)
	}
	record(t, c, reported(3, "g", "1.0"), 0)
	ends := func(n int) string {
		t.Helper()
		first, last, err := c.EndsOfCrash(dumpAt(n).Device, dumpAt(n).Name())
		must(t, err)
		return fmt.Sprint(first, last)
	}
	for n, want := range map[int]string{0: "true false", 1: "false false", 2: "false true", 3: "true true", 50: "false false"} {
		if got := ends(n); got != want {
			t.Errorf("dump %d: first, last are %s, want %s", n, got, want)
		}
	}
	for _, n := range []int{0, 1} {
		must(t, c.RemoveDump(t.Context(), dumpAt(n).Device, dumpAt(n).Name()))
	}
	if got := ends(2); got != "true true" {
		t.Errorf("the only one left: first, last are %s", got)
	}
}

func TestABuildWakesWhatMissesIt(t *testing.T) {
	c := withDumps(t, 8)
	missing := func(n int, hash string, grade crash.Grade) {
		one := reported(n, "", "")
		one.State, one.ELFHash, one.Grade = crash.Missing, hash, grade
		record(t, c, one, 0)
	}
	missing(0, "ab12", crash.MissingELF) // by hash
	missing(1, "ab12", crash.MissingELF) // by hash, whatever the model
	missing(2, "ff", crash.MissingELF)   // by version
	missing(3, "ff", crash.MissingELF)   // of another model
	missing(4, "ff", crash.Exact)        // its own build is known: the version says nothing
	b := fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "ab12" + strings.Repeat("0", 60)}
	if n, err := c.WakeCrashes(t.Context(), b); n != 3 || err != nil {
		t.Errorf("%d were woken, %v", n, err)
	}
	for n, state := range []crash.State{crash.Waiting, crash.Waiting, crash.Waiting, crash.Missing, crash.Missing} {
		if l, err := c.Dump(dumpAt(n).Device, dumpAt(n).Name()); err != nil || l.Crash.State != state {
			t.Errorf("dump %d is %s, %v", n, l.Crash.State, err)
		}
	}
	checkIndexes(t, c)
}

func TestWhatAnotherVersionFailedAtIsFoundOldestFirst(t *testing.T) {
	c := withDumps(t, 6)
	for n, by := range []string{"v1", "v2", "v1", "v1"} {
		failed := reported(n, "", "")
		failed.State, failed.DecodedBy = crash.Failed, by
		record(t, c, failed, 0)
	}
	found, err := c.FailedCrashes("v2", 2)
	if err != nil || len(found) != 2 || found[0].Name != dumpAt(0).Name() || found[1].Name != dumpAt(2).Name() {
		t.Errorf("found %+v, %v", found, err)
	}
	if found, err = c.FailedCrashes("v3", 10); err != nil || len(found) != 4 {
		t.Errorf("for a newer one %d, %v", len(found), err)
	}
}

func TestABuildIsNeededWhileADumpWaitsForIt(t *testing.T) {
	c := withDumps(t, 1) // of model pump, declared 1.0
	for b, want := range map[*fleet.Build]bool{
		{Model: "pump", Version: "1.0", ELFSHA256: "aa"}: true,
		{Model: "pump", Version: "1.1", ELFSHA256: "aa"}: false,
		{Model: "fan", Version: "1.0", ELFSHA256: "aa"}:  false,
	} {
		if got, err := c.NeedsBuild(*b); got != want || err != nil {
			t.Errorf("%s %s: %v, %v", b.Model, b.Version, got, err)
		}
	}
	record(t, c, reported(0, "f", "1.0"), 0)
	if got, err := c.NeedsBuild(fleet.Build{Model: "pump", Version: "1.0", ELFSHA256: "aa"}); got || err != nil {
		t.Errorf("once decoded: %v, %v", got, err)
	}
}

func TestGroupsAreFilteredByModelStateAndVersion(t *testing.T) {
	c := withDumps(t, 8)
	for n, f := range []string{"f0", "f1", "f0", "f3"} { // pump, fan, pump, fan
		record(t, c, reported(n, f, fleet.Version(fmt.Sprintf("1.%d", n))), 0)
	}
	_, err := c.UpdateGroup(t.Context(), "f3", func(g *crash.Group) error { g.Ignore(crash.Bound{}, noon); return nil })
	must(t, err)
	no := errors.New("no")
	_, err = c.UpdateGroup(t.Context(), "f1", func(g *crash.Group) error { g.Ignore(crash.Bound{}, noon); return no })
	want(t, err, no)
	_, err = c.UpdateGroup(t.Context(), "f9", func(*crash.Group) error { return nil })
	want(t, err, fleet.ErrUnknown)
	_, _, _, err = c.Group("f9")
	want(t, err, fleet.ErrUnknown)
	for _, test := range []struct {
		filter crash.GroupFilter
		want   string
	}{
		{crash.GroupFilter{}, "f0 f1 f3"}, {crash.GroupFilter{Model: "fan"}, "f1 f3"}, {crash.GroupFilter{State: crash.Ignored}, "f3"},
		{crash.GroupFilter{Version: "1.2"}, "f0"}, {crash.GroupFilter{Version: "1.2", Model: "fan"}, ""},
	} {
		groups, err := c.Groups(test.filter)
		must(t, err)
		var got []string
		for _, g := range groups {
			got = append(got, g.Fingerprint)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %v, want %s", test.filter, got, test.want)
		}
	}
}

func TestADumpThatIsDecodedAgainLeavesAnEventAnHourAndDevice(t *testing.T) {
	c := withDumps(t, 3)
	failed := reported(0, "", "")
	failed.State = crash.Failed
	waits := reported(1, "", "")
	waits.State = crash.Missing
	record(t, c, failed, 0)
	record(t, c, waits, 0)
	kinds := func() (n int, last string) {
		page, err := c.Events(event.Filter{Kinds: []string{string(event.DumpDecodedAgain)}})
		must(t, err)
		for _, e := range page.Events {
			last = string(e.Actor.Type) + " " + e.Object.ID + " " + string(e.Details)
		}
		return len(page.Events), last
	}
	record(t, c, reported(1, "f", "1.0"), 0) // its firmware came: the first time
	if n, last := kinds(); n != 0 {
		t.Errorf("%d events before anything was decoded again: %s", n, last)
	}
	record(t, c, reported(0, "f", "1.0"), 0)
	record(t, c, reported(0, "f", "1.0"), 0)
	n, last := kinds()
	if want := `{"after":"reported","before":"failed","dump":"` + string(dumpAt(0).Name()) + `","model":"pump","times":1}`; n != 1 || last != "gateway "+string(keyOf(0))+" "+want {
		t.Errorf("%d events, the last is %s, want %s", n, last, want)
	}
}
