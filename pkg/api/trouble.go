package api

import "github.com/slipway-gateway/slipway/pkg/fleet"

// Troubles are the things that need somebody, worst first; those that somebody has seen come last.
type Troubles struct {
	Trouble []fleet.Trouble `json:"trouble"`
}
