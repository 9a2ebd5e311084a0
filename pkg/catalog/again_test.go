package catalog

import (
	"errors"
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

// TestTheDumpsOfAGroupAreAskedForInPiecesTheNewestFirst has 7 of one group, 2 of another and one that waits for its turn as it is.
func TestTheDumpsOfAGroupAreAskedForInPiecesTheNewestFirst(t *testing.T) {
	c := withDumps(t, 10)
	var wants []crash.Ref
	for n := range 9 {
		frames := "a b c"
		if n == 2 || n == 5 {
			frames = "x y z"
		} else {
			wants = append([]crash.Ref{{Device: keyOf(n % 3), Name: dumpAt(n).Name()}}, wants...)
		}
		record(t, c, chained(n, frames), 0)
	}
	address := chained(0, "a b c").Fingerprint
	ana := event.WithActor(t.Context(), event.By{Actor: fleet.Actor{Type: fleet.Person, ID: "t1", Name: "Ana"}, From: "10.0.0.7"})
	asks := func(after crash.Ref, limit int, want crash.AskedAgain, all int) (next crash.Ref) {
		t.Helper()
		got, err := c.AskGroupAgain(ana, address, after, limit)
		if err != nil || got != want {
			t.Errorf("behind %s: %+v, %v; want %+v", after, got, err, want)
		}
		some, err := c.AskedCrashes(100)
		must(t, err)
		asked := map[crash.Ref]bool{}
		for _, one := range some {
			asked[crash.Ref{Device: one.Device, Name: one.Name}] = one.Again.By.Name == "Ana" && one.Again.From == "10.0.0.7"
		}
		for i, r := range wants {
			if asked[r] != (i < all) {
				t.Errorf("behind %s: dump %d, %s, is asked for: %v", after, i, r, asked[r])
			}
		}
		if len(some) != all {
			t.Errorf("behind %s: %d are asked for, want %d", after, len(some), all)
		}
		return got.Next
	}
	next := asks(crash.Ref{}, 3, crash.AskedAgain{Dumps: 3, Kept: 7, Next: wants[2]}, 3)
	must(t, c.RemoveDump(t.Context(), next.Device, next.Name)) // it goes on behind it all the same
	wants = append(wants[:2:2], wants[3:]...)
	next = asks(next, 3, crash.AskedAgain{Dumps: 3, Kept: 6, Next: wants[4]}, 5)
	asks(next, 3, crash.AskedAgain{Dumps: 1, Kept: 6}, 6)
	asks(crash.Ref{}, 6, crash.AskedAgain{Dumps: 6, Kept: 6}, 6) // once more: none is asked for twice
	if told := toldBy(t, c, string(event.DumpDecodedAgain)); len(told) > 0 {
		t.Errorf("told before it is done: %q", told)
	}
	some, err := c.AskedCrashes(100)
	must(t, err)
	for _, one := range some {
		record(t, c, one, 0)
	}
	if told := toldBy(t, c, string(event.DumpDecodedAgain)); len(told) != 6 || !strings.Contains(told[0], " Ana 10.0.0.7 ") {
		t.Errorf("told %q", told)
	}
	if g := groupOf(t, c, address); g.Count != 7 {
		t.Errorf("counted as %+v", g)
	}
	if _, err := c.AskGroupAgain(ana, "none", crash.Ref{}, 3); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("of no group: %v", err)
	}
}
