package rollout

import (
	"context"
	"maps"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// save writes down what waits. What could not be written waits on.
func (rs *Rollouts) save(ctx context.Context) {
	rs.mu.Lock()
	codes := slices.Sorted(maps.Keys(rs.models))
	rs.mu.Unlock()
	for _, code := range codes {
		if rs.mayAct(code) {
			rs.saveOf(ctx, code)
			rs.settle(code)
		}
	}
}

// saveOf writes down what waits of a model. The caller acts on it.
func (rs *Rollouts) saveOf(ctx context.Context, code fleet.ModelCode) {
	rs.mu.Lock()
	p := rs.models[code]
	if p == nil {
		rs.mu.Unlock()
		return
	}
	unstuck, older, freed := p.unstuck, slices.Clone(p.older), p.freed
	p.unstuck, p.freed = nil, nil
	var change Change
	waits, c := false, p.course
	if c != nil {
		change, waits = c.drain(p.elapsed(rs.options.Now()))
	}
	rs.mu.Unlock()
	if err := rs.saveUnstuck(ctx, unstuck, older, freed); err != nil {
		rs.mu.Lock()
		p.unstuck = append(unstuck, p.unstuck...)
		for d := range freed {
			p.free(d)
		}
		rs.mu.Unlock()
	}
	if !waits {
		return
	}
	if err := rs.put(event.ByItself(ctx), c, change); err != nil && !fleet.Told(err) && ctx.Err() == nil {
		rs.options.Logger.Error("rollout not saved", "model", code, "rollout", c.Number, "error", err)
	}
}

// put writes down a change of a course. What could not be written waits on.
func (rs *Rollouts) put(ctx context.Context, c *course, change Change) error {
	err := rs.options.Store.SaveRollout(ctx, change)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range change.Members {
		if m := c.members[r.Device]; m != nil {
			m.saving = false
		}
	}
	if err != nil {
		c.putBack(change)
	}
	return err
}

// putBack has a change wait again that could not be written.
func (c *course) putBack(ch Change) {
	c.told = append(ch.Told, c.told...)
	c.stale = c.stale || ch.Rollout != nil
	for _, r := range ch.Members {
		if m := c.members[r.Device]; m != nil {
			c.save(m)
		}
	}
}
