package rollout

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Word is what the rollouts of a device's model say of it. It changes nothing.
func (rs *Rollouts) Word(d fleet.Device, model fleet.Model) (w fleet.Word) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[d.Model]
	if p == nil {
		return w
	}
	rs.published(p, model.FirmwareVersion)
	if c := p.course; c != nil && (c.State.Unfinished() || c.sticks(model.FirmwareVersion)) {
		if m := c.members[d.Key]; m != nil {
			if v, ok := c.wordOf(m); ok {
				return fleet.Word{Rollout: v}
			}
			if m.Has || c.Backward && m.takenBack() || m.State == fleet.MemberSkipped && m.Why != "" && m.held == "" {
				return w // it is taken back, or it has failed with it
			}
		}
	}
	w.Stick = p.sticks[d.Key]
	return w
}

// Turn gives a device its turn, where it is the one of a rollout: it is on record that it is offered the build when Turn
// returns. It is called before an answer names a version to the device, and costs nothing where nothing changes.
func (rs *Rollouts) Turn(ctx context.Context, d fleet.Device) {
	if d.Revoked || d.Pin != "" {
		return
	}
	rs.mu.Lock()
	p, m := rs.settled(ctx, d)
	if m == nil || m.pending {
		rs.mu.Unlock()
		return
	}
	c, now := p.course, rs.options.Now()
	c.wall = now.UTC()
	if c.blind { // no more: this one is heard
		c.blind = false
		c.holds(p.elapsed(now))
	}
	was := m.Member
	if !c.take(d.Key, p.elapsed(now)) {
		rs.mu.Unlock()
		return
	}
	_ = rs.write(ctx, c, m, was) // else it is not offered it, and comes again
}

// settled is a device's member, once nothing older of it is being written: two writes of one record have to stay in their order.
// It is nil where there is none. The caller holds the lock, which is released meanwhile.
func (rs *Rollouts) settled(ctx context.Context, d fleet.Device) (*progress, *member) {
	for {
		p := rs.models[d.Model]
		if p == nil || p.course == nil || p.course.members[d.Key] == nil {
			return p, nil
		}
		m, busy := p.course.members[d.Key], rs.acting[d.Model]
		if !m.saving || busy == nil {
			return p, m
		}
		rs.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
		}
		rs.mu.Lock()
		if ctx.Err() != nil {
			return p, nil
		}
	}
}

// Strays tells that a device is about to be sent a build by its own wish. Where a rollout has that build it becomes a member,
// which is on record when Strays returns; where that cannot be written, the device is not to be sent it.
func (rs *Rollouts) Strays(ctx context.Context, d fleet.Device, v fleet.Version) error {
	rs.mu.Lock()
	p, m := rs.settled(ctx, d)
	if m == nil || m.pending || v != p.course.Version || !p.course.brings() || m.Has || !m.mayStray() {
		rs.mu.Unlock()
		return ctx.Err()
	}
	c, now := p.course, rs.options.Now()
	c.wall = now.UTC()
	was := m.Member
	c.stray(m, p.elapsed(now))
	return rs.write(ctx, c, m, was)
}

// write puts a member's offer on record, and takes it back where that fails. The caller holds the lock, which is released.
func (rs *Rollouts) write(ctx context.Context, c *course, m *member, was fleet.Member) error {
	m.pending = true
	change := Change{Model: c.Model, Number: c.Number, Members: []fleet.Member{m.Member}}
	rs.mu.Unlock()
	err := rs.options.Store.SaveRollout(event.ByItself(context.WithoutCancel(ctx)), change)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	m.pending = false
	if err != nil {
		c.giveBack(m.Device, was)
		return err
	}
	if m.Member == change.Members[0] { // else more has become of it
		m.dirty = false
	}
	return nil
}

// Taken reports that a build that a device has begun to fetch is not its any more: its rollout has halted before it had the
// whole.
func (rs *Rollouts) Taken(d fleet.Device, v fleet.Version) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[d.Model]
	if p == nil || p.course == nil || v == p.based || v == d.Pin {
		return false
	}
	c := p.course
	if c.Version == v {
		m := c.members[d.Key]
		return m != nil && over(c.State) && (!m.Has || c.Backward && m.turned())
	}
	was := false // of a rollout before: who had the whole sticks to it
	for _, r := range p.older {
		if r.Version == v {
			was = over(r.State)
		}
	}
	return was && p.sticks[d.Key] != v
}

// over reports states after which nobody gets the build who does not have it.
func over(s fleet.RolloutState) bool {
	switch s {
	case fleet.RolloutHalted, fleet.RolloutRetreated, fleet.RolloutRetreating, fleet.RolloutReplaced:
		return true
	}
	return false
}
