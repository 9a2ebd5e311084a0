package page

import (
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// modelsView is which models there are, and what each is offered.
type modelsView struct {
	Status api.Status
	Models []fleet.Model
}

func (p *Page) models(*visit) (shown, error) {
	status, err := p.Gateway.Status()
	if err != nil {
		return shown{}, err
	}
	models, err := p.Records.Models()
	return shown{"Models", modelsView{status, models}}, err
}
