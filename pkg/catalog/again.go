package catalog

import (
	"context"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// AskAgain notes that whoever acts wants a dump decoded anew. One that waits for its turn as it is, or that somebody has
// asked for, stays as it is.
func (c *Catalog) AskAgain(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	return c.update(ctx, func(t *tx) error {
		var one crash.Crash
		found, err := t.get(crashKey(key, name), &one)
		switch {
		case err != nil:
			return err
		case !found:
			return unknownDump(key, name)
		case one.State == crash.Waiting || one.Again != nil:
			return nil
		}
		one.Again = &crash.Asked{By: t.by.Actor, From: t.by.From, At: t.now.UTC()}
		return t.putCrash(one)
	})
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
