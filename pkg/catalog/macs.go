package catalog

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// DeviceOfMAC is the device that a MAC was found to be of. It may have been removed since.
func (c *Catalog) DeviceOfMAC(mac string) (key fleet.DeviceKey, found bool, err error) {
	found, err = c.find(macKey(mac), &key)
	return key, found, err
}

// KeepMAC notes whose Wi-Fi has a MAC.
func (c *Catalog) KeepMAC(ctx context.Context, mac string, key fleet.DeviceKey) error {
	return c.update(ctx, func(t *tx) error { return t.put(macKey(mac), key) })
}
