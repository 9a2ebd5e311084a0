package api

import (
	"encoding/json"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Model is a model, and what is to be known of its firmware.
type Model struct {
	fleet.Model
	NoSymbols string `json:"no_symbols,omitempty"` // why no core dump of the published version can be read, and how to mend that
}

// ShowModel adds that.
func ShowModel(m fleet.Model) Model { return Model{m, m.NoSymbols()} }

// Models is a page of models, in the order of their codes.
type Models struct {
	Models []Model `json:"models"`
	Next   *string `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// NewModel is what a model is made of.
type NewModel struct {
	Code         string            `json:"code"`
	Name         string            `json:"name,omitempty"`
	Config       json.RawMessage   `json:"config,omitempty"`
	Provisioning map[string]string `json:"provisioning,omitempty"`
}

// ModelChange has what may change; nil leaves a member as it is.
type ModelChange struct {
	Name         *string            `json:"name,omitempty"`
	Chip         *string            `json:"chip,omitempty"`         // "" lets the next build pin it
	Project      *string            `json:"project,omitempty"`      // likewise
	Config       json.RawMessage    `json:"config,omitempty"`       // null removes it
	Provisioning map[string]*string `json:"provisioning,omitempty"` // merged; null removes a value
}

// Builds is a page of a model's builds, first accepted first, and the version that its devices are offered.
type Builds struct {
	Builds  []fleet.Build  `json:"builds"`
	Next    *string        `json:"next"`             // what ?after= takes for the next page; null: this is the last
	Version *fleet.Version `json:"firmware_version"` // null: none yet
	Plain   bool           `json:"no_symbols"`       // that is a plain image, of which no core dump can be read
}

// AllBuilds is a page of the builds of all models, those of one after those of the other, and the versions that the
// devices of the page's models are offered.
type AllBuilds struct {
	Builds   []fleet.Build                     `json:"builds"`
	Next     *string                           `json:"next"`              // what ?after= takes for the next page; null: this is the last
	Versions map[fleet.ModelCode]fleet.Version `json:"firmware_versions"` // of the models that have one
	Plain    []fleet.ModelCode                 `json:"no_symbols"`        // of which models that is a plain image, of which no core dump can be read
}

// BuildNote is what people say of a build; an empty one removes what is there.
type BuildNote struct {
	Note string `json:"note"`
}

// ModelVersion is the version that a model's devices are offered.
type ModelVersion struct {
	Code    fleet.ModelCode `json:"code"`
	Version *fleet.Version  `json:"firmware_version"` // null: none yet
}

// OfferedVersion is the version that the device which asks is offered.
type OfferedVersion struct {
	Version *fleet.Version `json:"firmware_version"` // null: none yet
}

// Accepted is what became of a firmware that was pushed.
type Accepted struct {
	Code    fleet.ModelCode `json:"code"`
	Version fleet.Version   `json:"firmware_version"`
	fleet.Accepted
}

// ShowAccepted adds what scripts look for.
func ShowAccepted(a fleet.Accepted) Accepted {
	a.Warnings = List(a.Warnings)
	return Accepted{a.Build.Model, a.Build.Version, a}
}
