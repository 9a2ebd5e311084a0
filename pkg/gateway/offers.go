package gateway

import (
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// offers says which build a device is to run, and remembers which image it was sent last.
type offers struct{ *catalog.Catalog }

// Offer is the build that a device is to run.
func (offers) Offer(d fleet.Device, m fleet.Model) (v fleet.Version, ok bool) {
	return fleet.OfferTo(d, m, fleet.Word{})
}
