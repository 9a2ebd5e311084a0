package rollout

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// acts marks that something is being written of a model's rollouts, and waits for its turn: one thing comes after the other.
func (rs *Rollouts) acts(ctx context.Context, code fleet.ModelCode) error {
	for !rs.mayAct(code) {
		rs.mu.Lock()
		busy := rs.acting[code]
		rs.mu.Unlock()
		if busy == nil {
			continue
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// mayAct is acts where nobody waits.
func (rs *Rollouts) mayAct(code fleet.ModelCode) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.acting[code] != nil {
		return false
	}
	rs.acting[code] = make(chan struct{})
	return true
}

// settle ends what acts has begun.
func (rs *Rollouts) settle(code fleet.ModelCode) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	close(rs.acting[code])
	delete(rs.acting, code)
}

// acted is settle after what a person has asked for: Run looks at once what follows from it.
func (rs *Rollouts) acted(code fleet.ModelCode) {
	rs.settle(code)
	rs.soon()
}
