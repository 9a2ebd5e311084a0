package catalog

import (
	"errors"
	"hash/maphash"

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

// mostMended bounds the keys that are held at once while the index is made true: some 3 MB.
const mostMended = 10_000

// adoptCrashed makes the index agree with what it is of. Every start does: an older version that wrote in between, or the
// backup of one, knew nothing of it. A start that finds it true, as nearly all do, holds no keys.
func (c *Catalog) adoptCrashed() error {
	seed := maphash.MakeSeed()
	hash := func(key string) uint64 { return maphash.String(seed, key) }
	var counted, listed keySum
	err := c.eachCrashed(func(key string) { counted.add(hash(key)) }, func(key string) { listed.add(hash(key)) })
	if err != nil || counted == listed {
		return err
	}
	parts := uint64(max(counted.keys, listed.keys)/mostMended + 1)
	for part := range parts {
		if err := c.mendCrashed(func(key string) bool { return hash(key)%parts == part }); err != nil {
			return err
		}
	}
	return nil
}

// keySum tells two sets of keys apart, whatever their order.
type keySum struct {
	keys int
	sum  uint64
}

func (s *keySum) add(hash uint64) {
	s.keys++
	s.sum += hash
}

// eachCrashed calls counted for each key that the index should have, then listed for each that it has.
func (c *Catalog) eachCrashed(counted, listed func(key string)) error {
	return c.view(func(txn *badger.Txn) error {
		return errors.Join(
			each(txn, allCrashedPrefix, "", false, func(key string, _ *badger.Item) error { counted(crashedInKey(key)); return nil }),
			each(txn, crashedInPrefix, "", false, func(key string, _ *badger.Item) error { listed(key); return nil }))
	})
}

// mendCrashed makes the index agree in the keys that are picked.
func (c *Catalog) mendCrashed(picked func(key string) bool) error {
	writes := map[string][]byte{} // nil value: deleted
	err := c.eachCrashed(func(key string) {
		if picked(key) {
			writes[key] = []byte{}
		}
	}, func(key string) {
		if _, counted := writes[key]; counted {
			delete(writes, key)
		} else if picked(key) {
			writes[key] = nil
		}
	})
	if err != nil {
		return err
	}
	return c.store.write(writes)
}
