package catalog

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A dump is counted for its model and version in the transaction that indexes it, and moved to another version in the one
// that finds out that it is of that one. Removing a dump takes nothing back. Device-hours come from the sightings' book,
// with its contacts.
//
// Counting begins with the catalog, and after a restore anew: what was uploaded before is not counted, as nobody knows the
// device-hours that belong to it. It is in its groups all the same.

// mostCounted are the versions of a model that are counted apart: devices can make them up. The others are one.
const (
	mostCounted   = 50
	otherVersions = "other"
)

// CountedSince is when counting began.
func (c *Catalog) CountedSince() (time.Time, error) {
	since, err := c.time(keyCounted)
	if err != nil {
		return since, err
	}
	restored, err := c.Restored()
	if restored.After(since) {
		since = restored
	}
	return since, err
}

// beginCounting notes the begin in a catalog that has not counted before.
func (c *Catalog) beginCounting() error {
	return c.store.db.Update(func(txn *badger.Txn) error {
		known, err := has(txn, keyCounted)
		if err != nil || known {
			return err
		}
		return txn.Set([]byte(keyCounted), number(uint64(c.options.Now().UnixMicro())))
	})
}

// counts reports that what happened at a time is counted. Where the clock was ahead when counting began and is right again,
// it begins now.
func (t *tx) counts(at time.Time) (bool, error) {
	for _, key := range []string{keyCounted, keyRestored} {
		since, err := t.time(key)
		if err != nil {
			return false, err
		}
		if since.After(t.now) {
			since = at
			if err := t.set(key, number(uint64(at.UnixMicro()))); err != nil {
				return false, err
			}
		}
		if at.Before(since) {
			return false, nil
		}
	}
	return true, nil
}

// countUpload counts a dump that came.
func (t *tx) countUpload(c crash.Crash) error {
	counted, err := t.counts(c.Uploaded)
	if err != nil || !counted {
		return err
	}
	return t.countCrashed(c, t.countedAs(c))
}

// countElsewhere counts a dump for the version that it is of, once that is known to be another one than its device declared.
func (t *tx) countElsewhere(before, now crash.Crash) error {
	from, to := t.countedAs(before), t.countedAs(now)
	if from == to {
		return nil
	}
	for _, version := range []string{from, otherVersions} {
		var device crash.Series
		key := crashedKey(before.Model, version, before.Device)
		if _, err := t.get(key, &device); err != nil {
			return err
		}
		hour, day := device.Crashed(before.Uploaded, t.now, -1)
		if hour == (crash.Count{}) && day == (crash.Count{}) {
			continue
		}
		if len(device.Days) == 0 {
			t.forgetCrashed(key)
		} else if err := t.put(key, device); err != nil {
			return err
		}
		if err := t.countUp(before.Model, version, before.Uploaded, hour, day); err != nil {
			return err
		}
		now.Device, now.Uploaded, now.Model = before.Device, before.Uploaded, before.Model
		return t.countCrashed(now, to)
	}
	return nil // it was not counted, or so long ago that it is not any more
}

// countedAs is the version that a dump counts for: of the build whose ELF decoded it, else the one that its device declared.
func (*tx) countedAs(c crash.Crash) string {
	if grouped(c) {
		return string(c.Version)
	}
	return countable(c.DeclaredVersion)
}

// countable is a device's word for a version where it is one, "" for what could be no build's.
func countable(said string) string {
	if _, err := fleet.ParseVersion(said); err != nil {
		return ""
	}
	return said
}

func (t *tx) countCrashed(c crash.Crash, version string) error {
	version, err := t.apart(c.Model, version)
	if err != nil {
		return err
	}
	var device crash.Series
	key := crashedKey(c.Model, version, c.Device)
	known, err := t.get(key, &device)
	if err != nil {
		return err
	}
	if !known {
		t.mark(crashedInKey(key))
	}
	hour, day := device.Crashed(c.Uploaded, t.now, 1)
	if err := t.put(key, device); err != nil {
		return err
	}
	return t.countUp(c.Model, version, c.Uploaded, hour, day)
}

// countUp adds to the counters of a model's version.
func (t *tx) countUp(code fleet.ModelCode, version string, at time.Time, hour, day crash.Count) error {
	var s crash.Series
	key := countedKey(code, version)
	if _, err := t.get(key, &s); err != nil {
		return err
	}
	s.Add(at, t.now, hour, day)
	return t.put(key, s)
}

// apart is the version by which something is counted: itself, or that of all others where there are too many.
func (t *tx) apart(code fleet.ModelCode, version string) (string, error) {
	if known, err := t.has(countedKey(code, version)); err != nil || known {
		return version, err
	}
	keys, err := t.someKeys(countedPrefix(code), mostCounted)
	if err != nil || len(keys) < mostCounted {
		return version, err
	}
	return otherVersions, nil
}

// SaveHours adds what the sightings counted, all of it or nothing.
func (c *Catalog) SaveHours(ctx context.Context, hours []fleet.HourCount) error {
	return c.update(ctx, func(t *tx) error {
		for _, h := range hours {
			version, err := t.apart(h.Model, countable(h.Version))
			if err != nil {
				return err
			}
			n := crash.Count{Heard: h.Heard, Refused: h.Refused}
			if err := t.countUp(h.Model, version, h.Hour, n, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// Counters are what was counted of a model's versions, in the order of their names.
func (c *Catalog) Counters(code fleet.ModelCode) ([]crash.VersionSeries, error) {
	var all []crash.VersionSeries
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, countedPrefix(code), "", false, func(key string, item *badger.Item) error {
			v := crash.VersionSeries{Version: lastPart(key)}
			if err := read(item, &v.Series); err != nil {
				return err
			}
			all = append(all, v)
			return nil
		})
	})
	return all, err
}

// ForgetCounted removes the counters that have nothing from the last 90 days. It goes by the time that has passed for
// certain: a clock that is ahead removes nothing.
func (c *Catalog) ForgetCounted(ctx context.Context) error {
	now, err := c.LastKnownTime()
	if err != nil {
		return err
	}
	if said := c.options.Now(); said.Before(now) {
		now = said
	}
	var over []string
	err = c.view(func(txn *badger.Txn) error {
		for _, prefix := range []string{allCountedPrefix, allCrashedPrefix} {
			err := each(txn, prefix, "", false, func(key string, item *badger.Item) error {
				var s crash.Series
				if err := read(item, &s); err != nil {
					return err
				}
				if s.Over(now) {
					over = append(over, key)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.inPieces(ctx, len(over), false, func(t *tx, i int) error {
		var s crash.Series // anew: it may have been counted up since
		if found, err := t.get(over[i], &s); err != nil || !found || !s.Over(now) {
			return err
		}
		if strings.HasPrefix(over[i], allCrashedPrefix) {
			t.forgetCrashed(over[i])
		} else {
			t.delete(over[i])
		}
		return nil
	})
}

// countDevice counts a crash of a device of a chain.
func (t *tx) countDevice(c crash.Crash) error {
	key := chainDeviceKey(c.Fingerprint, c.Device)
	d, err := t.deviceCount(key)
	if err != nil {
		return err
	}
	d.Add(c, t.now)
	return t.put(key, d)
}

// deviceCount reads what a chain knows of a device: nothing but that it was there, where older versions noted it.
func (t *tx) deviceCount(key string) (d crash.DeviceCount, err error) {
	if value, written := t.writes[key]; written && len(value) > 0 {
		_, err = t.get(key, &d)
		return d, err
	} else if written {
		return d, nil
	}
	t.reads++
	return readDeviceCount(t.txn, key)
}

func readDeviceCount(txn *badger.Txn, key string) (d crash.DeviceCount, err error) {
	item, err := txn.Get([]byte(key))
	if err == badger.ErrKeyNotFound { //nolint:errorlint // as Badger documents it
		return d, nil
	}
	if err != nil {
		return d, err
	}
	d.Device = fleet.DeviceKey(lastPart(key))
	if item.ValueSize() == 0 {
		return d, nil
	}
	return d, read(item, &d)
}

// GroupCounters are what was counted of a group's versions, in the order of their names: each device once, whichever of the
// group's chains it crashed in.
func (c *Catalog) GroupCounters(address string) ([]crash.VersionSeries, error) {
	devices, _, err := c.GroupDevices(address, "", 0)
	if err != nil {
		return nil, err
	}
	now := c.options.Now()
	sums := map[string]crash.Series{}
	for _, d := range devices {
		for v, s := range d.Versions {
			sum := sums[string(v)]
			sum.Gather(s, now)
			sums[string(v)] = sum
		}
	}
	return crash.ByVersion(sums), nil
}

func (t *tx) time(key string) (at time.Time, err error) {
	if value, written := t.writes[key]; written {
		return time.UnixMicro(int64(binary.BigEndian.Uint64(value))).UTC(), nil
	}
	item, err := t.txn.Get([]byte(key))
	if err == badger.ErrKeyNotFound { //nolint:errorlint // as Badger documents it
		return at, nil
	}
	if err != nil {
		return at, err
	}
	micros, err := readNumber(item)
	return time.UnixMicro(int64(micros)).UTC(), err
}
