package catalog

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func crashKey(key fleet.DeviceKey, name fleet.DumpName) string {
	return "c/" + string(key) + "/" + string(name)
}

func stateKey(c crash.Crash) string {
	return "cs/" + string(c.State) + "/" + string(c.Name) + "/" + string(c.Device)
}

func keptPrefix(fingerprint string, v fleet.Version) string {
	return "gc/" + fingerprint + "/" + string(v) + "/"
}

func keptKey(c crash.Crash) string {
	return keptPrefix(c.Fingerprint, c.Version) + string(c.Name) + "/" + string(c.Device)
}

// putCrash stores a crash and moves its indexes along.
func (t *tx) putCrash(c crash.Crash) error {
	if err := t.deleteCrash(c.Device, c.Name); err != nil {
		return err
	}
	if err := t.put(crashKey(c.Device, c.Name), c); err != nil {
		return err
	}
	if c.Fingerprint != "" && c.State == crash.Reported {
		if err := t.set(keptKey(c), []byte{}); err != nil {
			return err
		}
	}
	return t.set(stateKey(c), []byte{})
}

func (t *tx) deleteCrash(key fleet.DeviceKey, name fleet.DumpName) error {
	var c crash.Crash
	found, err := t.get(crashKey(key, name), &c)
	if err != nil || !found {
		return err
	}
	t.delete(crashKey(key, name))
	t.delete(stateKey(c))
	if c.Fingerprint != "" {
		t.delete(keptKey(c))
	}
	return nil
}

// WaitingCrashes are the dumps that nobody has looked at, oldest first.
func (c *Catalog) WaitingCrashes(limit int) ([]crash.Crash, error) {
	return c.crashesIn(crash.Waiting, limit)
}

func (c *Catalog) crashesIn(state crash.State, limit int) ([]crash.Crash, error) {
	var crashes []crash.Crash
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, "cs/"+string(state)+"/", "", false, func(key string, _ *badger.Item) error {
			parts := strings.Split(key, "/")
			var one crash.Crash
			found, err := get(txn, crashKey(fleet.DeviceKey(parts[3]), fleet.DumpName(parts[2])), &one)
			if err != nil || !found {
				return err
			}
			crashes = append(crashes, one)
			if len(crashes) == limit {
				return errStop
			}
			return nil
		})
	})
	return crashes, err
}

// CountCrashes counts the dumps in a state.
func (c *Catalog) CountCrashes(state crash.State) (int, error) {
	return c.count("cs/" + string(state) + "/")
}

// RecordCrash stores what became of a dump. A reported one is counted into its group, once, and the dumps that storm
// control may remove are named: of one fingerprint and version the first and the last keep stay; 0 keeps all.
func (c *Catalog) RecordCrash(ctx context.Context, one crash.Crash, keep int) (crash.Outcome, error) {
	var out crash.Outcome
	err := c.update(ctx, func(t *tx) error {
		out = crash.Outcome{}
		var before crash.Crash
		found, err := t.get(crashKey(one.Device, one.Name), &before)
		if err != nil {
			return err
		}
		if !found {
			return fleet.Unknown("there is no dump %s of device %s", one.Name, one.Device)
		}
		counted := before.State == crash.Reported && before.Fingerprint == one.Fingerprint
		if one.State == crash.Reported && one.Fingerprint != "" {
			if counted { // decoded again
				one.News = before.News
			} else if out.News, err = t.countCrash(one); err != nil {
				return err
			} else {
				one.News = out.News
			}
			if _, err := t.get("g/"+one.Fingerprint, &out.Group); err != nil {
				return err
			}
		}
		if err := t.putCrash(one); err != nil {
			return err
		}
		if keep > 0 && one.Fingerprint != "" {
			out.Surplus, err = t.surplus(one, keep)
		}
		return err
	})
	return out, err
}

func (t *tx) countCrash(c crash.Crash) (crash.News, error) {
	var g crash.Group
	if _, err := t.get("g/"+c.Fingerprint, &g); err != nil {
		return "", err
	}
	device := "gd/" + c.Fingerprint + "/" + string(c.Device)
	known, err := t.has(device)
	if err != nil {
		return "", err
	}
	news := g.Add(c, !known, t.newer(c.Model))
	var v crash.VersionCount
	version := "gv/" + c.Fingerprint + "/" + string(c.Version)
	if _, err := t.get(version, &v); err != nil {
		return "", err
	}
	v.Add(c)
	if err := t.set(device, []byte{}); err != nil {
		return "", err
	}
	if err := t.put(version, v); err != nil {
		return "", err
	}
	return news, t.put("g/"+c.Fingerprint, g)
}

// newer orders versions, by acceptance where their names do not decide.
func (t *tx) newer(code fleet.ModelCode) crash.Newer {
	return func(a, b fleet.Version) bool {
		if sign, decided := fleet.CompareVersions(a, b); decided {
			return sign > 0
		}
		var x, y fleet.Build
		foundX, errX := t.get(buildKey(code, a), &x)
		foundY, errY := t.get(buildKey(code, b), &y)
		return errX == nil && errY == nil && foundX && foundY && x.Sequence > y.Sequence
	}
}

// surplus names what lies between the first and the last keep dumps of a fingerprint and version.
func (t *tx) surplus(c crash.Crash, keep int) ([]crash.Ref, error) {
	keys, err := t.keys(keptPrefix(c.Fingerprint, c.Version))
	if err != nil || len(keys) <= 2*keep {
		return nil, err
	}
	var refs []crash.Ref
	for _, key := range keys[keep : len(keys)-keep] {
		parts := strings.Split(key, "/")
		refs = append(refs, crash.Ref{Device: fleet.DeviceKey(parts[4]), Name: fleet.DumpName(parts[3])})
	}
	return refs, nil
}

// LastOfItsCrash reports that no other dump of the same group is left.
func (c *Catalog) LastOfItsCrash(key fleet.DeviceKey, name fleet.DumpName) (bool, error) {
	var one crash.Crash
	found, err := c.find(crashKey(key, name), &one)
	if err != nil || !found || one.Fingerprint == "" || one.State != crash.Reported {
		return false, err
	}
	n := 0
	err = c.db.View(func(txn *badger.Txn) error {
		return each(txn, "gc/"+one.Fingerprint+"/", "", false, func(string, *badger.Item) error {
			if n++; n > 1 {
				return errStop
			}
			return nil
		})
	})
	return n == 1, err
}

// WakeCrashes puts back to Waiting what misses the ELF of a build: by the dump's own hash, or, where it has none or the
// hash is of no build, by the version that its device declared.
func (c *Catalog) WakeCrashes(ctx context.Context, b fleet.Build) (int, error) {
	missing, err := c.crashesIn(crash.Missing, -1)
	if err != nil {
		return 0, err
	}
	missing = slices.DeleteFunc(missing, func(one crash.Crash) bool { return !waitsFor(one, b) })
	for _, one := range missing {
		err := c.update(ctx, func(t *tx) error {
			var now crash.Crash
			found, err := t.get(crashKey(one.Device, one.Name), &now)
			if err != nil || !found || now.State != crash.Missing {
				return err
			}
			now.State = crash.Waiting
			return t.putCrash(now)
		})
		if err != nil {
			return 0, err
		}
	}
	return len(missing), nil
}

func waitsFor(c crash.Crash, b fleet.Build) bool {
	if c.ELFHash != "" && strings.HasPrefix(b.ELFSHA256, c.ELFHash) {
		return true
	}
	return c.Grade == crash.MissingELF && c.Model == b.Model && c.DeclaredVersion == string(b.Version)
}

// NeedsBuild reports that a dump which is not decoded yet would be decoded with this build.
func (c *Catalog) NeedsBuild(b fleet.Build) (bool, error) {
	waiting, err := c.crashesIn(crash.Waiting, -1)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(waiting, func(one crash.Crash) bool {
		return one.Model == b.Model && one.DeclaredVersion == string(b.Version) || waitsFor(one, b)
	}), nil
}

// Groups lists groups by fingerprint; sorting and paging is the caller's.
func (c *Catalog) Groups(f crash.GroupFilter) ([]crash.Group, error) {
	var groups []crash.Group
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, "g/", "", false, func(_ string, item *badger.Item) error {
			var g crash.Group
			if err := item.Value(func(b []byte) error { return json.Unmarshal(b, &g) }); err != nil {
				return err
			}
			if f.Model != "" && g.Model != f.Model || f.State != "" && g.State != f.State {
				return nil
			}
			if f.Version != "" {
				var v crash.VersionCount
				if seen, err := get(txn, "gv/"+g.Fingerprint+"/"+string(f.Version), &v); err != nil || !seen {
					return err
				}
			}
			groups = append(groups, g)
			return nil
		})
	})
	return groups, err
}

// Group finds a group with its versions, or says ErrUnknown.
func (c *Catalog) Group(fingerprint string) (crash.Group, []crash.VersionCount, error) {
	var g crash.Group
	found, err := c.find("g/"+fingerprint, &g)
	if err == nil && !found {
		err = fleet.Unknown("there is no crash group %q", fingerprint)
	}
	if err != nil {
		return g, nil, err
	}
	versions, err := list[crash.VersionCount](c, "gv/"+fingerprint+"/")
	return g, versions, err
}

// GroupDumps are the dumps of a group that are still there, newest first.
func (c *Catalog) GroupDumps(fingerprint string, limit int) ([]crash.Listed, error) {
	var names []crash.Ref
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, "gc/"+fingerprint+"/", "", false, func(key string, _ *badger.Item) error {
			parts := strings.Split(key, "/")
			names = append(names, crash.Ref{Device: fleet.DeviceKey(parts[4]), Name: fleet.DumpName(parts[3])})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b crash.Ref) int { return strings.Compare(string(b.Name), string(a.Name)) })
	if limit > 0 && len(names) > limit {
		names = names[:limit]
	}
	var dumps []crash.Listed
	for _, n := range names {
		l, err := c.Dump(n.Device, n.Name)
		if err != nil {
			continue // removed since
		}
		dumps = append(dumps, l)
	}
	return dumps, nil
}

// UpdateGroup changes what people decided about a group.
func (c *Catalog) UpdateGroup(ctx context.Context, fingerprint string, change func(*crash.Group) error) (crash.Group, error) {
	var g crash.Group
	err := c.update(ctx, func(t *tx) error {
		found, err := t.get("g/"+fingerprint, &g)
		if err != nil {
			return err
		}
		if !found {
			return fleet.Unknown("there is no crash group %q", fingerprint)
		}
		if err := change(&g); err != nil {
			return err
		}
		return t.put("g/"+fingerprint, g)
	})
	return g, err
}
