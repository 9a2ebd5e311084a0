package catalog

import (
	"context"
	"errors"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// RecordCrash stores what became of a dump. A reported one is counted into its group, once, and the dumps that storm
// control may remove are named: of one fingerprint and version the first and the last keep stay; 0 keeps all. A dump
// that was removed meanwhile is ErrUnknown. Whoever had asked for it when it was begun, see [Catalog.AskAgain], has got it.
//
// Storm control goes by chain and not by group: each chain keeps dumps of its own, so that a group that should not be one
// can be split, and what its chains are can be seen.
func (c *Catalog) RecordCrash(ctx context.Context, one crash.Crash, keep int) (crash.Outcome, error) {
	var out crash.Outcome
	err := c.update(ctx, func(t *tx) (err error) {
		out, err = t.recordCrash(one, keep)
		return err
	})
	return out, err
}

// RecordCrashes does so for many, in their order and with as few commits as hold them, and calls done for each once it is
// stored, or was refused. What is wrong with one of them keeps no other from being stored.
func (c *Catalog) RecordCrashes(ctx context.Context, some []crash.Crash, keep int, done func(crash.Crash, crash.Outcome, error)) {
	for len(some) > 0 {
		var outcomes []crash.Outcome
		err := c.update(ctx, func(t *tx) error {
			for _, one := range some {
				if len(outcomes) > 0 && !t.hasRoom() {
					break
				}
				out, err := t.recordCrash(one, keep)
				if err != nil {
					return err
				}
				outcomes = append(outcomes, out)
			}
			return nil
		})
		if err == nil {
			for i, out := range outcomes {
				done(some[i], out, nil)
			}
			some = some[len(outcomes):]
			continue
		}
		n := min(len(outcomes)+1, len(some)) // none of them is stored: each by itself, the one that it failed at, too
		for _, one := range some[:n] {
			out, err := c.RecordCrash(ctx, one, keep)
			done(one, out, err)
		}
		some = some[n:]
	}
}

// recordCrash is the change itself, see [Catalog.RecordCrash].
func (t *tx) recordCrash(one crash.Crash, keep int) (out crash.Outcome, err error) {
	var before crash.Crash
	found, err := t.get(crashKey(one.Device, one.Name), &before)
	if err != nil {
		return out, err
	}
	if !found {
		return out, unknownDump(one.Device, one.Name)
	}
	if one.Again != nil {
		one.Again = nil
	} else {
		one.Again = before.Again // they asked since it was begun
	}
	if err := errors.Join(t.countElsewhere(before, one), t.tellAgain(before, one)); err != nil {
		return out, err
	}
	if !grouped(one) {
		return out, t.putCrash(one)
	}
	switch {
	case !grouped(before):
		one.News, err = t.countCrash(one)
		out.News = one.News
	case before.Fingerprint != one.Fingerprint: // decoded again, by rules or with symbols that have changed
		one.News, err = before.News, t.moveCrash(before, one)
	default:
		one.News = before.News
	}
	if err != nil {
		return out, err
	}
	if out.Group, _, err = t.group(one.Fingerprint); err != nil {
		return out, err
	}
	t.tellNews(out.Group, one, out.News)
	if err := t.putCrash(one); err != nil {
		return out, err
	}
	if keep > 0 {
		out.Surplus, err = t.surplus(one, keep)
	}
	return out, err
}

// surplus names what lies between the first and the last keep dumps of a chain and version.
func (t *tx) surplus(c crash.Crash, keep int) ([]crash.Ref, error) {
	keys, err := t.keys(versionDumpsPrefix(c.Fingerprint, c.Version))
	if err != nil || len(keys) <= 2*keep {
		return nil, err
	}
	return refs(keys[keep : len(keys)-keep])
}
