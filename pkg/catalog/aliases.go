package catalog

import (
	"errors"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// DeviceByAlias finds the device that has a key or an alias, or says ErrUnknown. No alias is another device's key.
func (c *Catalog) DeviceByAlias(name string) (fleet.Device, error) {
	if key, err := fleet.ParseDeviceKey(name); err == nil {
		if d, err := c.Device(key); !errors.Is(err, fleet.ErrUnknown) {
			return d, err
		}
	}
	alias, err := fleet.ParseAlias(name)
	if err != nil {
		return fleet.Device{}, fleet.Unknown("%v", err)
	}
	var key fleet.DeviceKey
	found, err := c.find(aliasKey(alias), &key)
	if err != nil {
		return fleet.Device{}, err
	}
	if !found {
		return fleet.Device{}, fleet.Unknown("there is no device with the alias %q", name)
	}
	return c.Device(key)
}

// mayCall refuses names that mean another device than the one that is to have them.
func (t *tx) mayCall(aliases []fleet.Alias, key fleet.DeviceKey) error {
	for _, alias := range aliases {
		owner, err := t.owner(string(alias))
		if err != nil {
			return err
		}
		if owner != "" && owner != key {
			return fleet.Taken("alias %q is device %s's already", alias, owner)
		}
	}
	return nil
}

// moveAliases keeps the index of aliases. A name that means another device already, as its alias or its key, is ErrTaken.
func (t *tx) moveAliases(before []fleet.Alias, now fleet.Device) error {
	for _, alias := range before {
		if !slices.Contains(now.Aliases, alias) {
			t.delete(aliasKey(alias))
		}
	}
	if err := t.mayCall(now.Aliases, now.Key); err != nil {
		return err
	}
	for _, alias := range now.Aliases {
		if slices.Contains(before, alias) {
			continue
		}
		if err := t.put(aliasKey(alias), now.Key); err != nil {
			return err
		}
	}
	return nil
}

// owner is the device that a name means, "" for none.
func (t *tx) owner(name string) (owner fleet.DeviceKey, err error) {
	if key, err := fleet.ParseDeviceKey(name); err == nil {
		if there, err := t.has(deviceKey(key)); err != nil || there {
			return key, err
		}
	}
	_, err = t.get(aliasKey(fleet.Alias(name)), &owner)
	return owner, err
}
