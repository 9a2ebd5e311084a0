package rollout

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Forecast is not there yet.
func (rs *Rollouts) Forecast(_ context.Context, o fleet.RolloutOrder) (fleet.Forecast, error) {
	x, err := rs.check(o)
	return fleet.Forecast{Plan: x.Plan}, err
}
