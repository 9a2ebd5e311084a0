package catalog

import (
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// MayReplaceBuild is ErrTaken while a build is in an unfinished rollout: half of its devices would have other bytes.
func (c *Catalog) MayReplaceBuild(code fleet.ModelCode, v fleet.Version) error {
	return c.view(func(txn *badger.Txn) error { return noRolloutHas(txn, code, v) })
}

// noRolloutHas says ErrTaken of a version that an unfinished rollout brings, or goes back to.
func noRolloutHas(txn *badger.Txn, code fleet.ModelCode, v fleet.Version) error {
	return eachRollout(txn, rolloutsPrefix(code), func(r fleet.Rollout) error {
		if r.State.Unfinished() && (r.Version == v || r.Base == v) {
			return fleet.Taken("version %s of model %s is in rollout %d, which brings %s in place of %s and is %s: it must end first, or be halted",
				v, code, r.Number, r.Version, r.Base, r.State)
		}
		return nil
	})
}

// nobodyHas says ErrTaken of a version that devices were sent by a rollout which ended without publishing it, and that they go
// on being offered: until something else is published than what was when it began.
func nobodyHas(txn *badger.Txn, m fleet.Model, v fleet.Version) error {
	return eachRollout(txn, rolloutsPrefix(m.Code), func(r fleet.Rollout) error {
		if r.State.Unfinished() || r.State == fleet.RolloutFinished || r.Version != v || r.Base != m.FirmwareVersion {
			return nil
		}
		return eachMember(txn, m.Code, r.Number, func(one fleet.Member) error {
			if one.Has && one.State != fleet.MemberSkipped {
				return fleet.Taken("device %s has version %s of model %s from rollout %d, which is %s, and is offered it until another version is published",
					one.Device, v, m.Code, r.Number, r.State)
			}
			return nil
		})
	})
}

// inRollout reports that rollouts need a build.
func (c *Catalog) inRollout(b fleet.Build) (bool, error) {
	err := c.view(func(txn *badger.Txn) error {
		m := fleet.Model{Code: b.Model}
		if _, err := get(txn, modelKey(b.Model), &m); err != nil {
			return err
		}
		return rolloutsSpare(txn, m, b.Version)
	})
	if errors.Is(err, fleet.ErrTaken) {
		return true, nil
	}
	return false, err
}

// rolloutsSpare refuses to let a build go that rollouts need.
func rolloutsSpare(txn *badger.Txn, m fleet.Model, v fleet.Version) error {
	if err := noRolloutHas(txn, m.Code, v); err != nil {
		return err
	}
	return nobodyHas(txn, m, v)
}
