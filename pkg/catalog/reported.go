package catalog

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Reported is what a device has told of its update and of itself; the zero one where it has told nothing.
func (c *Catalog) Reported(key fleet.DeviceKey) (r fleet.Reported, err error) {
	_, err = c.find(reportedKey(key), &r)
	return r, err
}

// NoteReported keeps what a device has told. Where nothing is new that costs no write. Of a device that is gone nothing is kept.
func (c *Catalog) NoteReported(ctx context.Context, key fleet.DeviceKey, r fleet.Reported) error {
	if before, err := c.Reported(key); err != nil || before.Same(r) {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		if there, err := t.has(deviceKey(key)); err != nil || !there {
			return err
		}
		return t.put(reportedKey(key), r)
	})
}
