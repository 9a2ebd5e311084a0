package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/decoding"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/deviceapi"
	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/durable"
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

// dumpIndex is the catalog as the dump directories see it.
type dumpIndex struct {
	*catalog.Catalog
	g *Gateway
}

func (x dumpIndex) RecordDumpLater(d fleet.Dump) {
	x.Catalog.RecordDumpLater(d, x.g.triage.Wake)
}

// The gateway is the dump directories as the doors see them: a store that is there once recovery is over.

func (g *Gateway) dumpStore() (*dumps.Store, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dumps == nil {
		return nil, fleet.Unknown("core dumps are not configured")
	}
	return g.dumps, nil
}

// Write stores a dump. After a failed sync nobody knows what the disk holds: the process ends and recovers.
func (g *Gateway) Write(ctx context.Context, d fleet.Dump, body io.Reader, size int64) (fleet.Dump, error) {
	store, err := g.dumpStore()
	if err != nil {
		return d, err
	}
	d, err = store.Write(ctx, d, body, size)
	var unsynced *durable.SyncError
	if errors.As(err, &unsynced) {
		g.fail(err)
	}
	return d, err
}

// OpenDump opens a dump's bytes.
func (g *Gateway) OpenDump(key fleet.DeviceKey, name fleet.DumpName) (*os.File, error) {
	store, err := g.dumpStore()
	if err != nil {
		return nil, err
	}
	return store.OpenDump(key, name)
}

// ReadReport reads a dump's report.
func (g *Gateway) ReadReport(key fleet.DeviceKey, name fleet.DumpName) ([]byte, error) {
	store, err := g.dumpStore()
	if err != nil {
		return nil, err
	}
	return store.ReadReport(key, name)
}

// Remove removes a dump.
func (g *Gateway) Remove(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	store, err := g.dumpStore()
	if err != nil {
		return err
	}
	return store.Remove(ctx, key, name)
}

// Path is where a dump lies.
func (g *Gateway) Path(key fleet.DeviceKey, name fleet.DumpName) string {
	return filepath.Join(g.cfg.CoredumpsDir, string(key), string(name)+".dmp")
}

// WriteReport lays a report beside its dump.
func (g *Gateway) WriteReport(key fleet.DeviceKey, name fleet.DumpName, report []byte) error {
	store, err := g.dumpStore()
	if err != nil {
		return err
	}
	return store.WriteReport(key, name, report)
}

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
