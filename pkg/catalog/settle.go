package catalog

import (
	"errors"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// share is a group that has got dumps of an old chain.
type share struct {
	group crash.Group
	chain string // of its chains, the one that has got most of them
	most  int
	dumps int
	given int // of the rest
}

// settle ends an old chain, in one transaction. What it still counts are crashes whose dumps are gone, or cannot be
// decoded any more: they are divided among the groups that have got its dumps, in the same proportion, and the rest goes
// to the larger part, with the chain itself, so that its address leads there. Where nobody has got any, its group stays
// and is old.
func (t *tx) settle(old string) error {
	var chain crash.Chain
	if _, err := t.get(chainKey(old), &chain); err != nil {
		return err
	}
	left, found, err := t.group(old)
	if err != nil {
		return err
	}
	t.delete(unsettledKey(old))
	shares, total, err := t.shares(old)
	if err != nil || !found {
		return err
	}
	if len(shares) == 0 {
		left.Old = true
		_, err := t.gather(left)
		return err
	}
	if err := t.divide(&chain, shares, total); err != nil {
		return err
	}
	larger := shares[0].group
	if err := t.limit(&chain, shares[0].chain); err != nil {
		return err
	}
	if err := t.moveChain(chain, larger.Fingerprint); err != nil {
		return err
	}
	if chain.Count == 0 {
		t.delete(memberKey(larger.Fingerprint, chain.Fingerprint)) // an address, and nothing more
	}
	if left.Fingerprint != larger.Fingerprint {
		if _, err := t.gather(left); err != nil {
			return err
		}
	}
	for _, s := range shares {
		if _, err := t.gather(s.group); err != nil {
			return err
		}
	}
	return nil
}

// shares are the groups that have got an old chain's dumps, the larger part first, and how many dumps those were.
func (t *tx) shares(old string) (shares []share, total int, err error) {
	keys, err := t.keys(movedPrefix(old))
	if err != nil {
		return nil, 0, err
	}
	for _, key := range keys {
		n := 0
		if _, err := t.get(key, &n); err != nil {
			return nil, 0, err
		}
		t.delete(key)
		g, found, err := t.group(lastPart(key))
		if err != nil || !found {
			return nil, 0, err
		}
		i := slices.IndexFunc(shares, func(s share) bool { return s.group.Fingerprint == g.Fingerprint })
		if i < 0 {
			i, shares = len(shares), append(shares, share{group: g})
		}
		if n > shares[i].most {
			shares[i].most, shares[i].chain = n, lastPart(key)
		}
		shares[i].dumps += n
		total += n
	}
	slices.SortStableFunc(shares, func(a, b share) int {
		if a.dumps != b.dumps {
			return b.dumps - a.dumps
		}
		return a.group.FirstSeen.Compare(b.group.FirstSeen)
	})
	return shares, total, nil
}

// divide hands out what an old chain still counts, version by version, to all but the larger part.
func (t *tx) divide(chain *crash.Chain, shares []share, total int) error {
	if len(shares) == 1 {
		return nil
	}
	keys, err := t.keys(chainVersionsPrefix(chain.Fingerprint))
	if err != nil {
		return err
	}
	seen := 0
	for _, key := range keys {
		var v crash.VersionCount
		if _, err := t.get(key, &v); err != nil {
			return err
		}
		seen += v.Count
		for i := 1; i < len(shares); i++ {
			s := &shares[i]
			n := min(v.Count, seen*s.dumps/total-s.given)
			if n <= 0 {
				continue
			}
			if err := t.give(s.chain, v, n); err != nil {
				return err
			}
			s.given += n
			v.Count -= n
			chain.Count -= n
		}
		if v.Count == 0 {
			t.delete(key)
		} else if err := t.put(key, v); err != nil {
			return err
		}
	}
	return nil
}

// limit has an old chain tell no more than what it still counts: when and in which versions that was. What it looked like
// last is what the larger part says.
func (t *tx) limit(chain *crash.Chain, larger string) error {
	var shown crash.Chain
	if _, err := t.get(chainKey(larger), &shown); err != nil {
		return err
	}
	keys, err := t.keys(chainVersionsPrefix(chain.Fingerprint))
	if err != nil {
		return err
	}
	var left crash.Tally
	for _, key := range keys {
		var v crash.VersionCount
		if _, err := t.get(key, &v); err != nil {
			return err
		}
		one := shown.Tally
		one.FirstSeen, one.LastSeen, one.FirstVersion, one.LastVersion, one.Count = v.FirstSeen, v.LastSeen, v.Version, v.Version, v.Count
		left.Gather(one, t.newer(chain.Model))
	}
	left.Count, left.Recent = chain.Count, chain.Recent
	chain.Tally = left
	return nil
}

// give counts n crashes of a version into a chain. When they were seen nobody knows better than the version does.
func (t *tx) give(fingerprint string, v crash.VersionCount, n int) error {
	var chain crash.Chain
	if _, err := t.get(chainKey(fingerprint), &chain); err != nil {
		return err
	}
	last := v.LastSeen
	if last.After(chain.LastSeen) {
		last = chain.LastSeen
	}
	chain.Gather(crash.Tally{
		Reason: chain.Reason, TopFrame: chain.TopFrame, FirstSeen: v.FirstSeen, LastSeen: last, Count: n, FirstVersion: v.Version,
		LastVersion: v.Version, LatestDevice: chain.LatestDevice, LatestDump: chain.LatestDump,
	}, t.newer(chain.Model))
	var sum crash.VersionCount
	key := chainVersionKey(fingerprint, v.Version)
	if _, err := t.get(key, &sum); err != nil {
		return err
	}
	v.Count = n
	return errors.Join(t.put(key, v.Plus(sum)), t.put(chainKey(fingerprint), chain))
}
