package catalog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Device finds a device, or says ErrUnknown.
func (c *Catalog) Device(key fleet.DeviceKey) (fleet.Device, error) {
	var d fleet.Device
	found, err := c.find(deviceKey(key), &d)
	if err == nil && !found {
		err = unknownDevice(key)
	}
	return d, err
}

func unknownDevice(key fleet.DeviceKey) error { return fleet.Unknown("there is no device %q", key) }

// Devices lists devices by key.
func (c *Catalog) Devices(f fleet.DeviceFilter) ([]fleet.Device, error) {
	prefix := "d/"
	if f.Model != "" {
		prefix = "dm/" + string(f.Model) + "/"
	}
	after := ""
	if f.After != "" {
		after = prefix + string(f.After)
	}
	var devices []fleet.Device
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, prefix, after, false, func(key string, item *badger.Item) error {
			var d fleet.Device
			var err error
			if f.Model == "" {
				err = item.Value(func(b []byte) error { return json.Unmarshal(b, &d) })
			} else {
				_, err = get(txn, deviceKey(fleet.DeviceKey(lastPart(key))), &d)
			}
			if err != nil {
				return err
			}
			devices = append(devices, d)
			if f.Limit > 0 && len(devices) == f.Limit {
				return errStop
			}
			return nil
		})
	})
	return devices, err
}

// CountDevices counts devices, by model or all.
func (c *Catalog) CountDevices(code fleet.ModelCode) (int, error) {
	if code == "" {
		return c.count("d/")
	}
	return c.count("dm/" + string(code) + "/")
}

func (c *Catalog) count(prefix string) (int, error) {
	n := 0
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, prefix, "", false, func(string, *badger.Item) error { n++; return nil })
	})
	return n, err
}

// AddDevice adds a device with its secrets; its model has to be known and its key free, over all models.
func (c *Catalog) AddDevice(ctx context.Context, d fleet.Device, s auth.DeviceSecrets) error {
	return c.update(ctx, func(t *tx) error { return t.addDevice(auth.NewDevice{Device: d, Secrets: s}) })
}

// AddDevices adds all or none. An error names the position, counted from 1.
func (c *Catalog) AddDevices(ctx context.Context, devices []auth.NewDevice) error {
	if len(devices) > mostImport {
		return fleet.Refused("%d devices at once: at most %d", len(devices), mostImport)
	}
	// Checked as a whole first, then added in pieces that fit a transaction: a power cut in between leaves the first ones,
	// and the import can be repeated without them.
	err := c.update(ctx, func(t *tx) error {
		for i, d := range devices {
			if err := t.addDevice(d); err != nil {
				return fmt.Errorf("device %d: %w", i+1, err)
			}
		}
		t.writes, t.order, t.bytes = map[string][]byte{}, nil, 0
		return nil
	})
	for first := 0; err == nil && first < len(devices); first += importPiece {
		piece := devices[first:min(first+importPiece, len(devices))]
		err = c.update(ctx, func(t *tx) error {
			for _, d := range piece {
				if err := t.addDevice(d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

const (
	mostImport  = 100_000
	importPiece = 200
)

func (t *tx) addDevice(n auth.NewDevice) error {
	if _, err := t.model(n.Device.Model); err != nil {
		return err
	}
	taken, err := t.has(deviceKey(n.Device.Key))
	if err != nil {
		return err
	}
	if taken {
		return fleet.Taken("device %q is there already", n.Device.Key)
	}
	if err := t.put(deviceKey(n.Device.Key), n.Device); err != nil {
		return err
	}
	if err := t.set(modelDeviceKey(n.Device.Model, n.Device.Key), []byte{}); err != nil {
		return err
	}
	return t.put(secretsKey(n.Device.Key), n.Secrets)
}

// UpdateDevice changes a device, its model too, but not its key.
func (c *Catalog) UpdateDevice(ctx context.Context, key fleet.DeviceKey, change func(*fleet.Device) error) (fleet.Device, error) {
	var d fleet.Device
	err := c.update(ctx, func(t *tx) error {
		found, err := t.get(deviceKey(key), &d)
		if err != nil {
			return err
		}
		if !found {
			return unknownDevice(key)
		}
		before := d.Model
		if err := change(&d); err != nil {
			return err
		}
		d.Key, d.UpdatedAt = key, c.Now().UTC()
		if d.Model != before {
			if _, err := t.model(d.Model); err != nil {
				return err
			}
			t.delete(modelDeviceKey(before, key))
			if err := t.set(modelDeviceKey(d.Model, key), []byte{}); err != nil {
				return err
			}
		}
		return t.put(deviceKey(key), d)
	})
	return d, err
}

// RemoveDevice removes a device and its secrets. Its dumps stay: they lie on disk.
func (c *Catalog) RemoveDevice(ctx context.Context, key fleet.DeviceKey) error {
	return c.update(ctx, func(t *tx) error {
		var d fleet.Device
		found, err := t.get(deviceKey(key), &d)
		if err != nil {
			return err
		}
		if !found {
			return unknownDevice(key)
		}
		t.delete(deviceKey(key))
		t.delete(modelDeviceKey(d.Model, key))
		t.delete(secretsKey(key))
		return nil
	})
}

// DeviceSecrets is what is stored of a device's secrets.
func (c *Catalog) DeviceSecrets(key fleet.DeviceKey) (auth.DeviceSecrets, error) {
	var s auth.DeviceSecrets
	found, err := c.find(secretsKey(key), &s)
	if err == nil && !found {
		err = unknownDevice(key)
	}
	return s, err
}

// UpdateDeviceSecrets changes them.
func (c *Catalog) UpdateDeviceSecrets(ctx context.Context, key fleet.DeviceKey, change func(*auth.DeviceSecrets) error) error {
	return c.update(ctx, func(t *tx) error {
		var s auth.DeviceSecrets
		found, err := t.get(secretsKey(key), &s)
		if err != nil {
			return err
		}
		if !found {
			return unknownDevice(key)
		}
		if err := change(&s); err != nil {
			return err
		}
		return t.put(secretsKey(key), s)
	})
}

// OperatorToken finds a token's record by its id.
func (c *Catalog) OperatorToken(id string) (auth.OperatorToken, error) {
	var o auth.OperatorToken
	found, err := c.find(tokenKey(id), &o)
	if err == nil && !found {
		err = fleet.Unknown("there is no token %q", id)
	}
	return o, err
}

// OperatorTokens lists all of them.
func (c *Catalog) OperatorTokens() ([]auth.OperatorToken, error) {
	return list[auth.OperatorToken](c, "o/")
}

// AddOperatorToken adds one.
func (c *Catalog) AddOperatorToken(ctx context.Context, o auth.OperatorToken) error {
	return c.update(ctx, func(t *tx) error {
		taken, err := t.has(tokenKey(o.ID))
		if err != nil {
			return err
		}
		if taken {
			return fleet.Taken("token %q is there already", o.ID)
		}
		return t.put(tokenKey(o.ID), o)
	})
}

// RemoveOperatorToken removes one.
func (c *Catalog) RemoveOperatorToken(ctx context.Context, id string) error {
	return c.update(ctx, func(t *tx) error {
		there, err := t.has(tokenKey(id))
		if err != nil {
			return err
		}
		if !there {
			return fleet.Unknown("there is no token %q", id)
		}
		t.delete(tokenKey(id))
		return nil
	})
}
