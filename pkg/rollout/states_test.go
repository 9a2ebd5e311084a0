package rollout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// wants compares how a device stands in the newest rollout.
func wants(t *testing.T, rs *Rollouts, d fleet.DeviceKey, s fleet.MemberState) fleet.Member {
	t.Helper()
	_, m, _ := rs.MemberOf(fleet.Device{Key: d, Model: "pump"})
	if m.State != s {
		t.Errorf("%s is %q, want %s", d, m.State, s)
	}
	return m
}

// offered is what a device is offered.
func (f *factory) offered(rs *Rollouts, d fleet.DeviceKey) fleet.Version {
	one := fleet.Device{Key: d, Model: "pump"}
	v, _ := fleet.OfferTo(one, fleet.Model{FirmwareVersion: f.base}, rs.Word(one, fleet.Model{FirmwareVersion: f.base}))
	return v
}

// brought has a device run the build, as its own word says.
func brought(rs *Rollouts, all ...fleet.DeviceKey) {
	for _, d := range all {
		rs.Fetched("pump", d, "2")
		rs.Runs("pump", d, "2", fleet.ProofSaid)
	}
}

func TestNobodyIsBlindWhereNoDeviceHasARhythmAndWhoAsksEndsIt(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	f.quiet, f.rhythm = day, 0
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutRunning {
		t.Errorf("it is %s: %q, although devices ask at their boots only", r.State, r.Why)
	}
	f.rhythm = 5 * time.Minute
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutHeld || r.Why != "no device is heard" {
		t.Errorf("it is %s: %q", r.State, r.Why)
	}
	if got := f.ask(t, rs, "2"); len(got) != 3 {
		t.Errorf("%v are offered it: who asks is heard, and may not ask again for days", got)
	}
}

// retreating is a rollout of which six devices have the build, the first of them lost, the second not heard, when it is taken back.
func retreating(t *testing.T) (*factory, *Rollouts, []fleet.DeviceKey) {
	t.Helper()
	f := newFactory(200)
	rs := f.open(t)
	plan := fleet.Plan{Unproven: 6, Waves: []fleet.Wave{{Devices: 2}, {Share: 1}}}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: plan, By: "plant"}); err != nil {
		t.Fatal(err)
	}
	rs.Tick(t.Context())
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutAdvance, Reason: "test"})
	rs.Tick(t.Context())
	got := f.ask(t, rs, "2")
	if len(got) != 6 {
		t.Fatalf("%v are offered it, want 6", got)
	}
	brought(rs, got[1:]...)
	rs.Fetched("pump", got[0], "2")
	f.seen[got[0]] = fleet.Presence{State: fleet.Silent, Rhythm: 5 * time.Minute, Ago: 100 * day, Missing: true}
	f.now = f.now.Add(20 * time.Minute)
	rs.Tick(t.Context())
	rs.Missed("pump", got[1])
	wants(t, rs, got[0], fleet.MemberLost)
	wants(t, rs, got[2], fleet.MemberHealthy)
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "it hums"})
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutRetreat, Reason: "back", Untested: true})
	return f, rs, got
}

func TestARetreatWaitsForThoseThatWaitAndShowsWhoWasLostAsLostAndWhyItHalted(t *testing.T) {
	f, rs, got := retreating(t)
	wants(t, rs, got[0], fleet.MemberLost)
	wants(t, rs, got[1], fleet.MemberOff)
	if told := f.toldOf(event.RolloutRetreating); len(told) != 1 || told[0]["why"] != "back" {
		t.Errorf("told of it: %v, want the reason that a person gave", told)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			rs.Tick(t.Context())
			rs = f.open(t)
		}
		r, _ := rs.Rollout("pump", 0)
		if r.State != fleet.RolloutRetreating || r.Halted != "halted by plant: it hums" || r.Counts.Lost != 1 || r.Counts.Off != 1 {
			t.Errorf("after a restart %v: it is %s, halted because %q, %+v", restarted, r.State, r.Halted, r.Counts)
		}
		for _, d := range got {
			if v := f.offered(rs, d); v != "2" {
				t.Errorf("after a restart %v: %s is offered %s before its turn", restarted, d, v)
			}
		}
	}
	f.now = f.now.Add(u) // it holds for a while after a start
	back := 0
	for range 8 {
		rs.Tick(t.Context())
		turn := 0
		for _, d := range got[2:] {
			rs.Turn(t.Context(), fleet.Device{Key: d, Model: "pump"})
			if _, m, _ := rs.MemberOf(fleet.Device{Key: d, Model: "pump"}); m.State == fleet.MemberOffered {
				turn++
				rs.Fetched("pump", d, "1")
				rs.Runs("pump", d, "1", fleet.ProofSaid)
			}
		}
		if back == 0 && turn != 2 {
			t.Errorf("%d have their turn in the first wave of the retreat, want 2 of those that wait", turn)
		}
		back += turn
		f.now = f.now.Add(16 * time.Minute)
	}
	r, _ := rs.Rollout("pump", 0)
	if r.State != fleet.RolloutRetreated || back != 4 || r.Halted == "" {
		t.Errorf("it is %s after %d were taken back: %+v", r.State, back, r.Counts)
	}
	for _, again := range []bool{false, true} {
		if again {
			rs.Tick(t.Context())
			rs = f.open(t)
		}
		for _, d := range got { // the first two come back now
			if v := f.offered(rs, d); v != "1" {
				t.Errorf("after a restart %v: %s is offered %s after the retreat", again, d, v)
			}
		}
	}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "3"}); err != nil {
		t.Fatal(err)
	}
	for _, d := range got {
		if v := f.offered(rs, d); v != "1" {
			t.Errorf("%s is offered %s before its turn in the next rollout", d, v)
		}
	}
}

func TestALostDeviceThatIsHeardInARetreatHasItsTurn(t *testing.T) {
	f, rs, got := retreating(t)
	rs.Heard("pump", got[0], true)
	if m := wants(t, rs, got[0], fleet.MemberWaiting); m.Excused || f.offered(rs, got[0]) != "2" {
		t.Errorf("%+v", m)
	}
	rs.Heard("pump", got[1], true)
	wants(t, rs, got[1], fleet.MemberWaiting)
}

func TestARetreatThatIsHaltedGoesOnOrEndsAndIsNotResumed(t *testing.T) {
	for _, verb := range []fleet.RolloutVerb{fleet.RolloutFinish, fleet.RolloutRetreat} {
		f, rs, got := retreating(t)
		var taken fleet.DeviceKey
		for _, d := range got[2:] {
			rs.Turn(t.Context(), fleet.Device{Key: d, Model: "pump"})
			if f.offered(rs, d) == "1" && taken == "" {
				taken = d
				rs.Fetched("pump", d, "1")
				rs.Runs("pump", d, "1", fleet.ProofSaid)
			}
		}
		r := doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "stop that"})
		if r.State != fleet.RolloutHalted || r.Halted != "halted by plant: it hums" || f.offered(rs, taken) != "1" {
			t.Errorf("%s, halted because %q, and %s, which was given the base, is offered %s", r.State, r.Halted, taken, f.offered(rs, taken))
		}
		if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutResume, Reason: "x"}); !errors.Is(err, fleet.ErrTaken) || !strings.Contains(err.Error(), "taken back") {
			t.Errorf("resume: %v", err)
		}
		rs.Tick(t.Context())
		rs = f.open(t)
		want := map[fleet.RolloutVerb]fleet.RolloutState{fleet.RolloutFinish: fleet.RolloutRetreated, fleet.RolloutRetreat: fleet.RolloutRetreating}[verb]
		a := fleet.RolloutAct{Verb: verb, Reason: "on", Untested: verb == fleet.RolloutRetreat}
		if r := doing(t, rs, a); r.State != want || f.offered(rs, taken) != "1" {
			t.Errorf("%s: it is %s, and %s is offered %s", verb, r.State, taken, f.offered(rs, taken))
		}
		for _, d := range got[:2] {
			if v := f.offered(rs, d); (v == "1") != (verb == fleet.RolloutFinish) {
				t.Errorf("%s: %s is offered %s", verb, d, v)
			}
		}
	}
}

// Rollout 1 brought 2 to three devices and halted; rollout 2 brings 3. A device keeps the older build until its turn, also where the
// newer one did not take, and a pin ends that for good.
func TestWhoSticksToAnOlderRolloutsBuildDoesSoThroughNewerOnes(t *testing.T) {
	f := newFactory(60)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	brought(rs, got...)
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad"})
	start := func(v fleet.Version) {
		t.Helper()
		plan := fleet.Plan{Unproven: 60, Waves: []fleet.Wave{{Share: 1}}}
		if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: v, HaltFirst: true, Plan: plan}); err != nil {
			t.Fatal(err)
		}
		rs.Tick(t.Context())
	}
	start("3")
	for _, d := range got[:2] {
		rs.Turn(t.Context(), fleet.Device{Key: d, Model: "pump"})
		rs.Fetched("pump", d, "3")
	}
	rs.WentBack("pump", got[0], "3", fleet.ProofSaid)
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad"})
	check := func(when string, want map[fleet.DeviceKey]fleet.Version) {
		t.Helper()
		for d, v := range want {
			if is := f.offered(rs, d); is != v {
				t.Errorf("%s: %s is offered %s, want %s", when, d, is, v)
			}
		}
	}
	want := map[fleet.DeviceKey]fleet.Version{got[0]: "2", got[1]: "3", got[2]: "2", f.devices[59].Key: "1"}
	if slices.Contains(got, f.devices[59].Key) {
		t.Fatal("the last device has the build")
	}
	check("after the second halt", want)
	rs.Tick(t.Context())
	rs = f.open(t)
	check("after a restart", want)
	start("4")
	check("in the third", want)
	rs.Tick(t.Context())
	rs = f.open(t)
	check("in the third, after a restart", want)

	for i, d := range f.devices { // pinned, and not any more
		if d.Key == got[2] {
			f.devices[i].Barred = "pinned"
			rs.Placed("pump", f.devices[i])
			f.devices[i].Barred = ""
			rs.Placed("pump", f.devices[i])
		}
	}
	want[got[2]] = "1"
	check("after a pin", want)
	rs.Tick(t.Context())
	rs = f.open(t)
	check("after a pin and a restart", want)
}

func TestTheDevicesThatAreNamedAreAWaveBeforeThePlansOwn(t *testing.T) {
	f := newFactory(130) // line0 has 100, line1 has 30
	for i := range 4 {
		f.devices[100+i].State = fleet.Silent
	}
	rs := f.open(t)
	plan := fleet.Plan{Unproven: 100, Waves: []fleet.Wave{{Devices: 3}, {Devices: 10}, {Share: 1}}}
	r, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: plan, First: &fleet.First{Line: "line1"}})
	if err != nil || len(r.Plan.Waves) != 4 || r.Plan.Waves[0].Devices != 30 || r.Plan.Waves[1].Devices != 33 || r.Plan.Waves[2].Devices != 40 {
		t.Fatalf("%+v %v", r.Plan.Waves, err)
	}
	for wave, want := range []int{26, 29, 36} { // four of those that are named are off
		rs.Tick(t.Context())
		if rs.Tick(t.Context()); wave > 0 {
			doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutAdvance, Reason: "test"})
			rs.Tick(t.Context())
		}
		if got := f.ask(t, rs, "2"); len(got) != want {
			t.Errorf("wave %d: %d are offered it, want %d", wave+1, len(got), want)
		}
	}
}

func TestAWaveThatIsNotJudgedForLongAsksAPersonAndAsksAgain(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	brought(rs, got[:2]...)
	rs.Fetched("pump", got[2], "2") // is heard, and never shows what it runs
	pass := func(d time.Duration) fleet.Rollout {
		for end := f.now.Add(d); f.now.Before(end); {
			f.now = f.now.Add(time.Hour)
			rs.Tick(t.Context())
		}
		r, _ := rs.Rollout("pump", 0)
		return r
	}
	const why = "not decided after 14 days: 1 of the 3 devices that have their turn are not judged. Go on?"
	for range 2 {
		if r := pass(13 * day); r.State != fleet.RolloutRunning || r.Wave != 1 {
			t.Fatalf("after 13 days it is %s in wave %d", r.State, r.Wave)
		}
		if r := pass(2 * day); r.State != fleet.RolloutPaused || r.Why != why {
			t.Fatalf("after 15 days it is %s: %q", r.State, r.Why)
		}
		doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutResume})
	}
}

func TestWhoFailedWithABuildBeforeIsKnownInAnyLaterRolloutOfIt(t *testing.T) {
	f := newFactory(40)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	for i := range 2 { // the first goes back twice, the second once
		for _, d := range got[i:2] {
			if i == 1 {
				d = got[0]
			}
			rs.Turn(t.Context(), fleet.Device{Key: d, Model: "pump"})
			rs.Fetched("pump", d, "2")
			rs.WentBack("pump", d, "2", fleet.ProofSaid)
		}
	}
	wants(t, rs, got[0], fleet.MemberSkipped)
	wants(t, rs, got[1], fleet.MemberBack)
	for _, v := range []fleet.Version{"3", "2", "3", "2"} { // and one in between that never reached them
		if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: v, HaltFirst: true}); err != nil {
			t.Fatal(err)
		}
		rs = f.open(t) // as a kill leaves it
		r, _ := rs.Rollout("pump", 0)
		_, twice, _ := rs.MemberOf(fleet.Device{Key: got[0], Model: "pump"})
		_, once, _ := rs.MemberOf(fleet.Device{Key: got[1], Model: "pump"})
		failed := v == "2"
		if (twice.State == fleet.MemberSkipped) != failed || (once.Attempts == 1) != failed || once.State != fleet.MemberWaiting {
			t.Errorf("rollout %d of %s: %s %d attempts, %s %d attempts", r.Number, v, twice.State, twice.Attempts, once.State, once.Attempts)
		}
	}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", HaltFirst: true, Again: true}); err != nil {
		t.Fatal(err)
	}
	wants(t, rs, got[0], fleet.MemberWaiting)
}

func TestADraftHasTheDevicesThatCameSinceAndARolloutThoseThatCameWhileItBegan(t *testing.T) {
	f := newFactory(4)
	rs := f.open(t)
	add := func(d fleet.DeviceKey) fleet.Placed {
		one := fleet.Placed{Key: d, Line: "line9", State: fleet.Live}
		f.devices = append(f.devices, one)
		return one
	}
	f.during = func() { add("unheard") } // while the draft is written: nobody has told of it
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Draft: true}); err != nil {
		t.Fatal(err)
	}
	wants(t, rs, "unheard", fleet.MemberWaiting)
	rs.Placed("pump", add("told"))
	wants(t, rs, "told", fleet.MemberWaiting)
	add("untold")
	if r := doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutResume}); r.Counts.Waiting != 7 || r.StartedAt.IsZero() {
		t.Errorf("%+v, started at %v", r.Counts, r.StartedAt)
	}
	wants(t, rs, "untold", fleet.MemberWaiting)
}

func TestADraftThatWasHaltedIsStartedWhenItIsResumed(t *testing.T) {
	f := newFactory(4)
	rs := f.open(t)
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Draft: true}); err != nil {
		t.Fatal(err)
	}
	if r := doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "not yet"}); !r.StartedAt.IsZero() {
		t.Errorf("a draft that was halted was started at %v", r.StartedAt)
	}
	f.now = f.now.Add(time.Hour)
	if r := doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutResume, Reason: "now"}); !r.StartedAt.Equal(f.now) || len(f.toldOf(event.RolloutStarted)) != 1 {
		t.Errorf("started at %v, told %v", r.StartedAt, f.toldOf(event.RolloutStarted))
	}
}

func TestADeviceThatIsUnpinnedKeepsTheBuildThatItRunsAndProvesNothing(t *testing.T) {
	f := newFactory(50)
	f.devices[7].Barred = "pinned"
	rs := f.open(t)
	f.start(t, rs)
	f.seen["d7"] = fleet.Presence{State: fleet.Live, Runs: "2", RunsBy: fleet.ProofSaid, Rhythm: 5 * time.Minute}
	f.devices[7].Barred = ""
	rs.Placed("pump", f.devices[7])
	if m := wants(t, rs, "d7", fleet.MemberHealthy); !m.Strayed || f.offered(rs, "d7") != "2" {
		t.Errorf("%+v, and it is offered %s", m, f.offered(rs, "d7"))
	}
	late := fleet.Placed{Key: "late", Line: "line0", State: fleet.Live, Runs: "2", RunsBy: fleet.ProofSaid}
	rs.Placed("pump", late)
	if m := wants(t, rs, "late", fleet.MemberHealthy); !m.Strayed || f.offered(rs, "late") != "2" {
		t.Errorf("%+v, and it is offered %s", m, f.offered(rs, "late"))
	}
	other := fleet.DeviceKey("d9") // by cable, before anybody offered it
	rs.Runs("pump", other, "2", fleet.ProofSaid)
	if m := wants(t, rs, other, fleet.MemberUp); !m.Strayed {
		t.Errorf("%+v: what a person installed shows nothing of the wave", m)
	}
}

func TestOnlyWhoWaitsOrIsOffTakesABuildItself(t *testing.T) {
	f := newFloor(nil, 40)
	got := f.turns()
	f.fetched(got[1], "2", f.now)
	f.back(got[1], "2", "it says so", f.now)
	f.die(got[0])
	f.wait(time.Hour)
	f.want(t, got[0], fleet.MemberLost)
	f.fetching(got[0], "2", f.now)
	f.fetched(got[0], "2", f.now)
	f.fetched(got[1], "2", f.now)
	for _, d := range got[:2] {
		if m := f.members[d]; m.Strayed || m.State != fleet.MemberFetched {
			t.Errorf("%s: %+v: it was offered the build", d, m.Member)
		}
	}
}

func TestADeviceThatTakesABuildItselfIsRefusedItWhereThatCannotBeWritten(t *testing.T) {
	f := newFactory(10)
	rs := f.open(t)
	f.start(t, rs)
	f.full = true
	var stray fleet.DeviceKey
	for _, d := range f.devices {
		if _, m, _ := rs.MemberOf(fleet.Device{Key: d.Key, Model: "pump"}); m.State == fleet.MemberWaiting {
			stray = d.Key
		}
	}
	if err := rs.Strays(t.Context(), fleet.Device{Key: stray, Model: "pump"}, "2"); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("%v", err)
	}
	wants(t, rs, stray, fleet.MemberWaiting)
	if err := rs.Strays(t.Context(), fleet.Device{Key: stray, Model: "pump"}, "9"); err != nil {
		t.Errorf("a version that no rollout has: %v", err)
	}
	f.full = false
	if err := rs.Strays(t.Context(), fleet.Device{Key: stray, Model: "pump"}, "2"); err != nil || !f.members[1][stray].Strayed {
		t.Errorf("%v, on record %+v", err, f.members[1][stray])
	}
}

func TestWhoIsMissedWhenItBeginsIsOffAndItsWaveIsOfTheOthers(t *testing.T) {
	f := newFactory(6)
	for i := range 4 {
		f.devices[i].Missed = true // not silent for long enough to be so
	}
	rs := f.open(t)
	r := f.start(t, rs)
	if r.Counts.Off != 4 || r.Counts.Waiting != 2 {
		t.Errorf("%+v", r.Counts)
	}
	rs = f.open(t)
	if r, _ := rs.Rollout("pump", 0); r.Counts.Off != 4 {
		t.Errorf("after a restart %+v", r.Counts)
	}
	rs.Heard("pump", "d0", true)
	wants(t, rs, "d0", fleet.MemberWaiting)
}

// A line with fewer than three devices is never dark: whether it is the line's fault that one which was up is silent shows
// by who else is heard.
func TestADeviceThatIsUpAndFallsSilentIsLostOnceOthersAreHeard(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.up(d)
	f.mute["a"] = true
	f.silence(d)
	f.missed(d, f.now)
	f.wait(2 * time.Hour)
	f.want(t, d, fleet.MemberUp)
	f.mute["a"] = false
	f.darkened("a", true, f.now)
	f.wait(time.Hour)
	f.want(t, d, fleet.MemberUp)
	f.darkened("a", false, f.now)
	f.wait(2 * time.Minute)
	f.want(t, d, fleet.MemberLost)
}

func TestAModelThatIsRemovedIsForgotten(t *testing.T) {
	f := newFactory(5)
	rs := f.open(t)
	f.start(t, rs)
	f.gone = true
	rs.Tick(t.Context())
	if _, err := rs.Rollout("pump", 0); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("%v", err)
	}
	f.writes = nil
	rs.Tick(t.Context())
	if len(f.writes) > 0 {
		t.Errorf("%d writes of what is gone", len(f.writes))
	}
}

// A kill may come when three lost devices are on record and the halt that follows from them is not.
func TestAfterARestartItIsJudgedOnceByWhatIsOnRecord(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	for i, d := range f.ask(t, rs, "2") {
		m := f.members[1][d]
		m.State, m.Has, m.Attempts, m.Ended = fleet.MemberLost, true, 1, &fleet.Mark{Number: uint64(i + 1), New: true, Bad: true}
		f.members[1][d] = m
	}
	rs = f.open(t)
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutHalted || r.Why != "3 of the first 3 devices did not come back" {
		t.Errorf("it is %s: %q", r.State, r.Why)
	}
	rs.Tick(t.Context())
	if f.rollouts[0].State != fleet.RolloutHalted {
		t.Errorf("on record it is %s", f.rollouts[0].State)
	}
}

func TestABuildThatCannotBeReadIsTakenToGoBackByItself(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	d := f.ask(t, rs, "2")[0]
	f.unread = "2"
	rs = f.open(t)
	rs.Fetched("pump", d, "2")
	rs.Heard("pump", d, true)
	f.now = f.now.Add(2 * time.Hour)
	rs.Tick(t.Context())
	wants(t, rs, d, fleet.MemberUp)
}

func TestARolloutWhoseBuildIsWhatAllAreOfferedHasFinished(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	f.base = "2" // as a kill leaves it between the two
	rs = f.open(t)
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutFinished || f.rollouts[0].State != fleet.RolloutFinished {
		t.Errorf("it is %s, on record %s", r.State, f.rollouts[0].State)
	}
}

func TestAThousandDevicesThatGoCostOneCount(t *testing.T) {
	f := newFloor(nil, 1100)
	for i := range 1000 {
		f.crashes(fleet.DeviceKey(fmt.Sprint("a", i)), "1", "", "", f.now)
	}
	before := f.evidence
	for i := range 999 {
		f.removed(fleet.DeviceKey(fmt.Sprint("a", i)))
	}
	if f.evidence != before {
		t.Error("it was counted anew before anybody looked")
	}
	if r := f.show(f.now); f.evidence.crashed != [2]int{0, 1} || r.Evidence != f.evidence.values() {
		t.Errorf("%v crashed, want the one that is left", f.evidence.crashed)
	}
}
