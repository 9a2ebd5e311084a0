package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// storedDevice keeps a device's own configuration byte for byte: inside JSON it would lose its spaces and have its
// angle brackets escaped.
type storedDevice struct {
	fleet.Device
	Config []byte `json:"config,omitempty"` // base64 in JSON; hides Device's
}

func (s storedDevice) device() fleet.Device {
	d := s.Device
	d.Config = json.RawMessage(s.Config)
	return d
}

func (t *tx) putDevice(d fleet.Device) error {
	t.news = append(t.news, func(w DeviceWatcher) { w.DeviceChanged(d) })
	return t.put(deviceKey(d.Key), storedDevice{d, d.Config})
}

func (t *tx) device(key fleet.DeviceKey) (fleet.Device, error) {
	var s storedDevice
	found, err := t.get(deviceKey(key), &s)
	if err == nil && !found {
		err = unknownDevice(key)
	}
	return s.device(), err
}

// Device finds a device, or says ErrUnknown.
func (c *Catalog) Device(key fleet.DeviceKey) (fleet.Device, error) {
	var s storedDevice
	found, err := c.find(deviceKey(key), &s)
	if err == nil && !found {
		err = unknownDevice(key)
	}
	return s.device(), err
}

func unknownDevice(key fleet.DeviceKey) error { return fleet.Unknown("there is no device %q", key) }

// EachDevice calls yield for every device, by key.
func (c *Catalog) EachDevice(yield func(fleet.Device) error) error {
	return c.view(func(txn *badger.Txn) error {
		return each(txn, devicePrefix, "", false, func(_ string, item *badger.Item) error {
			var s storedDevice
			if err := read(item, &s); err != nil {
				return err
			}
			return yield(s.device())
		})
	})
}

// CountDevices counts devices, by model or all.
func (c *Catalog) CountDevices(code fleet.ModelCode) (int, error) {
	if code == "" {
		return c.count(devicePrefix)
	}
	return c.count(modelDevicesPrefix(code))
}

// AddDevice adds a device with its secrets; its model has to be known and its key free, over all models.
func (c *Catalog) AddDevice(ctx context.Context, d fleet.Device, s auth.DeviceSecrets) error {
	return c.update(ctx, func(t *tx) error {
		t.tellAdded(d)
		return t.addDevice(d, s)
	})
}

// RegisterDevice adds a device that showed a token of an external issuer; it has no secret. One that a person has removed
// is ErrRefused until a person adds it again.
func (c *Catalog) RegisterDevice(ctx context.Context, d fleet.Device) error {
	return c.update(ctx, func(t *tx) error {
		removed, err := t.has(removedKey(d.Key))
		if err != nil {
			return err
		}
		if removed {
			return fleet.Refused("device %q was removed: it is admitted again when a person adds it", d.Key)
		}
		t.tellAdded(d)
		return t.addDevice(d, auth.DeviceSecrets{})
	})
}

// addDevice adds a device. One that was removed before is welcome again, the tokens that it had then are not. The removal
// stays on record: an import that is undone takes the device away again.
func (t *tx) addDevice(d fleet.Device, s auth.DeviceSecrets) error {
	if err := t.mayAdd(d); err != nil {
		return err
	}
	var gone removal
	found, err := t.get(removedKey(d.Key), &gone)
	if err != nil {
		return err
	}
	if found && gone.NotBefore.After(d.NotBefore) {
		d.NotBefore = gone.NotBefore
	}
	if err := t.putDevice(d); err != nil {
		return err
	}
	t.mark(modelDeviceKey(d.Model, d.Key))
	if err := t.moveAliases(nil, d); err != nil {
		return err
	}
	return t.put(secretsKey(d.Key), s)
}

func (t *tx) mayAdd(d fleet.Device) error {
	known, err := t.has(modelKey(d.Model))
	if err != nil {
		return err
	}
	if !known {
		return unknownModel(d.Model)
	}
	owner, err := t.owner(string(d.Key))
	switch {
	case err != nil:
		return err
	case owner == d.Key:
		return fleet.Taken("device %q is there already", d.Key)
	case owner != "":
		return fleet.Taken("device %q cannot be added: its key is an alias of device %s", d.Key, owner)
	}
	return t.mayCall(d.Aliases, d.Key)
}

// UpdateDevice changes a device, its model too, but not its key.
func (c *Catalog) UpdateDevice(ctx context.Context, key fleet.DeviceKey, change func(*fleet.Device) error) (fleet.Device, error) {
	var d fleet.Device
	err := c.update(ctx, func(t *tx) error {
		var err error
		if d, err = t.device(key); err != nil {
			return err
		}
		before := d
		if err := change(&d); err != nil {
			return err
		}
		d.Key, d.UpdatedAt = key, c.options.Now().UTC()
		if d.Model != before.Model {
			if _, err := t.model(d.Model); err != nil {
				return err
			}
			t.delete(modelDeviceKey(before.Model, key))
			t.mark(modelDeviceKey(d.Model, key))
			if err := t.leaveRollouts(before.Model, key); err != nil {
				return err
			}
		}
		if err := errors.Join(t.movePin(before, d), t.moveAliases(before.Aliases, d)); err != nil {
			return err
		}
		t.tellDevice(before, d)
		if d.Revoked && !before.Revoked {
			if err := t.endPathSecret(key); err != nil {
				return err
			}
		}
		return t.putDevice(d)
	})
	return d, err
}

// removal is what stays of a device that a person has removed: nothing issued before NotBefore is ever taken again.
type removal struct {
	NotBefore time.Time `json:"not_before"`
}

// RemoveDevice removes a device and its secrets, and remembers that it is gone. Its dumps stay: they lie on disk.
func (c *Catalog) RemoveDevice(ctx context.Context, key fleet.DeviceKey) error {
	return c.update(ctx, func(t *tx) error {
		d, err := t.removeDevice(key)
		if err != nil {
			return err
		}
		t.tell(event.DeviceRemoved, key.ObjectOf(), facts{"model": d.Model, "name": d.Name})
		end := fleet.TokensEnd(c.options.Now())
		if d.NotBefore.After(end) {
			end = d.NotBefore
		}
		if err := t.put(removedKey(key), removal{NotBefore: end}); err != nil {
			return err
		}
		return t.keepOut(d.Aliases, end)
	})
}

// keepOut has nobody adopted who calls itself by a name of a device that was removed.
func (t *tx) keepOut(names []fleet.Alias, end time.Time) error {
	for _, name := range names {
		key := removedKey(fleet.DeviceKeyOf(string(name)))
		there, err := t.has(key)
		if err == nil && !there {
			err = t.put(key, removal{NotBefore: end})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) removeDevice(key fleet.DeviceKey) (fleet.Device, error) {
	d, err := t.device(key)
	if err != nil {
		return d, err
	}
	t.delete(deviceKey(key))
	t.delete(modelDeviceKey(d.Model, key))
	t.delete(secretsKey(key))
	t.delete(sentKey(key))
	t.delete(reportedKey(key))
	if d.Pin != "" {
		t.delete(pinKey(d))
	}
	t.delete(sightingKey(key))
	for _, alias := range d.Aliases {
		t.delete(aliasKey(alias))
	}
	if err := t.forgetMAC(key); err != nil {
		return d, err
	}
	t.news = append(t.news, func(w DeviceWatcher) { w.DeviceRemoved(key) })
	return d, t.leaveRollouts(d.Model, key)
}
