package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// retreat offers the base to who has the build, in waves of its own: the plan's, of those that have it.
func (c *course) retreat(now time.Duration) {
	c.State, c.Why, c.EndedAt = fleet.RolloutRetreating, "", time.Time{}
	c.Wave, c.cut, c.before = 0, 0, 0
	for _, m := range c.order {
		c.lookNoMore(m)
		c.enumerate(m, -1)
		m.inCut = false
		if m.Has && m.held == "" {
			m.State, m.Since, m.Excused, m.Attempts, m.OfferedAt, m.FetchedAt = fleet.MemberWaiting, fleet.Duration(now), false, 0, time.Time{}, time.Time{}
			if m.unseen {
				m.State = fleet.MemberOff
			}
			c.save(m)
		} else if m.holdsSlot() { // it has nothing to be taken from
			m.Excused = true
			c.save(m)
		}
		c.enumerate(m, 1)
	}
	c.tell(event.RolloutRetreating, map[string]any{"devices": c.having()})
	c.openRetreat(now)
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

// openRetreat opens the next wave: as many more of those that have the build as the wave has devices.
func (c *course) openRetreat(now time.Duration) {
	c.Wave++
	c.WaveOpened = fleet.Duration(now)
	all := c.having()
	n := all
	if c.Wave <= len(c.Plan.Waves) {
		n = sizeOf(c.Plan.Waves[c.Wave-1], all)
	}
	for ; c.cut < len(c.order) && n > 0; c.cut++ {
		m := c.order[c.cut]
		if m.Has {
			n--
		}
		c.reach(m)
	}
	c.tell(event.RolloutWaveOpened, map[string]any{"retreat": true})
}

// advanceRetreat goes on with a retreat. Nothing has to be ruled out: the base is known.
func (c *course) advanceRetreat(now time.Duration) {
	waiting, flying, beyond := 0, 0, 0
	for i, m := range c.order {
		if i >= c.cut && m.Has {
			beyond++
		}
		switch {
		case !m.Has && !inFlight(m.State):
		case inFlight(m.State) && !m.Excused:
			flying++
		case m.State == fleet.MemberWaiting && m.inCut:
			waiting++
		}
	}
	c.retreatStuck(waiting > 0 && flying == 0)
	switch {
	case waiting+flying > 0:
	case beyond > 0:
		c.openRetreat(now)
	default:
		c.State, c.Why, c.EndedAt = fleet.RolloutRetreated, "", c.wall
		c.tell(event.RolloutRetreated, map[string]any{"devices": c.having()})
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
