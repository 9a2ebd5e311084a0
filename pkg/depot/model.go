package depot

import (
	"context"
	"errors"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// model finds the model that a bundle is for. One that only the bundle names, and that is unknown, is refused with the nearest
// name: most are typing errors. In the drop folder nobody waits for an answer, so there it is made when the settings say so.
func (d *Depot) model(ctx context.Context, s fleet.Submission, code fleet.ModelCode) (fleet.Model, error) {
	m, err := d.options.Recorder.Model(code)
	if !errors.Is(err, fleet.ErrUnknown) || s.Model != "" {
		return m, err
	}
	if d.options.CreateModels && s.Origin == fleet.FromDrop {
		now := d.options.Now().UTC()
		m := fleet.Model{Code: code, CreatedAt: now, UpdatedAt: now}
		if err := d.options.Recorder.AddModel(ctx, m); err != nil {
			return m, err
		}
		return m, nil
	}
	nearest, err := d.nearest(code)
	if err != nil {
		return m, err
	}
	return m, fleet.NoModel(code, nearest)
}

func (d *Depot) nearest(code fleet.ModelCode) (fleet.ModelCode, error) {
	models, err := d.options.Recorder.Models()
	if err != nil {
		return "", err
	}
	codes := make([]fleet.ModelCode, len(models))
	for i, m := range models {
		codes[i] = m.Code
	}
	return fleet.Nearest(string(code), codes), nil
}
