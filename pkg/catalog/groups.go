package catalog

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Groups lists groups by fingerprint.
func (c *Catalog) Groups(f crash.GroupFilter) ([]crash.Group, error) {
	page, err := c.ListGroups(crash.GroupQuery{GroupFilter: f, Order: crash.GroupOrders[0]})
	slices.SortFunc(page.Groups, func(a, b crash.Group) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return page.Groups, err
}

// eachChain calls yield for the chains of a group.
func eachChain(txn *badger.Txn, group string, yield func(fingerprint string) error) error {
	return each(txn, membersPrefix(group), "", false, func(key string, _ *badger.Item) error { return yield(lastPart(key)) })
}

// viewGroup finds the group that an address leads to, or says ErrUnknown.
func viewGroup(txn *badger.Txn, address string) (crash.Group, error) {
	g, found, err := groupAt(func(key string, record any) (bool, error) { return get(txn, key, record) }, address)
	if err == nil && !found {
		err = unknownGroup(address)
	}
	return g, err
}

func unknownGroup(address string) error {
	return fleet.Unknown("there is no crash group %q", address)
}

// Group finds the group that an address leads to, with its versions and its chains, or says ErrUnknown. The address is
// the group's fingerprint, that of one of its chains, or of a group that is part of it now.
func (c *Catalog) Group(address string) (g crash.Group, versions []crash.VersionCount, chains []crash.Chain, err error) {
	err = c.view(func(txn *badger.Txn) error {
		if g, err = viewGroup(txn, address); err != nil {
			return err
		}
		sum := map[fleet.Version]crash.VersionCount{}
		err := eachChain(txn, g.Fingerprint, func(fingerprint string) error {
			var chain crash.Chain
			if _, err := get(txn, chainKey(fingerprint), &chain); err != nil {
				return err
			}
			chains = append(chains, chain)
			return each(txn, chainVersionsPrefix(fingerprint), "", false, func(_ string, item *badger.Item) error {
				var v crash.VersionCount
				if err := read(item, &v); err != nil {
					return err
				}
				sum[v.Version] = v.Plus(sum[v.Version])
				return nil
			})
		})
		for _, v := range sum {
			versions = append(versions, v)
		}
		slices.SortFunc(versions, func(a, b crash.VersionCount) int { return strings.Compare(string(a.Version), string(b.Version)) })
		slices.SortStableFunc(chains, func(a, b crash.Chain) int { return b.Count - a.Count })
		return err
	})
	return g, versions, chains, err
}

// GroupDumps are the dumps of a group that are still there, newest first. A limit of 0 is none.
func (c *Catalog) GroupDumps(address string, limit int) ([]crash.Listed, error) {
	var dumps []crash.Listed
	err := c.view(func(txn *badger.Txn) error {
		names, err := keptOf(txn, address)
		if err != nil {
			return err
		}
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

// keptOf are the dumps of a group that are still there, in the order of [byAge].
func keptOf(txn *badger.Txn, address string) ([]crash.Ref, error) {
	g, err := viewGroup(txn, address)
	if err != nil {
		return nil, err
	}
	var keys []string
	err = eachChain(txn, g.Fingerprint, func(fingerprint string) error {
		return each(txn, chainDumpsPrefix(fingerprint), "", false, func(key string, _ *badger.Item) error {
			keys = append(keys, key)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	names, err := refs(keys)
	slices.SortFunc(names, byAge)
	return names, err
}

// byAge has the newest first: a name begins with its time.
func byAge(a, b crash.Ref) int {
	return cmp.Or(cmp.Compare(b.Name, a.Name), cmp.Compare(a.Device, b.Device))
}

// GroupDevices are the devices that a group was seen on, in the order of their keys, behind after, with what was counted of
// each, and how many there are in all. A limit of 0 is none.
func (c *Catalog) GroupDevices(address string, after fleet.DeviceKey, limit int) (page []crash.DeviceCount, total int, err error) {
	devices := map[fleet.DeviceKey]crash.DeviceCount{}
	now := c.options.Now()
	err = c.view(func(txn *badger.Txn) error {
		g, err := viewGroup(txn, address)
		if err != nil {
			return err
		}
		total = g.Devices
		return eachChain(txn, g.Fingerprint, func(fingerprint string) error {
			prefix, start, of := chainDevicesPrefix(fingerprint), "", 0
			if after != "" {
				start = prefix + string(after)
			}
			return each(txn, prefix, start, false, func(key string, _ *badger.Item) error {
				d, err := readDeviceCount(txn, key)
				if err != nil {
					return err
				}
				if before, twice := devices[d.Device]; twice {
					d = before.Plus(d, now)
				}
				devices[d.Device] = d
				if of++; of == limit { // of each chain: the first of all are among these
					return errStop
				}
				return nil
			})
		})
	})
	page = slices.SortedFunc(maps.Values(devices), func(a, b crash.DeviceCount) int { return strings.Compare(string(a.Device), string(b.Device)) })
	if limit > 0 {
		page = page[:min(limit, len(page))]
	}
	return page, total, err
}

// UpdateGroup changes what people decided about a group.
func (c *Catalog) UpdateGroup(ctx context.Context, address string, change func(*crash.Group) error) (crash.Group, error) {
	var g crash.Group
	err := c.update(ctx, func(t *tx) (err error) {
		if g, err = t.mustGroup(address); err != nil {
			return err
		}
		before := g
		if err := change(&g); err != nil {
			return err
		}
		t.tellGroup(before, g)
		return t.put(groupKey(g.Fingerprint), g)
	})
	return g, err
}

func (t *tx) mustGroup(address string) (crash.Group, error) {
	g, found, err := t.group(address)
	if err == nil && !found {
		err = unknownGroup(address)
	}
	return g, err
}

// MergeGroups makes one group of two. It has the name of the older one, the other's address leads to it, and of what
// people decided counts what [crash.Group.Decided] says. Chains stay where they are put, however often their dumps are
// decoded.
func (c *Catalog) MergeGroups(ctx context.Context, one, other string) (crash.Group, error) {
	var into crash.Group
	err := c.update(ctx, func(t *tx) error {
		a, err := t.mustGroup(one)
		if err != nil {
			return err
		}
		b, err := t.mustGroup(other)
		if err != nil {
			return err
		}
		switch {
		case a.Fingerprint == b.Fingerprint:
			return fleet.Refused("%s and %s are one group already", one, other)
		case a.Model != b.Model:
			return fleet.Refused("%s is of model %s and %s of model %s: groups are of one model", one, a.Model, other, b.Model)
		case a.Chains+b.Chains > crash.MostChains:
			return fleet.Refused("the two groups have %d chains: a group holds %d at most", a.Chains+b.Chains, crash.MostChains)
		}
		if b.FirstSeen.Before(a.FirstSeen) {
			a, b = b, a
		}
		chains, err := t.members(b.Fingerprint)
		if err != nil {
			return err
		}
		for _, chain := range chains {
			if err := t.moveChain(chain, a.Fingerprint); err != nil {
				return err
			}
		}
		if err := t.leadOn(b.Fingerprint, a.Fingerprint); err != nil {
			return err
		}
		t.delete(groupKey(b.Fingerprint))
		a.Decided(b, t.newer(a.Model))
		t.tell(event.CrashMerged, groupObject(a), facts{"model": a.Model, "before": b.Fingerprint})
		into, err = t.gather(a)
		return err
	})
	return into, err
}

// leadOn has the address of a group that is gone lead to another, also where the chain that it was named by has left it.
func (t *tx) leadOn(gone, to string) error {
	var chain crash.Chain
	found, err := t.get(chainKey(gone), &chain)
	if err != nil || !found {
		return err
	}
	chain.Group = to
	return t.put(chainKey(gone), chain)
}

// SplitGroup takes chains out of a group, as a group of their own with the same state and note. The address stays with
// those that the group's first chain is among.
func (c *Catalog) SplitGroup(ctx context.Context, address string, fingerprints []string) (left, split crash.Group, err error) {
	err = c.update(ctx, func(t *tx) error {
		if left, err = t.mustGroup(address); err != nil {
			return err
		}
		chains, err := t.members(left.Fingerprint)
		if err != nil {
			return err
		}
		moved, err := apart(left, chains, fingerprints)
		if err != nil {
			return err
		}
		split = left
		split.Fingerprint = slices.MinFunc(moved, func(a, b crash.Chain) int {
			return a.FirstSeen.Compare(b.FirstSeen)
		}).Fingerprint
		for _, chain := range moved {
			if err := t.moveChain(chain, split.Fingerprint); err != nil {
				return err
			}
		}
		if split, err = t.gather(split); err != nil {
			return err
		}
		t.tell(event.CrashSplit, groupObject(left), facts{"model": left.Model, "after": split.Fingerprint, "chains": len(moved)})
		left, err = t.gather(left)
		return err
	})
	return left, split, err
}

// apart picks the chains that leave a group: those that are named, or where its first chain is among them all others.
func apart(g crash.Group, chains []crash.Chain, named []string) ([]crash.Chain, error) {
	for _, fingerprint := range named {
		if !slices.ContainsFunc(chains, func(c crash.Chain) bool { return c.Fingerprint == fingerprint && !c.Old }) {
			return nil, fleet.Refused("%q is no chain of the group %s", fingerprint, g.Fingerprint)
		}
	}
	first := slices.Contains(named, g.Fingerprint)
	leaves := slices.DeleteFunc(slices.Clone(chains), func(c crash.Chain) bool { return c.Old || slices.Contains(named, c.Fingerprint) == first })
	if len(named) == 0 || len(leaves) == 0 || len(leaves) == len(chains) {
		return nil, fleet.Refused("name some of the chains of the group %s and not all: it has %d", g.Fingerprint, g.Chains)
	}
	return leaves, nil
}
