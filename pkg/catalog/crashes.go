package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// putCrash stores a crash and moves its indexes along.
func (t *tx) putCrash(c crash.Crash) error {
	if err := t.deleteCrash(c.Device, c.Name); err != nil {
		return err
	}
	if grouped(c) {
		t.mark(chainDumpKey(c))
	}
	t.mark(stateKey(c.State, c.Device, c.Name))
	if c.Again != nil {
		t.mark(askedKey(c.Device, c.Name))
	}
	t.changed = append(t.changed, "dump")
	return t.put(crashKey(c.Device, c.Name), c)
}

// grouped reports that a crash belongs to a group: it could be decoded, and had symbols.
func grouped(c crash.Crash) bool { return c.State == crash.Reported && c.Fingerprint != "" }

func (t *tx) deleteCrash(key fleet.DeviceKey, name fleet.DumpName) error {
	var c crash.Crash
	found, err := t.get(crashKey(key, name), &c)
	if err != nil || !found {
		return err
	}
	t.delete(crashKey(key, name))
	t.delete(stateKey(c.State, key, name))
	if c.Again != nil {
		t.delete(askedKey(key, name))
	}
	t.changed = append(t.changed, "dump")
	if grouped(c) {
		t.delete(chainDumpKey(c))
	}
	return nil
}

// WaitingCrashes are the dumps that nobody has looked at, oldest first. A limit of 0 is none.
func (c *Catalog) WaitingCrashes(limit int) ([]crash.Crash, error) {
	return c.crashesIn(crash.Waiting, limit, anyCrash)
}

// FailedCrashes are the dumps that could not be decoded, and that notBy has not tried, oldest first.
func (c *Catalog) FailedCrashes(notBy string, limit int) ([]crash.Crash, error) {
	return c.crashesIn(crash.Failed, limit, func(one crash.Crash) bool { return one.DecodedBy != notBy })
}

// CrashesIn are the dumps in a state that wanted picks, oldest first.
func (c *Catalog) CrashesIn(state crash.State, wanted func(crash.Crash) bool) ([]crash.Crash, error) {
	return c.crashesIn(state, 0, wanted)
}

func anyCrash(crash.Crash) bool { return true }

func (c *Catalog) crashesIn(state crash.State, limit int, wanted func(crash.Crash) bool) ([]crash.Crash, error) {
	var crashes []crash.Crash
	err := c.eachCrashIn(state, func(one crash.Crash) error {
		if !wanted(one) {
			return nil
		}
		crashes = append(crashes, one)
		if len(crashes) == limit {
			return errStop
		}
		return nil
	})
	return crashes, err
}

// eachCrashIn calls yield for the dumps in a state, oldest first.
func (c *Catalog) eachCrashIn(state crash.State, yield func(crash.Crash) error) error {
	return c.eachCrashBelow(statePrefix(state), yield)
}

// eachCrashBelow calls yield for the dumps of an index by time.
func (c *Catalog) eachCrashBelow(prefix string, yield func(crash.Crash) error) error {
	return c.view(func(txn *badger.Txn) error {
		return each(txn, prefix, "", false, func(key string, _ *badger.Item) error {
			ref, err := splitDumpKey(key)
			if err != nil {
				return err
			}
			var one crash.Crash
			found, err := get(txn, crashKey(ref.Device, ref.Name), &one)
			if err != nil || !found {
				return err
			}
			return yield(one)
		})
	})
}

func refs(keys []string) ([]crash.Ref, error) {
	all := make([]crash.Ref, len(keys))
	for i, key := range keys {
		var err error
		if all[i], err = splitDumpKey(key); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// EndsOfCrash reports that a dump is the first, or the last, of those of its group that are left. One without a group is
// neither.
func (c *Catalog) EndsOfCrash(key fleet.DeviceKey, name fleet.DumpName) (first, last bool, err error) {
	var one crash.Crash
	found, err := c.find(crashKey(key, name), &one)
	if err != nil || !found || !grouped(one) {
		return false, false, err
	}
	first, last = true, true
	err = c.view(func(txn *badger.Txn) error {
		return each(txn, chainDumpsPrefix(one.Fingerprint), "", false, func(at string, _ *badger.Item) error {
			ref, err := splitDumpKey(at)
			switch {
			case err != nil:
				return err
			case ref.Name < name || ref.Name == name && ref.Device < key:
				first = false
			case ref.Name > name || ref.Device > key:
				last = false
			}
			if !first && !last {
				return errStop
			}
			return nil
		})
	})
	return first, last, err
}

// WakeCrashes puts back to Waiting what misses the ELF of a build: by the dump's own hash, or, where it has none or the
// hash is of no build, by the version that its device declared. It says how many those are.
func (c *Catalog) WakeCrashes(ctx context.Context, b fleet.Build) (int, error) {
	missing, err := c.crashesIn(crash.Missing, 0, anyCrash)
	if err != nil {
		return 0, err
	}
	missing = slices.DeleteFunc(missing, func(one crash.Crash) bool { return !waitsFor(one, b) })
	woken := 0
	err = c.inPieces(ctx, len(missing), false, func(t *tx, i int) error {
		var now crash.Crash
		found, err := t.get(crashKey(missing[i].Device, missing[i].Name), &now)
		if err != nil || !found || now.State != crash.Missing {
			return err
		}
		now.State = crash.Waiting
		woken++
		return t.putCrash(now)
	})
	return woken, err
}

func waitsFor(c crash.Crash, b fleet.Build) bool {
	if c.ELFHash != "" && strings.HasPrefix(b.ELFSHA256, c.ELFHash) {
		return true
	}
	return c.Grade == crash.MissingELF && c.Model == b.Model && c.DeclaredVersion == string(b.Version)
}

// NeedsBuild reports that a device is pinned to this build, that a rollout needs it, or that a dump which is not decoded yet
// would be decoded with it.
func (c *Catalog) NeedsBuild(b fleet.Build) (bool, error) {
	if pinned, err := c.Pinned(b.Model, b.Version); err != nil || pinned {
		return pinned, err
	}
	if inRollout, err := c.inRollout(b); err != nil || inRollout {
		return inRollout, err
	}
	waiting, err := c.crashesIn(crash.Waiting, 0, anyCrash)
	return slices.ContainsFunc(waiting, func(one crash.Crash) bool {
		return one.Model == b.Model && one.DeclaredVersion == string(b.Version) || waitsFor(one, b)
	}), err
}
