package rollout

import (
	"fmt"
	"math"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// bootNoise is the share of boots that crash in a good build: what a gate compares with.
const bootNoise = 0.001

// tick does what time brings: deadlines, holding, the next wave, the end.
func (c *course) tick(now time.Duration) {
	c.weigh()
	c.holds(now)
	for len(c.queue) > 0 && c.queue[0].due <= now {
		m := c.queue[0]
		c.lookNoMore(m)
		c.look(m, now)
	}
	if now-c.lookedOff >= c.decideWithin/56 { // a quarter of a day
		c.lookedOff = now
		c.countOff(now)
	}
	switch c.State {
	case fleet.RolloutRunning:
		c.advance(now)
	case fleet.RolloutRetreating:
		c.advanceRetreat(now)
	}
}

// countOff has devices off that ask at their boots only, and have not booted for as long as a gate may take: nobody waits for
// them.
func (c *course) countOff(now time.Duration) {
	if !c.active() {
		return
	}
	for _, m := range c.order {
		if m.State != fleet.MemberWaiting || !m.inCut {
			continue
		}
		if p := c.sightings.Presence(m.Device); p.State == fleet.BootsOnly && p.Ago > c.decideWithin {
			c.step(m, fleet.MemberOff, now, nil)
		}
	}
	c.extend()
}

// look decides what becomes of a member whose time is over.
func (c *course) look(m *member, now time.Duration) {
	switch m.State {
	case fleet.MemberOffered, fleet.MemberFetching:
		if m.Has == c.forward() { // it has what it is brought to
			return
		}
		if c.forward() && m.State == fleet.MemberOffered && m.Ended != nil && m.Ended.Back { // it remembers what it went back from
			c.step(m, fleet.MemberSkipped, now, func() { m.Attempts, m.Why = mostAttempts, wentBackForGood })
			c.extend()
			return
		}
		c.step(m, fleet.MemberWaiting, now, func() { m.OfferedAt = time.Time{} })
	case fleet.MemberFetched:
		c.lookAtFetched(m, now)
	case fleet.MemberUp:
		c.lookAtUp(m, now)
	}
}

// again is how soon something is looked at again that could not be decided.
func (c *course) again(now time.Duration) time.Duration {
	return now + max(c.upWithin/15, time.Millisecond)
}

// foundUp reports that a device is known to run what it is brought to, since it was offered that or since the rollout began, and
// takes it so.
func (c *course) foundUp(m *member, now time.Duration) bool {
	p, since := c.sightings.Presence(m.Device), m.OfferedAt.Truncate(time.Millisecond)
	if since.IsZero() {
		since = c.StartedAt
	}
	if p.Runs != string(c.aim()) || p.RunsBy == "" || p.RunsSince.Before(since) {
		return false
	}
	c.runs(m.Device, p.Runs, fleet.UpBy(p.RunsBy), now)
	return true
}

// lookAtFetched decides on a device that had time to be up. It is lost where it was not heard, and half of its line was heard
// after its deadline: so it is no fault of the line.
func (c *course) lookAtFetched(m *member, now time.Duration) {
	p := c.sightings.Presence(m.Device)
	heardAt := now - p.Ago
	here := heardAt > m.Since.Of()+c.upWithin/180
	deadline := m.Since.Of() + c.patience(m)
	if here { // its last contact may have been before it restarted
		deadline = heardAt + c.patience(m)
	}
	switch {
	case c.foundUp(m, now):
	case here && (p.Rhythm == 0 || now < deadline): // what it runs will show
		c.lookAt(m, max(deadline, c.again(now)))
	case m.line.dark: // its time stands still; that is not written down, as a restart gives it its time again
		m.Since = fleet.Duration(now)
		c.lookAt(m, c.again(now))
	case !c.lineHeard(m, deadline, now):
		c.lookAt(m, c.again(now))
	default:
		c.lose(m, now)
	}
}

// lineHeard reports that half of a member's line was heard after a time: that it is silent is no fault of the line.
func (c *course) lineHeard(m *member, after, now time.Duration) bool {
	ago, ok := c.sightings.HeardAgo(c.Model, m.line.name)
	return ok && now-ago > after
}

// lose says that a device has not come back.
func (c *course) lose(m *member, now time.Duration) {
	if c.forward() {
		c.mark(m, ofEnd, fleet.Mark{Bad: true, New: true}, now)
	}
	c.step(m, fleet.MemberLost, now, func() { m.JudgedAt, m.Why = c.wall, "not heard since it had the build" })
	c.lookNoMore(m)
	c.tellDevice(event.DeviceLost, m, m.Why)
	c.judge(now)
}

// lookAtUp decides whether a device is healthy.
func (c *course) lookAtUp(m *member, now time.Duration) {
	p := c.sightings.Presence(m.Device)
	switch {
	case m.UpBy == fleet.UpHeard && (p.Checks || c.rollback): // that it was heard shows nothing of what it runs
		c.lookAt(m, now+c.patience(m))
	case m.unseen && !m.line.dark && c.lineHeard(m, max(now-p.Ago, m.Since.Of())+c.patience(m), now):
		c.lose(m, now)
	case p.State != fleet.BootsOnly && (p.Missing || m.unseen), m.line.dark:
		c.lookAt(m, c.again(now))
	default:
		if c.forward() {
			c.mark(m, ofEnd, fleet.Mark{New: true}, now)
		}
		c.step(m, fleet.MemberHealthy, now, func() {
			m.JudgedAt, m.Excused = c.wall, false
			m.Has = c.forward()
		})
	}
}

// onAll are the members that count: neither off nor skipped.
func (c *course) onAll() int {
	return len(c.members) - c.counts[fleet.MemberOff] - c.counts[fleet.MemberSkipped]
}

// target is how many members the open wave lets have the build.
func (c *course) target() int {
	if c.Wave == 0 {
		return 0
	}
	if c.Wave == 1 && c.First != nil {
		return 0 // those that were named, and nobody else
	}
	w := c.Plan.Waves[c.Wave-1]
	if c.First != nil && w.Devices > 0 { // those that were named, as many as are on, and the plan's
		return c.namedOn() + w.Devices - c.Plan.Waves[0].Devices
	}
	return sizeOf(w, c.onAll())
}

// namedOn are the members that a person has named and that are on: they come first.
func (c *course) namedOn() (n int) {
	for _, m := range c.order {
		switch {
		case !m.named:
			return n
		case m.State != fleet.MemberOff && m.State != fleet.MemberSkipped:
			n++
		}
	}
	return n
}

// extend lets the open wave reach as many members as it is to, where some are off.
func (c *course) extend() {
	if !c.forward() { // it has waves of its own
		return
	}
	target := c.target()
	for c.cut < len(c.order) && (c.onInCut < target || c.Wave > 0 && c.order[c.cut].named) {
		c.reach(c.order[c.cut])
		c.cut++
	}
}

// reach notes that the waves that are open have reached a member.
func (c *course) reach(m *member) {
	c.enumerate(m, -1)
	m.inCut = true
	c.enumerate(m, 1)
}

// judged are the members of the open wave, and of those before it, that are on, and how many of them a verdict is there of.
func (c *course) judged() fleet.ShareCount {
	done := 0
	for _, s := range []fleet.MemberState{fleet.MemberHealthy, fleet.MemberLost, fleet.MemberBack} {
		done += c.inCut[s]
	}
	return fleet.ShareCount{Devices: done, Of: c.onInCut}
}

// advance opens the next wave where it may be opened, or ends the rollout.
func (c *course) advance(now time.Duration) {
	if c.Wave == 0 {
		c.open(now)
		return
	}
	c.extend()
	if c.stuck() {
		c.stop(now)
		return
	}
	last := c.Wave == len(c.Plan.Waves)
	if last {
		c.finishing = c.finishing || c.over()
		return
	}
	wave := c.Plan.Waves[c.Wave-1]
	opened := c.WaveOpened.Of()
	j := c.judged()
	switch {
	case c.Advanced:
		c.open(now)
		return
	case now < opened+wave.Rest.Of():
		return
	case 10*(j.Of-j.Devices) > j.Of-c.before:
		c.ask(fmt.Sprintf(": %d of the %d devices that have their turn are not judged", j.Of-j.Devices, j.Of), now)
		return
	case !c.ruledOut():
		c.ask(" whether it is worse: most likely it crashes "+times(c.evidence.crashes.ratio())+" times as often", now)
		return
	}
	c.open(now)
}

// open opens the next wave.
func (c *course) open(now time.Duration) {
	c.before = c.onInCut
	c.Wave++
	c.WaveOpened, c.Advanced = fleet.Duration(now), false
	c.extend()
	c.tell(event.RolloutWaveOpened, map[string]any{"devices": c.onInCut})
}

// stuck reports that every slot is held by a device that is lost or went back: nothing can go on, so that no evidence will ever
// come to decide it. With a build that loses one of a hundred it does not happen.
func (c *course) stuck() bool {
	if c.slots < c.budget() || c.inFlight() > 0 {
		return false
	}
	for _, m := range c.order {
		if m.State == fleet.MemberBack && m.inCut && !m.unseen { // it gets the build once more
			return false
		}
	}
	return true
}

// inFlight are the members between an offer and a verdict.
func (c *course) inFlight() int {
	return c.counts[fleet.MemberOffered] + c.counts[fleet.MemberFetching] + c.counts[fleet.MemberFetched] + c.counts[fleet.MemberUp]
}

// stop ends a rollout that is stuck: with what speaks against it; else it asks a person.
func (c *course) stop(now time.Duration) {
	if c.evidence.bad > 0 {
		c.halt(c.lossReason(), now)
		return
	}
	c.State = fleet.RolloutPaused
	c.Why = "every slot is held by a device that is lost or went back: excuse those that it is no fault of, or halt"
	c.tell(event.RolloutPaused, map[string]any{"why": c.Why})
}

// over reports that nothing more is waited for.
func (c *course) over() bool {
	if c.counts[fleet.MemberWaiting] > 0 {
		return false
	}
	open := c.inFlight()
	return open == 0 || open == c.freed
}

// finish ends it, once its version is what all are offered; why is a person's reason, "" where it ends by itself.
func (c *course) finish(why string, now time.Duration) {
	c.State, c.Why, c.EndedAt, c.finishing = fleet.RolloutFinished, why, c.wall, false
	c.Elapsed = fleet.Duration(now)
	more := map[string]any{"devices": c.counts[fleet.MemberHealthy]}
	if why != "" {
		more["why"] = why
	}
	c.tell(event.RolloutFinished, more)
}

// bootLikelihood is the logarithm of how much better a good build explains the boots than one of whose boots the share p crash,
// negated.
func (c *course) bootLikelihood(p float64) float64 {
	bad := min(c.evidence.crashes.seen[0], c.boots)
	return float64(bad)*math.Log(p/bootNoise) + float64(c.boots-bad)*math.Log((1-p)/(1-bootNoise))
}

// ruledOut reports that all that the open wave's plan asks for is refuted.
func (c *course) ruledOut() bool {
	w, level := c.wave(), math.Log(c.beta)
	return (w.BootCrash == 0 || c.bootLikelihood(w.BootCrash) <= level) && (w.Daily == 0 || c.evidence.daily.l[0] <= level)
}

func (c *course) wave() fleet.Wave { return c.Plan.Waves[max(c.Wave, 1)-1] }

// gates are what must be ruled out before the next wave.
func (c *course) gates() (gates []fleet.Gate) {
	w, level := c.wave(), math.Log(c.beta)
	if p := w.BootCrash; p > 0 {
		gates = append(gates, gate(fleet.BootsText(p), c.bootLikelihood(p), level))
	}
	if w.Daily > 0 {
		gates = append(gates, gate(fleet.DailyText(w.Daily), c.evidence.daily.l[0], level))
	}
	return gates
}

func gate(what string, l, level float64) fleet.Gate {
	g := fleet.Gate{What: what, Ruled: l <= level, Needs: 1}
	if !g.Ruled {
		g.Needs = 0 // nobody can say
		if l < 0 {
			g.Needs = level / l
		}
	}
	return g
}

// ask pauses a rollout whose wave has neither ended nor halted for long, and asks a person: what is not decided.
func (c *course) ask(what string, now time.Duration) {
	if now < max(c.WaveOpened.Of(), c.Resumed.Of())+c.decideWithin {
		return
	}
	c.State = fleet.RolloutPaused
	c.Why = fmt.Sprintf("not decided after %g days%s. Go on?", math.Round(10*c.decideWithin.Hours()/24)/10, what)
	c.tell(event.RolloutPaused, map[string]any{"why": c.Why})
}

// resumed lets a paused rollout go on, or wait on.
func (c *course) resumed(now time.Duration) {
	c.State, c.Why, c.Resumed = fleet.RolloutRunning, "", fleet.Duration(now)
}
