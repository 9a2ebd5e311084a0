package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostAttempts of a device end in skipping it.
const mostAttempts = 2

// wentBackTwice is why such a device is skipped.
const wentBackTwice = "went back twice"

// wentBackForGood is why one is skipped that was offered the build once more, and did not fetch it.
const wentBackForGood = "went back, and does not take it again"

// failed reports that a member's attempts are used up.
func (m *member) failed() bool {
	return m.State == fleet.MemberSkipped && m.Attempts >= mostAttempts && (m.Why == wentBackTwice || m.Ended != nil && m.Ended.Back)
}

// What follows here, and in fetches.go, boots.go, marks.go and devices.go, are the changes that a course is fed. now is the
// elapsed time of the rollout.

// wordOf is what the rollout says of a member: the version that it is to be offered, whoever asks and whenever. It changes
// nothing: a device gets its turn by take.
func (c *course) wordOf(m *member) (v fleet.Version, ok bool) {
	if m.pending {
		return "", false
	}
	if m.State == fleet.MemberSkipped && (!m.Has || m.held != "") {
		return "", false
	}
	if c.Backward {
		if m.Has && !m.turned() && c.State != fleet.RolloutRetreated {
			return c.Version, true
		}
		return "", false
	}
	switch c.State {
	case fleet.RolloutRunning, fleet.RolloutHeld, fleet.RolloutPaused:
		if m.Has && m.State != fleet.MemberSkipped || m.State == fleet.MemberOffered || m.State == fleet.MemberFetching {
			return c.Version, true
		}
	case fleet.RolloutHalted, fleet.RolloutReplaced:
		if m.Has && m.State != fleet.MemberSkipped {
			return c.Version, true
		}
	}
	return "", false
}

// turned reports, in a retreat, that it is a member's turn, or was.
func (m *member) turned() bool {
	return m.State != fleet.MemberWaiting && m.State != fleet.MemberOff && !m.lostBefore()
}

// lostBefore reports, in a retreat, that a member was lost with the build already: nobody waits for it.
func (m *member) lostBefore() bool { return m.State == fleet.MemberLost && m.Attempts == 0 }

// takenBack reports, in a retreat, that a member was given the base, or is being.
func (m *member) takenBack() bool {
	return m.turned() && m.State != fleet.MemberBack && m.State != fleet.MemberSkipped
}

// mayTake reports that a device that asks now gets its turn.
func (c *course) mayTake(m *member) bool {
	switch {
	case c.State != fleet.RolloutRunning && c.State != fleet.RolloutRetreating, m.Has == c.forward():
		return false
	case c.slots >= c.budget() && !m.holdsSlot():
		return false
	case m.State == fleet.MemberOff: // it is here: it asks
		return m.inCut
	case m.State == fleet.MemberBack: // again
		return c.forward() && m.inCut
	case m.State == fleet.MemberLost: // it is here after all, before anybody was told so
		return !c.forward() && m.lostBefore() && m.inCut
	}
	return m.State == fleet.MemberWaiting && m.inCut
}

// take gives a device its turn, if it is. The offer counts once it is on stable storage: see [Rollouts.Name].
func (c *course) take(device fleet.DeviceKey, now time.Duration) bool {
	m := c.members[device]
	if m == nil || !c.mayTake(m) {
		return false
	}
	c.step(m, fleet.MemberOffered, now, func() {
		m.unseen, m.OfferedAt, m.Wave, m.Excused = false, c.wall, max(m.Wave, c.Wave), false
	})
	c.lookAt(m, now+2*c.upWithin)
	return true
}

// giveBack takes an offer back that could not be written down: the member is as it was.
func (c *course) giveBack(device fleet.DeviceKey, was fleet.Member) {
	if m := c.members[device]; m != nil && m.State == fleet.MemberOffered {
		c.change(m, func() {
			m.State, m.Since, m.Wave, m.OfferedAt, m.Excused, m.Strayed = was.State, was.Since, was.Wave, was.OfferedAt, was.Excused, was.Strayed
		})
		c.lookNoMore(m)
	}
}

// mayStray reports that a member that fetches the build took it itself: nobody had offered it.
func (m *member) mayStray() bool {
	return !m.Has && (m.State == fleet.MemberWaiting || m.State == fleet.MemberOff)
}

// stray makes a member of a device that fetches the build without having been offered it.
func (c *course) stray(m *member, now time.Duration) {
	c.step(m, fleet.MemberOffered, now, func() {
		m.OfferedAt, m.Wave, m.Strayed, m.unseen = c.wall, max(m.Wave, c.Wave), true, false
	})
	c.lookAt(m, now+2*c.upWithin)
}
