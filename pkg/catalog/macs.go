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

// KeepMAC notes whose Wi-Fi has a MAC. A device has one: whoever publishes in its name could make up any number of them, so
// that the one before is forgotten. Of a device that is gone none is kept.
func (c *Catalog) KeepMAC(ctx context.Context, mac string, key fleet.DeviceKey) error {
	return c.update(ctx, func(t *tx) error {
		if there, err := t.has(deviceKey(key)); err != nil || !there {
			return err
		}
		if err := t.forgetMAC(key); err != nil {
			return err
		}
		if err := t.put(deviceMACKey(key), mac); err != nil {
			return err
		}
		return t.put(macKey(mac), key)
	})
}

// forgetMAC deletes the MAC of a device, unless it has become another one's.
func (t *tx) forgetMAC(key fleet.DeviceKey) error {
	var mac string
	var owner fleet.DeviceKey
	found, err := t.get(deviceMACKey(key), &mac)
	if err != nil || !found {
		return err
	}
	t.delete(deviceMACKey(key))
	if _, err := t.get(macKey(mac), &owner); err != nil {
		return err
	}
	if owner == key {
		t.delete(macKey(mac))
	}
	return nil
}
