package rollout

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// doing has a person do something to the newest rollout, which has to work.
func doing(t *testing.T, rs *Rollouts, a fleet.RolloutAct) fleet.Rollout {
	t.Helper()
	a.By = "plant"
	r, err := rs.Act(t.Context(), "pump", 0, a)
	if err != nil {
		t.Fatalf("%s: %v", a.Verb, err)
	}
	return r
}

// toldOf are the details of the events of a kind that are on record.
func (f *factory) toldOf(kind fleet.EventKind) (all []map[string]any) {
	for _, w := range f.writes {
		for _, one := range w.Told {
			if one.Kind == kind {
				all = append(all, one.Details.(map[string]any))
			}
		}
	}
	return all
}

func TestAFinishIsDoneWhenItReturnsWithItsReasonAndInTheNameOfWhoAsked(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	person := event.By{Actor: fleet.Actor{Type: fleet.Person, Name: "anna"}}
	ctx := event.WithActor(t.Context(), person)
	r, err := rs.Act(ctx, "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutFinish, By: "anna", Reason: "tried at the bench"})
	if err != nil || r.State != fleet.RolloutFinished || r.Why != "tried at the bench" || f.base != "2" || f.rollouts[0].State != fleet.RolloutFinished {
		t.Errorf("%v: it is %s %q, on record %s, and %s is offered to all", err, r.State, r.Why, f.rollouts[0].State, f.base)
	}
	if told := f.toldOf(event.RolloutFinished); len(told) != 1 || told[0]["why"] != "tried at the bench" {
		t.Errorf("told of it: %v", told)
	}
	if f.publisher != person.Actor || f.writer != person.Actor {
		t.Errorf("published by %+v, written by %+v, want anna", f.publisher, f.writer)
	}
}

func TestAFinishThatCannotPublishLeavesTheRolloutAsItIs(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	f.unpublishable = fleet.Full("the disk is full")
	if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutFinish}); !errors.Is(err, fleet.ErrFull) {
		t.Errorf("%v", err)
	}
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutRunning || f.base != "1" {
		t.Errorf("it is %s, and %s is offered to all", r.State, f.base)
	}
}

func TestAHaltedRolloutIsNotFinishedAndWhileItsBuildIsPublishedItCannotHalt(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	f.publishing = func() { // three devices go back in the middle of it, which is enough for a halt
		for _, d := range got {
			rs.Fetched("pump", d, "2")
			rs.WentBack("pump", d, "2", fleet.ProofSaid)
		}
	}
	if r := doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutFinish}); r.State != fleet.RolloutFinished || r.Halted != "" || f.base != "2" || len(f.toldOf(event.RolloutHalted)) > 0 {
		t.Errorf("it is %s, halted because %q, and %s is offered to all", r.State, r.Halted, f.base)
	}

	f = newFactory(50)
	rs = f.open(t)
	f.start(t, rs)
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad"})
	if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutFinish}); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("the finish of a halted one: %v", err)
	}
	rs.models["pump"].course.finishing = true // as if its last device had been judged in the moment before the halt
	rs.Tick(t.Context())
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutHalted || f.base != "1" {
		t.Errorf("it is %s, and %s is offered to all", r.State, f.base)
	}
}

func TestActsAreDoneOneAtATimeAndTheSecondWaits(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	second := make(chan error)
	f.during = func() { // the pause is being written
		go func() {
			_, err := rs.Act(context.Background(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutResume})
			second <- err
		}()
		select {
		case err := <-second:
			t.Errorf("the second act is over before the first is written: %v", err)
		case <-time.After(20 * time.Millisecond): // it may come later: then it shows nothing, and fails nothing
		}
		if _, err := rs.Act(ended(t), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutResume}); !errors.Is(err, context.Canceled) {
			t.Errorf("one whose caller has gone: %v", err)
		}
		if n := len(f.writes); n > 0 && f.writes[n-1].Rollout != nil && f.writes[n-1].Rollout.State == fleet.RolloutPaused {
			t.Error("the first is written already: that proves nothing")
		}
	}
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutPause, Reason: "lunch"})
	if err := <-second; err != nil {
		t.Error(err)
	}
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutRunning || f.rollouts[0].State != fleet.RolloutRunning {
		t.Errorf("it is %s, on record %s", r.State, f.rollouts[0].State)
	}
}

// ended is a context that is over.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// An offer that was written must not be overtaken by an older state of the same device that is still being written.
func TestAnOfferIsWrittenAfterWhatIsBeingWrittenOfItsDevice(t *testing.T) {
	f := newFactory(3)
	f.devices[0].State = fleet.Silent
	rs := f.open(t)
	f.start(t, rs)
	rs.Heard("pump", "d0", false)
	turned := make(chan struct{})
	f.during = func() { // that d0 waits again is being written
		go func() {
			rs.Turn(context.Background(), fleet.Device{Key: "d0", Model: "pump"})
			close(turned)
		}()
		select {
		case <-turned:
			t.Error("the offer is over before what came before it is written")
		case <-time.After(20 * time.Millisecond):
		}
	}
	rs.Tick(t.Context())
	<-turned
	if m := f.members[1]["d0"]; m.State != fleet.MemberOffered {
		t.Errorf("on record it is %q, want that it is offered the build", m.State)
	}
}

func TestActsAndOrdersThatContradictThemselvesAreRefused(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	for want, o := range map[string]fleet.RolloutOrder{
		"draft and start_at":        {Draft: true, StartAt: f.now.Add(time.Hour)},
		"has passed":                {StartAt: f.now.Add(-time.Second)},
		"untested: it goes with":    {Untested: true},
		"a window of 65 bytes":      {Window: strings.Repeat("M", 65)},
		"a plan's name \"a plan\"":  {Plan: fleet.Plan{Name: "a plan", Waves: []fleet.Wave{{Share: 1}}}},
		"the plan small has other":  {Plan: fleet.Plan{Name: "small", Waves: []fleet.Wave{{Share: 1}}}},
		"first: want either a line": {First: &fleet.First{Line: "line0", Keys: []fleet.DeviceKey{"d0"}}},
	} {
		o.Model, o.Version = "pump", "2"
		if _, err := rs.Start(t.Context(), o); !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if len(f.rollouts) > 0 {
		t.Fatalf("%d rollouts are on record", len(f.rollouts))
	}
	f.start(t, rs)
	for want, a := range map[string]fleet.RolloutAct{
		"devices: they go with excuse":   {Verb: fleet.RolloutPause, Devices: []fleet.DeviceKey{"d0"}},
		"and with nothing else":          {Verb: fleet.RolloutExcuse},
		"accept: it goes with resume":    {Verb: fleet.RolloutHalt, Accept: []string{"5%"}},
		"untested: it goes with":         {Verb: fleet.RolloutHalt, Untested: true},
		"to stay goes with halt":         {Verb: fleet.RolloutRetreat, Stay: true, Untested: true},
		"there is nothing like \"stop\"": {Verb: "stop"},
	} {
		a.By, a.Reason = "plant", "x"
		if _, err := rs.Act(t.Context(), "pump", 0, a); !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutRunning {
		t.Errorf("it is %s: what is refused changes nothing", r.State)
	}
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutPause})
	if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutResume, Accept: []string{"5%"}}); !errors.Is(err, fleet.ErrRefused) {
		t.Errorf("what is accepted after a pause: %v", err)
	}
}

func TestOnceSomethingElseWasPublishedAHaltedRolloutDoesNotGoOn(t *testing.T) {
	f := newFactory(50)
	rs := f.open(t)
	f.start(t, rs)
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad"})
	f.base = "3"
	rs.Tick(t.Context())
	for _, verb := range []fleet.RolloutVerb{fleet.RolloutResume, fleet.RolloutRetreat} {
		if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: verb, Reason: "x", Untested: verb == fleet.RolloutRetreat}); !errors.Is(err, fleet.ErrTaken) ||
			!strings.Contains(err.Error(), "another version was published") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestAPageOfRolloutsGoesOnWhereItEndedAlsoWhenThatOneIsGone(t *testing.T) {
	f := newFactory(10)
	rs := f.open(t)
	f.start(t, rs)
	page, _, err := rs.List(fleet.RolloutFilter{After: "cutter/4"})
	if err != nil || len(page) != 1 {
		t.Errorf("%d after those of a model that is gone: %v", len(page), err)
	}
	if page, _, err := rs.List(fleet.RolloutFilter{After: "pump/1"}); err != nil || len(page) > 0 {
		t.Errorf("%d after the last: %v", len(page), err)
	}
	if _, _, err := rs.List(fleet.RolloutFilter{After: "pump"}); !errors.Is(err, fleet.ErrRefused) {
		t.Errorf("after what is none: %v", err)
	}
}

func TestAnOlderRolloutIsExplainedLikeTheNewest(t *testing.T) {
	f := newFactory(200)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	for _, d := range got {
		rs.Fetched("pump", d, "2")
		rs.Runs("pump", d, "2", fleet.ProofSaid)
	}
	for _, d := range got[:2] {
		rs.Crashed("pump", d, "2", "fp", "main", f.now)
	}
	rs.Crashed("pump", "d199", "1", "", "", f.now)
	doing(t, rs, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "look"})
	before, err := rs.Explain("pump", 1)
	if err != nil {
		t.Fatal(err)
	}
	if before.New.Devices != 2 || before.Old.Devices != 1 || before.Signature == nil || before.DecideWithin.Of() != 14*day {
		t.Errorf("%+v", before)
	}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "3"}); err != nil {
		t.Fatal(err)
	}
	after, err := rs.Explain("pump", 1)
	if err != nil {
		t.Fatal(err)
	}
	if after.Evidence != before.Evidence || after.New != before.New || after.Old != before.Old || after.Ended != before.Ended || after.Expected != before.Expected ||
		*after.Signature != *before.Signature || !slices.Equal(after.Lines, before.Lines) || !slices.Equal(after.Gates, before.Gates) {
		t.Errorf("as an older one %+v\nas the newest %+v", after, before)
	}
}

func TestForecastsArePlayedOneAtATimeWithTheLossThatIsTolerated(t *testing.T) {
	f := newFactory(30)
	rs := f.open(t)
	rs.playing <- struct{}{} // one is played
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error)
	go func() {
		_, err := rs.Forecast(ctx, fleet.RolloutOrder{Model: "pump", Version: "2"})
		over <- err
	}()
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("a second one whose caller has gone: %v", err)
	}
	<-rs.playing

	halts := map[float64]int{}
	for _, tolerated := range []float64{0.01, 0.9} {
		rs.options.Tolerated = tolerated
		x, err := rs.Forecast(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: fleet.Plan{Name: "urgent"}})
		if err != nil {
			t.Fatal(err)
		}
		halts[tolerated] = x.Builds[2].Halted // 30 % silent
	}
	if halts[0.9] >= halts[0.01] {
		t.Errorf("where so much is tolerated it halts so often: %v", halts)
	}
}

func TestRecordsWhoseNumbersAreNotInTheirOrderAreNotOpened(t *testing.T) {
	for _, numbers := range [][]int{{0}, {1, 1}, {2, 1}} {
		f := newFactory(3)
		for _, n := range numbers {
			f.rollouts = append(f.rollouts, fleet.Rollout{Number: n, Model: "pump", State: fleet.RolloutReplaced, Plan: fleet.Plan{Waves: []fleet.Wave{{Share: 1}}}})
		}
		_, err := Open(f.options())
		if err == nil || !strings.Contains(err.Error(), "the record of rollout") {
			t.Errorf("%v: %v", numbers, err)
		}
	}
}
