package rollout

import (
	"fmt"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Open reads all rollouts. What devices did while the gateway was away is found out by what they are seen to run.
func Open(o Options) (*Rollouts, error) {
	rs := &Rollouts{
		options: o, wake: make(chan struct{}, 1), playing: make(chan struct{}, 1),
		models: map[fleet.ModelCode]*progress{}, acting: map[fleet.ModelCode]chan struct{}{},
	}
	err := o.Store.EachRollout(func(r fleet.Rollout) error {
		p := rs.progressOf(r.Model)
		before := 0
		if n := len(p.older); n > 0 {
			before = p.older[n-1].Number
		}
		if r.Number <= before {
			return fmt.Errorf("the record of rollout %d of %s comes after that of rollout %d", r.Number, r.Model, before)
		}
		p.older = append(p.older, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for code, p := range rs.models {
		if len(p.older) == 0 {
			continue
		}
		newest := p.older[len(p.older)-1]
		p.older = p.older[:len(p.older)-1]
		if err := rs.reopen(p, newest); err != nil {
			return nil, err
		}
		p.based = newest.Base
		if newest.State == fleet.RolloutFinished {
			p.based = newest.Version
		}
		if err := rs.findSticks(code, p); err != nil {
			return nil, err
		}
	}
	return rs, nil
}

// settingsOf are the settings of a rollout's course.
func (rs *Rollouts) settingsOf(r fleet.Rollout) settings {
	s := settings{alpha: rs.options.Alpha, beta: rs.options.Beta, upWithin: rs.options.UpWithin, decideWithin: rs.options.DecideWithin}
	t, err := rs.options.Firmware.Traits(r.Model, r.Version)
	if err != nil { // nobody knows: then that a device is heard again shows nothing
		s.rollback = true
		return s
	}
	s.rollback, s.bootsStand = t.Rollback, !t.Dumps
	return s
}

// reopen makes the course of a rollout that was written down, and its evidence anew.
func (rs *Rollouts) reopen(p *progress, r fleet.Rollout) error {
	known := map[fleet.DeviceKey]fleet.Member{}
	err := rs.options.Store.EachMember(r.Model, r.Number, func(m fleet.Member) error {
		known[m.Device] = m
		return nil
	})
	if err != nil {
		return err
	}
	c := newCourse(r, rs.settingsOf(r), rs.options.Book)
	p.course, p.from, p.before = c, rs.options.Now(), r.Elapsed.Of()
	p.window, _ = parseWindow(r.Window)
	latest, barred := r.Elapsed, map[fleet.DeviceKey]string{}
	rs.options.Book.EachDevice(r.Model, func(d fleet.Placed) {
		m, is := known[d.Key]
		if !is {
			if !picks(r.Target, d) || r.State == fleet.RolloutFinished || r.State == fleet.RolloutReplaced {
				return
			}
			m = rs.joining(r, d, 0)
		}
		m.Line = d.Line
		latest = max(latest, m.Since)
		one := c.add(m)
		one.held, one.unseen = d.Barred, d.Missed && !inFlight(m.State) // who is judged has all of its time again
		one.maybe = awaitsAnswer(m.State) || m.State == fleet.MemberFetched || m.State == fleet.MemberUp && m.UpBy == fleet.UpHeard
		if is := m.State == fleet.MemberSkipped && !one.failed(); is != (d.Barred != "") { // it was pinned, or is no more, since
			one.held, barred[d.Key] = m.Why, d.Barred
		}
	})
	p.before = latest.Of()
	c.arrange()
	c.restore(p.before)
	c.halted = func() { rs.haltedNow(c) }
	if c.active() {
		for key, why := range barred {
			c.heldBack(key, why, p.before)
		}
	}
	for _, name := range rs.options.Book.DarkLines() {
		c.darkened(name, true, p.before)
	}
	if c.active() && c.forward() {
		c.findUp(p.before)
	}
	stored := r.Evidence
	c.recount()
	if now := c.evidence.values(); stored.Total > 0 && r.State.Unfinished() && !near(stored.Total, now.Total) {
		rs.options.Logger.Info("evidence computed again", "model", r.Model, "rollout", r.Number, "stored", stored.Total, "computed", now.Total)
	}
	c.holdOff = p.before + c.upWithin/2
	c.wall = rs.options.Now().UTC()
	c.judge(p.before) // a kill may have come between what was seen and what follows from it
	return nil
}

// awaitsAnswer reports that a device was offered something of which it has not shown to have the whole.
func awaitsAnswer(s fleet.MemberState) bool {
	return s == fleet.MemberOffered || s == fleet.MemberFetching
}

func near(a, b float64) bool { return a == b || a/b < 1.000001 && b/a < 1.000001 }

// restore finds again what follows from the records: which waves are open, and when who is looked at.
func (c *course) restore(now time.Duration) {
	for _, m := range c.order {
		if inFlight(m.State) { // time without the gateway counts for nobody
			m.Since = fleet.Duration(max(now, m.Since.Of()))
			c.lookAt(m, m.Since.Of()+c.upWithin)
		}
		if m.maybe && awaitsAnswer(m.State) { // it has its time to show that it has the whole: see [course.checked]
			c.lookAt(m, m.Since.Of()+max(2*c.upWithin, 4*c.sightings.Presence(m.Device).Rhythm))
		}
		if m.unseen && m.State == fleet.MemberWaiting {
			c.step(m, fleet.MemberOff, now, nil)
		}
		if m.Wave > 0 && c.forward() { // it was in before, whatever its place is now
			c.reach(m)
		}
	}
	if !c.forward() { // who was given the base has had its turn; the wave that was open opens once more for the rest
		for i, m := range c.order {
			if m.takenBack() {
				c.cut = i + 1
			}
		}
		for _, m := range c.order[:c.cut] {
			c.reach(m)
		}
		c.Wave = max(c.Wave-1, 0)
		return
	}
	if c.Wave > 0 {
		c.extend()
		c.before = min(c.onInCut, c.sizeBefore())
	}
}

// findUp finds who runs the build by what was seen of it. That was told when it became known; but a kill may have come before a
// member's own record was saved, and not before the sighting was: nothing is new when the device says so again, and it would be
// offered the base when its turn is over.
func (c *course) findUp(now time.Duration) {
	for _, m := range c.order {
		switch m.State {
		case fleet.MemberWaiting, fleet.MemberOff, fleet.MemberOffered, fleet.MemberFetching, fleet.MemberFetched:
			c.foundUp(m, now)
		}
	}
}

// sizeBefore is the size of the wave before the open one.
func (c *course) sizeBefore() int {
	if c.Wave < 2 {
		return 0
	}
	return sizeOf(c.Plan.Waves[c.Wave-2], c.onAll())
}
