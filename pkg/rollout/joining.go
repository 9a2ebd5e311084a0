package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

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
