package catalog

import (
	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A device's crashes are counted by version, as the counters of the versions are: to ask for the devices of a version is to
// read one range. An index has the versions by device, as most devices have crashed in few of them or in none.

// forgetCrashed removes what was counted of a device in a version.
func (t *tx) forgetCrashed(key string) {
	t.delete(key)
	t.delete(crashedInKey(key))
}

// CrashedDevices counts the devices of a version that crashed in the last hours, and on the last days.
func (c *Catalog) CrashedDevices(code fleet.ModelCode, version string, hours, days int64) (ofHours, ofDays int, err error) {
	now := c.options.Now()
	err = c.view(func(txn *badger.Txn) error {
		return each(txn, crashedPrefix(code, version), "", false, func(_ string, item *badger.Item) error {
			var s crash.Series
			if err := read(item, &s); err != nil {
				return err
			}
			if s.LastHours(hours, now).Crashes > 0 {
				ofHours++
			}
			if s.LastDays(days, now).Crashes > 0 {
				ofDays++
			}
			return nil
		})
	})
	return ofHours, ofDays, err
}

// DeviceCrashes counts the crashes of devices of a model on the last days. Those without one are not in it. Of each device
// it reads the versions in which it crashed and no others.
func (c *Catalog) DeviceCrashes(code fleet.ModelCode, keys []fleet.DeviceKey, days int64) (map[fleet.DeviceKey]int, error) {
	now := c.options.Now()
	crashes := map[fleet.DeviceKey]int{}
	err := c.view(func(txn *badger.Txn) error {
		for _, key := range keys {
			err := each(txn, deviceCrashedPrefix(key, code), "", false, func(in string, _ *badger.Item) error {
				var s crash.Series
				if _, err := get(txn, crashedKey(code, lastPart(in), key), &s); err != nil {
					return err
				}
				if n := s.LastDays(days, now).Crashes; n > 0 {
					crashes[key] += n
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return crashes, err
}

// adoptCrashed makes the index agree with what it is of. Every start does: an older version that wrote in between, or the
// backup of one, knew nothing of it.
func (c *Catalog) adoptCrashed() error {
	missing := map[string]bool{}
	writes := map[string][]byte{} // nil value: deleted
	err := c.view(func(txn *badger.Txn) error {
		err := each(txn, allCrashedPrefix, "", false, func(key string, _ *badger.Item) error {
			missing[crashedInKey(key)] = true
			return nil
		})
		if err != nil {
			return err
		}
		return each(txn, crashedInPrefix, "", false, func(key string, _ *badger.Item) error {
			if !missing[key] {
				writes[key] = nil
			}
			delete(missing, key)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for key := range missing {
		writes[key] = []byte{}
	}
	return c.store.write(writes)
}
