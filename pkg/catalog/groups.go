package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// countCrash counts a crash into its group, its version and its devices.
func (t *tx) countCrash(c crash.Crash) (crash.News, error) {
	var g crash.Group
	if _, err := t.get(groupKey(c.Fingerprint), &g); err != nil {
		return "", err
	}
	known, err := t.has(groupDeviceKey(c.Fingerprint, c.Device))
	if err != nil {
		return "", err
	}
	var v crash.VersionCount
	if _, err := t.get(groupVersionKey(c.Fingerprint, c.Version), &v); err != nil {
		return "", err
	}
	news := g.Add(c, !known, t.newer(c.Model))
	v.Add(c)
	t.mark(groupDeviceKey(c.Fingerprint, c.Device))
	return news, errors.Join(t.put(groupVersionKey(c.Fingerprint, c.Version), v), t.put(groupKey(c.Fingerprint), g))
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

// Groups lists groups by fingerprint; sorting and paging is the caller's.
func (c *Catalog) Groups(f crash.GroupFilter) ([]crash.Group, error) {
	var groups []crash.Group
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, groupPrefix, "", false, func(_ string, item *badger.Item) error {
			var g crash.Group
			if err := read(item, &g); err != nil {
				return err
			}
			if f.Model != "" && g.Model != f.Model || f.State != "" && g.State != f.State {
				return nil
			}
			if f.Version != "" {
				if seen, err := has(txn, groupVersionKey(g.Fingerprint, f.Version)); err != nil || !seen {
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
	found, err := c.find(groupKey(fingerprint), &g)
	if err == nil && !found {
		err = unknownGroup(fingerprint)
	}
	if err != nil {
		return g, nil, err
	}
	versions, err := list[crash.VersionCount](c, groupVersionsPrefix(fingerprint))
	return g, versions, err
}

func unknownGroup(fingerprint string) error {
	return fleet.Unknown("there is no crash group %q", fingerprint)
}

// GroupDumps are the dumps of a group that are still there, newest first. A limit of 0 is none.
func (c *Catalog) GroupDumps(fingerprint string, limit int) ([]crash.Listed, error) {
	var dumps []crash.Listed
	err := c.db.View(func(txn *badger.Txn) error {
		var keys []string
		err := each(txn, groupDumpsPrefix(fingerprint), "", false, func(key string, _ *badger.Item) error {
			keys = append(keys, key)
			return nil
		})
		if err != nil {
			return err
		}
		names, err := refs(keys)
		if err != nil {
			return err
		}
		slices.SortFunc(names, func(a, b crash.Ref) int { return strings.Compare(string(b.Name), string(a.Name)) })
		if limit > 0 && len(names) > limit {
			names = names[:limit]
		}
		for _, r := range names {
			var l crash.Listed
			found, err := readDump(&l, txn, r)
			if err != nil {
				return err
			}
			if found {
				dumps = append(dumps, l)
			}
		}
		return nil
	})
	return dumps, err
}

// UpdateGroup changes what people decided about a group.
func (c *Catalog) UpdateGroup(ctx context.Context, fingerprint string, change func(*crash.Group) error) (crash.Group, error) {
	var g crash.Group
	err := c.update(ctx, func(t *tx) error {
		found, err := t.get(groupKey(fingerprint), &g)
		if err != nil {
			return err
		}
		if !found {
			return unknownGroup(fingerprint)
		}
		if err := change(&g); err != nil {
			return err
		}
		return t.put(groupKey(fingerprint), g)
	})
	return g, err
}
