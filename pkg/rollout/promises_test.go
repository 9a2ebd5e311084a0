package rollout

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Each of these keeps one promise, which nothing else would notice the loss of.

func TestABuildIsNamedToADeviceOnlyOnceThatIsOnRecord(t *testing.T) {
	f := newFactory(3)
	rs := f.open(t)
	f.start(t, rs)
	f.during = func() {
		if v := f.offered(rs, "d0"); v != "1" {
			t.Errorf("it is offered %s while that is being written", v)
		}
		rs.Turn(t.Context(), fleet.Device{Key: "d0", Model: "pump"}) // a second request of it
		if v := f.offered(rs, "d0"); v != "1" {
			t.Errorf("it is offered %s while that is being written", v)
		}
	}
	f.writes = nil
	rs.Turn(t.Context(), fleet.Device{Key: "d0", Model: "pump"})
	if v := f.offered(rs, "d0"); v != "2" || len(f.writes) != 1 {
		t.Errorf("it is offered %s after %d writes", v, len(f.writes))
	}
}

func TestADeviceThatIsPinnedOrRevokedHasNoTurn(t *testing.T) {
	f := newFactory(3)
	rs := f.open(t)
	f.start(t, rs)
	f.writes = nil
	for _, d := range []fleet.Device{{Key: "d0", Model: "pump", Pin: "1"}, {Key: "d1", Model: "pump", Revoked: true}} {
		rs.Turn(t.Context(), d) // before the rollout was told of it
		wants(t, rs, d.Key, fleet.MemberWaiting)
	}
	if len(f.writes) > 0 {
		t.Errorf("%+v", f.writes)
	}
}

func TestAnImageIsTakenFromADeviceOnlyAfterAHalt(t *testing.T) {
	f := newFactory(10)
	rs := f.open(t)
	f.start(t, rs)
	d := fleet.Device{Key: f.ask(t, rs, "2")[0], Model: "pump"}
	for _, a := range []fleet.RolloutAct{{Verb: fleet.RolloutPause}, {Verb: fleet.RolloutResume}} {
		doing(t, rs, a)
		if rs.Taken(d, "2") {
			t.Errorf("it is taken after a %s", a.Verb)
		}
	}
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad"})
	if !rs.Taken(d, "2") || rs.Taken(d, "1") {
		t.Error("after a halt the rest of the build is its, or the rest of the base is not")
	}
	if d.Pin = "2"; rs.Taken(d, "2") {
		t.Error("what a device is pinned to is taken from it")
	}
}

func TestLostAndFoundAndWentBackAreToldOfDevices(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	for _, d := range got {
		rs.Fetched("pump", d, "2")
	}
	f.seen[got[0]] = fleet.Presence{State: fleet.Silent, Rhythm: 5 * time.Minute, Ago: 100 * day, Missing: true}
	f.now = f.now.Add(20 * time.Minute)
	rs.Tick(t.Context())
	rs.Heard("pump", got[0], true)
	f.now = f.now.Add(time.Minute)
	for range 3 { // it takes none of it, however often it comes
		rs.Fetched("pump", got[1], "2")
	}
	rs.Tick(t.Context())
	for kind, d := range map[fleet.EventKind]fleet.DeviceKey{event.DeviceLost: got[0], event.DeviceFound: got[0], event.DeviceWentBack: got[1]} {
		n := 0
		for _, w := range f.writes {
			for _, one := range w.Told {
				if one.Kind == kind && one.Object == d.ObjectOf() {
					n++
				}
			}
		}
		if n != 1 {
			t.Errorf("%s of %s was told %d times", kind, d, n)
		}
	}
}

func TestADeviceHasThreeOfItsRhythmsToBeUpAndToBeHealthy(t *testing.T) {
	f := newFloor(nil, 40)
	got := f.turns()
	slow := fleet.Presence{State: fleet.Live, Rhythm: 20 * time.Minute, Ago: time.Minute}
	f.seen[got[1]] = slow
	f.up(got[1])
	slow.Ago, slow.Missing = 100*day, true
	f.seen[got[0]] = slow
	f.fetched(got[0], "2", f.now)
	f.wait(59 * time.Minute)
	f.want(t, got[0], fleet.MemberFetched)
	f.want(t, got[1], fleet.MemberUp)
	f.wait(3 * time.Minute)
	f.want(t, got[0], fleet.MemberLost)
	f.want(t, got[1], fleet.MemberHealthy)
}

func TestACrashOfTheOldBuildRightAfterABrokenDownloadDoesNotCount(t *testing.T) {
	for after, counts := range map[time.Duration]bool{u/8 - time.Second: false, u/8 + time.Second: true} {
		f := newFloor(nil, 40)
		d := f.turns()[0]
		f.now = time.Hour
		f.broke(d, "2", f.now)
		f.crashes(d, "1", "", "", f.now+after)
		if crashed := f.members[d].Crash != nil; crashed != counts {
			t.Errorf("%s after a download that broke: counted %v, want %v", after, crashed, counts)
		}
	}
}

func TestADumpOfTheBuildProvesThatItIsUp(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.fetched(d, "2", f.now)
	f.crashes(d, "2", "", "", f.now)
	if m := f.members[d]; m.State != fleet.MemberUp || m.UpBy != fleet.UpDump || !m.Has || m.Crash == nil || !m.Crash.New {
		t.Errorf("%+v", m.Member)
	}
}

func TestADeviceThatIsUpAndFetchesTheWholeAgainWentBackUnlessItSaysWhatItRuns(t *testing.T) {
	for by, want := range map[fleet.UpBy]fleet.MemberState{
		fleet.UpBehaved: fleet.MemberBack, fleet.UpHeard: fleet.MemberBack, fleet.UpSaid: fleet.MemberUp, fleet.UpDump: fleet.MemberUp,
	} {
		f := newFloor(nil, 40)
		d := f.turns()[0]
		f.fetched(d, "2", f.now)
		f.runs(d, "2", by, f.now)
		f.fetched(d, "2", f.now+time.Minute)
		if s := f.members[d].State; s != want {
			t.Errorf("up by %q: it is %s, want %s", by, s, want)
		}
	}
}

func TestACrashThatWasKnownBeforeTheRolloutIsNoNewSignature(t *testing.T) {
	f := newFactory(100)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	brought(rs, got...)
	rs.Crashed("pump", got[0], "2", "known", "main", f.now.Add(-time.Second))
	rs.Crashed("pump", got[1], "2", "new", "main", f.now)
	rs.Tick(t.Context())
	if a, b := f.members[1][got[0]].Crash, f.members[1][got[1]].Crash; a == nil || a.Fingerprint != "" || b == nil || b.Fingerprint != "new" {
		t.Errorf("%+v %+v", a, b)
	}
}

func TestADeviceThatBecomesAnotherModelsLeavesAndOneThatMovesIsJudgedByItsNewLine(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	brought(rs, got...)
	rs.Crashed("pump", got[0], "2", "", "", f.now)
	rs.Placed("valve", fleet.Placed{Key: got[0], Line: "line0", State: fleet.Live})
	if r, _ := rs.Rollout("pump", 0); r.Counts.Up != 2 || r.Counts.Crashed != 0 || r.Evidence.Crash != 1 {
		t.Errorf("%+v %+v", r.Counts, r.Evidence)
	}
	rs.Placed("pump", fleet.Placed{Key: got[1], Line: "line7", State: fleet.Live})
	rs.LineChanged("line7", true)
	f.now = f.now.Add(20 * time.Minute)
	rs.Tick(t.Context())
	if m := wants(t, rs, got[1], fleet.MemberUp); m.Line != "line7" { // its line is dark
		t.Errorf("%+v", m)
	}
	wants(t, rs, got[2], fleet.MemberHealthy)
}

func TestAfterAStartItIsHeldForHalfOfUAndTimeAwayCountsForNobody(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	for _, d := range got {
		rs.Fetched("pump", d, "2")
		f.seen[d] = fleet.Presence{State: fleet.Silent, Rhythm: 5 * time.Minute, Ago: 100 * day, Missing: true}
	}
	f.now = f.now.Add(10 * time.Minute)
	rs.Tick(t.Context())
	before, _ := rs.Rollout("pump", 0)
	f.now = f.now.Add(30 * day) // nobody is there
	rs = f.open(t)
	rs.Tick(t.Context())
	r, _ := rs.Rollout("pump", 0)
	if r.State != fleet.RolloutHeld || r.Why != "the gateway has just started" || r.Counts.Lost > 0 || r.Elapsed != before.Elapsed {
		t.Errorf("%s %q, %+v, elapsed %s after %s", r.State, r.Why, r.Counts, r.Elapsed, before.Elapsed)
	}
	f.now = f.now.Add(u/2 - time.Second)
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutHeld {
		t.Errorf("it is %s within half of U", r.State)
	}
	f.now = f.now.Add(2 * time.Second)
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutRunning || r.Counts.Lost > 0 {
		t.Errorf("it is %s, %+v", r.State, r.Counts)
	}
	f.now = f.now.Add(u)
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.Counts.Lost != 3 {
		t.Errorf("%+v: each has all of its time again, and no more", r.Counts)
	}
}

// Of 13 devices three are a wave that is over. That nine of ten are judged is asked of the ten that came with the open one.
func TestAfterARestartNineOfTenAreAskedOfTheOpenWave(t *testing.T) {
	f := newFactory(400)
	rs := f.open(t)
	plan := fleet.Plan{Unproven: 1000, Waves: []fleet.Wave{{Devices: 100}, {Devices: 120}, {Share: 1}}}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: plan}); err != nil {
		t.Fatal(err)
	}
	rs.Tick(t.Context())
	step := func() fleet.Rollout {
		f.now = f.now.Add(17 * time.Minute)
		rs.Tick(t.Context())
		r, _ := rs.Rollout("pump", 0)
		return r
	}
	brought(rs, f.ask(t, rs, "2")...)
	if r := step(); r.Wave != 2 || r.Counts.Healthy != 100 {
		t.Fatalf("wave %d, %+v", r.Wave, r.Counts)
	}
	var second []fleet.DeviceKey
	for _, d := range f.ask(t, rs, "2") {
		if _, m, _ := rs.MemberOf(fleet.Device{Key: d, Model: "pump"}); m.State == fleet.MemberOffered {
			second = append(second, d)
		}
	}
	if len(second) != 20 {
		t.Fatalf("%d in the second wave", len(second))
	}
	brought(rs, second[:17]...) // of 20, and 117 of 120
	rs.Tick(t.Context())
	rs = f.open(t)
	f.now = f.now.Add(u)
	rs.Tick(t.Context())
	if r := step(); r.Wave != 2 {
		t.Errorf("wave %d opened with 17 of 20 judged: %+v", r.Wave, r.Counts)
	}
	brought(rs, second[17])
	step()
	if r := step(); r.Wave != 3 {
		t.Errorf("wave %d with 18 of 20 judged: %+v", r.Wave, r.Counts)
	}
}

func TestAWindowThatOpensWhileNobodyIsHeardLetsNobodyIn(t *testing.T) {
	f := newFactory(20)
	rs := f.open(t)
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Window: "22:00-05:00"}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		hour  int
		quiet time.Duration
		why   string
	}{
		{12, 0, "the window 22:00-05:00 is closed"}, {13, day, "the window 22:00-05:00 is closed"},
		{23, day, "no device is heard"}, {24, 0, ""}, {30, 0, "the window 22:00-05:00 is closed"},
	} {
		f.now, f.quiet = time.Date(2026, 5, 4, step.hour, 0, 0, 0, time.UTC), step.quiet
		rs.Tick(t.Context())
		if r, _ := rs.Rollout("pump", 0); r.Why != step.why || (r.State == fleet.RolloutRunning) != (step.why == "") {
			t.Errorf("at %d: %s %q, want %q", step.hour, r.State, r.Why, step.why)
		}
	}
}

func TestWhatCouldNotBeWrittenIsWrittenOnceThereIsRoom(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	d := f.ask(t, rs, "2")[0]
	brought(rs, d)
	f.writes, f.full = nil, true
	if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutPause, By: "plant", Reason: "lunch"}); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("%v", err)
	}
	rs.Tick(t.Context())
	f.full = false
	rs.Tick(t.Context())
	if m := f.members[1][d]; m.State != fleet.MemberUp || f.rollouts[0].State != fleet.RolloutPaused || len(f.toldOf(event.RolloutPaused)) != 1 {
		t.Errorf("on record %s is %s and the rollout is %s, told %v", d, m.State, f.rollouts[0].State, f.toldOf(event.RolloutPaused))
	}
}

func TestAHaltForAPublishTakesNothingBackAlsoWhereARetreatWasPromised(t *testing.T) {
	for _, publish := range []bool{false, true} {
		f := newFactory(50)
		rs := f.open(t)
		if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Retreat: true, Untested: true}); err != nil {
			t.Fatal(err)
		}
		rs.Tick(t.Context())
		brought(rs, f.ask(t, rs, "2")...)
		want := fleet.RolloutRetreating
		if publish {
			want = fleet.RolloutHalted
			if err := rs.ForPublish(t.Context(), "pump", "plant", true); err != nil {
				t.Fatal(err)
			}
		} else {
			doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad"})
		}
		if r, _ := rs.Rollout("pump", 0); r.State != want {
			t.Errorf("for a publish %v: it is %s, want %s", publish, r.State, want)
		}
	}
}

func TestWhatAPersonHasAcceptedStaysSoThroughTheNextHaltAndARestart(t *testing.T) {
	f := newFactory(400)
	rs := f.open(t)
	plan := fleet.Plan{Unproven: 100, Waves: []fleet.Wave{{Devices: 40}, {Share: 1}}}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: plan}); err != nil {
		t.Fatal(err)
	}
	rs.Tick(t.Context())
	got := f.ask(t, rs, "2")
	brought(rs, got...)
	crash := func(from, to int, fp string) {
		for _, d := range got[from:to] {
			rs.Crashed("pump", d, "2", fp, "main", f.now)
		}
	}
	crash(0, 1, "a")
	crash(1, 2, "b")
	for i, fp := range []string{"a", "b"} {
		doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "look"})
		doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutResume, Reason: "known", Accept: []string{fp}})
		crash(2+i, 3+i, "b") // it is new again until it is accepted
	}
	rs.Tick(t.Context())
	rs = f.open(t)
	before, _ := rs.Rollout("pump", 0)
	if !slices.Equal(before.Accepted, []string{"a", "b"}) {
		t.Errorf("accepted %v", before.Accepted)
	}
	crash(10, 20, "a")
	crash(20, 30, "b")
	if after, _ := rs.Rollout("pump", 0); after.Evidence != before.Evidence || after.State.Unfinished() != before.State.Unfinished() {
		t.Errorf("what is accepted counts: %+v, and it was %+v", after.Evidence, before.Evidence)
	}
	crash(30, 40, "c")
	if after, _ := rs.Rollout("pump", 0); after.Evidence == before.Evidence {
		t.Error("what is not accepted does not count")
	}
}

func TestTheSignatureThatIsNamedIsTheOneThatSaysTheMost(t *testing.T) {
	f := newFloor(nil, 10)
	for i, n := range []int{2, 6, 4} {
		for range n {
			f.evidence.add(ofCrash, fleet.Mark{New: true, Risk: [2]int{10, 90}, Fingerprint: fmt.Sprint("bug", i), Frame: fmt.Sprint("frame", i)}, false)
		}
	}
	for range 9 { // the old build has more of this one
		f.evidence.add(ofCrash, fleet.Mark{Risk: [2]int{10, 90}, Fingerprint: "old"}, false)
	}
	if s := f.show(0).Signature; s == nil || s.Fingerprint != "bug1" || s.Frame != "frame1" || s.New.Devices != 6 {
		t.Errorf("%+v", s)
	}
}
