package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// fewDevices are those below which 0.5 more crashes per 100 devices and day cannot be ruled out in a month at 5 %.
const fewDevices = 2000

// smallFleet is where the plan "small" is the right one.
const smallFleet = 200

// order is what a person asks for, checked and completed.
type order struct {
	fleet.RolloutOrder
	base    fleet.Version
	rate    float64
	devices []fleet.Placed
	tested  bool // a device was moved back from this build to that base before, and runs

	noRetreat string   // why it cannot be taken back; "": it can
	blind     []string // what cannot be seen, and why
}

// check refuses what cannot be begun, and says what it cannot see.
func (rs *Rollouts) check(o fleet.RolloutOrder) (x order, err error) {
	x.RolloutOrder = o
	m, err := rs.options.Store.Model(o.Model)
	if err != nil {
		return x, err
	}
	if _, err := rs.options.Store.Build(o.Model, o.Version); err != nil {
		return x, err
	}
	switch m.FirmwareVersion {
	case "":
		return x, fleet.Refused("model %s is offered nothing yet: its first build is published to all at once, by slipway firmware publish", o.Model)
	case o.Version:
		return x, fleet.Refused("version %s is what model %s is offered already", o.Version, o.Model)
	}
	x.base = m.FirmwareVersion
	if x.Plan, err = rs.planOf(o); err != nil {
		return x, err
	}
	if _, err := parseWindow(o.Window); err != nil {
		return x, err
	}
	if err := rs.checkOrder(o); err != nil {
		return x, err
	}
	rs.options.Book.EachDevice(o.Model, func(d fleet.Placed) {
		if picks(o.Target, d) {
			x.devices = append(x.devices, d)
		}
	})
	if len(x.devices) == 0 {
		return x, fleet.Refused("the rollout would have no device: model %s has none that the target picks", o.Model)
	}
	if err := x.checkFirst(); err != nil {
		return x, err
	}
	x.rate, x.tested = rs.rateOf(o.Model, x.base), rs.wasTested(o.Model, o.Version, x.base)
	if err := x.look(rs.options.Firmware); err != nil {
		return x, err
	}
	x.noRetreat = x.cannotRetreat(rs.options.Firmware)
	return x, x.checkRetreat()
}

// checkOrder refuses what contradicts itself.
func (rs *Rollouts) checkOrder(o fleet.RolloutOrder) error {
	now := rs.options.Now()
	switch {
	case o.Draft && !o.StartAt.IsZero():
		return fleet.Refused("draft and start_at: a draft waits for a person, or for a time, and not for both")
	case !o.StartAt.IsZero() && o.StartAt.Before(now):
		return fleet.Refused("start_at %s has passed: it is %s", o.StartAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case o.Untested && !o.Retreat:
		return fleet.Refused("untested: it goes with retreat")
	}
	return checkReason(o.Reason)
}

// checkRetreat refuses to promise a retreat that would be refused after the halt.
func (x *order) checkRetreat() error {
	switch {
	case !x.Retreat:
	case x.noRetreat != "":
		return fleet.Refused("it cannot be taken back: %s: start it without --retreat", x.noRetreat)
	case !x.tested && !x.Untested:
		return fleet.Refused("retreat: no device was moved from %s back to %s yet, and nobody would ask once it has halted: say --untested as well, "+
			"or start it without --retreat", x.Version, x.base)
	}
	return nil
}

// wasTested reports that an earlier rollout has seen a device that was moved from a version back to the base, and runs.
func (rs *Rollouts) wasTested(code fleet.ModelCode, v, base fleet.Version) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[code]
	if p == nil || p.course == nil {
		return false
	}
	return slices.ContainsFunc(append(p.older[:len(p.older):len(p.older)], p.course.Rollout), func(r fleet.Rollout) bool {
		return r.Tested && r.Version == v && r.Base == base
	})
}

func checkReason(s string) error {
	if n := utf8.RuneCountInString(s); n > fleet.MostReason {
		return fleet.Refused("a reason of %d characters: at most %d are kept", n, fleet.MostReason)
	}
	return nil
}

// planOf completes the plan: of who names none it is the model's, or else the setting's.
func (rs *Rollouts) planOf(o fleet.RolloutOrder) (fleet.Plan, error) {
	if len(o.Plan.Waves) == 0 && o.Plan.Name == "" {
		return rs.Plan(o.Model)
	}
	if len(o.Plan.Waves) == 0 {
		own, found, err := rs.options.Store.RolloutPlan(o.Model)
		if err == nil && found && own.Name == o.Plan.Name {
			return own, nil
		}
	}
	return CheckPlan(o.Plan)
}

// checkFirst refuses a first wave that names nobody.
func (x *order) checkFirst() error {
	if x.First == nil {
		return nil
	}
	if (x.First.Line == "") == (len(x.First.Keys) == 0) {
		return fleet.Refused("first: want either a line or keys")
	}
	if len(x.First.Keys) > 1000 {
		return fleet.Refused("first: %d keys, at most 1000", len(x.First.Keys))
	}
	if x.named() == 0 {
		return fleet.Refused("first: no device of the rollout is among those")
	}
	return nil
}

// named is how many devices a person has put into the first wave.
func (x *order) named() (n int) {
	for _, d := range x.devices {
		if x.First != nil && x.First.Names(d.Key, d.Line) {
			n++
		}
	}
	return n
}

// withFirst is the plan with a wave of those that are named before its own, which come on top of them.
func (x *order) withFirst() fleet.Plan {
	n, p := x.named(), x.Plan
	if n == 0 {
		return p
	}
	p.Waves = append([]fleet.Wave{{Devices: n, Rest: p.Waves[0].Rest}}, p.Waves...)
	for i := range p.Waves[1:] {
		if w := &p.Waves[i+1]; w.Devices > 0 {
			w.Devices += n
		}
	}
	return p
}

// look refuses builds that no rollout can bring, and says which streams are blind.
func (x *order) look(f firmware) error {
	var n, o fleet.Traits
	var err error
	if n, err = f.Traits(x.Model, x.Version); err != nil {
		return err
	}
	if o, err = f.Traits(x.Model, x.base); err != nil && !errors.Is(err, fleet.ErrUnknown) {
		return err
	}
	say := func(format string, args ...any) { x.blind = append(x.blind, fmt.Sprintf(format, args...)) }
	if n.SecureVersion < o.SecureVersion {
		return fleet.Refused("the image's secure version is %d and that of %s is %d: bootloaders that have seen that one take no image with a lower one", n.SecureVersion, x.base, o.SecureVersion)
	}
	if n.SecureVersion > o.SecureVersion {
		say("it cannot be taken back: its secure version is %d, that of %s is %d", n.SecureVersion, x.base, o.SecureVersion)
	}
	if !n.Dumps {
		say("it writes no core dumps: boots that nothing explains stand in for crashes")
	}
	if n.Halts {
		say("it stops at a panic: a crash is seen as silence")
	}
	if n.Rollback {
		say("its bootloader goes back to the image before unless the firmware marks itself valid: a device counts as up when it says so")
	} else {
		say("its bootloader does not go back by itself: a device that does not start stays dead")
	}
	on, bootsOnly := 0, 0
	for _, d := range x.devices {
		if d.State == fleet.BootsOnly {
			bootsOnly++
		}
		if d.State != fleet.Silent && d.State != fleet.Never {
			on++
		}
	}
	if bootsOnly > 0 {
		say("%d of %d devices ask at their boots only: that they fall silent later is not seen without mqtt.url", bootsOnly, len(x.devices))
	}
	switch daily := ruledOutDaily(x.Plan); {
	case on < smallFleet:
		say("%d devices are heard: %s cannot be seen among so few", on, fleet.DailyText(0.005))
	case daily > 0 && daily < 0.01 && on < fewDevices:
		say("%s cannot be ruled out in a month with %d devices at 5 %%: let the wave be 20 %%, or leave it to new signatures", fleet.DailyText(daily), on)
	}
	if x.Plan.Name == "urgent" {
		say("the plan urgent sees a build that is dead at once or crashes at boot, and rules out nothing else")
	}
	return nil
}

// usualRate is what is taken for the base's crashes a device and day where nobody knows.
const usualRate = 0.002

func (rs *Rollouts) rateOf(code fleet.ModelCode, base fleet.Version) float64 {
	if r := rs.options.Rate(code, base); r > 0 {
		return min(max(r, usualRate/20), 0.2)
	}
	return usualRate
}

// Start begins a rollout, or makes a draft.
func (rs *Rollouts) Start(ctx context.Context, o fleet.RolloutOrder) (fleet.Rollout, error) {
	x, err := rs.check(o)
	if err != nil {
		return fleet.Rollout{}, err
	}
	if err := rs.acts(ctx, o.Model); err != nil {
		return fleet.Rollout{}, err
	}
	defer rs.acted(o.Model)
	rs.saveOf(ctx, o.Model) // what the devices of the one before have done
	old, told, err := rs.replaced(o)
	if err != nil {
		return fleet.Rollout{}, err
	}
	now := rs.options.Now()
	r := fleet.Rollout{
		Model: o.Model, Version: o.Version, Base: x.base, State: fleet.RolloutRunning, Plan: x.withFirst(), Target: listed(o.Target), First: o.First,
		Window: o.Window, Retreat: o.Retreat, Tolerated: rs.options.Tolerated, Rate: x.rate, CreatedAt: now.UTC(),
		StartedBy: o.By, Warnings: x.blind, Dark: []string{}, NoRetreat: x.noRetreat, Tested: x.tested,
	}
	kind := event.RolloutStarted
	if o.Draft || !o.StartAt.IsZero() {
		r.State, r.StartAt = fleet.RolloutDraft, o.StartAt.UTC()
		if o.StartAt.IsZero() {
			r.StartAt = o.StartAt
		}
		kind = event.RolloutDrafted
	} else {
		r.StartedAt = now.UTC()
	}
	details := map[string]any{"model": o.Model, "version": o.Version, "base": x.base, "plan": x.Plan.Name, "devices": len(x.devices)}
	if o.Reason != "" {
		details["why"] = o.Reason
	}
	told = append(told, Told{kind, fleet.Object{Type: "rollout"}, details})
	failed, err := rs.failedWith(o)
	if err != nil {
		return fleet.Rollout{}, err
	}
	var members, known []fleet.Member // all, and those of which something is known that must not get lost
	for _, d := range x.devices {
		m := rs.joining(r, d, failed[d.Key])
		if members = append(members, m); m.Attempts > 0 {
			known = append(known, m)
		}
	}
	change := Change{Model: o.Model, Rollout: &r, Members: known, Told: told, Replaces: old}
	if r, err = rs.options.Store.AddRollout(ctx, r, change); err != nil {
		return fleet.Rollout{}, err
	}
	if old != nil {
		rs.replace(ctx, *old)
	}
	return rs.begin(r, members, x), nil
}

// listed has lists that are never null.
func listed(t fleet.Target) fleet.Target {
	t.Lines, t.Labels, t.Keys = append([]string{}, t.Lines...), append([]string{}, t.Labels...), append([]fleet.DeviceKey{}, t.Keys...)
	return t
}

// cannotRetreat says why a rollout cannot be taken back, "" where it can.
func (x *order) cannotRetreat(f firmware) string {
	n, err := f.Traits(x.Model, x.Version)
	o, errOld := f.Traits(x.Model, x.base)
	if err == nil && errOld == nil && n.SecureVersion > o.SecureVersion {
		return fmt.Sprintf("the secure version went up from %d to %d: bootloaders take no image with a lower one", o.SecureVersion, n.SecureVersion)
	}
	return ""
}

// acts marks that something is being written of a model's rollouts, and waits for its turn: one thing comes after the other.
func (rs *Rollouts) acts(ctx context.Context, code fleet.ModelCode) error {
	for !rs.mayAct(code) {
		rs.mu.Lock()
		busy := rs.acting[code]
		rs.mu.Unlock()
		if busy == nil {
			continue
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// mayAct is acts where nobody waits.
func (rs *Rollouts) mayAct(code fleet.ModelCode) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.acting[code] != nil {
		return false
	}
	rs.acting[code] = make(chan struct{})
	return true
}

// settle ends what acts has begun.
func (rs *Rollouts) settle(code fleet.ModelCode) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	close(rs.acting[code])
	delete(rs.acting, code)
}

// acted is settle after what a person has asked for: Run looks at once what follows from it.
func (rs *Rollouts) acted(code fleet.ModelCode) {
	rs.settle(code)
	rs.soon()
}

// replaced is the rollout before a new one as it ends by it, and what is told of that; nil: there is none, or it has ended. It
// refuses a second unfinished one, unless the first is to be halted. Nothing becomes of the first yet.
func (rs *Rollouts) replaced(o fleet.RolloutOrder) (*fleet.Rollout, []Told, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[o.Model]
	if p == nil || p.course == nil {
		return nil, nil, nil
	}
	c, now := p.course, rs.options.Now()
	r := c.show(p.elapsed(now))
	r.State = fleet.RolloutReplaced
	switch {
	case c.State == fleet.RolloutHalted, c.State == fleet.RolloutRetreated:
		r.Why = "replaced by the rollout of " + string(o.Version)
		return &r, nil, nil
	case !c.State.Unfinished():
		return nil, nil, nil
	case !o.HaltFirst:
		return nil, nil, standing(c.Rollout)
	}
	r.Why, r.EndedAt = "halted by "+o.By+": for the rollout of "+string(o.Version), now.UTC()
	r.Halted = r.Why
	r.Retreat = false // the new one reaches those devices
	return &r, []Told{c.event(event.RolloutHalted, c.halting(r.Why))}, nil
}

// replace ends the rollout before a new one that is on record, as was written of it, and writes down what its devices did.
func (rs *Rollouts) replace(ctx context.Context, r fleet.Rollout) {
	rs.mu.Lock()
	p := rs.models[r.Model]
	c, now := p.course, p.elapsed(rs.options.Now())
	c.State, c.Why, c.Halted, c.EndedAt, c.Retreat = r.State, r.Why, r.Halted, r.EndedAt, r.Retreat
	c.endOffers(now)
	c.stale = true
	change, _ := c.drain(now)
	rs.mu.Unlock()
	if err := rs.put(event.ByItself(context.WithoutCancel(ctx)), c, change); err != nil {
		rs.options.Logger.Error("what the devices of the rollout before have done is not saved", "model", r.Model, "rollout", r.Number, "error", err)
	}
}

// standing names the rollout that stands in the way.
func standing(r fleet.Rollout) error {
	return fleet.Taken("rollout %d of %s brings %s and is %s: it must end first, or be halted with --halt-first", r.Number, r.Model, r.Version, r.State)
}

// lastOf is the newest rollout of a version that there was, nil for none, and its members as they are in memory, nil where they are
// on record only.
func (rs *Rollouts) lastOf(code fleet.ModelCode, v fleet.Version) (*fleet.Rollout, []fleet.Member) {
	rs.mu.Lock()
	p := rs.models[code]
	var last *fleet.Rollout
	if p != nil {
		for _, r := range append(p.older[:len(p.older):len(p.older)], p.newest()...) {
			if r.Version == v {
				last = &r
			}
		}
	}
	rs.mu.Unlock()
	if last == nil {
		return nil, nil
	}
	return last, rs.current(*last)
}

// newest is the rollout that is not older, in a list of one or none.
func (p *progress) newest() []fleet.Rollout {
	if p.course == nil {
		return nil
	}
	return []fleet.Rollout{p.course.Rollout}
}

// failedWith are the devices that have failed with a version before, and how often: an earlier rollout of it knows. Its members have
// what was known before it.
func (rs *Rollouts) failedWith(o fleet.RolloutOrder) (map[fleet.DeviceKey]int, error) {
	failed := map[fleet.DeviceKey]int{}
	last, members := rs.lastOf(o.Model, o.Version)
	if o.Again || last == nil {
		return failed, nil
	}
	note := func(m fleet.Member) error {
		here := member{Member: m}
		waits := (m.State == fleet.MemberWaiting || m.State == fleet.MemberOff) && !last.Backward
		if m.Attempts > 0 && (waits || m.State == fleet.MemberBack || here.failed()) {
			failed[m.Device] = m.Attempts
		}
		return nil
	}
	for _, m := range members {
		_ = note(m)
	}
	if members != nil {
		return failed, nil
	}
	return failed, rs.options.Store.EachMember(o.Model, last.Number, note)
}

// joining is a device as it becomes a member.
func (rs *Rollouts) joining(r fleet.Rollout, d fleet.Placed, attempts int) fleet.Member {
	m := fleet.Member{Device: d.Key, Line: d.Line, State: rs.first(d), Attempts: attempts}
	switch {
	case d.Barred != "":
		m.Why = d.Barred
	case attempts >= mostAttempts:
		m.State, m.Why = fleet.MemberSkipped, wentBackTwice
	case d.Runs == string(r.Version) && d.RunsBy != "" && !r.Backward: // by a person's hand: it shows nothing about the others
		m.State, m.Has, m.Strayed, m.UpBy, m.UpAt = fleet.MemberHealthy, true, true, fleet.UpBy(d.RunsBy), rs.options.Now().UTC()
	}
	return m
}

// begin makes the course of a rollout that is on record.
func (rs *Rollouts) begin(r fleet.Rollout, members []fleet.Member, x order) fleet.Rollout {
	c := newCourse(r, rs.settingsOf(r), rs.options.Book)
	for i, d := range x.devices {
		one := c.add(members[i])
		one.held, one.unseen = d.Barred, d.Missed
		if one.Has {
			c.save(one)
		}
	}
	c.arrange()
	c.halted = func() { rs.haltedNow(c) }
	rs.mu.Lock()
	p := rs.progressOf(r.Model)
	if old := p.course; old != nil {
		before := old.show(p.elapsed(rs.options.Now()))
		p.older = append(p.older, before)
		if old.sticks(r.Base) {
			for _, m := range old.members {
				p.stick(before, m.Member)
			}
		}
	}
	p.course, p.from, p.before, p.based = c, rs.options.Now(), 0, r.Base
	p.window, _ = parseWindow(r.Window)
	for _, name := range rs.options.Book.DarkLines() {
		c.darkened(name, true, 0)
	}
	c.wall = rs.options.Now().UTC()
	rs.mu.Unlock()
	devices := rs.placed(r.Model) // once more: nobody told the course of who came since it was asked who there is
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, d := range devices {
		rs.place(c, d, p.elapsed(rs.options.Now()))
	}
	return c.show(p.elapsed(rs.options.Now()))
}

// place takes in where a device stands and whether it is barred. The caller holds the lock.
func (rs *Rollouts) place(c *course, d fleet.Placed, now time.Duration) {
	if c.members[d.Key] != nil {
		c.moved(d.Key, d.Line)
		c.heldBack(d.Key, d.Barred, now)
		return
	}
	if !picks(c.Target, d) {
		return
	}
	m := c.admit(rs.joining(c.Rollout, d, 0))
	m.held, m.unseen = d.Barred, d.Missed
	c.enter(m)
	if m.Has {
		c.save(m)
	}
}
