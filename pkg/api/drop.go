package api

import "github.com/slipway-gateway/slipway/pkg/fleet"

// Drops is a page of the dropped files that were rejected and are still there, by name.
type Drops struct {
	Drops []fleet.Drop `json:"drops"`
	Next  *string      `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// WantedList is a page of the firmware that dumps wait for, by model and hash.
type WantedList[W any] struct {
	Wanted []W     `json:"wanted"`
	Next   *string `json:"next"`
}
