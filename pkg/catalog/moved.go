package catalog

import (
	"errors"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// moveCrash counts a crash where its fingerprint is now and no longer where it was: the same dump was decoded again, and
// the rules, the decoder or the symbols have changed. It is no news to anybody, and doing it again changes nothing.
func (t *tx) moveCrash(before, now crash.Crash) error {
	var from crash.Chain
	if _, err := t.get(chainKey(before.Fingerprint), &from); err != nil {
		return err
	}
	left, _, err := t.group(before.Fingerprint)
	if err != nil {
		return err
	}
	to, g, err := t.join(now)
	if err != nil {
		return err
	}
	newer := t.newer(now.Model)
	first, err := t.noteMove(from, to)
	if err != nil {
		return err
	}
	if g.Count == 0 { // made for it: what people decided goes along
		g = crash.Group{
			Fingerprint: g.Fingerprint, Chains: g.Chains, Model: now.Model, Kind: now.Kind, Decision: left.Decision, Note: left.Note, Link: left.Link,
		}
	} else if first {
		g.Decided(left, newer)
	}
	if err := t.uncount(before, &from); err != nil {
		return err
	}
	if left.Fingerprint != g.Fingerprint {
		newDevice, err := t.newDevice(g.Fingerprint, now.Device)
		if err != nil {
			return err
		}
		g.Take(now, newDevice, newer)
		if err := t.takeOut(left, from, before, g.Fingerprint); err != nil {
			return err
		}
	} else if err := t.put(chainKey(from.Fingerprint), from); err != nil {
		return err
	}
	to.Add(now, newer)
	return errors.Join(t.countVersion(now), t.put(chainKey(to.Fingerprint), to), t.put(groupKey(g.Fingerprint), g))
}

// noteMove remembers how many dumps of an old chain went where, and reports that this is its first to that group.
func (t *tx) noteMove(from, to crash.Chain) (first bool, err error) {
	if !from.Old {
		return false, nil
	}
	keys, err := t.keys(movedPrefix(from.Fingerprint))
	if err != nil {
		return false, err
	}
	first = true
	for _, key := range keys {
		g, _, err := t.group(lastPart(key))
		if err != nil {
			return false, err
		}
		first = first && g.Fingerprint != to.Group
	}
	key, n := movedKey(from.Fingerprint, to.Fingerprint), 0
	if _, err := t.get(key, &n); err != nil {
		return false, err
	}
	return first, t.put(key, n+1)
}

// uncount takes a crash out of its chain's count. The caller stores the chain.
func (t *tx) uncount(c crash.Crash, chain *crash.Chain) error {
	chain.Uncount(c)
	var v crash.VersionCount
	key := chainVersionKey(c.Fingerprint, c.Version)
	found, err := t.get(key, &v)
	if err != nil {
		return err
	}
	v.Count--
	switch {
	case found && v.Count > 0:
		err = t.put(key, v)
	case found:
		t.delete(key)
	}
	if err != nil {
		return err
	}
	device, err := t.deviceCount(chainDeviceKey(c.Fingerprint, c.Device))
	if err != nil {
		return err
	}
	if device.Remove(c, t.now); device.Count > 0 {
		return t.put(chainDeviceKey(c.Fingerprint, c.Device), device)
	}
	others, err := t.keys(crashesPrefix(c.Device)) // of before they were counted, or none
	if err != nil {
		return err
	}
	for _, other := range others {
		var one crash.Crash
		if _, err := t.get(other, &one); err != nil {
			return err
		}
		if one.Name != c.Name && grouped(one) && one.Fingerprint == c.Fingerprint {
			return nil
		}
	}
	t.delete(chainDeviceKey(c.Fingerprint, c.Device))
	return nil
}

// takeOut counts a crash out of the group that it was in. A chain that has nothing left leads to where the crash is now;
// an old one waits for the others of its dumps, see settle.
func (t *tx) takeOut(left crash.Group, from crash.Chain, c crash.Crash, to string) error {
	left.Uncount(c)
	gone, err := t.newDevice(left.Fingerprint, c.Device)
	if err != nil {
		return err
	}
	if gone {
		left.Devices--
	}
	if from.Count > 0 || from.Old {
		return errors.Join(t.put(chainKey(from.Fingerprint), from), t.put(groupKey(left.Fingerprint), left))
	}
	t.delete(memberKey(left.Fingerprint, from.Fingerprint))
	for _, place := range crash.Filed(from.Model, from.Kind, from.Frames) {
		t.delete(placeKey(place, from.Fingerprint))
	}
	from.Group = to
	if err := t.put(chainKey(from.Fingerprint), from); err != nil {
		return err
	}
	left, err = t.gather(left)
	if err != nil || left.Count > 0 || left.Fingerprint == from.Fingerprint {
		return err
	}
	// The group's first chain was emptied before, and led back here: its address leads on.
	var named crash.Chain
	if found, err := t.get(chainKey(left.Fingerprint), &named); err != nil || !found {
		return err
	}
	named.Group = to
	return t.put(chainKey(named.Fingerprint), named)
}
