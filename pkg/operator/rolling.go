package operator

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Rolling starts rollouts and acts on them as the API does, for whoever has no request to the API, too.
type Rolling struct{ d *door }

// NewRolling is over the same records as a door with these options.
func NewRolling(o Options) Rolling { return Rolling{&door{o}} }

// Start starts one, or makes a draft.
func (rs Rolling) Start(ctx context.Context, code fleet.ModelCode, in api.NewRollout) (fleet.Rollout, error) {
	order, err := rs.order(ctx, code, in)
	if err != nil {
		return fleet.Rollout{}, err
	}
	return rs.d.Rollouts.Start(ctx, order)
}

// Forecast says what a plan would do, and starts nothing.
func (rs Rolling) Forecast(ctx context.Context, code fleet.ModelCode, in api.NewRollout) (fleet.Forecast, error) {
	order, err := rs.order(ctx, code, in)
	if err != nil {
		return fleet.Forecast{}, err
	}
	return rs.d.Rollouts.Forecast(ctx, order)
}

func (rs Rolling) order(ctx context.Context, code fleet.ModelCode, in api.NewRollout) (fleet.RolloutOrder, error) {
	order, err := rs.d.order(code, in)
	if err != nil {
		return order, err
	}
	order.By = actorOf(ctx)
	order.Reason, err = reasonOf(in.Reason, false)
	return order, err
}

// Act does what a person says. A pause and a finish need no reason; what overrules the rollout's own judgement does. Where
// sparing is set, a retreat is not stopped.
func (rs Rolling) Act(ctx context.Context, one fleet.Rollout, verb fleet.RolloutVerb, in api.RolloutAct, sparing bool) (fleet.Rollout, error) {
	if err := fits(verb, in); err != nil {
		return one, err
	}
	act := fleet.RolloutAct{Verb: verb, Accept: in.Accept, Untested: in.Untested, By: actorOf(ctx), SparesRetreat: sparing}
	var err error
	if act.Reason, err = reasonOf(in.Reason, api.NeedsReason(verb, one.State)); err != nil {
		return one, err
	}
	for _, key := range in.Devices {
		act.Devices = append(act.Devices, fleet.DeviceKey(key))
	}
	if err := rs.d.knownDevices(act.Devices); err != nil {
		return one, err
	}
	return rs.d.Rollouts.Act(ctx, one.Model, one.Number, act)
}
