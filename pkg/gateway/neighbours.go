package gateway

import (
	"context"
	"encoding/json"
	"os"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/decoding"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/deviceapi"
	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// The parts know each other through the few methods that they declare. Where two say the same in other words, the
// translation is here.

// images is the depot as devices see it.
type images struct{ *depot.Depot }

func (i images) OpenImage(m fleet.Model, v fleet.Version) (deviceapi.Image, error) {
	fw, err := i.Depot.OpenImage(m, v)
	return deviceapi.Image{File: fw.File, Size: fw.Size, Version: fw.Version, ETag: fw.ETag}, err
}

// shelf is the depot as operators see it.
type shelf struct{ *depot.Depot }

func (s shelf) Accept(ctx context.Context, u operator.Upload) (operator.Accepted, error) {
	a, err := s.Depot.Accept(ctx, depot.Submission{Model: u.Model, Body: u.Body, Size: u.Size, Origin: fleet.FromAPI, Replace: u.Replace})
	return operator.Accepted{
		Code: a.Build.Model, Version: a.Build.Version, Kind: string(a.Kind), Published: a.Published, Changed: a.Changed,
		Warnings: a.Warnings, Build: a.Build,
	}, err
}

func (s shelf) OpenImage(m fleet.Model, v fleet.Version) (*os.File, fleet.Version, string, error) {
	fw, err := s.Depot.OpenImage(m, v)
	return fw.File, fw.Version, fw.ETag, err
}

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

// decoder is the worker as triage sees it.
type decoder struct{ *decoding.Decoder }

func (d decoder) Identify(ctx context.Context, dumps []string) ([]crash.Identity, error) {
	found, err := d.Decoder.Identify(ctx, dumps)
	identities := make([]crash.Identity, len(found))
	for i, f := range found {
		identities[i] = crash.Identity{ELFHash: f.ELFHash, Failure: f.Failure}
	}
	return identities, err
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
