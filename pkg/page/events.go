package page

import (
	"encoding/json"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// reasonOf is the reason that an event gives, "" for none.
func reasonOf(e fleet.Event) string {
	var details struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(e.Details, &details) // of another kind: it gives none
	return details.Reason
}
