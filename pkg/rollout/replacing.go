package rollout

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

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
