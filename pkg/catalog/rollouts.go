package catalog

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
)

// Rollouts lists a model's rollouts by number.
func (c *Catalog) Rollouts(code fleet.ModelCode) ([]fleet.Rollout, error) {
	return list[fleet.Rollout](c, rolloutsPrefix(code))
}

// EachRollout calls yield for all rollouts, of each model by number.
func (c *Catalog) EachRollout(yield func(fleet.Rollout) error) error {
	return c.view(func(txn *badger.Txn) error { return eachRollout(txn, rolloutPrefix, yield) })
}

func eachRollout(txn *badger.Txn, prefix string, yield func(fleet.Rollout) error) error {
	return each(txn, prefix, "", false, func(_ string, item *badger.Item) error {
		var r fleet.Rollout
		if err := read(item, &r); err != nil {
			return err
		}
		return yield(r)
	})
}

// EachMember calls yield for the members of a rollout that are on record, by key, one at a time.
func (c *Catalog) EachMember(code fleet.ModelCode, number int, yield func(fleet.Member) error) error {
	return c.view(func(txn *badger.Txn) error { return eachMember(txn, code, number, yield) })
}

func eachMember(txn *badger.Txn, code fleet.ModelCode, number int, yield func(fleet.Member) error) error {
	prefix := rolloutMembersPrefix(code, number)
	return each(txn, prefix, "", false, func(key string, item *badger.Item) error {
		m := fleet.Member{Device: fleet.DeviceKey(strings.TrimPrefix(key, prefix))}
		if err := read(item, &m); err != nil {
			return err
		}
		return yield(m)
	})
}

// AddRollout stores a rollout under the next number of its model, with the members and the events of ch, which are the new
// one's; an event of the object "rollout" without an id is told of it. The rollout that it replaces is stored in the same
// transaction. A second unfinished one is ErrTaken.
func (c *Catalog) AddRollout(ctx context.Context, r fleet.Rollout, ch rollout.Change) (fleet.Rollout, error) {
	var before []fleet.Rollout
	err := c.update(ctx, func(t *tx) error {
		there, err := t.has(buildKey(r.Model, r.Version))
		if err != nil {
			return err
		}
		if !there {
			return unknownBuild(r.Model, r.Version)
		}
		replaced := 0
		if old := ch.Replaces; old != nil {
			replaced = old.Number
		}
		if before, err = t.noneUnfinished(r.Model, replaced); err != nil {
			return err
		}
		if replaced > 0 {
			if err := t.put(rolloutKey(r.Model, replaced), ch.Replaces); err != nil {
				return err
			}
		}
		r.Number = 1
		if n := len(before); n > 0 {
			r.Number = before[n-1].Number + 1
		}
		for _, m := range ch.Members {
			if err := t.putMember(r.Model, r.Number, m); err != nil {
				return err
			}
		}
		for _, one := range ch.Told {
			if one.Object == (fleet.Object{Type: "rollout"}) {
				one.Object = r.ObjectOf()
			}
			t.tell(one.Kind, one.Object, one.Details)
		}
		return t.put(rolloutKey(r.Model, r.Number), r)
	})
	if err != nil {
		return fleet.Rollout{}, err
	}
	c.forgetOldMembers(r, before)
	return r, nil
}

// noneUnfinished lists a model's rollouts, or says ErrTaken and names the one that is unfinished and is not replaced.
func (t *tx) noneUnfinished(code fleet.ModelCode, replaced int) (all []fleet.Rollout, err error) {
	err = eachRollout(t.txn, rolloutsPrefix(code), func(r fleet.Rollout) error {
		t.reads++
		all = append(all, r)
		if r.State.Unfinished() && r.Number != replaced {
			return fleet.Taken("rollout %d of model %s brings version %s and is %s: it must end first, or be halted", r.Number, code, r.Version, r.State)
		}
		return nil
	})
	return all, err
}

// mostTold bounds the events of one piece of a change.
const mostTold = 100

// SaveRollout stores what has become of a rollout, and its events, in one transaction. A change that none takes goes in
// pieces: members first, then what is told of devices, and with the last of it the rollout's record. A kill between two
// leaves members that are ahead of the record, which a start counts again.
//
// A member whose device was removed in the meantime, or has another model, is passed over.
func (c *Catalog) SaveRollout(ctx context.Context, ch rollout.Change) error {
	if len(ch.Told) > mostTold {
		ch.Told = devicesFirst(ch.Told)
	}
	for over := false; !over; {
		err := c.update(ctx, func(t *tx) (err error) {
			ch, over, err = t.saveSome(ch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// devicesFirst has what is told of the rollout behind the rest.
func devicesFirst(all []rollout.Told) []rollout.Told {
	var devices, own []rollout.Told
	for _, one := range all {
		if one.Object.Type == "rollout" {
			own = append(own, one)
		} else {
			devices = append(devices, one)
		}
	}
	return append(devices, own...)
}

// saveSome stores as much of a change as a transaction takes well, and returns the rest.
func (t *tx) saveSome(ch rollout.Change) (rest rollout.Change, over bool, err error) {
	var before fleet.Rollout
	found, err := t.get(rolloutKey(ch.Model, ch.Number), &before)
	if err != nil {
		return ch, false, err
	}
	if !found {
		return ch, false, fleet.Unknown("model %q has no rollout %d", ch.Model, ch.Number)
	}
	for ; len(ch.Members) > 0 && t.hasRoom(); ch.Members = ch.Members[1:] {
		if err := t.putMember(ch.Model, ch.Number, ch.Members[0]); err != nil {
			return ch, false, err
		}
	}
	for len(ch.Members) == 0 && len(ch.Told) > 0 && len(t.told) < mostTold {
		t.tell(ch.Told[0].Kind, ch.Told[0].Object, ch.Told[0].Details)
		ch.Told = ch.Told[1:]
	}
	if len(ch.Members)+len(ch.Told) > 0 {
		return ch, false, nil
	}
	if ch.Rollout == nil {
		return ch, true, nil
	}
	if ch.Rollout.State.Unfinished() && !before.State.Unfinished() {
		if _, err := t.noneUnfinished(ch.Model, 0); err != nil {
			return ch, false, err
		}
	}
	return ch, true, t.put(rolloutKey(ch.Model, ch.Number), ch.Rollout)
}

func (t *tx) putMember(code fleet.ModelCode, number int, m fleet.Member) error {
	there, err := t.has(modelDeviceKey(code, m.Device))
	if err != nil || !there {
		return err
	}
	t.changed = append(t.changed, "rollout")
	return t.put(rolloutMemberKey(code, number, m.Device), m)
}

// keepMembers is how many rollouts of a model have their members kept after the end.
const keepMembers = 8

// forgetOldMembers removes the members of rollouts that ended long before r. Nobody waits for it; what a kill or a full disk
// leaves goes when the next one is added.
func (c *Catalog) forgetOldMembers(r fleet.Rollout, before []fleet.Rollout) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.later.Go(func() {
		for _, old := range before {
			if r.Number-old.Number <= keepMembers || old.State.Unfinished() || old.State == fleet.RolloutHalted {
				continue
			}
			err := c.removeMembers(rolloutMembersPrefix(old.Model, old.Number))
			if errors.Is(err, fleet.ErrFull) {
				return
			}
			if err != nil {
				c.options.Logger.Error("members of an old rollout not removed", "model", old.Model, "rollout", old.Number, "error", err)
				return
			}
		}
	})
}

// removeMembers removes all below a prefix, in pieces.
func (c *Catalog) removeMembers(prefix string) error {
	const piece = 1000
	for more := true; more; {
		op := newOperation(func(t *tx) error {
			keys, err := t.someKeys(prefix, piece)
			for _, key := range keys {
				t.delete(key)
			}
			more = len(keys) == piece
			return err
		})
		op.frees = true
		if err := c.run(context.Background(), op); err != nil {
			return err
		}
	}
	return nil
}

// leaveRollouts takes a device out of the rollouts of a model.
func (t *tx) leaveRollouts(code fleet.ModelCode, device fleet.DeviceKey) error {
	rollouts, err := t.keys(rolloutsPrefix(code))
	if err != nil {
		return err
	}
	for _, one := range rollouts {
		key := "rm" + strings.TrimPrefix(one, "r") + "/" + string(device)
		there, err := t.has(key)
		if err != nil {
			return err
		}
		if there {
			t.delete(key)
		}
	}
	return nil
}

// removeRollouts removes a model's rollouts and its plan. Its devices, who took their member records along, went before it.
func (t *tx) removeRollouts(code fleet.ModelCode) error {
	keys, err := t.keys(rolloutsPrefix(code))
	for _, key := range keys {
		t.delete(key)
	}
	t.delete(rolloutPlanKey(code))
	return err
}

// RolloutPlan is what a model's rollouts go by that name no plan.
func (c *Catalog) RolloutPlan(code fleet.ModelCode) (p fleet.Plan, found bool, err error) {
	found, err = c.find(rolloutPlanKey(code), &p)
	return p, found, err
}

// SaveRolloutPlan stores it.
func (c *Catalog) SaveRolloutPlan(ctx context.Context, code fleet.ModelCode, p fleet.Plan) error {
	return c.update(ctx, func(t *tx) error {
		if _, err := t.model(code); err != nil {
			return err
		}
		var before *fleet.Plan
		if _, err := t.get(rolloutPlanKey(code), &before); err != nil {
			return err
		}
		if before != nil && reflect.DeepEqual(*before, p) {
			return nil
		}
		t.tell(event.RolloutPlanChanged, code.ObjectOf(), facts{"before": before, "after": p})
		return t.put(rolloutPlanKey(code), p)
	})
}
