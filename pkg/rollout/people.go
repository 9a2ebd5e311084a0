package rollout

import (
	"cmp"
	"context"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What people ask for.

// Rollout is one of a model, with what follows from its members; 0 is the newest.
func (rs *Rollouts) Rollout(code fleet.ModelCode, number int) (fleet.Rollout, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if p := rs.models[code]; p != nil && p.course != nil {
		if number == 0 || number == p.course.Number {
			return p.course.show(p.elapsed(rs.options.Now())), nil
		}
		for _, r := range p.older {
			if r.Number == number {
				return r, nil
			}
		}
	}
	if number == 0 {
		return fleet.Rollout{}, fleet.Unknown("model %q has no rollout", code)
	}
	return fleet.Rollout{}, fleet.Unknown("model %q has no rollout %d", code, number)
}

// List is a page of rollouts: by model, newest first.
func (rs *Rollouts) List(f fleet.RolloutFilter) (page []fleet.Rollout, next string, err error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	now := rs.options.Now()
	var all []fleet.Rollout
	for code, p := range rs.models {
		if f.Model != "" && f.Model != code {
			continue
		}
		all = append(all, p.older...)
		if p.course != nil {
			all = append(all, p.course.show(p.elapsed(now)))
		}
	}
	slices.SortFunc(all, func(a, b fleet.Rollout) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(b.Number, a.Number))
	})
	code, number, err := fleet.ParseRolloutID(f.After)
	if f.After != "" && err != nil {
		return nil, "", err
	}
	for _, r := range all {
		switch {
		case f.After != "" && cmp.Or(cmp.Compare(r.Model, code), cmp.Compare(number, r.Number)) <= 0: // also where that one is gone
			continue
		case f.State != "" && r.State != f.State || !f.Started.Has(r.StartedAt):
			continue
		case f.Limit > 0 && len(page) == f.Limit:
			last := page[len(page)-1]
			return page, fleet.RolloutID(last.Model, last.Number), nil
		}
		page = append(page, r)
	}
	return page, "", nil
}

// Members is a page of the members of a rollout.
func (rs *Rollouts) Members(code fleet.ModelCode, number int, f fleet.MemberFilter) (page []fleet.Member, next fleet.DeviceKey, err error) {
	r, err := rs.Rollout(code, number)
	if err != nil {
		return nil, "", err
	}
	all := rs.current(r)
	if all == nil {
		err = rs.options.Store.EachMember(code, r.Number, func(m fleet.Member) error {
			if takes(f, m) {
				all = append(all, m)
			}
			return nil
		})
	}
	slices.SortFunc(all, func(a, b fleet.Member) int { return cmp.Compare(a.Device, b.Device) })
	for _, m := range all {
		if !takes(f, m) {
			continue
		}
		if f.Limit > 0 && len(page) == f.Limit {
			return page, page[len(page)-1].Device, err
		}
		page = append(page, m)
	}
	return page, "", err
}

func takes(f fleet.MemberFilter, m fleet.Member) bool {
	return (f.State == "" || m.State == f.State) && (f.Wave == 0 || m.Wave == f.Wave) && (!f.Crashed || m.Crash != nil && m.Crash.New) && (!f.Back || m.WentBack()) &&
		f.Seen.Has(m.SeenAt()) && m.Device > f.After
}

// current are the members of a model's newest rollout, nil of an older one.
func (rs *Rollouts) current(r fleet.Rollout) []fleet.Member {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[r.Model]
	if p == nil || p.course == nil || p.course.Number != r.Number {
		return nil
	}
	all := make([]fleet.Member, 0, len(p.course.members))
	for _, m := range p.course.members {
		all = append(all, m.Member)
	}
	return all
}

// Explain makes the evidence anew, and says how it came about.
func (rs *Rollouts) Explain(code fleet.ModelCode, number int) (fleet.Explanation, error) {
	r, err := rs.Rollout(code, number)
	if err != nil {
		return fleet.Explanation{}, err
	}
	members := rs.current(r)
	if members == nil {
		err = rs.options.Store.EachMember(code, r.Number, func(m fleet.Member) error {
			members = append(members, m)
			return nil
		})
		if err != nil {
			return fleet.Explanation{}, err
		}
	}
	x := explain(r, members, rs.settingsOf(r))
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if p := rs.models[code]; p != nil && p.course != nil && p.course.Number == r.Number {
		x.Slots, x.Judged = fleet.ShareCount{Devices: p.course.slots, Of: p.course.budget()}, p.course.judged()
	}
	return x, nil
}

// Act does what a person asks for: it is on record when it returns.
func (rs *Rollouts) Act(ctx context.Context, code fleet.ModelCode, number int, a fleet.RolloutAct) (fleet.Rollout, error) {
	r, err := rs.Rollout(code, number)
	if err != nil {
		return r, err
	}
	if err := checkAct(a); err != nil {
		return r, err
	}
	if err := rs.acts(ctx, code); err != nil {
		return r, err
	}
	defer rs.acted(code)
	if err := rs.act(ctx, code, r.Number, a); err != nil {
		return r, err
	}
	return rs.Rollout(code, r.Number)
}

// act does it while nothing else is being written of the model's rollouts.
func (rs *Rollouts) act(ctx context.Context, code fleet.ModelCode, number int, a fleet.RolloutAct) error {
	devices := rs.placed(code)
	rs.mu.Lock()
	p := rs.models[code]
	if p == nil || p.course == nil {
		rs.mu.Unlock()
		return fleet.Unknown("model %q has no rollout", code)
	}
	c := p.course
	if c.Number != number {
		rs.mu.Unlock()
		return fleet.Taken("rollout %d of %s is over: the newest is %d", number, code, c.Number)
	}
	now := p.elapsed(rs.options.Now())
	c.wall = rs.options.Now().UTC()
	if a.Verb == fleet.RolloutFinish && c.brings() {
		rs.mu.Unlock()
		return rs.finish(ctx, p, a.Reason)
	}
	if err := rs.mayRetreat(c, a); err != nil {
		rs.mu.Unlock()
		return err
	}
	if c.StartedAt.IsZero() && a.Verb == fleet.RolloutResume {
		rs.refresh(c, devices, now)
	}
	if err := c.act(a, now); err != nil {
		rs.mu.Unlock()
		return err
	}
	c.stale = true
	change, _ := c.drain(now)
	rs.mu.Unlock()
	return rs.put(ctx, c, change) // where it fails, it counts from now on, and is written when there is room
}

// mayRetreat refuses a retreat that bootloaders would refuse, and asks about one that nobody has tried.
func (rs *Rollouts) mayRetreat(c *course, a fleet.RolloutAct) error {
	switch {
	case a.Verb != fleet.RolloutRetreat:
	case c.NoRetreat != "":
		return fleet.Refused("rollout %d of %s cannot be taken back: %s", c.Number, c.Model, c.NoRetreat)
	case !c.Tested && !a.Untested:
		return fleet.Refused("no device was moved from %s back to %s yet: pin one to %s first and see it run, or say --untested", c.Version, c.Base, c.Base)
	}
	return nil
}

// Plan is the plan of a model's rollouts: its own, or else the setting's.
func (rs *Rollouts) Plan(code fleet.ModelCode) (fleet.Plan, error) {
	if _, err := rs.options.Store.Model(code); err != nil {
		return fleet.Plan{}, err
	}
	p, found, err := rs.options.Store.RolloutPlan(code)
	if err != nil || found {
		return p, err
	}
	return NamedPlan(rs.options.Plan)
}

// SetPlan gives a model a plan of its own, for the rollouts that begin later.
func (rs *Rollouts) SetPlan(ctx context.Context, code fleet.ModelCode, p fleet.Plan) (fleet.Plan, error) {
	if _, err := rs.options.Store.Model(code); err != nil {
		return p, err
	}
	p, err := CheckPlan(p)
	if err != nil {
		return p, err
	}
	return p, rs.options.Store.SaveRolloutPlan(ctx, code, p)
}

// MemberOf is what the newest rollout of a device's model has of it.
func (rs *Rollouts) MemberOf(d fleet.Device) (r fleet.Rollout, m fleet.Member, ok bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[d.Model]
	if p == nil || p.course == nil || p.course.members[d.Key] == nil {
		return r, m, false
	}
	return p.course.Rollout, p.course.members[d.Key].Member, true
}

// ForPublish refuses to offer another build to all while a rollout is unfinished, or halts it where that is asked for.
func (rs *Rollouts) ForPublish(ctx context.Context, code fleet.ModelCode, by string, haltFirst bool) error {
	r, err := rs.Rollout(code, 0)
	if err != nil || !r.State.Unfinished() {
		return nil //nolint:nilerr // there is none
	}
	if !haltFirst {
		return standing(r)
	}
	_, err = rs.Act(ctx, code, r.Number, fleet.RolloutAct{Verb: fleet.RolloutHalt, By: by, Reason: "another build is published to all", Stay: true})
	return err
}

// Standing is the unfinished rollout of a model, "" for none, as a build that comes in is told of it.
func (rs *Rollouts) Standing(code fleet.ModelCode) string {
	r, err := rs.Rollout(code, 0)
	if err != nil || !r.State.Unfinished() {
		return ""
	}
	return standing(r).Error()
}
