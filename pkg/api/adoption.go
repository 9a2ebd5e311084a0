package api

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Adoptions are the newest adoption of each model that has had one.
type Adoptions struct {
	Adoptions []Adoption `json:"adoptions"`
	Next      *string    `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// Adoption lets strangers who show a shared secret become devices of a model.
type Adoption struct {
	Model    fleet.ModelCode   `json:"model_code"`
	Open     bool              `json:"open"` // it takes further devices
	AtMost   int               `json:"at_most"`
	Adopted  []fleet.DeviceKey `json:"adopted"`
	Shared   int               `json:"still_shared"` // so many of them still have the shared secret as their own
	OpenedAt time.Time         `json:"opened_at"`
	Until    time.Time         `json:"until"`
	ClosedAt time.Time         `json:"closed_at,omitzero"`
}

// NewAdoption is what one is made of. Without a secret one is made and shown, once.
type NewAdoption struct {
	Model  string         `json:"model_code"`
	AtMost int            `json:"at_most"` // 1 to 1,000
	For    fleet.Duration `json:"for"`     // up to 24h
	Secret string         `json:"shared_secret,omitempty"`
}

// OpenedAdoption is one that was opened, with its secret where the gateway has made it.
type OpenedAdoption struct {
	Adoption
	Secret string `json:"shared_secret,omitempty"` // it is shown now and never again
}
