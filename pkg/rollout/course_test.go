package rollout

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// floor is a plant whose devices do what a test says. All are heard a minute ago, unless it says otherwise.
type floor struct {
	*course
	now  time.Duration
	seen map[fleet.DeviceKey]fleet.Presence
	mute map[string]bool // lines of which nobody is heard
}

func (f *floor) Presence(d fleet.DeviceKey) fleet.Presence {
	if p, is := f.seen[d]; is {
		return p
	}
	return fleet.Presence{State: fleet.Live, Rhythm: 5 * time.Minute, Ago: time.Minute}
}

func (f *floor) HeardAgo(_ fleet.ModelCode, line string) (time.Duration, bool) {
	return 0, !f.mute[line]
}

// silence has a device not heard since now.
func (f *floor) silence(d fleet.DeviceKey) {
	f.seen[d] = fleet.Presence{State: fleet.Silent, Rhythm: 5 * time.Minute, Ago: 100 * day, Missing: true}
}

// newFloor has lines with devices named a0, a1, b0 …
func newFloor(change func(*fleet.Rollout, *settings), devices ...int) *floor {
	plan, _ := NamedPlan("standard")
	r := fleet.Rollout{Number: 1, Model: "pump", Version: "2", Base: "1", State: fleet.RolloutRunning, Plan: plan, Tolerated: 0.01, Rate: 0.002}
	s := product
	if change != nil {
		change(&r, &s)
	}
	f := &floor{seen: map[fleet.DeviceKey]fleet.Presence{}, mute: map[string]bool{}}
	f.course = newCourse(r, s, f)
	for l, n := range devices {
		line := string(rune('a' + l))
		for i := range n {
			f.add(fleet.Member{Device: fleet.DeviceKey(fmt.Sprint(line, i)), Line: line, State: fleet.MemberWaiting})
		}
	}
	f.arrange()
	f.tick(0)
	return f
}

func (f *floor) wait(d time.Duration) {
	for end := f.now + d; f.now < end; {
		f.now += time.Minute
		f.tick(f.now)
	}
}

// turns lets all devices ask that nobody has offered the build, and names those that got their turn.
func (f *floor) turns() (got []fleet.DeviceKey) {
	for _, m := range append([]*member{}, f.order...) {
		if f.take(m.Device, f.now) {
			got = append(got, m.Device)
		}
	}
	return got
}

func (f *floor) up(d fleet.DeviceKey) {
	f.fetched(d, "2", f.now)
	f.runs(d, "2", fleet.UpSaid, f.now)
}

func (f *floor) die(d fleet.DeviceKey) {
	f.fetched(d, "2", f.now)
	f.silence(d)
}

func (f *floor) want(t *testing.T, d fleet.DeviceKey, s fleet.MemberState) {
	t.Helper()
	if got := f.members[d].State; got != s {
		t.Errorf("%s is %s, want %s", d, got, s)
	}
}

func (f *floor) stands(t *testing.T, s fleet.RolloutState, why string) {
	t.Helper()
	if f.State != s || f.Why != why {
		t.Errorf("the rollout is %s: %q; want %s: %q", f.State, f.Why, s, why)
	}
}

func TestABuildThatIsDeadAtOnceCostsThreeDevicesAndHaltsInTheseWords(t *testing.T) {
	f := newFloor(nil, 50, 50)
	got := f.turns()
	if len(got) != 3 {
		t.Fatalf("%d got their turn, want 3", len(got))
	}
	for _, d := range got {
		f.die(d)
	}
	if more := f.turns(); len(more) > 0 {
		t.Errorf("%v got their turn while three hold the slots", more)
	}
	f.wait(time.Hour)
	f.stands(t, fleet.RolloutHalted, "3 of the first 3 devices did not come back")
	if e := f.evidence.values().Total; math.Abs(e-60717) > 10_000 && e < 1e4 {
		t.Errorf("evidence %v", e)
	}
}

func TestABuildThatGoesBackHaltsInTheseWords(t *testing.T) {
	f := newFloor(nil, 50)
	for _, d := range f.turns() {
		f.fetched(d, "2", f.now)
		f.back(d, "2", "it says so", f.now)
	}
	f.stands(t, fleet.RolloutHalted, "3 of the first 3 devices went back")
	f = newFloor(nil, 50)
	for i, d := range f.turns() {
		f.fetched(d, "2", f.now)
		if i < 2 {
			f.back(d, "2", "it says so", f.now)
		} else {
			f.silence(d)
		}
	}
	f.wait(time.Hour)
	f.stands(t, fleet.RolloutHalted, "3 of the first 3 devices did not come back or went back")
}

func TestTheReasonNamesTheStreamThatSaysTheMost(t *testing.T) {
	f := newFloor(nil, 10)
	mark := func(k kind, isNew bool, risk [2]int, fp string) {
		f.evidence.add(k, fleet.Mark{New: isNew, Risk: risk, Fingerprint: fp}, false)
	}
	for range 6 {
		mark(ofSilence, true, [2]int{10, 90}, "")
	}
	mark(ofSilence, false, [2]int{10, 90}, "")
	if got, want := f.reason(f.evidence.values()), "falls silent 54.0 times as often"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	f.recount()
	for range 7 {
		mark(ofCrash, true, [2]int{10, 90}, "")
	}
	if got, want := f.reason(f.evidence.values()), "crashes 7 times where 0.7 were to be expected"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	mark(ofCrash, false, [2]int{10, 90}, "")
	if got, want := f.reason(f.evidence.values()), "crashes 63.0 times as often"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	f.recount()
	for range 6 {
		mark(ofCrash, true, [2]int{5, 95}, "bug")
	}
	v := f.evidence.values()
	v.Crash = 0.5 // crashes as such say nothing
	if got, want := f.reason(v), "one crash is new with it, on 6 devices"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutHalt, By: "plant", Reason: "night shift"}, 0); err != nil {
		t.Fatal(err)
	}
	f.stands(t, fleet.RolloutHalted, "halted by plant: night shift")
}

func TestAGoodBuildDoublesWithinItsWaveAndAPersonFreesSlots(t *testing.T) {
	f := newFloor(nil, 50, 50)
	for _, d := range f.turns() {
		f.up(d)
	}
	f.wait(16 * time.Minute)
	if n := f.counts[fleet.MemberHealthy]; n != 3 {
		t.Fatalf("%d healthy, want 3", n)
	}
	if got := f.turns(); len(got) > 0 {
		t.Fatalf("%v got their turn before the rest was over", got)
	}
	f.wait(20 * time.Minute)
	got := f.turns()
	if len(got) != 3 || f.Wave != 2 {
		t.Fatalf("wave %d, %d turns: want 2 and 3", f.Wave, len(got))
	}
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutExcuse, Reason: "cut by hand", Devices: got[:2]}, f.now); err != nil {
		t.Fatal(err)
	}
	if more := f.turns(); len(more) != 2 {
		t.Errorf("%d turns after two were excused, want 2", len(more))
	}
}

func TestADarkLineStandsStillAndNobodyOnItIsLost(t *testing.T) {
	f := newFloor(nil, 40, 40)
	for _, d := range f.turns() {
		f.die(d)
	}
	f.darkened("a", true, f.now)
	f.darkened("b", true, f.now)
	f.wait(5 * time.Hour)
	if f.counts[fleet.MemberLost] > 0 || f.State != fleet.RolloutHeld {
		t.Errorf("%s, %+v: want nobody lost while their lines are dark", f.State, f.counts)
	}
	f.darkened("a", false, f.now)
	f.darkened("b", false, f.now)
	f.wait(10 * time.Minute)
	if f.counts[fleet.MemberLost] > 0 {
		t.Error("devices are lost before they had their time with the power back")
	}
	f.wait(20 * time.Minute)
	if f.counts[fleet.MemberLost] != 3 {
		t.Errorf("%+v: want 3 lost", f.counts)
	}
}

func TestADeviceIsNotLostWhileNobodyOfItsLineIsHeard(t *testing.T) {
	f := newFloor(nil, 40)
	f.mute["a"] = true
	for _, d := range f.turns() {
		f.die(d)
	}
	f.wait(3 * time.Hour)
	if f.counts[fleet.MemberLost] > 0 {
		t.Errorf("%+v: want none lost", f.counts)
	}
}

// TestADeviceThatWasHeardOnceAfterItsDownloadAndDiedIsLost is of a device that asks for something else between its download and
// its restart.
func TestADeviceThatWasHeardOnceAfterItsDownloadAndDiedIsLost(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.fetched(d, "2", f.now)
	f.wait(2 * time.Minute)
	heard := f.now - time.Minute
	for range 90 {
		f.seen[d] = fleet.Presence{State: fleet.Late, Rhythm: 5 * time.Minute, Ago: f.now - heard, Missing: true}
		f.wait(time.Minute)
	}
	f.want(t, d, fleet.MemberLost)
}

func TestADeviceThatIsHeardAndDoesNotShowWhatItRunsIsUnprovenAndNotLost(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.fetched(d, "2", f.now)
	f.wait(day)
	f.want(t, d, fleet.MemberFetched)
}

func TestALostDeviceThatIsHeardAgainIsFoundAndBecomesHealthy(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.die(d)
	f.wait(time.Hour)
	f.want(t, d, fleet.MemberLost)
	delete(f.seen, d)
	f.heard(d, f.now)
	f.runs(d, "2", fleet.UpSaid, f.now)
	f.wait(20 * time.Minute)
	f.want(t, d, fleet.MemberHealthy)
	if f.evidence.judged != 1 || f.evidence.bad != 1 {
		t.Errorf("judged %d, bad %d: a device counts once", f.evidence.judged, f.evidence.bad)
	}
}

func TestAnOfferThatNobodyTakesEndsAfterHalfAnHour(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.wait(29 * time.Minute)
	f.want(t, d, fleet.MemberOffered)
	f.wait(3 * time.Minute)
	f.want(t, d, fleet.MemberWaiting)
	if v, ok := f.word(d); ok {
		t.Errorf("it is still offered %s", v)
	}
	f.take(d, f.now)
	f.wait(20 * time.Minute)
	f.fetching(d, "2", f.now)
	f.wait(29 * time.Minute)
	f.broke(d, "2", f.now)
	f.want(t, d, fleet.MemberFetching)
	f.wait(32 * time.Minute)
	f.want(t, d, fleet.MemberWaiting)
	if f.members[d].Broken != 1 || f.members[d].Attempts != 0 {
		t.Errorf("%+v: a download that breaks is counted apart", f.members[d].Member)
	}
}

func TestADeviceThatGoesBackTwiceIsSkippedAndKeepsThatThroughAPin(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	for range 2 {
		f.fetched(d, "2", f.now)
		f.back(d, "2", "it says so", f.now)
		f.take(d, f.now)
	}
	f.want(t, d, fleet.MemberSkipped)
	f.heldBack(d, "it is pinned", f.now)
	f.heldBack(d, "", f.now)
	f.want(t, d, fleet.MemberSkipped)
}

// A bootloader, or firmware, remembers what it went back from: such a device is offered the build once more, and no longer.
func TestADeviceThatWentBackAndDoesNotTakeTheBuildAgainIsSkipped(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.fetched(d, "2", f.now)
	f.back(d, "2", "it says so", f.now)
	if !f.take(d, f.now) {
		t.Fatal("it is not offered the build once more")
	}
	f.wait(time.Hour)
	f.want(t, d, fleet.MemberSkipped)
	if f.take(d, f.now) || f.members[d].holdsSlot() {
		t.Error("it has a turn again, or holds its slot")
	}
}

// With no bootloader that goes back, firmware that refuses what it has fetched comes for it again and again.
func TestADeviceThatFetchesTheBuildAThirdTimeWithoutRunningItWentBack(t *testing.T) {
	f := newFloor(func(_ *fleet.Rollout, s *settings) { s.rollback = false }, 40)
	d := f.turns()[0]
	for range 2 {
		f.fetched(d, "2", f.now)
		f.want(t, d, fleet.MemberFetched)
		f.wait(5 * time.Minute)
	}
	f.fetched(d, "2", f.now)
	f.want(t, d, fleet.MemberSkipped)
	if m := f.members[d]; m.Ended == nil || !m.Ended.Bad || m.Has {
		t.Errorf("%+v", m.Member)
	}
}

func TestAStrayDeviceSticksAndTakesNoSlotFromBeyondTheBudget(t *testing.T) {
	f := newFloor(nil, 40)
	f.turns()
	var stray fleet.DeviceKey
	for _, m := range f.order {
		if m.State == fleet.MemberWaiting {
			stray = m.Device
		}
	}
	f.up(stray)
	if m := f.members[stray]; !m.Strayed || m.State != fleet.MemberUp {
		t.Errorf("%+v", m.Member)
	}
	if v, ok := f.word(stray); !ok || v != "2" {
		t.Error("it does not stick to what it fetched")
	}
	f.crashes(stray, "2", "", "", f.now)
	if f.evidence.crashed[0] != 0 {
		t.Error("the crash of a device that was not picked at random is compared with others")
	}
}

func TestAPinnedDeviceThatFetchesTheBuildStaysSkipped(t *testing.T) {
	f := newFloor(nil, 40)
	f.heldBack("a1", "it is pinned", 0)
	f.fetching("a1", "2", 0)
	f.up("a1")
	f.want(t, "a1", fleet.MemberSkipped)
}

func TestAHealthyDeviceThatCrashesNeedsThreeQuietIntervals(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.up(d)
	f.wait(16 * time.Minute)
	f.want(t, d, fleet.MemberHealthy)
	f.crashes(d, "2", "", "", f.now)
	f.want(t, d, fleet.MemberUp)
	f.wait(10 * time.Minute)
	f.crashes(d, "2", "", "", f.now)
	f.wait(14 * time.Minute)
	f.want(t, d, fleet.MemberUp)
	f.wait(2 * time.Minute)
	f.want(t, d, fleet.MemberHealthy)
}

func TestThatItIsHeardAgainIsNeverEnoughWithRollback(t *testing.T) {
	for _, rollback := range []bool{false, true} {
		f := newFloor(func(_ *fleet.Rollout, s *settings) { s.rollback = rollback }, 40)
		d := f.turns()[0]
		f.fetched(d, "2", f.now)
		f.runs(d, "2", fleet.UpHeard, f.now)
		f.wait(2 * time.Hour)
		want := fleet.MemberHealthy
		if rollback {
			want = fleet.MemberUp
		}
		f.want(t, d, want)
	}
}

func TestAFirstWaveThatAPersonNamesComparesWithNobody(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, _ *settings) { r.First = &fleet.First{Line: "b"} }, 40, 3)
	got := f.turns()
	if len(got) != 3 || got[0][0] != 'b' {
		t.Fatalf("%v got their turn, want those of line b", got)
	}
	for _, d := range got {
		f.up(d)
		f.crashes(d, "2", "", "", f.now)
	}
	if f.evidence.crashed != [2]int{} || f.boots != 0 {
		t.Errorf("%v crashes and %d boots of devices that were not picked at random", f.evidence.crashed, f.boots)
	}
}

func TestALateJoinerDisplacesNoneAndIsCounted(t *testing.T) {
	f := newFloor(nil, 30)
	before := map[fleet.DeviceKey]bool{}
	for _, m := range f.order[:f.cut] {
		before[m.Device] = true
	}
	for i := range 300 {
		m := f.add(fleet.Member{Device: fleet.DeviceKey(fmt.Sprint("z", i)), Line: "a", State: fleet.MemberWaiting})
		f.order = f.order[:len(f.order)-1]
		m.line.members = m.line.members[:len(m.line.members)-1]
		f.enter(m)
	}
	on := 0
	for _, m := range f.order {
		if before[m.Device] && !m.inCut {
			t.Errorf("%s was displaced", m.Device)
		}
		if m.inCut {
			on++
		}
	}
	if on != f.onInCut || f.inCut[fleet.MemberWaiting] != on {
		t.Errorf("%d are in the wave, %d counted, %d of them waiting", on, f.onInCut, f.inCut[fleet.MemberWaiting])
	}
}

func TestAGateThatDoesNotDecideAsksAPersonAndWaitsOn(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, _ *settings) {
		r.Plan = fleet.Plan{Name: "own", Unproven: 3, Waves: []fleet.Wave{{Devices: 3, BootCrash: 0.001001}, {Share: 1}}}
	}, 40)
	for _, d := range f.turns() {
		f.up(d)
	}
	f.wait(13 * day)
	f.stands(t, fleet.RolloutRunning, "")
	f.wait(2 * day)
	if f.State != fleet.RolloutPaused || !strings.HasPrefix(f.Why, "not decided after 14 days") {
		t.Fatalf("%s: %q", f.State, f.Why)
	}
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutResume, Reason: "wait on"}, f.now); err != nil {
		t.Fatal(err)
	}
	f.wait(13 * day)
	f.stands(t, fleet.RolloutRunning, "")
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutAdvance, Reason: "looked at it"}, f.now); err != nil {
		t.Fatal(err)
	}
	f.wait(time.Minute)
	if f.Wave != 2 {
		t.Errorf("wave %d, want 2", f.Wave)
	}
}

func TestAfterAHaltAPersonLetsItGoOnWithEvidenceThatStartsAnew(t *testing.T) {
	f := newFloor(nil, 50)
	for _, d := range f.turns() {
		f.die(d)
	}
	f.wait(time.Hour)
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutResume, Reason: "a forklift", Accept: []string{"5%"}}, f.now); err != nil {
		t.Fatal(err)
	}
	f.wait(time.Minute)
	f.stands(t, fleet.RolloutRunning, "")
	if v := f.evidence.values(); v.Loss != 1 {
		t.Errorf("evidence %+v, want what it was at the start", v)
	}
	f.wait(31 * time.Minute)
	if got := f.turns(); len(got) != 3 {
		t.Errorf("%d got their turn, want 3: those that were lost before hold no slot", len(got))
	}
}

func TestARetreatIsNotHeldUpByDevicesThatWentBackByThemselves(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, _ *settings) {
		r.Plan.Waves = []fleet.Wave{{Share: 1}}
		r.Plan.Unproven = 6
		r.Tolerated = 0.5
	}, 6)
	for i, d := range f.turns() {
		if i < 3 {
			f.up(d)
		} else {
			f.fetched(d, "2", f.now)
			f.back(d, "2", "it says so", f.now)
		}
	}
	f.Plan.Unproven = 3
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutRetreat, By: "plant", Reason: "bad", Untested: true}, f.now); err != nil {
		t.Fatal(err)
	}
	got := f.turns()
	if len(got) != 3 {
		t.Fatalf("%d are taken back, want 3", len(got))
	}
	for _, d := range got {
		if v, ok := f.word(d); ok {
			t.Errorf("%s is still offered %s", d, v)
		}
		f.fetched(d, "1", f.now)
		f.runs(d, "1", fleet.UpSaid, f.now)
	}
	f.wait(20 * time.Minute)
	f.stands(t, fleet.RolloutRetreated, "")
	if !f.Tested {
		t.Error("a device that was moved back and runs does not count as a test")
	}
}

func TestADownloadThatAHaltHasCutHoldsNoSlot(t *testing.T) {
	f := newFloor(nil, 40)
	d := f.turns()[0]
	f.fetching(d, "2", f.now)
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutHalt, By: "plant", Reason: "bad"}, f.now); err != nil {
		t.Fatal(err)
	}
	f.broke(d, "2", f.now)
	f.want(t, d, fleet.MemberWaiting)
	if f.slots != 0 || f.members[d].Strayed {
		t.Errorf("%d slots are taken: %+v", f.slots, f.members[d].Member)
	}
}

// A sketch that flashes all that it is sent fetches the base again and again: what it never had is not taken from it.
func TestARetreatDoesNotWaitForDevicesThatFetchTheBaseByThemselves(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, _ *settings) { r.Plan.Waves = []fleet.Wave{{Devices: 1}, {Share: 1}} }, 6)
	got := f.turns()
	f.up(got[0])
	if err := f.act(fleet.RolloutAct{Verb: fleet.RolloutRetreat, By: "plant", Reason: "bad", Untested: true}, f.now); err != nil {
		t.Fatal(err)
	}
	for d := range f.members {
		f.take(d, f.now)
		f.fetched(d, "1", f.now)
	}
	f.runs(got[0], "1", fleet.UpSaid, f.now)
	f.wait(20 * time.Minute)
	f.stands(t, fleet.RolloutRetreated, "")
	if n := f.counts[fleet.MemberFetched]; n > 0 {
		t.Errorf("%d devices are taken back that never had the build", n)
	}
}

func TestOffersStickWhileItIsPausedAndEndInTheMomentOfAHalt(t *testing.T) {
	f := newFloor(nil, 40)
	got := f.turns()
	f.up(got[0])
	_ = f.act(fleet.RolloutAct{Verb: fleet.RolloutPause, Reason: "lunch"}, f.now)
	for _, d := range got {
		if v, ok := f.word(d); !ok || v != "2" {
			t.Errorf("%s is offered %q while it is paused", d, v)
		}
	}
	halted := false
	f.halted = func() { halted = true }
	_ = f.act(fleet.RolloutAct{Verb: fleet.RolloutHalt, By: "plant", Reason: "x"}, f.now)
	if v, ok := f.word(got[0]); !ok || v != "2" {
		t.Error("who has it does not keep it")
	}
	if _, ok := f.word(got[1]); ok || !halted {
		t.Error("who does not have it is still offered it")
	}
}

func TestDevicesThatAreOffGetTheirTurnLaterAndItFinishesWithoutThem(t *testing.T) {
	f := newFloor(func(r *fleet.Rollout, _ *settings) { r.Plan.Waves = []fleet.Wave{{Share: 1}} }, 5)
	f.missed("a0", f.now)
	f.want(t, "a0", fleet.MemberOff)
	for !f.finishing && f.now < day {
		for _, d := range f.turns() {
			if d == "a0" {
				continue
			}
			f.up(d)
		}
		if m := f.members["a0"]; m.State == fleet.MemberOffered {
			f.giveBack("a0", fleet.Member{State: fleet.MemberOff})
		}
		f.wait(16 * time.Minute)
	}
	if !f.finishing || f.counts[fleet.MemberHealthy] != 4 {
		t.Errorf("%+v", f.counts)
	}
}

func TestADeviceThatAsksAtBootsOnlyIsOffAfterTheTimeThatAGateMayTake(t *testing.T) {
	f := newFloor(nil, 3)
	f.seen["a0"] = fleet.Presence{State: fleet.BootsOnly, Ago: 15 * day}
	f.wait(day)
	f.want(t, "a0", fleet.MemberOff)
	f.booted("a0", false, f.now)
	f.want(t, "a0", fleet.MemberWaiting)
}

func TestAHeldRolloutNamesItsReasonAndGoesOnByItself(t *testing.T) {
	for want, set := range map[string]func(*floor, bool){
		"no device is heard":            func(f *floor, on bool) { f.blind = on },
		"the window Mo 22:00 is closed": func(f *floor, on bool) { f.Window, f.outside = "Mo 22:00", on },
		"the disk is below its reserve": func(f *floor, on bool) { f.hold = map[bool]string{true: "the disk is below its reserve"}[on] },
		"2 of 3 lines are dark":         func(f *floor, on bool) { f.darkened("a", on, f.now); f.darkened("b", on, f.now) },
		"the gateway has just started":  func(f *floor, on bool) { f.holdOff = map[bool]time.Duration{true: day, false: 0}[on] },
	} {
		f := newFloor(nil, 5, 5, 5)
		set(f, true)
		f.wait(time.Minute)
		f.stands(t, fleet.RolloutHeld, want)
		if got := f.turns(); len(got) > 0 {
			t.Errorf("%v are offered it while %s", got, want)
		}
		set(f, false)
		f.wait(time.Minute)
		f.stands(t, fleet.RolloutRunning, "")
	}
}

func TestADeviceThatIsRemovedOrMovedInTheMiddleLeavesTheCountsRight(t *testing.T) {
	f := newFloor(nil, 5, 5)
	got := f.turns()
	f.up(got[0])
	f.crashes(got[0], "2", "", "", f.now)
	f.moved(got[1], "c")
	f.removed(got[0])
	f.weigh()
	if f.slots != 2 || f.crashed != 0 || f.evidence.crashed[0] != 0 || len(f.order) != 9 {
		t.Errorf("%d slots, %d crashed, %v, %d members", f.slots, f.crashed, f.evidence.crashed, len(f.order))
	}
	f.moved(got[1], "a")
	if f.lines["c"] != nil {
		t.Error("a line without members is counted")
	}
	sum := [2]int{}
	for _, l := range f.lines {
		sum[0] += l.crash[0]
		sum[1] += l.crash[1]
	}
	if sum != [2]int{0, 9} {
		t.Errorf("%v at risk, want none with the new build and 9 with the old one", sum)
	}
}
