package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// startDrafts starts those whose time has come.
func (rs *Rollouts) startDrafts() {
	now := rs.options.Now()
	rs.mu.Lock()
	var due []*course
	for _, p := range rs.models {
		if c := p.course; c != nil && c.State == fleet.RolloutDraft && !c.StartAt.IsZero() && !now.Before(c.StartAt) {
			due = append(due, c)
		}
	}
	rs.mu.Unlock()
	for _, c := range due {
		devices := rs.placed(c.Model)
		rs.mu.Lock()
		if p := rs.models[c.Model]; p != nil && p.course == c && c.State == fleet.RolloutDraft && rs.acting[c.Model] == nil {
			c.wall = now.UTC()
			rs.refresh(c, devices, p.elapsed(now))
			_ = c.resume(fleet.RolloutAct{Reason: "its time has come"}, p.elapsed(now)) // a draft can be started
		}
		rs.mu.Unlock()
	}
}

// refresh notes who is heard at the start of a draft: what devices did while it was one, nobody told it.
func (rs *Rollouts) refresh(c *course, devices []fleet.Placed, now time.Duration) {
	for _, d := range devices {
		rs.place(c, d, now)
		m := c.members[d.Key]
		if m == nil || m.State != fleet.MemberWaiting && m.State != fleet.MemberOff {
			continue
		}
		if s := rs.first(d); s != m.State && s != fleet.MemberSkipped {
			c.step(m, s, now, func() { m.unseen = d.Missed })
		}
	}
}
