package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// retreat offers the base to who has the build, in waves of its own: the plan's, of those that wait for it. It goes on with one
// that was halted. why is what a person says, "" where it goes back by itself.
func (c *course) retreat(why string, now time.Duration) {
	c.State, c.Why, c.EndedAt = fleet.RolloutRetreating, "", time.Time{}
	begins := !c.Backward
	if begins {
		c.turnBack(now)
	}
	details := map[string]any{"devices": c.having(), "halted_why": c.Halted}
	if why != "" {
		details["why"] = why
	}
	c.tell(event.RolloutRetreating, details)
	if begins {
		c.openRetreat(now)
	}
}

// turnBack has the members that have the build wait for the base. Who was lost with it stays lost, and who is not heard is off: the
// retreat does not wait for them, and they have their turn when they are back.
func (c *course) turnBack(now time.Duration) {
	c.Backward, c.Wave, c.cut, c.before = true, 0, 0, 0
	for _, m := range c.order {
		c.lookNoMore(m)
		c.enumerate(m, -1)
		m.inCut = false
		switch {
		case m.Has && m.held == "":
			m.Excused, m.Attempts, m.OfferedAt, m.FetchedAt = m.State == fleet.MemberLost, 0, time.Time{}, time.Time{}
			switch {
			case m.State == fleet.MemberLost:
			case m.unseen:
				m.State, m.Since = fleet.MemberOff, fleet.Duration(now)
			default:
				m.State, m.Since = fleet.MemberWaiting, fleet.Duration(now)
			}
			c.save(m)
		case m.holdsSlot(): // it has nothing to be taken from
			m.Excused = true
			c.save(m)
		}
		c.enumerate(m, 1)
	}
}

// having are the members that have the build.
func (c *course) having() int {
	n := 0
	for _, m := range c.order {
		if m.Has {
			n++
		}
	}
	return n
}

// returns reports, in a retreat, that a member waits for the base: neither is it off, nor was it lost before.
func (m *member) returns() bool { return m.Has && m.State == fleet.MemberWaiting }

// openRetreat opens the next wave: as many more of those that wait as the wave has devices.
func (c *course) openRetreat(now time.Duration) {
	c.Wave++
	c.WaveOpened = fleet.Duration(now)
	n := 0
	for _, m := range c.order {
		if m.returns() {
			n++
		}
	}
	if c.Wave <= len(c.Plan.Waves) {
		n = sizeOf(c.Plan.Waves[c.Wave-1], n)
	}
	for ; c.cut < len(c.order) && n > 0; c.cut++ {
		m := c.order[c.cut]
		if m.returns() {
			n--
		}
		c.reach(m)
	}
	c.tell(event.RolloutWaveOpened, map[string]any{"retreat": true})
}

// advanceRetreat goes on with a retreat. Nothing has to be ruled out: the base is known.
func (c *course) advanceRetreat(now time.Duration) {
	waiting, flying, beyond := 0, 0, 0
	for _, m := range c.order {
		switch {
		case inFlight(m.State) && !m.Excused:
			flying++
		case m.returns() && m.inCut:
			waiting++
		case m.returns():
			beyond++
		}
	}
	c.retreatStuck(waiting > 0 && flying == 0)
	switch {
	case waiting+flying > 0:
	case beyond > 0:
		c.openRetreat(now)
	default:
		c.retreated("", now)
	}
}

// retreated ends a retreat: all are offered the base from now on, also those that were off.
func (c *course) retreated(why string, now time.Duration) {
	c.State, c.Why, c.EndedAt = fleet.RolloutRetreated, why, c.wall
	more := map[string]any{"devices": c.having()}
	if why != "" {
		more["why"] = why
	}
	c.tell(event.RolloutRetreated, more)
	c.unoffer(now)
	for _, m := range c.order {
		if m.Has {
			c.change(m, func() { m.Has = false })
		}
	}
}

// mostNamed devices are named in a sentence.
const mostNamed = 5

// retreatStuck says so, once, where every slot is held by a device that was taken back and is lost: it may be that the base does
// not run on what the build has left behind, and then each further device would be lost as well. A person looks, and excuses.
func (c *course) retreatStuck(waits bool) {
	if stuck := waits && c.slots >= c.budget(); !stuck {
		if c.Why != "" {
			c.Why, c.stale = "", true
		}
		return
	}
	var names []string
	for _, m := range c.order {
		if m.holdsSlot() {
			names = append(names, string(m.Device))
		}
	}
	slices.Sort(names)
	more := ""
	if n := len(names) - mostNamed; n > 0 {
		names, more = names[:mostNamed], fmt.Sprintf(" and %d more", n)
	}
	why := fmt.Sprintf("every slot is held by a device that did not come back with %s: %s%s; excuse those that it is no fault of, or finish",
		c.Base, strings.Join(names, ", "), more)
	if why != c.Why {
		c.Why = why
		c.tell(event.RolloutHeld, map[string]any{"why": why, "retreat": true})
	}
}
