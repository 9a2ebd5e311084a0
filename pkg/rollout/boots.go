package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// patience is how long a device has to be up, or to show that it is healthy: U, or three of its rhythms.
func (c *course) patience(m *member) time.Duration {
	return max(c.upWithin, 3*c.sightings.Presence(m.Device).Rhythm)
}

// runs tells what a device was found to run.
func (c *course) runs(device fleet.DeviceKey, v string, by fleet.UpBy, now time.Duration) {
	m := c.members[device]
	if m == nil || !c.active() {
		return
	}
	if v == string(c.Base) && m.Has && by != fleet.UpHeard && (m.held != "" || !c.forward()) && !c.Tested {
		c.Tested, c.stale = true, true // it was moved back, by a pin or a retreat, and runs
	}
	if v != string(c.aim()) {
		return
	}
	if by == fleet.UpHeard && m.State != fleet.MemberFetched {
		return
	}
	switch m.State {
	case fleet.MemberUp, fleet.MemberHealthy:
		if m.UpBy == fleet.UpHeard && by != fleet.UpHeard {
			c.change(m, func() { m.UpBy = by })
		}
		return
	case fleet.MemberLost:
		c.tellDevice(event.DeviceFound, m, "it runs "+v)
	case fleet.MemberSkipped:
		return
	}
	if !c.forward() && !m.Has {
		return
	}
	byHand := c.forward() && m.mayStray() // nobody had offered it: it shows nothing about the others
	c.step(m, fleet.MemberUp, now, func() {
		m.Strayed = m.Strayed || byHand
		m.UpAt, m.UpBy, m.unseen, m.Why = c.wall, by, false, ""
		if c.forward() {
			m.Has, m.Left = true, false
		}
	})
	c.bootOf(m)
	c.lookAt(m, now+c.patience(m))
}

// bootOf counts a boot with the build. Devices that compare with nobody do not count: neither do their crashes.
func (c *course) bootOf(m *member) {
	if c.forward() && !m.apart() {
		c.boots++
	}
}

// booted tells of a boot. A known one counts for nothing: it brought another version, or it may be the boot of the update, seen
// once more.
func (c *course) booted(device fleet.DeviceKey, known bool, now time.Duration) {
	m := c.members[device]
	if m == nil || !c.forward() || !c.active() {
		return
	}
	if !known && (m.State == fleet.MemberUp || m.State == fleet.MemberHealthy) {
		c.bootOf(m)
	}
	switch m.State {
	case fleet.MemberUp:
		if c.sightings.Presence(device).State == fleet.BootsOnly {
			c.lookAt(m, now+c.patience(m))
		}
	case fleet.MemberOff: // it is back, and has its turn
		c.step(m, fleet.MemberWaiting, now, nil)
	}
	if !known && c.bootsStand && m.crash != none && !c.explains(m, now) {
		c.mark(m, ofCrash, fleet.Mark{New: m.crash == ofNew}, now)
		c.judge(now)
	}
}

// explains reports that a boot has a known reason: a nudge, the update itself, or a line that has no power.
func (c *course) explains(m *member, now time.Duration) bool {
	nudged := m.nudgedAt > 0 && now-m.nudgedAt < 2*c.upWithin
	updated := m.State == fleet.MemberUp && now-m.Since.Of() < c.upWithin/8
	return nudged || updated || m.line.dark || m.line.lit > 0 && now-m.line.lit < c.upWithin
}

// back tells that a device was found to have left a version for the one before.
func (c *course) back(device fleet.DeviceKey, v fleet.Version, why string, now time.Duration) {
	m := c.members[device]
	if m == nil || v != c.Version || !c.forward() || !m.Has || !c.active() {
		return
	}
	c.wentBack(m, why, now)
}

// fetchedAgain takes it that the first image did not take. What shows a rollback otherwise, the sightings have told of.
func (c *course) fetchedAgain(m *member, now time.Duration) {
	const why = "fetched the whole image again"
	if m.State != fleet.MemberBack && m.State != fleet.MemberSkipped {
		c.tellDevice(event.DeviceWentBack, m, why)
	}
	c.wentBack(m, why, now)
}

func (c *course) wentBack(m *member, why string, now time.Duration) {
	if m.State == fleet.MemberBack || m.State == fleet.MemberSkipped {
		return
	}
	c.mark(m, ofEnd, fleet.Mark{Bad: true, Back: true, New: true}, now)
	c.step(m, fleet.MemberBack, now, func() {
		m.JudgedAt, m.Why, m.Has, m.Left, m.unseen = c.wall, why, false, true, false
		if m.Attempts >= mostAttempts {
			m.State, m.Why = fleet.MemberSkipped, wentBackTwice
		}
	})
	c.lookNoMore(m)
	c.judge(now)
}
