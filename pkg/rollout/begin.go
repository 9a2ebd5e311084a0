package rollout

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

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
