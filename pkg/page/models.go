package page

import (
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// modelsView is which models there are, and what each is offered.
type modelsView struct {
	Status api.Status
	Models []modelRow
}

// modelRow is one model with what there is of it.
type modelRow struct {
	fleet.Model
	Devices int
	Silent  int // of them
	Builds  int
	Crashes int // of 7 days
}

func (p *Page) models(*visit) (shown, error) {
	status, err := p.Gateway.Status()
	if err != nil {
		return shown{}, err
	}
	models, err := p.Records.Models()
	if err != nil {
		return shown{}, err
	}
	view := modelsView{Status: status}
	for _, m := range models {
		row, err := p.modelRow(m)
		if err != nil {
			return shown{}, err
		}
		view.Models = append(view.Models, row)
	}
	return shown{"Models", view}, nil
}

func (p *Page) modelRow(m fleet.Model) (row modelRow, err error) {
	row.Model = m
	for _, v := range p.Sightings.Versions(m.Code) {
		row.Devices += v.Devices
		row.Silent += v.Silent
	}
	builds, err := p.Records.Builds(m.Code)
	if err != nil {
		return row, err
	}
	row.Builds = len(builds)
	stored, err := p.Crashes.Counters(m.Code)
	now := p.Now()
	for _, v := range stored {
		row.Crashes += v.LastDays(daysOfWeek, now).Crashes
	}
	return row, err
}
