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

func TestAPersonFinishesARolloutAndTheVersionIsOfferedToAll(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	f.ask(t, rs, "2")
	if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutFinish, By: "plant", Reason: "tried at the bench"}); err != nil {
		t.Fatal(err)
	}
	finished := func() (all []any) {
		for _, w := range f.writes {
			for _, told := range w.Told {
				if told.Kind == event.RolloutFinished {
					all = append(all, told.Details)
				}
			}
		}
		return all
	}
	if all := finished(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0]), "why:tried at the bench") { // in the act itself: it is the person's
		t.Errorf("told %v", all)
	}
	rs.Tick(t.Context())
	if all := finished(); len(all) != 1 {
		t.Errorf("told again: %v", all)
	}
	r, _ := rs.Rollout("pump", 0)
	if r.State != fleet.RolloutFinished || r.EndedAt.IsZero() || f.base != "2" || f.rollouts[0].State != fleet.RolloutFinished {
		t.Errorf("it is %s, on record %s, and %s is offered to all", r.State, f.rollouts[0].State, f.base)
	}
	if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutFinish}); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("once more: %v", err)
	}
}

func TestAHaltThatSparesRetreatsStopsNone(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	f.ask(t, rs, "2")
	for _, a := range []fleet.RolloutAct{{Verb: fleet.RolloutRetreat, Untested: true}, {Verb: fleet.RolloutHalt, By: "CI", SparesRetreat: true}, {Verb: fleet.RolloutHalt, By: "plant"}} {
		before, _ := rs.Rollout("pump", 0)
		_, err := rs.Act(t.Context(), "pump", 0, a)
		after, _ := rs.Rollout("pump", 0)
		if spared := errors.Is(err, fleet.ErrTaken) && before.State == after.State; spared != a.SparesRetreat || !spared && err != nil {
			t.Errorf("%+v: %v, and it is %s", a, err, after.State)
		}
	}
}

func TestBarsThatChangedWhileTheGatewayWasAwayCountAtItsStart(t *testing.T) {
	f := newFactory(4)
	f.devices[0].Barred = "pinned to 1"
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	if len(got) != 3 || slices.Contains(got, "d0") {
		t.Fatalf("%v are offered it", got)
	}
	rs.Fetched("pump", "d1", "2")
	rs.Tick(t.Context())

	f.devices[0].Barred, f.devices[1].Barred, f.devices[2].Barred = "", "pinned to 1", "revoked"
	rs = f.open(t)
	for d, want := range map[fleet.DeviceKey]fleet.MemberState{
		"d0": fleet.MemberWaiting, "d1": fleet.MemberSkipped, "d2": fleet.MemberSkipped, "d3": fleet.MemberOffered,
	} {
		if _, m, _ := rs.MemberOf(fleet.Device{Key: d, Model: "pump"}); m.State != want {
			t.Errorf("%s is %s %q, want %s", d, m.State, m.Why, want)
		}
	}
	for _, d := range []fleet.DeviceKey{"d1", "d2"} {
		if w := rs.Word(fleet.Device{Key: d, Model: "pump"}, fleet.Model{FirmwareVersion: "1"}); w.Rollout != "" {
			t.Errorf("%s is barred, and offered %s", d, w.Rollout)
		}
	}
	if r, _ := rs.Rollout("pump", 0); r.Counts.Skipped != 2 || r.Counts.Waiting != 1 || r.Counts.Offered != 1 {
		t.Errorf("%+v", r.Counts)
	}
}

func TestPagesOfMembersHaveEachOnceAndOlderRolloutsAreReadFromTheirRecords(t *testing.T) {
	f := newFactory(25)
	rs := f.open(t)
	f.start(t, rs)
	offered := f.ask(t, rs, "2")
	slices.Sort(offered)
	pages := func(number int, filter fleet.MemberFilter) (all []fleet.DeviceKey) {
		t.Helper()
		for {
			page, next, err := rs.Members("pump", number, filter)
			if err != nil || len(page) > filter.Limit {
				t.Fatalf("%d, %v", len(page), err)
			}
			for _, m := range page {
				all = append(all, m.Device)
			}
			if next == "" || len(all) > 100 {
				return all
			}
			filter.After = next
		}
	}
	all := pages(1, fleet.MemberFilter{Limit: 5})
	if len(all) != 25 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != 25 {
		t.Errorf("%v", all)
	}
	if got := pages(0, fleet.MemberFilter{Limit: 2, State: fleet.MemberOffered}); !slices.Equal(got, offered) {
		t.Errorf("%v, want %v", got, offered)
	}
	was := f.now
	f.now = f.now.Add(time.Minute)
	rs.Fetched("pump", offered[0], "2")
	rs.Crashed("pump", offered[0], "2", "fp", "main", f.now)
	rs.Tick(t.Context())
	for _, older := range []bool{false, true} {
		if older {
			if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "3", HaltFirst: true}); err != nil {
				t.Fatal(err)
			}
		}
		if got := pages(1, fleet.MemberFilter{Limit: 1, Crashed: true, Wave: 1}); !slices.Equal(got, offered[:1]) {
			t.Errorf("older %v: %v crashed, want %v", older, got, offered[:1])
		}
		if got := pages(1, fleet.MemberFilter{Limit: 1, Seen: fleet.Span{Since: f.now}}); !slices.Equal(got, offered[:1]) {
			t.Errorf("older %v: of %v something was seen since, want %v", older, got, offered[:1])
		}
		if got := pages(1, fleet.MemberFilter{Limit: 2, Seen: fleet.Span{Until: was}}); !older && !slices.Equal(got, offered[1:]) {
			t.Errorf("older %v: of %v nothing was seen since, want %v", older, got, offered[1:])
		}
	}
	if _, _, err := rs.Members("pump", 7, fleet.MemberFilter{}); !errors.Is(err, fleet.ErrUnknown) {
		t.Error(err)
	}
}

func TestWhoWentBackIsNamedUntilItHasTheBuildAgain(t *testing.T) {
	f := newFactory(40)
	rs := f.open(t)
	f.start(t, rs)
	d := f.ask(t, rs, "2")[0]
	named := func(want bool, state fleet.MemberState) {
		t.Helper()
		wants(t, rs, d, state)
		page, _, err := rs.Members("pump", 1, fleet.MemberFilter{Back: true})
		if err != nil || want != (len(page) == 1 && page[0].Device == d) || !want && len(page) > 0 {
			t.Errorf("%s, %s: those that went back are %v, %v", d, state, page, err)
		}
	}
	named(false, fleet.MemberOffered)
	for i, after := range []fleet.MemberState{fleet.MemberBack, fleet.MemberSkipped} {
		rs.Turn(t.Context(), fleet.Device{Key: d, Model: "pump"})
		named(i > 0, fleet.MemberOffered) // once more
		rs.Fetched("pump", d, "2")
		named(false, fleet.MemberFetched)
		rs.WentBack("pump", d, "2", fleet.ProofSaid)
		named(true, after)
	}
	rs.Tick(t.Context())
	rs = f.open(t)
	named(true, fleet.MemberSkipped)
}

// A device that was healthy with the build and was pinned to another for a while has not gone back.
func TestWhoWasTakenFromABuildDidNotGoBack(t *testing.T) {
	f := newFloor(nil, 10)
	got := f.turns()
	for _, d := range got {
		f.up(d)
	}
	f.wall = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	f.wait(time.Hour)
	f.want(t, got[0], fleet.MemberHealthy)
	for _, why := range []string{"it is pinned", "", "it is pinned"} {
		f.heldBack(got[0], why, f.now)
		f.seen[got[0]] = fleet.Presence{State: fleet.Live, Runs: "1", RunsBy: fleet.ProofSaid} // it takes what it is pinned to
		if m := f.members[got[0]]; m.WentBack() {
			t.Errorf("held back by %q: %+v", why, m.Member)
		}
	}
}

func TestPagesOfRolloutsAreByModelTheNewestFirst(t *testing.T) {
	f := newFactory(10)
	rs := f.open(t)
	for v := 2; v < 7; v++ {
		if v == 4 {
			f.now = f.now.Add(time.Hour)
		}
		if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: fleet.Version(fmt.Sprint(v)), HaltFirst: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			rs = f.open(t)
		}
		var numbers []int
		for filter := (fleet.RolloutFilter{Limit: 2}); ; {
			page, next, err := rs.List(filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				numbers = append(numbers, r.Number)
			}
			if filter.After = next; next == "" || len(numbers) > 10 {
				break
			}
		}
		if !slices.Equal(numbers, []int{5, 4, 3, 2, 1}) {
			t.Errorf("after a restart %v: %v", restarted, numbers)
		}
		if page, next, _ := rs.List(fleet.RolloutFilter{Model: "pump", State: fleet.RolloutReplaced, Limit: 4}); len(page) != 4 || next != "" {
			t.Errorf("after a restart %v: %d were replaced, then %q", restarted, len(page), next)
		}
		if page, _, _ := rs.List(fleet.RolloutFilter{Started: fleet.Span{Since: f.now}}); len(page) != 3 {
			t.Errorf("after a restart %v: %d were started since", restarted, len(page))
		}
		if page, _, _ := rs.List(fleet.RolloutFilter{Started: fleet.Span{Until: f.now.Add(-1)}}); len(page) != 2 {
			t.Errorf("after a restart %v: %d were started before", restarted, len(page))
		}
		if page, _, _ := rs.List(fleet.RolloutFilter{Model: "valve"}); len(page) > 0 {
			t.Errorf("%v", page)
		}
	}
}

func TestWhatIsExplainedIsWhatIsShown(t *testing.T) {
	f := newFactory(200)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	for _, d := range got {
		rs.Fetched("pump", d, "2")
		rs.Runs("pump", d, "2", fleet.ProofSaid)
	}
	rs.Crashed("pump", got[0], "2", "fp", "main", f.now)
	rs.Crashed("pump", got[1], "2", "fp", "main", f.now)
	for i := 190; i < 195; i++ {
		rs.Crashed("pump", f.devices[i].Key, "1", "", "", f.now)
	}
	f.now = f.now.Add(time.Minute)
	rs.Tick(t.Context())
	for _, restarted := range []bool{false, true} {
		if restarted {
			rs.Close()
			rs = f.open(t)
		}
		r, _ := rs.Rollout("pump", 0)
		x, err := rs.Explain("pump", 0)
		if err != nil || x.Evidence != r.Evidence || r.Evidence.Total == 0.75 {
			t.Errorf("after a restart %v: explained %+v, shown %+v, %v", restarted, x.Evidence, r.Evidence, err)
		}
		if x.Signature == nil || r.Signature == nil || *x.Signature != *r.Signature || x.Signature.New.Devices != 2 {
			t.Errorf("after a restart %v: explained %+v, shown %+v", restarted, x.Signature, r.Signature)
		}
		if x.Slots.Devices != 3 || x.New.Devices != 2 || len(x.Lines) == 0 {
			t.Errorf("after a restart %v: %+v", restarted, x)
		}
	}
	if _, err := rs.Explain("pump", 9); !errors.Is(err, fleet.ErrUnknown) {
		t.Error(err)
	}
}

func TestAFingerprintThatIsNotThereIsNotAccepted(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	rs.Fetched("pump", got[0], "2")
	rs.Crashed("pump", got[0], "2", "fp", "main", f.now)
	halt := fleet.RolloutAct{Verb: fleet.RolloutHalt, By: "plant", Reason: "look"}
	if _, err := rs.Act(t.Context(), "pump", 0, halt); err != nil {
		t.Fatal(err)
	}
	resume := fleet.RolloutAct{Verb: fleet.RolloutResume, By: "plant", Reason: "known"}
	for one, want := range map[string]string{"pf": "no crash with that fingerprint", "0%": "want a share", "99%": "want a share", "NaN%": "want a share", "x%": "want a share", "": "no crash"} {
		resume.Accept = []string{"fp", "5%", one}
		if _, err := rs.Act(t.Context(), "pump", 0, resume); !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("accept %q: %v", one, err)
		}
		if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutHalted || len(r.Accepted) > 0 || r.Tolerated != 0.01 {
			t.Errorf("accept %q: it is %s with %v and %v: what is refused changes nothing", one, r.State, r.Accepted, r.Tolerated)
		}
	}
	resume.Accept = []string{"fp", "5%"}
	r, err := rs.Act(t.Context(), "pump", 0, resume)
	if err != nil || r.State != fleet.RolloutRunning || !slices.Equal(r.Accepted, []string{"fp"}) || r.Tolerated != 0.05 {
		t.Errorf("%s %v %v %v", r.State, r.Accepted, r.Tolerated, err)
	}
}
