package catalog

import (
	"context"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// LastSent is the image whose first byte a device was sent last; found is false where that is not known.
func (c *Catalog) LastSent(key fleet.DeviceKey) (s fleet.Sent, found bool, err error) {
	found, err = c.find(sentKey(key), &s)
	return s, found, err
}

// NoteSent notes which image a device is about to be sent from its first byte on. It writes once a download: a device
// that is sent the same image again leaves the record as it is.
func (c *Catalog) NoteSent(ctx context.Context, key fleet.DeviceKey, s fleet.Sent) error {
	if before, found, err := c.LastSent(key); err != nil || found && before == s {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		if there, err := t.has(deviceKey(key)); err != nil || !there {
			return err // removed meanwhile: nothing of it is kept
		}
		return t.put(sentKey(key), s)
	})
}

// movePin keeps the index of pins. Who is pinned, is let go, moves to another model or is revoked does not go on with the
// download that it has begun: the build was taken from it.
func (t *tx) movePin(before, now fleet.Device) error {
	moved := now.Pin != before.Pin || now.Model != before.Model
	if moved || now.Revoked && !before.Revoked {
		t.delete(sentKey(now.Key))
	}
	if !moved {
		return nil
	}
	if before.Pin != "" {
		t.delete(pinKey(before))
	}
	if now.Pin == "" {
		return nil
	}
	there, err := t.has(buildKey(now.Model, now.Pin))
	if err != nil {
		return err
	}
	if !there {
		return fleet.Refused("device %s cannot be pinned to %s: model %s has no such build", now.Key, now.Pin, now.Model)
	}
	t.mark(pinKey(now))
	return nil
}

// pinsNobody refuses to let a build go that a device is pinned to.
func (t *tx) pinsNobody(code fleet.ModelCode, v fleet.Version) error {
	pins, err := t.someKeys(pinsPrefix(code, v), 1)
	if err != nil || len(pins) == 0 {
		return err
	}
	return fleet.Taken("device %s is pinned to version %s of model %s: device set --unpin lets it go", lastPart(pins[0]), v, code)
}

// Pins are the devices of a model that are pinned to each version.
func (c *Catalog) Pins(code fleet.ModelCode) (map[fleet.Version][]fleet.DeviceKey, error) {
	pins := map[fleet.Version][]fleet.DeviceKey{}
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, modelPinsPrefix(code), "", false, func(key string, _ *badger.Item) error {
			version, device, err := lastTwo(key)
			pins[fleet.Version(version)] = append(pins[fleet.Version(version)], fleet.DeviceKey(device))
			return err
		})
	})
	return pins, err
}

// Pinned reports that a device is pinned to a build.
func (c *Catalog) Pinned(code fleet.ModelCode, v fleet.Version) (pinned bool, err error) {
	err = c.view(func(txn *badger.Txn) error {
		return each(txn, pinsPrefix(code, v), "", false, func(string, *badger.Item) error {
			pinned = true
			return errStop
		})
	})
	return pinned, err
}
