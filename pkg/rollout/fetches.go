package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Fetching tells that more than the first block of a version has arrived at a device.
func (c *course) fetching(device fleet.DeviceKey, v fleet.Version, now time.Duration) {
	m := c.members[device]
	if m == nil || v != c.aim() || !c.active() || m.State == fleet.MemberSkipped {
		return
	}
	m.maybe = false                                          // it fetches it now
	if c.forward() && m.mayStray() && c.State.Unfinished() { // else it is what a halt has cut
		c.stray(m, now)
	}
	if m.State == fleet.MemberOffered || m.State == fleet.MemberFetching {
		if m.State == fleet.MemberOffered {
			c.step(m, fleet.MemberFetching, now, nil)
		}
		c.lookAt(m, now+2*c.upWithin)
	}
}

// Broken tells that a download ended in its middle.
func (c *course) broke(device fleet.DeviceKey, v fleet.Version, now time.Duration) {
	c.fetching(device, v, now)
	if m := c.members[device]; m != nil && m.State == fleet.MemberFetching {
		m.brokeAt = now
		c.change(m, func() { m.Broken++ })
	}
}

// active reports that what devices do is taken in: also after a halt, as who has the build goes on having it.
func (c *course) active() bool {
	return c.State != fleet.RolloutDraft && c.State != fleet.RolloutReplaced && c.State != fleet.RolloutFinished
}

// fetched tells that a device has the whole of a version.
func (c *course) fetched(device fleet.DeviceKey, v fleet.Version, now time.Duration) {
	m := c.members[device]
	if m == nil || v != c.aim() || !c.active() {
		return
	}
	m.maybe = false
	switch {
	case m.State == fleet.MemberUp || m.State == fleet.MemberHealthy:
		// Again: the first did not take. Some clients flash whatever they are sent, again and again; those say what they run.
		if c.forward() && m.UpBy != fleet.UpSaid && m.UpBy != fleet.UpDump {
			c.fetchedAgain(m, now)
		}
		return
	case m.State == fleet.MemberFetched || m.State == fleet.MemberLost:
		// Without such a bootloader a download may have gone wrong once; who comes for it again and again does not take it.
		if c.forward() && (c.rollback && now-m.Since.Of() > c.upWithin/8 || m.Attempts >= mostAttempts) {
			c.fetchedAgain(m, now)
			return
		}
	case m.State == fleet.MemberSkipped, !c.forward() && !m.Has: // some clients flash the base again and again
		return
	case m.mayStray() && c.forward():
		c.stray(m, now)
	}
	c.step(m, fleet.MemberFetched, now, func() {
		m.FetchedAt = c.wall
		m.Attempts++
		if c.forward() {
			m.Has, m.Left = true, false
		}
	})
	c.lookAt(m, now+c.patience(m))
}

// checked tells that a device wanted no more than the first block of a version. Of most that shows nothing that the sightings do
// not show better. But of what arrived in the moment in which the gateway was killed nothing is on record: a device may have had
// the whole by then, and many a client never says what it runs. That it was offered the build is on record, which went before the
// first byte. If it has not the whole, it fetches it now. Where it wants none of it twice, with the time of a download in between, it
// has it; and it runs it, unless a bootloader may have gone back from it.
func (c *course) checked(device fleet.DeviceKey, v fleet.Version, now time.Duration) {
	m := c.members[device]
	if m == nil || !m.maybe || v != c.aim() || !c.active() {
		return
	}
	switch {
	case m.checkedAt == 0:
		m.checkedAt = max(now, 1)
		return
	case now-m.checkedAt < c.upWithin/8:
		return
	}
	switch m.State {
	case fleet.MemberOffered, fleet.MemberFetching:
		c.fetched(device, v, now)
	case fleet.MemberFetched, fleet.MemberUp:
		m.maybe = false
	default:
		m.maybe = false
		return
	}
	if !c.rollback {
		c.runs(device, string(v), fleet.UpBehaved, now)
	}
}
