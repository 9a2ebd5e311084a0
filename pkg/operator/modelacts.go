package operator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Models changes models and their builds as the API does, for whoever has no request to the API, too.
type Models struct{ d *door }

// NewModels is over the same records as a door with these options.
func NewModels(o Options) Models { return Models{&door{o}} }

// Add adds a model.
func (ms Models) Add(ctx context.Context, in api.NewModel) (fleet.Model, error) {
	code, err := fleet.ParseModelCode(in.Code)
	if err != nil {
		return fleet.Model{}, err
	}
	if err := fleet.CheckProvisioning(in.Provisioning); err != nil {
		return fleet.Model{}, err
	}
	now := ms.d.Now().UTC()
	m := fleet.Model{Code: code, Name: in.Name, Provisioning: in.Provisioning, CreatedAt: now, UpdatedAt: now}
	if in.Config != nil {
		if m.Config, err = defaultConfiguration(in.Config); err != nil {
			return fleet.Model{}, err
		}
	}
	return m, ms.d.Records.AddModel(ctx, m)
}

// Change changes what a person may change of a model.
func (ms Models) Change(ctx context.Context, code fleet.ModelCode, in api.ModelChange) (fleet.Model, error) {
	return ms.d.Records.UpdateModel(ctx, code, func(m *fleet.Model) error {
		set(&m.Name, in.Name)
		set(&m.Chip, in.Chip)
		set(&m.Project, in.Project)
		m.Provisioning = api.MergeValues(m.Provisioning, in.Provisioning)
		if in.Config == nil {
			return fleet.CheckProvisioning(m.Provisioning)
		}
		var err error
		m.Config, err = defaultConfiguration(in.Config)
		return errors.Join(err, fleet.CheckProvisioning(m.Provisioning))
	})
}

// defaultConfiguration is a model's: what it lacks is filled in for each device, so that nothing is to be warned of.
func defaultConfiguration(raw json.RawMessage) (json.RawMessage, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	config, _, err := fleet.ParseConfiguration(raw)
	return config, err
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Publish offers a build to all. It is refused while a rollout of the model is not finished, unless that is to be halted first: then
// the build has to be there.
func (ms Models) Publish(ctx context.Context, code fleet.ModelCode, v fleet.Version, haltFirst bool) (fleet.Model, error) {
	if haltFirst {
		if _, err := ms.d.buildOf(code, string(v)); err != nil {
			return fleet.Model{}, err
		}
	}
	by := event.ActorOf(ctx).Actor
	if err := ms.d.Rollouts.ForPublish(ctx, code, cmp.Or(by.Name, by.ID), haltFirst); err != nil {
		return fleet.Model{}, err
	}
	return ms.d.Firmware.Publish(ctx, code, v)
}

// Upload takes a firmware. One that can never be taken leaves an event; when it comes again it is another.
func (ms Models) Upload(ctx context.Context, s fleet.Submission) (fleet.Accepted, error) {
	accepted, err := ms.d.Firmware.Accept(ctx, s)
	if errors.Is(err, fleet.ErrRefused) || errors.Is(err, fleet.ErrTaken) {
		object := s.Model.ObjectOf()
		if s.Model == "" {
			object = fleet.Drop{Name: s.File}.ObjectOf()
		}
		err = errors.Join(err, ms.d.Events.Record(context.WithoutCancel(ctx), event.BuildRejected, object, map[string]string{"reason": err.Error()}))
	}
	return accepted, err
}

// Note replaces what people say of a build.
func (ms Models) Note(ctx context.Context, code fleet.ModelCode, v fleet.Version, note string) (fleet.Build, error) {
	return ms.d.Records.NoteBuild(ctx, code, v, note)
}

// RemoveBuild removes a build that nobody is offered.
func (ms Models) RemoveBuild(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	return ms.d.Firmware.Remove(ctx, code, v)
}

// Remove removes a model that has neither devices nor builds.
func (ms Models) Remove(ctx context.Context, code fleet.ModelCode) error {
	return ms.d.Firmware.RemoveModel(ctx, code)
}
