package catalog

import (
	"context"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// AskAgain notes that whoever acts wants a dump decoded anew. One that waits for its turn as it is, or that somebody has
// asked for, stays as it is.
func (c *Catalog) AskAgain(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	return c.update(ctx, func(t *tx) error {
		found, err := t.askAgain(crash.Ref{Device: key, Name: name})
		if err == nil && !found {
			err = unknownDump(key, name)
		}
		return err
	})
}

// AskGroupAgain does so for the dumps of a group that are still there: for so many, newest first, and those behind one where that is
// named. The rest is left where there are more, and begins behind the last one.
func (c *Catalog) AskGroupAgain(ctx context.Context, address string, after crash.Ref, limit int) (asked crash.AskedAgain, err error) {
	var piece []crash.Ref
	err = c.view(func(txn *badger.Txn) error {
		piece, err = keptOf(txn, address)
		return err
	})
	if err != nil {
		return asked, err
	}
	if asked.Kept = len(piece); after.Name != "" {
		piece = slices.DeleteFunc(piece, func(r crash.Ref) bool { return byAge(r, after) <= 0 })
	}
	if len(piece) > limit {
		piece = piece[:limit]
		asked.Next = piece[limit-1]
	}
	if len(piece) == 0 {
		return asked, nil
	}
	err = c.update(ctx, func(t *tx) error {
		asked.Dumps = 0
		for _, r := range piece {
			found, err := t.askAgain(r)
			if err != nil {
				return err
			}
			if found { // else it was removed in between
				asked.Dumps++
			}
		}
		return nil
	})
	return asked, err
}

func (t *tx) askAgain(r crash.Ref) (found bool, err error) {
	var one crash.Crash
	if found, err = t.get(crashKey(r.Device, r.Name), &one); err != nil || !found || one.State == crash.Waiting || one.Again != nil {
		return found, err
	}
	one.Again = &crash.Asked{By: t.by.Actor, From: t.by.From, At: t.now.UTC()}
	return true, t.putCrash(one)
}

// AskedCrashes are the dumps that people want decoded anew, oldest upload first. One whose firmware has come meanwhile is
// among those that wait; of one that an older version has recorded meanwhile, which knows of no asking, a key is left.
func (c *Catalog) AskedCrashes(limit int) ([]crash.Crash, error) {
	var crashes []crash.Crash
	err := c.eachCrashBelow(askedPrefix, func(one crash.Crash) error {
		if one.State == crash.Waiting || one.Again == nil {
			return nil
		}
		if crashes = append(crashes, one); len(crashes) == limit {
			return errStop
		}
		return nil
	})
	return crashes, err
}

// KeepCrash notes that a dump which somebody wanted decoded anew was looked at and stays as it was, and why.
func (c *Catalog) KeepCrash(ctx context.Context, one crash.Crash, why string) error {
	return c.update(ctx, func(t *tx) error {
		var before crash.Crash
		found, err := t.get(crashKey(one.Device, one.Name), &before)
		switch {
		case err != nil:
			return err
		case !found:
			return unknownDump(one.Device, one.Name)
		}
		now := before
		now.Again, now.Why = nil, why
		if err := t.tellAgain(before, now); err != nil {
			return err
		}
		return t.putCrash(now)
	})
}

// tellAgain tells of a dump that was decoded before, and is decoded anew: as a person asked for, each time, and in their name;
// by a gateway that knows more, or as its report was lost, once an hour.
func (t *tx) tellAgain(before, after crash.Crash) error {
	details := facts{"model": after.Model, "dump": after.Name, "before": before.State, "after": after.State}
	if asked := before.Again; asked != nil && after.Again == nil {
		if after.Why != "" {
			details["why"] = after.Why
		}
		t.tellOf(event.By{Actor: asked.By, From: asked.From}, event.DumpDecodedAgain, dumpObject(after.Device, after.Name), details)
		return nil
	}
	decoded := func(s crash.State) bool { return s == crash.Reported || s == crash.Failed }
	if !decoded(before.State) || !decoded(after.State) {
		return nil
	}
	return t.tellPaced(paced{Topic: "dump_decoded_again", Kind: event.DumpDecodedAgain, Details: details}, after.Device)
}
