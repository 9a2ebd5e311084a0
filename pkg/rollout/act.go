package rollout

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// act does what a person asks for, or refuses.
func (c *course) act(a fleet.RolloutAct, now time.Duration) error {
	switch a.Verb {
	case fleet.RolloutPause:
		return c.pause(a)
	case fleet.RolloutResume:
		return c.resume(a, now)
	case fleet.RolloutHalt:
		return c.haltBy(a, now)
	case fleet.RolloutAdvance:
		return c.skipGate(a)
	case fleet.RolloutExcuse:
		return c.excuse(a)
	case fleet.RolloutRetreat:
		return c.retreatBy(a, now)
	case fleet.RolloutFinish:
		return c.finishBy(a, now)
	}
	return fleet.Refused("there is nothing like %q to do to a rollout", a.Verb)
}

// cannot says that a verb does not fit the state.
func (c *course) cannot(verb string) error {
	return fleet.Taken("rollout %d of %s is %s: it cannot be %s", c.Number, c.Model, c.State, verb)
}

// overtaken says that a rollout that has halted cannot go on, nor be taken back, as its base is not what others are offered any more.
func (c *course) overtaken() error {
	return fleet.Taken("another version was published since rollout %d of %s has halted, and its devices are offered that: start a new one", c.Number, c.Model)
}

// checkAct refuses what goes with another verb.
func checkAct(a fleet.RolloutAct) error {
	switch {
	case (a.Verb == fleet.RolloutExcuse) != (len(a.Devices) > 0):
		return fleet.Refused("devices: they go with excuse, and with nothing else")
	case a.Verb != fleet.RolloutResume && len(a.Accept) > 0:
		return fleet.Refused("accept: it goes with resume after a halt, not with %s", a.Verb)
	case a.Verb != fleet.RolloutRetreat && a.Untested:
		return fleet.Refused("untested: it goes with retreat, not with %s", a.Verb)
	case a.Verb != fleet.RolloutHalt && a.Stay:
		return fleet.Refused("to stay goes with halt, not with %s", a.Verb)
	}
	return checkReason(a.Reason)
}

func (c *course) pause(a fleet.RolloutAct) error {
	if c.State != fleet.RolloutRunning && c.State != fleet.RolloutHeld {
		return c.cannot("paused")
	}
	c.State, c.Why = fleet.RolloutPaused, a.Reason
	c.tell(event.RolloutPaused, map[string]any{"why": a.Reason})
	return nil
}

// resume goes on: after a pause as it was, after a halt with evidence that starts anew, without what is accepted.
func (c *course) resume(a fleet.RolloutAct, now time.Duration) error {
	switch c.State {
	case fleet.RolloutPaused, fleet.RolloutDraft:
		if len(a.Accept) > 0 {
			return fleet.Refused("accept: rollout %d of %s is %s: there is something to accept after a halt only", c.Number, c.Model, c.State)
		}
	case fleet.RolloutHalted:
		switch {
		case c.Unstuck:
			return c.overtaken()
		case c.Backward:
			return fleet.Taken("rollout %d of %s was being taken back: go on with that (retreat), end it (finish), or start a new one", c.Number, c.Model)
		}
		if err := c.accept(a.Accept); err != nil {
			return err
		}
		c.Counted, c.EndedAt, c.Halted, c.boots = c.marks+1, time.Time{}, "", 0
		c.recount()
		c.forgive()
	default:
		return c.cannot("resumed")
	}
	kind := event.RolloutResumed
	if c.StartedAt.IsZero() { // a draft, also one that was halted
		kind, c.StartedAt, c.StartAt = event.RolloutStarted, c.wall, time.Time{}
	}
	c.resumed(now)
	c.tell(kind, map[string]any{"why": a.Reason, "accepted": a.Accept})
	return nil
}

// forgive frees the slots of devices that were lost or went back before a person said "go on": they count no more.
func (c *course) forgive() {
	for _, m := range c.order {
		if m.State == fleet.MemberLost || m.State == fleet.MemberBack {
			c.change(m, func() { m.Excused = true })
		}
	}
}

// accept notes what a person has looked at and lets pass: fingerprints, or a share of updates that may end badly.
func (c *course) accept(all []string) error {
	accepted, tolerated := slices.Clone(c.Accepted), c.Tolerated
	for _, one := range all {
		if part, ok := strings.CutSuffix(one, "%"); ok {
			p, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
			if err != nil || !(p > 0 && p < 99) { // NaN is neither
				return fleet.Refused("accept %q: want a share such as 5%%, above 0 and below 99", one)
			}
			tolerated = p / 100
			continue
		}
		if _, known := c.evidence.signatures.number[one]; !known {
			return fleet.Refused("accept %q: no crash with that fingerprint was new in this rollout; want one, or a share such as 5%%", one)
		}
		accepted = append(accepted, one)
	}
	c.Accepted, c.Tolerated = accepted, tolerated
	return nil
}

func (c *course) haltBy(a fleet.RolloutAct, now time.Duration) error {
	switch c.State {
	case fleet.RolloutRunning, fleet.RolloutHeld, fleet.RolloutPaused, fleet.RolloutDraft:
		c.Retreat = c.Retreat && !a.Stay
		c.halt("halted by "+a.By+": "+a.Reason, now)
		return nil
	case fleet.RolloutRetreating:
		if a.SparesRetreat {
			break
		}
		c.State, c.Why, c.EndedAt = fleet.RolloutHalted, "halted by "+a.By+": "+a.Reason, c.wall
		c.tell(event.RolloutHalted, map[string]any{"why": c.Why})
		c.unoffer(now)
		return nil
	}
	return c.cannot("halted")
}

// skipGate ends the rest and the gate of the open wave.
func (c *course) skipGate(a fleet.RolloutAct) error {
	switch c.State {
	case fleet.RolloutRunning, fleet.RolloutHeld, fleet.RolloutPaused:
	default:
		return c.cannot("advanced")
	}
	if c.Wave == len(c.Plan.Waves) {
		return fleet.Taken("rollout %d of %s is in its last wave", c.Number, c.Model)
	}
	c.Advanced = true
	if c.State == fleet.RolloutPaused {
		c.State, c.Why = fleet.RolloutRunning, ""
	}
	c.tell(event.RolloutAdvanced, map[string]any{"why": a.Reason})
	return nil
}

// excuse frees the slots of devices, which a person knows to be no fault of the build.
func (c *course) excuse(a fleet.RolloutAct) error {
	if !c.State.Unfinished() && c.State != fleet.RolloutHalted {
		return c.cannot("changed")
	}
	for _, key := range a.Devices {
		m := c.members[key]
		if m == nil {
			return fleet.Unknown("device %q is not in rollout %d of %s", key, c.Number, c.Model)
		}
		if !m.holdsSlot() && !m.Excused {
			return fleet.Taken("device %q is %s: it holds no slot", key, m.State)
		}
	}
	for _, key := range a.Devices {
		m := c.members[key]
		c.change(m, func() { m.Excused = true })
	}
	c.tell(event.RolloutExcused, map[string]any{"why": a.Reason, "devices": a.Devices})
	return nil
}

func (c *course) retreatBy(a fleet.RolloutAct, now time.Duration) error {
	switch c.State {
	case fleet.RolloutRunning, fleet.RolloutHeld, fleet.RolloutPaused:
		c.halt("halted by "+a.By+": "+a.Reason, now)
	case fleet.RolloutHalted:
		if c.Unstuck {
			return c.overtaken()
		}
	default:
		return c.cannot("taken back")
	}
	if c.State == fleet.RolloutHalted {
		c.retreat(a.Reason, now)
	}
	return nil
}

// finishBy ends a retreat as it is: what is open is not waited for. To finish a rollout is to publish its version: see
// [Rollouts.finish].
func (c *course) finishBy(a fleet.RolloutAct, now time.Duration) error {
	if c.State != fleet.RolloutRetreating && (c.State != fleet.RolloutHalted || !c.Backward) {
		return c.cannot("finished")
	}
	c.retreated(a.Reason, now)
	return nil
}
