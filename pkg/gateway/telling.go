package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What the gateway does and what befalls it is told here; what is done to its records tells of itself.

// failures are those of strangers, which are told of once a minute.
type failures struct {
	signIns event.Tally
	tokens  event.Tally
}

var gatewayObject = fleet.Object{Type: "gateway"}

type facts map[string]any

// started tells of a start. The first event of a gateway says that of what was before it nothing is recorded: its older
// models, devices and builds have no other beginning.
func (g *Gateway) started(ctx context.Context) error {
	last, err := g.store.LastEvent()
	if err != nil {
		return err
	}
	details := facts{"slipway": g.binary.Version}
	if last.Seq == 0 {
		details["before"] = "none recorded"
	}
	err = g.store.Record(ctx, event.GatewayStarted, gatewayObject, details)
	if fleet.Told(err) {
		g.untold.Store(true)
		return nil
	}
	return err
}

// stopped tells of a clean stop, once nothing works any more.
func (g *Gateway) stopped() {
	ctx := context.Background()
	err := errors.Join(g.tellFailures(ctx), g.store.Record(ctx, event.GatewayStopped, gatewayObject, nil))
	if err != nil {
		g.logger.Error("stop not told", "error", err)
	}
}

// tell tells now and then: of troubles that began and ended, of strangers who failed, of what devices do often; and
// once a day it has the journal note the end of the chain, which is the anchor outside.
func (g *Gateway) tell(ctx context.Context) error {
	const every, daily = time.Minute, 24 * time.Hour
	tick := time.NewTicker(every)
	defer tick.Stop()
	var known []trouble
	var noted time.Time
	failing := failing{}
	for {
		var err error
		known, err = g.tellTroubles(ctx, known)
		err = errors.Join(err, g.tellFailures(ctx), g.store.TellPaced(ctx), g.store.EndAdoptions(ctx, time.Now()), g.store.EndIgnoring(ctx, time.Now()))
		if g.recovery.isOver() {
			err = errors.Join(err, g.needs.Forget(ctx))
		}
		if now := time.Now(); err == nil && now.Sub(noted) >= daily {
			noted, err = now, g.noteEnd()
		}
		if failing.began("tell", err) && ctx.Err() == nil && !fleet.Told(err) { // which the journal has its own line for
			g.logger.Error("events not recorded", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Gateway) noteEnd() error {
	last, err := g.store.LastEvent()
	if err == nil {
		g.logger.Info("newest event", "seq", last.Seq, "hash", last.Hash)
	}
	return err
}

// tellTroubles tells what is wrong now and was not, and what was and is not. It returns what is known to have been told.
// Trouble whose sentence changes, as it has a time or a number in it, goes on: it ends with the words that it began with.
func (g *Gateway) tellTroubles(ctx context.Context, known []trouble) ([]trouble, error) {
	now := g.whole.troubles()
	for _, one := range now {
		if slices.ContainsFunc(known, one.same) {
			continue
		}
		if err := g.store.Record(ctx, event.TroubleBegan, gatewayObject, facts{"trouble": one.text}); err != nil {
			return known, err
		}
		known = append(known, one)
	}
	for _, one := range slices.Clone(known) {
		if slices.ContainsFunc(now, one.same) {
			continue
		}
		if err := g.store.Record(ctx, event.TroubleEnded, gatewayObject, facts{"trouble": one.text}); err != nil {
			return known, err
		}
		known = slices.DeleteFunc(known, one.same)
	}
	return known, nil
}

func (g *Gateway) tellFailures(ctx context.Context) error {
	tell := func(kind fleet.EventKind) func(fleet.Object, int) error {
		return func(source fleet.Object, n int) error { return g.store.Record(ctx, kind, source, facts{"failures": n}) }
	}
	return errors.Join(g.failures.signIns.Tell(tell(event.SignInFailed)), g.failures.tokens.Tell(tell(event.TokenRequestFailed)))
}

// backupMade tells of a copy that the gateway made by itself, or because somebody wanted it.
func (g *Gateway) backupMade(ctx context.Context, name string, size int64, records int) {
	err := g.store.Record(context.WithoutCancel(ctx), event.BackupCreated, gatewayObject, facts{"file": name, "bytes": size, "records": records})
	if err != nil {
		g.logger.Error("backup not told", "file", name, "error", err)
	}
}

// dropRejected tells of a dropped file that is about to be moved to the rejected ones.
func (g *Gateway) dropRejected(ctx context.Context, name, reason string) {
	err := g.store.Record(ctx, event.DropRejected, fleet.Object{Type: "drop", ID: name}, facts{"reason": reason})
	if err != nil {
		g.logger.Error("rejected drop not told", "file", name, "error", err)
	}
}

// tellKey tells that the signing keys have rotated by themselves since a key was the newest.
func (g *Gateway) tellKey(ctx context.Context, before string) {
	if g.newestKey() == before {
		return
	}
	if err := g.store.Record(ctx, event.KeysRotated, gatewayObject, nil); err != nil {
		g.logger.Error("rotation of keys not told", "error", err)
	}
}

// newestKey is the signing key that was made last.
func (g *Gateway) newestKey() string {
	keys := g.keys.Public().Keys
	return keys[len(keys)-1].KeyID
}
