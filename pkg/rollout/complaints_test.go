package rollout

import (
	"slices"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What users of other rollouts complain of (ROLLOUTS.md section 12), each with the behaviour that they asked for.

// hawkBit: percentages of a group, whatever its size.
func TestTheFirstWavesAreDevicesAndNotAShareOfAFleetOfAnySize(t *testing.T) {
	for _, devices := range []int{20, 200, 20_000} {
		f := newFloor(nil, devices)
		if f.onInCut != 3 {
			t.Errorf("%d of %d devices are in the first wave, want 3", f.onInCut, devices)
		}
	}
}

// hawkBit #3185, #446: success as soon as the device says "installed", while the old image runs.
func TestADeviceThatHasTheImageAndIsHeardIsNoSuccess(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.seen[d] = fleet.Presence{State: fleet.Live, Rhythm: 5 * time.Minute, Ago: time.Minute, Checks: true}
	f.fetched(d, "2", f.now)
	f.runs(d, "2", fleet.UpHeard, f.now)
	f.wait(day)
	if s := f.members[d].State; s == fleet.MemberHealthy || f.evidence.judged > 0 {
		t.Errorf("it is %s, and %d updates are judged", s, f.evidence.judged)
	}
}

// hawkBit #693: a device that says nothing counts for nothing.
func TestADeviceThatSaysNothingCountsAsLost(t *testing.T) {
	f := newFloor(nil, 40)
	f.die(f.turns()[0])
	f.wait(time.Hour)
	if f.evidence.judged != 1 || f.evidence.lost != 1 {
		t.Errorf("%d judged, %d lost", f.evidence.judged, f.evidence.lost)
	}
}

// hawkBit #1529: members are a list of the start, and a device that joins later is in none.
func TestADeviceThatJoinsLaterGetsTheBuildAndTheEndWaitsForIt(t *testing.T) {
	f := newFactory(4)
	rs := f.open(t)
	plan := fleet.Plan{Waves: []fleet.Wave{{Share: 1}}}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: plan}); err != nil {
		t.Fatal(err)
	}
	rs.Tick(t.Context())
	late := fleet.Placed{Key: "late", Line: "line9", State: fleet.Live}
	f.devices = append(f.devices, late)
	rs.Placed("pump", late)
	had := map[fleet.DeviceKey]bool{}
	for range 10 {
		for _, d := range f.ask(t, rs, "2") {
			had[d] = true
			rs.Fetched("pump", d, "2")
			rs.Runs("pump", d, "2", fleet.ProofSaid)
		}
		if r, _ := rs.Rollout("pump", 0); r.State == fleet.RolloutFinished && !had["late"] {
			t.Fatal("it finished without the device that joined late")
		}
		f.now = f.now.Add(16 * time.Minute)
		rs.Tick(t.Context())
	}
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutFinished || r.Counts.Healthy != 5 || f.base != "2" {
		t.Errorf("%s, %+v, the model is offered %s", r.State, r.Counts, f.base)
	}
}

// hawkBit #1086: a group in the order of creation is one uplink.
func TestAWaveIsSpreadOverTheLines(t *testing.T) {
	f := newFloor(nil, slices.Repeat([]int{50}, 10)...)
	f.Wave = 2
	f.extend()
	lines := map[string]int{}
	for _, m := range f.order[:f.cut] {
		lines[m.Line]++
	}
	if len(lines) != 10 {
		t.Errorf("10 devices are on %v", lines)
	}
}

// NervesHub #419: failure_threshold is declared and read nowhere.
func TestTheShareThatIsToleratedDecides(t *testing.T) {
	for tolerated, want := range map[float64]fleet.RolloutState{0.01: fleet.RolloutHalted, 0.9: fleet.RolloutRunning} {
		f := newFloor(func(r *fleet.Rollout, _ *settings) { r.Tolerated, r.Plan.Unproven = tolerated, 10 }, 100)
		for _, d := range f.turns() {
			f.die(d)
		}
		f.wait(time.Hour)
		if f.State != want {
			t.Errorf("3 lost where a share of %v is tolerated: %s, want %s", tolerated, f.State, want)
		}
	}
}

// A rollout that lives in memory is stranded by a restart: this one goes on where it was, and ends.
func TestARolloutGoesOnAfterARestartAndEnds(t *testing.T) {
	f := newFactory(20)
	rs := f.open(t)
	plan := fleet.Plan{Waves: []fleet.Wave{{Devices: 3}, {Share: 1}}}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: plan}); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		rs.Tick(t.Context())
		rs = f.open(t)
		f.now = f.now.Add(8 * time.Minute) // it holds for a while after each start
		rs.Tick(t.Context())
		for _, d := range f.ask(t, rs, "2") {
			rs.Fetched("pump", d, "2")
			rs.Runs("pump", d, "2", fleet.ProofSaid)
		}
		f.now = f.now.Add(16 * time.Minute)
	}
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutFinished || r.Counts.Healthy != 20 {
		t.Errorf("%s %q, %+v", r.State, r.Why, r.Counts)
	}
}
