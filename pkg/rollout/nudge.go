package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// nudge asks devices to restart whose turn it is and who ask at their boots only.
func (rs *Rollouts) nudge() {
	if rs.options.Nudge == nil {
		return
	}
	type turn struct {
		code    fleet.ModelCode
		devices []fleet.DeviceKey
	}
	var turns []turn
	rs.mu.Lock()
	for code, p := range rs.models {
		if c := p.course; c != nil {
			if devices := c.nudged(p.elapsed(rs.options.Now())); len(devices) > 0 {
				turns = append(turns, turn{code, devices})
			}
		}
	}
	rs.mu.Unlock()
	for _, t := range turns {
		rs.options.Nudge(t.code, t.devices)
	}
}

// mostNudged are asked at a time, and nobody again before it had its time to be up.
const mostNudged = 10

// nudged are members whose turn it is, who ask at boots only, and who were not nudged lately.
func (c *course) nudged(now time.Duration) (devices []fleet.DeviceKey) {
	if c.State != fleet.RolloutRunning && c.State != fleet.RolloutRetreating {
		return nil
	}
	free := min(c.budget()-c.slots, mostNudged)
	for _, m := range c.order[:c.cut] {
		if len(devices) >= free {
			break
		}
		if !c.mayTake(m) || m.State == fleet.MemberOff || m.nudgedAt > 0 && now-m.nudgedAt < 4*c.upWithin {
			continue
		}
		if c.sightings.Presence(m.Device).State == fleet.BootsOnly {
			m.nudgedAt = now
			devices = append(devices, m.Device)
		}
	}
	return devices
}
