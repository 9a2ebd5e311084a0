package gateway

import (
	"context"
	"encoding/json"
	"strings"

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
}

func (x dumpIndex) RecordDumpLater(d fleet.Dump) {
	x.Catalog.RecordDumpLater(d, x.waker.dumpArrived)
}

// waker tells triage what came. Depot and dumps are made before triage, which reads from both.
type waker struct{ triage *crash.Triage }

// BuildArrived is called by the depot.
func (w *waker) BuildArrived(ctx context.Context, b fleet.Build) error {
	return w.triage.BuildArrived(ctx, b)
}

func (w *waker) dumpArrived() { w.triage.Wake() }

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
