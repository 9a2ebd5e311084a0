package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The parts know each other through the few methods that they declare. Where two say the same in other words, the
// translation is here.

// dumpIndex is the catalog as the dump directories see it: what it has recorded wakes triage.
type dumpIndex struct {
	*catalog.Catalog
	waker *waker
	debt  *debt
}

func (x dumpIndex) RecordDumpLater(d fleet.Dump) {
	x.Catalog.RecordDumpLater(d, func(err error) {
		if x.debt.of(err) == nil {
			x.waker.dumpArrived()
		}
	})
}

func (x dumpIndex) RecordDumps(ctx context.Context, all []fleet.Dump) error {
	return x.debt.of(x.Catalog.RecordDumps(ctx, all))
}

func (x dumpIndex) RemoveDump(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	return x.debt.of(x.Catalog.RemoveDump(ctx, key, name))
}

// debt is that the catalog lacks something which lies on the disk, or knows something which does not. [storage] pays it.
type debt struct{ owed atomic.Bool }

// of is err, and owes what it kept the catalog from.
func (d *debt) of(err error) error {
	if err != nil {
		d.owed.Store(true)
	}
	return err
}

// waker tells triage what came. Depot and dumps are made before triage, which reads from both.
type waker struct {
	triage *crash.Triage
	came   func(context.Context, fleet.Build)
}

// BuildArrived is called by the depot.
func (w *waker) BuildArrived(ctx context.Context, b fleet.Build) error {
	err := w.triage.BuildArrived(ctx, b)
	w.came(ctx, b)
	return err
}

func (w *waker) dumpArrived() { w.triage.Wake() }

// decodings are the dump directories with what decodes them, for people.
type decodings struct {
	*dumpFront
	triage *crash.Triage
}

// DecodeAgain refuses where dumps are off: nobody would do it.
func (d decodings) DecodeAgain(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	if _, err := d.opened(); err != nil {
		return err
	}
	return d.triage.DecodeAgain(ctx, key, name)
}

// DecodeGroupAgain likewise.
func (d decodings) DecodeGroupAgain(ctx context.Context, address string, after crash.Ref) (crash.AskedAgain, error) {
	if _, err := d.opened(); err != nil {
		return crash.AskedAgain{}, err
	}
	return d.triage.DecodeGroupAgain(ctx, address, after)
}

// reportText is a report as people read it.
func reportText(packed []byte) (string, error) {
	var report espcore.Report
	if err := json.Unmarshal(packed, &report); err != nil {
		return "", err
	}
	var text strings.Builder
	err := report.WriteText(&text)
	return text.String(), err
}
