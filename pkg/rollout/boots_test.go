package rollout

import (
	"slices"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestBootsThatNothingExplainsStandInForCrashesOnlyOfABuildWithoutDumps(t *testing.T) {
	for _, stand := range []bool{true, false} {
		f := newFloor(func(r *fleet.Rollout, s *settings) { s.bootsStand = stand }, 100)
		got := f.turns()
		for _, d := range got {
			f.up(d)
		}
		f.booted(got[0], false, f.now) // its first, with the update
		if f.members[got[0]].Crash != nil {
			t.Errorf("boots stand in %v: the boot of an update is a crash", stand)
		}
		f.wait(10 * time.Minute)
		f.booted(got[0], false, f.now)
		f.booted(got[0], false, f.now)
		f.members[got[1]].nudgedAt = f.now
		f.booted(got[1], false, f.now)
		crashed := f.members[got[0]].Crash
		if stand != (crashed != nil && crashed.New) || f.crashed != map[bool]int{true: 1}[stand] {
			t.Errorf("boots stand in %v: %+v, %d crashed", stand, crashed, f.crashed)
		}
		if f.members[got[1]].Crash != nil {
			t.Error("a boot that was asked for is a crash")
		}
		old := f.order[50].Device
		f.darkened("a", true, f.now)
		f.booted(old, false, f.now)
		f.darkened("a", false, f.now)
		f.booted(old, false, f.now)
		if f.members[old].Crash != nil {
			t.Error("a boot with the power of its line is a crash")
		}
		f.wait(16 * time.Minute)
		f.booted(old, false, f.now)
		if m := f.members[old].Crash; stand != (m != nil && !m.New) {
			t.Errorf("boots stand in %v: of the old build %+v", stand, m)
		}
	}
}

func TestABootThatMayHaveBeenBeforeTheGatewaysStartIsNoCrash(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, s *settings) { s.bootsStand = true }, 100)
	got := f.turns()
	for _, d := range got {
		f.up(d)
	}
	f.wait(10 * time.Minute)
	boots := f.boots
	f.booted(got[0], true, f.now) // the boot of its update, which was seen before a kill and not saved
	if f.members[got[0]].Crash != nil || f.boots != boots {
		t.Errorf("%+v, %d boots that were %d", f.members[got[0]].Crash, f.boots, boots)
	}
	f.booted(got[0], false, f.now)
	if f.members[got[0]].Crash == nil || f.boots != boots+1 {
		t.Errorf("the next boot: %+v, %d boots that were %d", f.members[got[0]].Crash, f.boots, boots)
	}
}

// TestABootOfADeviceThatIsOfferedTheBuildMayBeItsUpdate has a gateway that was killed, and knows nothing of the end of a download:
// the boot into the new build was a crash of the old one, which spoke for the new.
func TestABootOfADeviceThatIsOfferedTheBuildMayBeItsUpdate(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, s *settings) { s.bootsStand = true }, 100)
	got := f.turns()
	line := f.members[got[0]].line
	atRisk := line.crash[1]
	if atRisk != 100-len(got) {
		t.Errorf("%d devices are at risk of a crash with the old build, while %d of 100 are offered the new one", atRisk, len(got))
	}
	f.booted(got[0], false, f.now)
	f.fetching(got[1], "2", f.now)
	f.booted(got[1], false, f.now)
	for _, d := range got[:2] {
		if m := f.members[d]; m.Crash != nil {
			t.Errorf("%s: %+v", m.State, m.Crash)
		}
	}
	f.wait(31 * time.Minute) // nothing came of it
	f.booted(got[0], false, f.now)
	if m := f.members[got[0]]; m.Crash == nil || m.Crash.New {
		t.Errorf("%s: %+v, want a crash of the old build", m.State, m.Crash)
	}
}

func TestBootsAreCountedOnAfterARestart(t *testing.T) {
	f := newFactory(50)
	f.traits = map[fleet.Version]fleet.Traits{"2": {}} // it writes no dumps
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	for _, d := range got {
		rs.Fetched("pump", d, "2")
		rs.Runs("pump", d, "2", fleet.ProofSaid)
	}
	f.now = f.now.Add(10 * time.Minute)
	rs.Booted("pump", got[0], false)
	rs.Tick(t.Context())
	rs.Close()
	before, _ := rs.Rollout("pump", 0)
	if before.Boots != 4 || before.Counts.Crashed != 1 {
		t.Fatalf("%d boots, %+v", before.Boots, before.Counts)
	}
	rs = f.open(t)
	if after, _ := rs.Rollout("pump", 0); after.Boots != 4 || after.Counts != before.Counts || after.Evidence != before.Evidence {
		t.Errorf("%d boots, %+v %+v", after.Boots, after.Counts, after.Evidence)
	}
	f.now = f.now.Add(10 * time.Minute)
	rs.Booted("pump", got[1], false)
	if r, _ := rs.Rollout("pump", 0); r.Boots != 5 || r.Counts.Crashed != 2 {
		t.Errorf("%d boots, %+v: boots stand in for crashes after a restart as before", r.Boots, r.Counts)
	}
}

func TestDevicesThatAskAtTheirBootsOnlyAreAskedToRestartWhenItIsTheirTurn(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, _ *settings) {
		r.Plan.Waves = []fleet.Wave{{Devices: 40, Rest: hours}, {Share: 1}}
		r.Plan.Unproven = 12
	}, 100)
	for _, m := range f.order[1:] { // the first is live
		f.seen[m.Device] = fleet.Presence{State: fleet.BootsOnly, Ago: time.Hour}
	}
	f.now = time.Minute
	first := f.nudged(f.now)
	if len(first) != mostNudged || slices.Contains(first, f.order[0].Device) {
		t.Fatalf("%v are nudged, want %d that ask at their boots only", first, mostNudged)
	}
	for _, d := range first {
		if !f.members[d].inCut {
			t.Errorf("%s is nudged, and its wave is not open", d)
		}
	}
	if again := f.nudged(f.now); slices.ContainsFunc(again, func(d fleet.DeviceKey) bool { return slices.Contains(first, d) }) {
		t.Errorf("%v are nudged after %v", again, first)
	}
	for range 10 {
		f.nudged(f.now)
	}
	f.now += 4*f.upWithin - time.Second
	if again := f.nudged(f.now); len(again) > 0 {
		t.Errorf("%v are nudged again within 4 U", again)
	}
	f.now += time.Second
	if again := f.nudged(f.now); len(again) != mostNudged {
		t.Errorf("%d are nudged again after 4 U", len(again))
	}

	f.now += 4 * f.upWithin
	for _, d := range first { // ten of twelve slots are taken
		f.take(d, f.now)
	}
	if two := f.nudged(f.now); len(two) != 2 {
		t.Errorf("%v are nudged, want 2 for the slots that are free", two)
	}
	f.State = fleet.RolloutPaused
	f.now += 4 * f.upWithin
	if none := f.nudged(f.now); len(none) > 0 {
		t.Errorf("%v are nudged in a pause", none)
	}
}
