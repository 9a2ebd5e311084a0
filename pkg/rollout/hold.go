package rollout

import (
	"fmt"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// holds has a rollout held while the gateway cannot see, or may not offer, and lets it go on. Nobody is to blame for it, and
// nobody is judged meanwhile: a device is lost only where others of its line were heard.
func (c *course) holds(now time.Duration) {
	why := c.holdReason(now)
	switch {
	case c.State == fleet.RolloutRunning && why != "":
		c.State, c.Why = fleet.RolloutHeld, why
		c.tell(event.RolloutHeld, map[string]any{"why": why})
	case c.State == fleet.RolloutHeld && why == "":
		c.State, c.Why = fleet.RolloutRunning, ""
		c.tell(event.RolloutReleased, nil)
	case c.State == fleet.RolloutHeld && why != c.Why:
		c.Why, c.stale = why, true
	}
}

func (c *course) holdReason(now time.Duration) string {
	switch {
	case c.hold != "":
		return c.hold
	case c.outside:
		return "the window " + c.Window + " is closed"
	case now < c.holdOff:
		return "the gateway has just started"
	case c.blind:
		return "no device is heard"
	}
	if 2*c.dark > len(c.lines) {
		return fmt.Sprintf("%d of %d lines are dark", c.dark, len(c.lines))
	}
	return ""
}

// darkened tells that a line went dark, or is lit again. Members on a dark line are not judged.
func (c *course) darkened(name string, dark bool, now time.Duration) {
	l := c.lines[name]
	if l == nil || l.dark == dark {
		return
	}
	l.dark = dark
	if dark {
		c.dark++
	} else {
		c.dark--
		l.lit = now
	}
}
