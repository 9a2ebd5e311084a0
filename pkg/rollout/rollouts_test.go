package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// factory is the catalog, the book and the firmware of a gateway, in memory. What is in rollouts and members is on its disk.
type factory struct {
	rollouts []fleet.Rollout
	members  map[int]map[fleet.DeviceKey]fleet.Member
	writes   []Change
	full     bool
	during   func() // called once, in the middle of a write
	reads    int    // of member records
	writer   fleet.Actor

	seen   map[fleet.DeviceKey]fleet.Presence // else a device is live
	dark   []string
	quiet  time.Duration
	rhythm time.Duration
	gone   bool          // the model
	unread fleet.Version // whose bundle cannot be read

	publisher     fleet.Actor
	publishing    func() // in the middle of a Publish; nil: nothing
	unpublishable error  // of Publish

	base    fleet.Version
	devices []fleet.Placed
	now     time.Time
	traits  map[fleet.Version]fleet.Traits
}

func (f *factory) Model(c fleet.ModelCode) (fleet.Model, error) {
	if f.gone {
		return fleet.Model{}, fleet.Unknown("there is no model %s", c)
	}
	return fleet.Model{Code: c, FirmwareVersion: f.base}, nil
}

func (f *factory) Build(_ fleet.ModelCode, v fleet.Version) (b fleet.Build, err error) {
	if v == "none" {
		return b, fleet.Unknown("there is no build %s", v)
	}
	return b, nil
}

func (f *factory) EachRollout(yield func(fleet.Rollout) error) error {
	for _, r := range f.rollouts {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (f *factory) EachMember(_ fleet.ModelCode, number int, yield func(fleet.Member) error) error {
	for _, m := range f.members[number] {
		f.reads++
		if err := yield(m); err != nil {
			return err
		}
	}
	return nil
}

func (f *factory) AddRollout(ctx context.Context, r fleet.Rollout, c Change) (fleet.Rollout, error) {
	if f.full {
		return r, fleet.Full("the disk is full")
	}
	if old := c.Replaces; old != nil {
		f.rollouts[old.Number-1] = *old
	}
	r.Number = len(f.rollouts) + 1
	f.rollouts = append(f.rollouts, r)
	c.Number, c.Rollout = r.Number, &r
	return r, f.SaveRollout(ctx, c)
}

func (f *factory) SaveRollout(ctx context.Context, c Change) error {
	if f.full {
		return fleet.Full("the disk is full")
	}
	if during := f.during; during != nil {
		f.during = nil
		during()
	}
	f.writes, f.writer = append(f.writes, c), event.ActorOf(ctx).Actor
	if c.Rollout != nil {
		f.rollouts[c.Number-1] = *c.Rollout
	}
	if f.members == nil {
		f.members = map[int]map[fleet.DeviceKey]fleet.Member{}
	}
	if f.members[c.Number] == nil {
		f.members[c.Number] = map[fleet.DeviceKey]fleet.Member{}
	}
	for _, m := range c.Members {
		f.members[c.Number][m.Device] = m
	}
	return nil
}

func (f *factory) RolloutPlan(fleet.ModelCode) (p fleet.Plan, found bool, err error) {
	return p, false, nil
}

func (f *factory) SaveRolloutPlan(context.Context, fleet.ModelCode, fleet.Plan) error { return nil }

func (f *factory) Presence(d fleet.DeviceKey) fleet.Presence {
	if p, is := f.seen[d]; is {
		return p
	}
	return fleet.Presence{State: fleet.Live, Rhythm: 5 * time.Minute, Ago: time.Minute}
}

func (f *factory) HeardAgo(fleet.ModelCode, string) (time.Duration, bool) { return 0, true }

func (f *factory) EachDevice(_ fleet.ModelCode, yield func(fleet.Placed)) {
	for _, d := range f.devices {
		yield(d)
	}
}

func (f *factory) DarkLines() []string { return f.dark }

func (f *factory) QuietFor() (quiet, rhythm time.Duration) { return f.quiet, f.rhythm }

func (f *factory) Traits(_ fleet.ModelCode, v fleet.Version) (fleet.Traits, error) {
	if t, is := f.traits[v]; is {
		return t, nil
	}
	if v == f.unread {
		return fleet.Traits{}, errors.New("the bundle cannot be read")
	}
	return fleet.Traits{Dumps: true}, nil
}

func (f *factory) Publish(ctx context.Context, c fleet.ModelCode, v fleet.Version) (fleet.Model, error) {
	if f.unpublishable != nil {
		return fleet.Model{}, f.unpublishable
	}
	f.base, f.publisher = v, event.ActorOf(ctx).Actor
	if f.publishing != nil {
		f.publishing()
	}
	return f.Model(c)
}

func newFactory(devices int) *factory {
	f := &factory{base: "1", seen: map[fleet.DeviceKey]fleet.Presence{}, rhythm: 5 * time.Minute, now: time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)}
	for i := range devices {
		f.devices = append(f.devices, fleet.Placed{Key: fleet.DeviceKey(fmt.Sprint("d", i)), Line: fmt.Sprint("line", i/100), State: fleet.Live})
	}
	return f
}

func (f *factory) open(t testing.TB) *Rollouts {
	t.Helper()
	rs, err := Open(f.options())
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func (f *factory) options() Options {
	return Options{
		Store: f, Book: f, Firmware: f, Rate: func(fleet.ModelCode, fleet.Version) float64 { return 0 }, Hold: func() string { return "" },
		Plan: "standard", Alpha: 1e-4, Beta: 0.01, Tolerated: 0.01, UpWithin: u, DecideWithin: 14 * day, Beat: func() {},
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return f.now },
	}
}

func (f *factory) start(t testing.TB, rs *Rollouts) fleet.Rollout {
	t.Helper()
	r, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", By: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	rs.Tick(t.Context())
	return r
}

// ask has each device ask once, and names those that are offered the version.
func (f *factory) ask(t testing.TB, rs *Rollouts, v fleet.Version) (got []fleet.DeviceKey) {
	for _, d := range f.devices {
		if d.State == fleet.Silent {
			continue
		}
		one := fleet.Device{Key: d.Key, Model: "pump"}
		rs.Turn(t.Context(), one)
		if rs.Word(one, fleet.Model{FirmwareVersion: f.base}).Rollout == v {
			got = append(got, d.Key)
		}
	}
	return got
}

func TestATurnWritesOneMemberAndAPollThatIsAnsweredAsBeforeWritesNothing(t *testing.T) {
	f := newFactory(200)
	rs := f.open(t)
	f.start(t, rs)
	f.writes = nil
	got := f.ask(t, rs, "2")
	if len(got) != 3 || len(f.writes) != 3 {
		t.Fatalf("%d offers, %d writes: want 3 and 3", len(got), len(f.writes))
	}
	for _, w := range f.writes {
		if len(w.Members) != 1 || w.Rollout != nil || len(w.Told) > 0 {
			t.Errorf("%+v: want one member and nothing else", w)
		}
	}
	f.writes = nil
	if again := f.ask(t, rs, "2"); !slices.Equal(again, got) || len(f.writes) > 0 {
		t.Errorf("%v after %v, %d writes", again, got, len(f.writes))
	}
}

func TestAnOfferThatCannotBeWrittenIsTakenBack(t *testing.T) {
	f := newFactory(200)
	rs := f.open(t)
	f.start(t, rs)
	f.full = true
	if got := f.ask(t, rs, "2"); len(got) > 0 {
		t.Errorf("%v are offered it, and nothing is on record", got)
	}
	if r, _ := rs.Rollout("pump", 0); r.Counts.Offered > 0 || r.Counts.Waiting != 200 {
		t.Errorf("%+v", r.Counts)
	}
	f.full = false
	if got := f.ask(t, rs, "2"); len(got) != 3 {
		t.Errorf("%d are offered it with room again, want 3", len(got))
	}
}

// TestAfterAKillAtAnyPointTheEvidenceIsTheSameAndNobodyHasItWithoutARecord kills the gateway after each write of a rollout
// whose devices do all that there is.
func TestAfterAKillAtAnyPointTheEvidenceIsTheSameAndNobodyHasItWithoutARecord(t *testing.T) {
	f := newFactory(300)
	random := rand.New(rand.NewPCG(5, 6))
	rs := f.open(t)
	f.start(t, rs)
	kills := 0
	for range 600 {
		for _, d := range f.ask(t, rs, "2") {
			r, m, _ := rs.MemberOf(fleet.Device{Key: d, Model: "pump"})
			if _, is := f.members[r.Number][d]; !is {
				t.Fatalf("%s is %s, and has no record", d, m.State)
			}
			if m.State != fleet.MemberOffered {
				continue
			}
			rs.Fetched("pump", d, "2")
			rs.Runs("pump", d, "2", fleet.ProofSaid)
			if random.IntN(40) == 0 {
				rs.Crashed("pump", d, "2", fmt.Sprint("fp", random.IntN(4)), "main", f.now)
			}
		}
		rs.Crashed("pump", f.devices[random.IntN(300)].Key, "1", fmt.Sprint("fp", random.IntN(4)), "main", f.now)
		f.now = f.now.Add(8 * time.Minute)
		rs.Tick(t.Context())
		before, _ := rs.Rollout("pump", 0)
		if unproven := before.Counts.Offered + before.Counts.Fetching + before.Counts.Fetched + before.Counts.Up + before.Counts.Lost; unproven >
			max(3, before.Counts.Healthy)+before.Counts.Crashed {
			t.Fatalf("%d unproven of %+v", unproven, before.Counts)
		}
		if random.IntN(3) == 0 {
			kills++
			rs = f.open(t)
			after, _ := rs.Rollout("pump", 0)
			if before.Evidence != after.Evidence || before.Counts != after.Counts || before.Wave != after.Wave || before.State != after.State && after.State != fleet.RolloutHeld {
				t.Fatalf("before the kill %+v %+v wave %d %s\nafter it %+v %+v wave %d %s", before.Evidence, before.Counts, before.Wave, before.State,
					after.Evidence, after.Counts, after.Wave, after.State)
			}
		}
	}
	marks := rs.models["pump"].course.marks
	if r, _ := rs.Rollout("pump", 0); kills < 100 || marks < 100 || r.Wave < 3 {
		t.Fatalf("%d kills, %d marks, wave %d: that proves nothing", kills, marks, r.Wave)
	}
}

func TestWhatHappensWhileAnOfferIsWrittenIsWrittenAfterIt(t *testing.T) {
	f := newFactory(3)
	rs := f.open(t)
	f.start(t, rs)
	f.during = func() {
		rs.Fetched("pump", "d0", "2")
		rs.Tick(t.Context())
	}
	rs.Turn(t.Context(), fleet.Device{Key: "d0", Model: "pump"})
	if f.during != nil {
		t.Fatal("no offer was written")
	}
	rs.Tick(t.Context())
	if m := f.members[1]["d0"]; m.State != fleet.MemberFetched {
		t.Errorf("on record it is %q, want that it has fetched the build", m.State)
	}
}

func TestASecondRolloutIsRefusedAndNamesTheFirstUnlessItIsHalted(t *testing.T) {
	f := newFactory(200)
	rs := f.open(t)
	f.start(t, rs)
	_, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "3"})
	if !errors.Is(err, fleet.ErrTaken) || !strings.Contains(err.Error(), "rollout 1 of pump") {
		t.Errorf("%v", err)
	}
	if err := rs.ForPublish(t.Context(), "pump", "plant", false); !errors.Is(err, fleet.ErrTaken) {
		t.Errorf("a publish beside it: %v", err)
	}
	r, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "3", HaltFirst: true, By: "plant"})
	if err != nil || r.Number != 2 {
		t.Fatalf("%+v %v", r.Number, err)
	}
	if first, _ := rs.Rollout("pump", 1); first.State != fleet.RolloutReplaced {
		t.Errorf("the first is %s", first.State)
	}
	if err := rs.ForPublish(t.Context(), "pump", "plant", true); err != nil {
		t.Error(err)
	}
	if r, _ := rs.Rollout("pump", 0); r.State != fleet.RolloutHalted || r.Why != "halted by plant: another build is published to all" {
		t.Errorf("%s %q", r.State, r.Why)
	}
}

func TestWhoHasTheBuildOfAnOlderRolloutSticksToItAndWhoHadAPartIsNotSentTheRest(t *testing.T) {
	f := newFactory(200)
	rs := f.open(t)
	f.start(t, rs)
	got := f.ask(t, rs, "2")
	rs.Fetched("pump", got[0], "2")
	if err := rs.ForPublish(t.Context(), "pump", "plant", true); err != nil {
		t.Fatal(err)
	}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "3"}); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if again {
			rs.Tick(t.Context())
			rs = f.open(t)
		}
		has, part := fleet.Device{Key: got[0], Model: "pump"}, fleet.Device{Key: got[1], Model: "pump"}
		if w := rs.Word(has, fleet.Model{FirmwareVersion: "1"}); w.Stick != "2" {
			t.Errorf("after a restart %v: %+v, want a stick to 2", again, w)
		}
		if rs.Taken(has, "2") || !rs.Taken(part, "2") || rs.Taken(part, "1") {
			t.Errorf("after a restart %v: taken from who has it: %v, from who has a part: %v", again, rs.Taken(has, "2"), rs.Taken(part, "2"))
		}
	}
}

func TestADraftCountsWhoIsHeardWhenItStarts(t *testing.T) {
	f := newFactory(10)
	f.devices[0].State = fleet.Silent
	rs := f.open(t)
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", StartAt: f.now.Add(day)}); err != nil {
		t.Fatal(err)
	}
	f.devices[0].State, f.devices[1].State = fleet.Live, fleet.Silent
	f.now = f.now.Add(day + time.Second)
	rs.Tick(t.Context())
	r, _ := rs.Rollout("pump", 0)
	_, silent, _ := rs.MemberOf(fleet.Device{Key: "d1", Model: "pump"})
	if r.State != fleet.RolloutRunning || r.Counts.Off != 1 || silent.State != fleet.MemberOff {
		t.Errorf("%s, %+v, the silent one is %s", r.State, r.Counts, silent.State)
	}
}

func TestARolloutIsRefusedWithWhatToDo(t *testing.T) {
	f := newFactory(10)
	f.traits = map[fleet.Version]fleet.Traits{"1": {SecureVersion: 2}, "old": {SecureVersion: 1}}
	rs := f.open(t)
	for want, o := range map[string]fleet.RolloutOrder{
		"there is no build":          {Version: "none"},
		"is offered already":         {Version: "1"},
		"there is no plan":           {Version: "2", Plan: fleet.Plan{Name: "hasty"}},
		"window":                     {Version: "2", Window: "at night"},
		"none that the target picks": {Version: "2", Target: fleet.Target{Lines: []string{"moon"}}},
		"no device of the rollout":   {Version: "2", First: &fleet.First{Line: "moon"}},
		"secure version":             {Version: "old"},
	} {
		o.Model = "pump"
		if _, err := rs.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestAForecastSaysWhatAPlanDoesNotKeep(t *testing.T) {
	f := newFactory(300)
	x, err := f.open(t).Forecast(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Plan: fleet.Plan{Name: "urgent"}})
	if err != nil {
		t.Fatal(err)
	}
	if x.Devices != 300 || x.Rate != usualRate || len(x.Builds) != 6 || x.Builds[0].Halted > 0 {
		t.Errorf("%+v", x)
	}
	for _, row := range x.Builds[1:] {
		says := slices.ContainsFunc(x.Warnings, func(w string) bool { return strings.HasPrefix(w, row.Build+": halts in") })
		if keeps := 100*row.Halted >= 95*row.Rounds; keeps == says {
			t.Errorf("%+v, and the warnings are %q", row, x.Warnings)
		}
	}
	if last := x.Builds[5]; 100*last.Halted >= 95*last.Rounds {
		t.Errorf("%+v: the plan urgent does not see that", last)
	}
}

// TestMembersCostNoRecordAndLittleMemory is of 140,000 devices that join at a start.
func TestMembersCostNoRecordAndLittleMemory(t *testing.T) {
	const n, most = 140_000, 100 << 20
	f := newFactory(n)
	rs := f.open(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f.start(t, rs)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := after.HeapAlloc - before.HeapAlloc; used > most || f.reads > 0 {
		t.Errorf("%d MiB for %d members, %d records were read", used>>20, n, f.reads)
	}
	t.Logf("%d bytes a member", (after.HeapAlloc-before.HeapAlloc)/n)
	if members := len(f.members[1]); members > 0 {
		t.Errorf("%d records were written for devices of which nothing is to be said", members)
	}
	runtime.KeepAlive(rs)
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		f := newFactory(140_000)
		rs := f.open(b)
		begun := time.Now()
		f.start(b, rs)
		if took := time.Since(begun); took > time.Second {
			b.Errorf("140,000 devices join in %v, want at most a second", took)
		}
	}
}

func BenchmarkForecast(b *testing.B) {
	f := newFactory(8000)
	rs := f.open(b)
	for b.Loop() {
		if _, err := rs.Forecast(b.Context(), fleet.RolloutOrder{Model: "pump", Version: "2"}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestARolloutThatCannotBeWrittenLeavesTheOneBeforeAsItWas(t *testing.T) {
	for _, halted := range []bool{false, true} {
		f := newFactory(200)
		rs := f.open(t)
		f.start(t, rs)
		got := f.ask(t, rs, "2")
		if halted {
			if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutHalt, Reason: "bad", By: "plant"}); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := rs.Rollout("pump", 0)
		f.full = true
		order := fleet.RolloutOrder{Model: "pump", Version: "3", HaltFirst: true, By: "plant"}
		if _, err := rs.Start(t.Context(), order); !errors.Is(err, fleet.ErrFull) {
			t.Fatal(err)
		}
		f.full = false
		if after, _ := rs.Rollout("pump", 0); after.Number != 1 || after.State != before.State || after.Why != before.Why || after.Counts != before.Counts {
			t.Errorf("it was %s %q %+v, and is %s %q %+v", before.State, before.Why, before.Counts, after.State, after.Why, after.Counts)
		}
		if again := f.ask(t, rs, "2"); !halted && !slices.Equal(again, got) {
			t.Errorf("%v are offered it, %v were", again, got)
		}
		f.writes = nil
		if r, err := rs.Start(t.Context(), order); err != nil || r.Number != 2 {
			t.Fatalf("%d %v", r.Number, err)
		}
		if f.rollouts[0].State != fleet.RolloutReplaced || len(f.rollouts) != 2 {
			t.Errorf("on record the first is %s", f.rollouts[0].State)
		}
		want := []fleet.EventKind{event.RolloutHalted, event.RolloutStarted}
		if halted {
			want = want[1:]
		}
		var told []fleet.EventKind
		for _, one := range f.writes[0].Told {
			told = append(told, one.Kind)
		}
		if !slices.Equal(told, want) {
			t.Errorf("with the new one is told %v, want %v", told, want)
		}
	}
}

func TestAReasonHasAsManyCharactersAsTheDoorLetsPass(t *testing.T) {
	f := newFactory(10)
	rs := f.open(t)
	fits := strings.Repeat("理", fleet.MostReason)
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Reason: fits + "由"}); !errors.Is(err, fleet.ErrRefused) {
		t.Errorf("a start: %v", err)
	}
	if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Reason: fits}); err != nil {
		t.Errorf("a start: %v", err)
	}
	if _, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutPause, Reason: fits + "由"}); !errors.Is(err, fleet.ErrRefused) {
		t.Errorf("a pause: %v", err)
	}
	if r, err := rs.Act(t.Context(), "pump", 0, fleet.RolloutAct{Verb: fleet.RolloutPause, Reason: fits}); err != nil || r.Why != fits {
		t.Errorf("a pause: %v", err)
	}
}

// A build that was published to all, and then taken back by publishing the one before, is nobody's any more: the next rollout of
// it begins with three devices, not with all that had it before.
func TestNothingSticksOnceSomethingElseWasPublishedAlsoWhenTheBaseIsPublishedAgain(t *testing.T) {
	for name, away := range map[string]func(*Rollouts, *factory) *Rollouts{
		"seen by a device that asks": func(rs *Rollouts, _ *factory) *Rollouts {
			rs.Word(fleet.Device{Key: "d0", Model: "pump"}, fleet.Model{FirmwareVersion: "3"})
			return rs
		},
		"seen as time passes": func(rs *Rollouts, f *factory) *Rollouts {
			f.base = "3"
			rs.Tick(t.Context())
			return rs
		},
		"seen at a start": func(_ *Rollouts, f *factory) *Rollouts {
			f.base = "3"
			rs := f.open(t)
			rs.Tick(t.Context())
			return rs
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFactory(200)
			rs := f.open(t)
			f.start(t, rs)
			has := fleet.Device{Key: f.ask(t, rs, "2")[0], Model: "pump"}
			rs.Fetched("pump", has.Key, "2")
			if err := rs.ForPublish(t.Context(), "pump", "plant", true); err != nil {
				t.Fatal(err)
			}
			rs.Tick(t.Context())
			if w := rs.Word(has, fleet.Model{FirmwareVersion: "1"}); w.Rollout != "2" {
				t.Fatalf("before: %+v", w)
			}
			rs = away(rs, f)
			f.base = "1"
			rs.Tick(t.Context())
			for _, again := range []bool{false, true} {
				if again {
					rs = f.open(t)
				}
				if w := rs.Word(has, fleet.Model{FirmwareVersion: "1"}); w != (fleet.Word{}) {
					t.Errorf("after a restart %v: %+v", again, w)
				}
			}
			if _, err := rs.Start(t.Context(), fleet.RolloutOrder{Model: "pump", Version: "2", Again: true}); err != nil {
				t.Fatal(err)
			}
			if w := rs.Word(has, fleet.Model{FirmwareVersion: "1"}); w != (fleet.Word{}) {
				t.Errorf("in the next rollout: %+v", w)
			}
		})
	}
}
