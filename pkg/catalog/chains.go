package catalog

import (
	"errors"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Chains count, groups add up. What is counted of a crash (devices, versions, dumps) lies below its chain's fingerprint,
// and a group's record is the sum of its chains. So a merge or a split moves chains and counts nothing anew.

// mostNear bounds how many near chains are looked at in one place of the index, whatever the dumps of a model say.
const mostNear = 64

// countCrash counts a crash into its chain and its group, which are made where there are none.
func (t *tx) countCrash(c crash.Crash) (crash.News, error) {
	chain, g, err := t.join(c)
	if err != nil {
		return "", err
	}
	newDevice, err := t.newDevice(g.Fingerprint, c.Device)
	if err != nil {
		return "", err
	}
	newer := t.newer(c.Model)
	before := g.State
	news := g.Add(c, newDevice, newer)
	if before == crash.Ignored && g.State == crash.Open {
		t.tellReopened(g)
	}
	chain.Add(c, newer)
	return news, errors.Join(t.countVersion(c), t.put(chainKey(chain.Fingerprint), chain), t.put(groupKey(g.Fingerprint), g))
}

// countVersion counts what is by version and by device.
func (t *tx) countVersion(c crash.Crash) error {
	var v crash.VersionCount
	key := chainVersionKey(c.Fingerprint, c.Version)
	if _, err := t.get(key, &v); err != nil {
		return err
	}
	v.Add(c)
	return errors.Join(t.countDevice(c), t.put(key, v))
}

// join finds the chain and the group that a crash belongs to. What is new is in the index, but not stored yet: the
// caller counts the crash and stores both. A group with a count of 0 is a new one.
func (t *tx) join(c crash.Crash) (crash.Chain, crash.Group, error) {
	chain := crash.Chain{Fingerprint: c.Fingerprint, Model: c.Model, Kind: c.Kind, Frames: c.Chain}
	found, err := t.get(chainKey(c.Fingerprint), &chain)
	if err != nil {
		return chain, crash.Group{}, err
	}
	near := c.Fingerprint
	if !found {
		candidates, err := t.candidates(c)
		if err != nil {
			return chain, crash.Group{}, err
		}
		if joined := crash.Join(candidates); joined != "" {
			near = joined
		}
	}
	g, there, err := t.group(near)
	if err != nil {
		return chain, g, err
	}
	if !there {
		g = crash.Group{Fingerprint: c.Fingerprint}
	}
	chain.Group = g.Fingerprint
	member, err := t.has(memberKey(g.Fingerprint, chain.Fingerprint))
	if err != nil || member {
		return chain, g, err
	}
	g.Chains++
	t.mark(memberKey(g.Fingerprint, chain.Fingerprint))
	for _, place := range crash.Filed(chain.Model, chain.Kind, chain.Frames) {
		t.mark(placeKey(place, chain.Fingerprint))
	}
	return chain, g, nil
}

// candidates are the groups that would take a new chain. It looks at near chains only, however many others there are.
func (t *tx) candidates(c crash.Crash) ([]crash.Candidate, error) {
	var all []crash.Candidate
	for _, place := range crash.Sought(c.Model, c.Kind, c.Chain) {
		keys, err := t.someKeys(placePrefix(place), mostNear)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			var chain crash.Chain
			found, err := t.get(chainKey(lastPart(key)), &chain)
			if err != nil {
				return nil, err
			}
			common, near := crash.Near(c.Chain, chain.Frames)
			if !found || !near || chain.Model != c.Model || chain.Kind != c.Kind {
				continue
			}
			g, there, err := t.group(chain.Fingerprint)
			if err != nil {
				return nil, err
			}
			if there && g.Chains < crash.MostChains {
				all = append(all, crash.Candidate{Group: g.Fingerprint, Common: common, Dumps: g.Count, Since: g.FirstSeen})
			}
		}
	}
	return all, nil
}

// group finds the group that an address leads to: a group's own, one of its chains', or that of a group which is part of
// it now.
func (t *tx) group(address string) (crash.Group, bool, error) { return groupAt(t.get, address) }

// mostHops is how many groups that went into another one are followed. Each merge can add one.
const mostHops = 1000

func groupAt(get func(key string, record any) (bool, error), address string) (crash.Group, bool, error) {
	for range mostHops {
		var g crash.Group
		if found, err := get(groupKey(address), &g); err != nil || found {
			return g, found, err
		}
		var chain crash.Chain
		found, err := get(chainKey(address), &chain)
		if err != nil || !found || chain.Group == address {
			return g, false, err
		}
		address = chain.Group
	}
	return crash.Group{}, false, nil
}

// members are the chains of a group.
func (t *tx) members(group string) ([]crash.Chain, error) {
	keys, err := t.keys(membersPrefix(group))
	if err != nil {
		return nil, err
	}
	chains := make([]crash.Chain, len(keys))
	for i, key := range keys {
		if _, err := t.get(chainKey(lastPart(key)), &chains[i]); err != nil {
			return nil, err
		}
	}
	return chains, nil
}

// newDevice reports that no chain of a group knows a device.
func (t *tx) newDevice(group string, device fleet.DeviceKey) (bool, error) {
	keys, err := t.keys(membersPrefix(group))
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if known, err := t.has(chainDeviceKey(lastPart(key), device)); err != nil || known {
			return false, err
		}
	}
	return true, nil
}

// gather adds up a group's chains again. A group that has none is gone.
func (t *tx) gather(g crash.Group) (crash.Group, error) {
	chains, err := t.members(g.Fingerprint)
	if err != nil {
		return g, err
	}
	if len(chains) == 0 {
		t.delete(groupKey(g.Fingerprint))
		return g, nil
	}
	devices := map[string]bool{}
	g.Tally, g.Chains = crash.Tally{}, 0
	for _, chain := range chains {
		g.Gather(chain.Tally, t.newer(g.Model))
		if !chain.Old {
			g.Chains++
		}
		keys, err := t.keys(chainDevicesPrefix(chain.Fingerprint))
		if err != nil {
			return g, err
		}
		for _, key := range keys {
			devices[lastPart(key)] = true
		}
	}
	g.Devices, g.Old = len(devices), g.Old && g.Chains == 0
	return g, t.put(groupKey(g.Fingerprint), g)
}

// moveChain makes a chain one of another group. Both have to be gathered afterwards.
func (t *tx) moveChain(chain crash.Chain, to string) error {
	t.delete(memberKey(chain.Group, chain.Fingerprint))
	chain.Group = to
	t.mark(memberKey(to, chain.Fingerprint))
	return t.put(chainKey(chain.Fingerprint), chain)
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
