package rollout

import "github.com/slipway-gateway/slipway/pkg/fleet"

// halt is a build whose offers have just ended.
type halt struct {
	model   fleet.ModelCode
	version fleet.Version
}

// haltedNow is called in the moment of a halt, with the lock held: Run tells of it at once.
func (rs *Rollouts) haltedNow(c *course) {
	rs.halts = append(rs.halts, halt{c.Model, c.Version})
	rs.soon()
}

// tellHalts has what is being sent of builds ended whose rollouts have halted.
func (rs *Rollouts) tellHalts() {
	rs.mu.Lock()
	halts := rs.halts
	rs.halts = nil
	rs.mu.Unlock()
	for _, h := range halts {
		if rs.options.Halted != nil {
			rs.options.Halted(h.model, h.version)
		}
	}
}
