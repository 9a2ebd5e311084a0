package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// heldBack tells that a person has pinned, revoked or moved a device, or put an end to that; why is "" where nothing stands
// against the build.
func (c *course) heldBack(device fleet.DeviceKey, why string, now time.Duration) {
	m := c.members[device]
	if m == nil || m.held == why {
		return
	}
	m.held = why
	switch {
	case why != "":
		c.step(m, fleet.MemberSkipped, now, func() { m.Why = why })
		c.lookNoMore(m)
		c.extend()
	case m.failed():
		c.change(m, func() { m.Why = wentBackTwice })
	case m.State != fleet.MemberSkipped:
	case c.keeps(m):
		c.step(m, fleet.MemberHealthy, now, func() {
			m.Why, m.Has, m.Left, m.Strayed, m.UpAt = "", true, false, m.Strayed || m.Wave == 0, c.wall
			m.UpBy = fleet.UpBy(c.sightings.Presence(device).RunsBy)
		})
	default:
		c.step(m, fleet.MemberWaiting, now, func() { m.Why, m.Has = "", false })
	}
}

// keeps reports that a device that is let in runs the build already, by a person's hand: it is not given another one first.
func (c *course) keeps(m *member) bool {
	p := c.sightings.Presence(m.Device)
	return c.forward() && p.Runs == string(c.Version) && p.RunsBy != ""
}

// removed takes a device out, and what it has shown with it.
func (c *course) removed(device fleet.DeviceKey) {
	m := c.members[device]
	if m == nil {
		return
	}
	c.lookNoMore(m)
	c.enumerate(m, -1)
	c.leave(m)
	delete(c.members, device)
	c.stained = c.stained || m.Ended != nil || m.Crash != nil || m.Silence != nil
	c.extend()
}

// moved puts a member on another line. Its marks stay where they were made.
func (c *course) moved(device fleet.DeviceKey, name string) {
	m := c.members[device]
	if m == nil || m.line.name == name {
		return
	}
	c.enumerate(m, -1)
	c.leaveLine(m)
	m.line, m.Line = c.lineOf(name), name
	m.rank()
	c.enumerate(m, 1)
	c.save(m)
}
