package rollout

import "github.com/slipway-gateway/slipway/pkg/fleet"

// Change is what becomes of a rollout's records at once.
type Change struct {
	Model   fleet.ModelCode
	Number  int
	Rollout *fleet.Rollout // nil: as it is
	Members []fleet.Member
	Told    []Told

	Replaces *fleet.Rollout // with a new rollout: the one before as it ends by it, nil for none; both are on record, or neither
}

// Told is an event that a change leaves.
type Told struct {
	Kind    fleet.EventKind
	Object  fleet.Object
	Details any
}
