package gateway

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

// offers says which build a device is to run, and remembers which image it was sent last.
type offers struct {
	*catalog.Catalog
	rollouts *rollout.Rollouts
}

// Offer is the build that a device is to run.
func (o offers) Offer(d fleet.Device, m fleet.Model) (v fleet.Version, ok bool) {
	return fleet.OfferTo(d, m, o.rollouts.Word(d, m))
}

// Turn gives a device its turn in a rollout.
func (o offers) Turn(ctx context.Context, d fleet.Device) { o.rollouts.Turn(ctx, d) }

// Strays tells that a device is about to be sent a version that it has asked for by name.
func (o offers) Strays(ctx context.Context, d fleet.Device, v fleet.Version) error {
	return o.rollouts.Strays(ctx, d, v)
}

// Taken reports that a version was taken from a device that has begun to fetch it.
func (o offers) Taken(d fleet.Device, v fleet.Version) bool { return o.rollouts.Taken(d, v) }

// controllers are the devices that speak hawkBit's protocol.
type controllers struct {
	*catalog.Catalog
	book *sighting.Book
}

// Sighting is what was seen of a device.
func (c controllers) Sighting(key fleet.DeviceKey) (s fleet.Sighting, line string) {
	return c.book.Sighting(key)
}
