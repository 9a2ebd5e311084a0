package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
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

// These are the changes that a course is fed. now is the elapsed time of the rollout.

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
			m.Has = true
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
	case fleet.MemberFetched:
		m.maybe = false
	default:
		m.maybe = false
		return
	}
	if !c.rollback {
		c.runs(device, string(v), fleet.UpBehaved, now)
	}
}

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
			m.Has = true
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

// booted tells of a boot that nothing explains.
func (c *course) booted(device fleet.DeviceKey, now time.Duration) {
	m := c.members[device]
	if m == nil || !c.forward() || !c.active() {
		return
	}
	switch m.State {
	case fleet.MemberUp:
		c.bootOf(m)
		if c.sightings.Presence(device).State == fleet.BootsOnly {
			c.lookAt(m, now+c.patience(m))
		}
	case fleet.MemberHealthy:
		c.bootOf(m)
	case fleet.MemberOff: // it is back, and has its turn
		c.step(m, fleet.MemberWaiting, now, nil)
	}
	if c.bootsStand && m.crash != none && !c.explains(m, now) {
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
		m.JudgedAt, m.Why, m.Has, m.unseen = c.wall, why, false, false
		if m.Attempts >= mostAttempts {
			m.State, m.Why = fleet.MemberSkipped, wentBackTwice
		}
	})
	c.lookNoMore(m)
	c.judge(now)
}

// crashes tells of a crash: of the build that the dump was made of. A fingerprint is named where nobody had seen it before the
// rollout.
func (c *course) crashes(device fleet.DeviceKey, v fleet.Version, fingerprint, frame string, now time.Duration) {
	m := c.members[device]
	if m == nil || !c.forward() || !c.active() {
		return
	}
	isNew := v == c.Version
	if !isNew && (m.Has || m.crash == none) { // of before it had the build, or of a device that nobody is compared with
		return
	}
	if !isNew && m.brokeAt > 0 && now-m.brokeAt < c.upWithin/8 {
		return // some firmware aborts on a download that breaks
	}
	switch {
	case isNew && m.State == fleet.MemberHealthy:
		c.step(m, fleet.MemberUp, now, nil)
	case isNew && (m.State == fleet.MemberFetched || m.State == fleet.MemberLost || m.State == fleet.MemberFetching || m.State == fleet.MemberOffered):
		c.runs(device, string(v), fleet.UpDump, now)
	}
	if isNew && m.State == fleet.MemberUp { // until it has been quiet for a while
		c.lookAt(m, now+c.patience(m))
	}
	if m.Crash != nil || m.apart() {
		return
	}
	c.mark(m, ofCrash, fleet.Mark{New: isNew, Fingerprint: fingerprint, Frame: frame}, now)
	c.judge(now)
}

// missed tells that a device was not heard for the longer of 2 U and three of its rhythms, while its line was lit.
func (c *course) missed(device fleet.DeviceKey, now time.Duration) {
	m := c.members[device]
	if m == nil || m.unseen || !c.active() {
		return
	}
	switch m.State {
	case fleet.MemberWaiting:
		c.silent(m, now)
		c.step(m, fleet.MemberOff, now, func() { m.unseen = true })
		c.extend()
	case fleet.MemberOffered, fleet.MemberFetching:
		c.silent(m, now)
		c.step(m, fleet.MemberOff, now, func() { m.unseen, m.OfferedAt = true, time.Time{} })
		c.lookNoMore(m)
		c.extend()
	case fleet.MemberUp:
		c.silent(m, now)
		c.change(m, func() { m.unseen = true })
		c.lookAt(m, now)
	case fleet.MemberHealthy:
		c.silent(m, now)
		c.change(m, func() { m.unseen = true })
	default:
		c.change(m, func() { m.unseen = true })
	}
	c.judge(now)
}

func (c *course) silent(m *member, now time.Duration) {
	if m.Silence == nil && c.forward() && m.quiet != none {
		c.mark(m, ofSilence, fleet.Mark{New: m.quiet == ofNew}, now)
	}
}

// heard tells that a device is heard again that was missed, or that was lost or off.
func (c *course) heard(device fleet.DeviceKey, now time.Duration) {
	m := c.members[device]
	if m == nil {
		return
	}
	if m.unseen {
		c.change(m, func() { m.unseen = false })
	}
	switch m.State {
	case fleet.MemberOff:
		c.step(m, fleet.MemberWaiting, now, nil)
	case fleet.MemberLost: // what it runs will show
		c.tellDevice(event.DeviceFound, m, "it is heard again")
		if !c.forward() && m.lostBefore() {
			c.step(m, fleet.MemberWaiting, now, func() { m.Why, m.Excused = "", false })
			return
		}
		c.step(m, fleet.MemberFetched, now, func() { m.Why = "" })
		c.lookAt(m, now) // it may have shown before what it runs
	}
}

// changed tells that a person has pinned, revoked or moved a device, or put an end to that; why is "" where nothing stands
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
			m.Why, m.Has, m.Strayed, m.UpAt = "", true, m.Strayed || m.Wave == 0, c.wall
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
