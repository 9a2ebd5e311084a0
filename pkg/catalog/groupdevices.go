package catalog

import (
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostAsked devices of chains are kept in memory: with their lists some 4 MB.
const mostAsked = 100_000

// CrashedOn finds the group that an address leads to, and the devices that it was seen on, in the order of their keys: as a
// filter of devices takes them. What it answers is not to be changed. A chain's devices are read when somebody asks for the
// first time; from then on the committer brings them along, so that a list of devices, whatever else it is filtered by, reads
// none of them.
//
// Errors: ErrUnknown.
func (c *Catalog) CrashedOn(address string) (g crash.Group, devices []fleet.DeviceKey, err error) {
	x, err := c.indexGroups()
	if err != nil {
		return g, nil, err
	}
	defer x.mu.Unlock()
	devices = []fleet.DeviceKey{}
	err = c.view(func(txn *badger.Txn) error {
		if g, err = viewGroup(txn, address); err != nil {
			return err
		}
		chains := x.chains[g.Fingerprint]
		for _, chain := range chains {
			known, err := x.devicesOf(txn, chain)
			if err != nil {
				return err
			}
			if len(chains) == 1 {
				devices = known
				return nil
			}
			devices = append(devices, known...)
		}
		slices.Sort(devices)
		devices = slices.Compact(devices)
		return nil
	})
	return g, devices, err
}

// devicesOf are those that a chain was seen on. The caller holds mu.
func (x *groupIndex) devicesOf(txn *badger.Txn, chain string) ([]fleet.DeviceKey, error) {
	if known, asked := x.devices[chain]; asked {
		return known, nil
	}
	devices := []fleet.DeviceKey{}
	err := each(txn, chainDevicesPrefix(chain), "", false, func(key string, _ *badger.Item) error {
		devices = append(devices, fleet.DeviceKey(strings.Clone(lastPart(key)))) // without the rest of the key
		return nil
	})
	if err != nil {
		return nil, err
	}
	x.keepDevices(chain, devices)
	return devices, nil
}

// keepDevices gives all others up where these would be too many beside them.
func (x *groupIndex) keepDevices(chain string, devices []fleet.DeviceKey) {
	kept := len(devices)
	for _, others := range x.devices {
		kept += len(others)
	}
	if kept > mostAsked {
		clear(x.devices)
	}
	x.devices[chain] = devices
}

// putDevice brings along what somebody has asked for.
func (x *groupIndex) putDevice(chain string, device fleet.DeviceKey, there bool) {
	known, asked := x.devices[chain]
	if !asked {
		return
	}
	at, found := slices.BinarySearch(known, device)
	switch {
	case there && !found:
		x.devices[chain] = slices.Concat(known[:at], []fleet.DeviceKey{fleet.DeviceKey(strings.Clone(string(device)))}, known[at:])
	case !there && found:
		x.devices[chain] = slices.Concat(known[:at], known[at+1:])
	}
}

// CrashAddresses are the fingerprints of the groups.
func (c *Catalog) CrashAddresses() ([]string, error) {
	x, err := c.indexGroups()
	if err != nil {
		return nil, err
	}
	defer x.mu.Unlock()
	addresses := make([]string, 0, len(x.groups))
	for fingerprint := range x.groups {
		addresses = append(addresses, fingerprint)
	}
	return addresses, nil
}
