package rollout

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// offered are the versions that the models with rollouts are offered. A model that is gone is forgotten.
func (rs *Rollouts) offered(ctx context.Context) map[fleet.ModelCode]fleet.Version {
	rs.mu.Lock()
	codes := slices.Collect(maps.Keys(rs.models))
	rs.mu.Unlock()
	all := map[fleet.ModelCode]fleet.Version{}
	for _, code := range codes {
		m, err := rs.options.Store.Model(code)
		switch {
		case err == nil:
			all[code] = m.FirmwareVersion
		case errors.Is(err, fleet.ErrUnknown) && ctx.Err() == nil:
			rs.mu.Lock()
			if rs.acting[code] == nil {
				delete(rs.models, code)
			}
			rs.mu.Unlock()
		}
	}
	return all
}

// finishByItself ends a rollout that waits for nothing any more. Where something is being written of it, it does so next time.
func (rs *Rollouts) finishByItself(ctx context.Context, p *progress) {
	code := p.course.Model
	if !rs.mayAct(code) {
		return
	}
	defer rs.settle(code)
	rs.mu.Lock()
	due := p.course.finishing && p.course.brings()
	rs.mu.Unlock()
	if !due {
		return
	}
	if err := rs.finish(event.ByItself(ctx), p, ""); err != nil && !fleet.Told(err) && ctx.Err() == nil {
		rs.options.Logger.Error("rollout not finished", "model", code, "version", p.course.Version, "error", err)
	}
}

// finish offers the build to all, and ends the rollout then: in between nobody is offered anything else than before, and it
// cannot halt. The caller acts on the model.
func (rs *Rollouts) finish(ctx context.Context, p *progress, why string) error {
	c := p.course
	rs.mu.Lock()
	c.publishing = true
	rs.mu.Unlock()
	_, err := rs.options.Firmware.Publish(ctx, c.Model, c.Version)
	rs.mu.Lock()
	c.publishing = false
	now := p.elapsed(rs.options.Now())
	c.wall = rs.options.Now().UTC()
	if err != nil {
		c.judge(now)
		rs.mu.Unlock()
		return err
	}
	c.finish(why, now)
	clear(p.sticks)
	p.based = c.Version
	change, _ := c.drain(now)
	rs.mu.Unlock()
	return rs.put(context.WithoutCancel(ctx), c, change)
}

// published notes what a model is offered. When that changes, whoever changed it, no build of a rollout that is over sticks to
// anybody any more, also when what was offered then is published again. The caller holds the lock.
func (rs *Rollouts) published(p *progress, v fleet.Version) {
	if p.based == v {
		return
	}
	p.based = v
	clear(p.sticks)
	if c := p.course; c != nil && !c.State.Unfinished() && !c.Unstuck {
		c.Unstuck, c.stale = true, true
	}
	for i := range p.older {
		if !p.older[i].Unstuck && p.older[i].State != fleet.RolloutFinished {
			p.older[i].Unstuck = true
			r := p.older[i]
			p.unstuck = append(p.unstuck, Change{Model: r.Model, Number: r.Number, Rollout: &r})
		}
	}
}
