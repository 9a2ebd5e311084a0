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

// takenBack is a floor of six devices that had the build, in whose retreat the first three were given the base and are not heard.
func takenBack(t *testing.T) (f *floor, lost []fleet.DeviceKey) {
	t.Helper()
	f = newFloor(func(r *fleet.Rollout, _ *settings) {
		r.Plan.Waves, r.Plan.Unproven = []fleet.Wave{{Share: 1}}, 6
	}, 6, 60)
	for _, d := range f.turns() {
		f.up(d)
	}
	f.Plan.Unproven = 3
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutRetreat, By: "plant", Reason: "bad", Untested: true}, f.now); err != nil {
		t.Fatal(err)
	}
	lost = f.turns()
	for _, d := range lost {
		f.fetched(d, "1", f.now)
		f.silence(d)
	}
	f.wait(time.Hour)
	slices.Sort(lost)
	return f, lost
}

func TestARetreatWhoseDevicesDoNotComeBackStopsAndNamesThem(t *testing.T) {
	f, lost := takenBack(t)
	if len(lost) != 3 {
		t.Fatalf("%v were taken back, want 3", lost)
	}
	names := fmt.Sprintf("%s, %s, %s", lost[0], lost[1], lost[2])
	want := "every slot is held by a device that did not come back with 1: " + names + "; excuse those that it is no fault of, or finish"
	f.stands(t, fleet.RolloutRetreating, want)
	if more := f.turns(); len(more) > 0 {
		t.Errorf("%v are given the base as well, which brought nobody back", more)
	}
	told := 0
	for _, one := range f.told {
		if one.Kind == event.RolloutHeld {
			told++
		}
	}
	if told != 1 {
		t.Errorf("that was told %d times, want once", told)
	}

	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutExcuse, Reason: "the line was rewired", Devices: lost}, f.now); err != nil {
		t.Fatal(err)
	}
	f.wait(time.Minute)
	f.stands(t, fleet.RolloutRetreating, "")
	more := f.turns()
	if len(more) != 3 {
		t.Errorf("%v go on after the three are excused, want the three others", more)
	}
	for _, d := range more {
		f.fetched(d, "1", f.now)
		f.runs(d, "1", fleet.UpSaid, f.now)
	}
	f.wait(time.Hour)
	f.stands(t, fleet.RolloutRetreated, "")
}

func TestARetreatGoesOnByItselfWhenALostDeviceIsHeardAgain(t *testing.T) {
	f, lost := takenBack(t)
	delete(f.seen, lost[0])
	f.heard(lost[0], f.now)
	f.runs(lost[0], "1", fleet.UpSaid, f.now)
	f.wait(20 * time.Minute)
	f.want(t, lost[0], fleet.MemberHealthy)
	f.stands(t, fleet.RolloutRetreating, "")
	if more := f.turns(); len(more) != 1 {
		t.Errorf("%v go on, want one for the slot that is free", more)
	}
}

func TestARetreatIsPromisedAtTheStartOnlyIfItWillBeDone(t *testing.T) {
	f := newFactory(40)
	f.traits = map[fleet.Version]fleet.Traits{"1": {SecureVersion: 1, Dumps: true}, "2": {SecureVersion: 1, Dumps: true}, "9": {SecureVersion: 2, Dumps: true}}
	rs := f.open(t)
	order := fleet.RolloutOrder{Model: "pump", Version: "2", By: "plant", Retreat: true}
	refused := func(want string) {
		t.Helper()
		if _, err := rs.Start(t.Context(), order); !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	refused("no device was moved from 2 back to 1 yet")
	order.Version, order.Untested = "9", true
	refused("the secure version went up from 1 to 2")

	order.Version = "2"
	if _, err := rs.Start(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	rs.Tick(t.Context())
	got := f.ask(t, rs, "2")
	for _, d := range got {
		rs.Fetched("pump", d, "2")
		rs.Runs("pump", d, "2", fleet.ProofSaid)
	}
	r, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad", By: "plant"})
	if err != nil || r.State != fleet.RolloutRetreating {
		t.Fatalf("after the halt it is %s, %v: a retreat was promised", r.State, err)
	}

	for _, d := range got { // it is tried now: the same build again asks for nothing
		rs.Turn(t.Context(), fleet.Device{Key: d, Model: "pump"})
		rs.Fetched("pump", d, "1")
		rs.Runs("pump", d, "1", fleet.ProofSaid)
	}
	f.now = f.now.Add(time.Hour)
	rs.Tick(t.Context())
	rs.Tick(t.Context())
	order.Untested = false
	for _, restarted := range []bool{false, true} {
		if restarted {
			rs = f.open(t)
		}
		order.HaltFirst = restarted
		if r, err = rs.Start(t.Context(), order); err != nil || !r.Tested {
			t.Errorf("after a restart %v: %v, tested %v", restarted, err, r.Tested)
		}
	}
}

func TestASecureVersionThatWentUpForbidsARetreatWhateverIsSaid(t *testing.T) {
	f := newFactory(40)
	f.traits = map[fleet.Version]fleet.Traits{"1": {SecureVersion: 1, Dumps: true}, "2": {SecureVersion: 2, Dumps: true}}
	rs := f.open(t)
	r := f.start(t, rs)
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.HasPrefix(w, "it cannot be taken back") }) {
		t.Errorf("the start says %q", r.Warnings)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			rs = f.open(t)
		}
		_, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutRetreat, Reason: "bad", By: "plant", Untested: true})
		if !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), "from 1 to 2") {
			t.Errorf("after a restart %v: %v", restarted, err)
		}
		if r, _ := rs.Rollout("pump", 0); r.State == fleet.RolloutRetreating || r.State == fleet.RolloutHalted {
			t.Errorf("it is %s: what is refused changes nothing", r.State)
		}
	}
}
