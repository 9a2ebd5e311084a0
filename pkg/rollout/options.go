package rollout

import (
	"context"
	"log/slog"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// store is what rollouts need of the catalog.
type store interface {
	Model(fleet.ModelCode) (fleet.Model, error)
	Build(fleet.ModelCode, fleet.Version) (fleet.Build, error)
	// EachRollout calls yield for all rollouts, of each model by number.
	EachRollout(yield func(fleet.Rollout) error) error
	EachMember(code fleet.ModelCode, number int, yield func(fleet.Member) error) error
	// AddRollout gives a rollout the next number of its model; a second unfinished one is ErrTaken.
	AddRollout(ctx context.Context, r fleet.Rollout, c Change) (fleet.Rollout, error)
	SaveRollout(ctx context.Context, c Change) error
	RolloutPlan(fleet.ModelCode) (p fleet.Plan, found bool, err error)
	SaveRolloutPlan(ctx context.Context, code fleet.ModelCode, p fleet.Plan) error
}

// book is what is seen of devices.
type book interface {
	sightings
	// EachDevice calls yield for the devices of a model. No record is read.
	EachDevice(model fleet.ModelCode, yield func(fleet.Placed))
	// DarkLines are the lines that are dark now.
	DarkLines() []string
	// QuietFor is how long no device at all was heard, and the shortest rhythm of those that are; 0 where none has one.
	QuietFor() (quiet, rhythm time.Duration)
}

// firmware is what is known of builds, and who offers one to all.
type firmware interface {
	Traits(fleet.ModelCode, fleet.Version) (fleet.Traits, error)
	Publish(context.Context, fleet.ModelCode, fleet.Version) (fleet.Model, error)
}

// Options are what rollouts stand on.
type Options struct {
	Store        store
	Book         book
	Firmware     firmware
	Rate         func(code fleet.ModelCode, v fleet.Version) float64 // crashes a device and day; 0: not known
	Hold         func() string                                       // why nothing may be offered now; "" for nothing
	Halted       func(code fleet.ModelCode, v fleet.Version)         // in the moment of a halt
	Nudge        func(code fleet.ModelCode, devices []fleet.DeviceKey)
	Plan         string // the plan of who names none
	Alpha, Beta  float64
	Tolerated    float64 // share of updates that may end badly
	UpWithin     time.Duration
	DecideWithin time.Duration
	Beat         func()
	Logger       *slog.Logger
	Now          func() time.Time
}
