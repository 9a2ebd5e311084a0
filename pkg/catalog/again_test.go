package catalog

import (
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// asked has Ana ask for the n-th dump, and returns it as triage takes it.
func asked(t *testing.T, c *Catalog, n int) crash.Crash {
	t.Helper()
	ana := event.By{Actor: fleet.Actor{Type: fleet.Person, ID: "t1", Name: "Ana"}, From: "10.0.0.7"}
	must(t, c.AskAgain(event.WithActor(t.Context(), ana), dumpAt(n).Device, dumpAt(n).Name()))
	some, err := c.AskedCrashes(1)
	must(t, err)
	if len(some) != 1 || some[0].Name != dumpAt(n).Name() {
		t.Fatalf("asked for: %+v", some)
	}
	return some[0]
}

// toldBy are the events of kinds as "actor from object details", oldest first.
func toldBy(t *testing.T, c *Catalog, kinds ...string) (all []string) {
	t.Helper()
	page, err := c.Events(event.Filter{Kinds: kinds})
	must(t, err)
	for _, e := range page.Events {
		all = append(all, strings.TrimSpace(strings.Join([]string{string(e.Kind), e.Actor.Name, e.From, e.Object.ID, string(e.Details)}, " ")))
	}
	return all
}

func TestWhoAskedForADumpIsToldOfEachTimeAndNothingIsCountedTwice(t *testing.T) {
	c := withDumps(t, 2)
	failed := reported(0, "", "")
	failed.State = crash.Failed
	record(t, c, failed, 0)
	name := string(keyOf(0)) + "/" + string(dumpAt(0).Name())
	line := func(before, after, why string) string {
		if why != "" {
			why = `,"why":"` + why + `"`
		}
		return `dump.decoded_again Ana 10.0.0.7 ` + name + ` {"after":"` + after + `","before":"` + before + `","dump":"` + string(dumpAt(0).Name()) + `","model":"pump"` + why + `}`
	}
	again := asked(t, c, 0) // it fails once more
	again.Why = "no dump"
	record(t, c, again, 0)
	again = asked(t, c, 0)
	made := chained(0, "a b c")
	made.Again = again.Again
	if out := record(t, c, made, 0); out.News != crash.New {
		t.Errorf("the first time that it is read: %+v", out)
	}
	made.Again = asked(t, c, 0).Again
	if out := record(t, c, made, 0); out.News != "" {
		t.Errorf("once more: %+v", out)
	}
	must(t, c.KeepCrash(t.Context(), asked(t, c, 0), "it is damaged"))
	want := []string{line("failed", "failed", "no dump"), line("failed", "reported", ""), line("reported", "reported", ""), line("reported", "reported", "it is damaged")}
	if got := toldBy(t, c, string(event.DumpDecodedAgain)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if news := toldBy(t, c, string(event.CrashNew)); len(news) != 1 || strings.Contains(news[0], "Ana") {
		t.Errorf("that it crashed is nobody's act: %q", news)
	}
	if g := groupOf(t, c, made.Fingerprint); g.Count != 1 || g.Devices != 1 {
		t.Errorf("counted as %+v", g)
	}
	moved := chained(0, "x y z")
	moved.Again = asked(t, c, 0).Again
	record(t, c, moved, 0)
	if g := groupOf(t, c, moved.Fingerprint); g.Count != 1 || g.Devices != 1 || g.Fingerprint == made.Fingerprint {
		t.Errorf("moved to %+v", g)
	}
	checkIndexes(t, c)
}

func TestWhatSomebodyAskedForIsKnownAfterARestartAndGoesWithItsDump(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.RecordDumps(t.Context(), []fleet.Dump{dumpAt(0)}))
	record(t, c, reported(0, "f", "1.0"), 0)
	first := asked(t, c, 0)
	must(t, c.AskAgain(t.Context(), first.Device, first.Name)) // somebody else, meanwhile
	must(t, c.Close())
	c = open(t, dir)
	some, err := c.AskedCrashes(9)
	must(t, err)
	if len(some) != 1 || some[0].Again.By != first.Again.By || some[0].State != crash.Reported {
		t.Errorf("after a restart: %+v", some)
	}
	checkIndexes(t, c)
	must(t, c.update(t.Context(), func(tx *tx) error { // an older version has recorded it, and gone
		return tx.put(crashKey(first.Device, first.Name), reported(0, "f", "1.0"))
	}))
	if some, err := c.AskedCrashes(9); err != nil || len(some) != 0 {
		t.Errorf("after an older version: %+v, %v", some, err)
	}
	must(t, c.update(t.Context(), func(tx *tx) error { return tx.put(crashKey(first.Device, first.Name), first) }))
	must(t, c.RemoveDump(t.Context(), first.Device, first.Name))
	if some, err := c.AskedCrashes(9); err != nil || len(some) != 0 {
		t.Errorf("of a dump that is gone: %+v, %v", some, err)
	}
	checkIndexes(t, c)
}
