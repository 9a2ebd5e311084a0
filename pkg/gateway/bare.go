package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/durable"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/systemd"
)

// bare is a gateway whose disk takes nothing, and whose catalog cannot be read either: there was no room for a copy. It serves
// keys, and images by their version to devices whose token the gateway has signed. Which build a device is offered only the
// catalog knows (it may be pinned), and who was revoked: so it offers none, and a token lasts a day at most.
type bare struct {
	why      error
	verifier *auth.Verifier
	keys     *auth.Keys
	images   *depot.Depot
	ca       func() ([]byte, error)
	trouble  func() []string
}

// noRecords are those of a catalog that is not there, for a depot that only opens images. Nobody knows their hashes then.
type noRecords struct{ *catalog.Catalog }

func (noRecords) Build(fleet.ModelCode, fleet.Version) (fleet.Build, error) {
	return fleet.Build{}, fleet.Unknown("the catalog is not read")
}

func (noRecords) Model(code fleet.ModelCode) (fleet.Model, error) {
	return fleet.Model{Code: code}, nil
}

// openBare opens what needs no catalog. It makes no key and no CA: which there were only the catalog knows.
func (g *Gateway) openBare(why error) error {
	keys, err := auth.ReadKeys(g.cfg.KeysDir(), g.cfg.TokenAlgorithm, g.cfg.TokenLifetime, time.Now)
	if err := g.readKeys(keys, err, true); err != nil {
		return errors.Join(why, err)
	}
	g.metrics = newMetrics()
	images := depot.New(depot.Options{Dir: g.cfg.AssetsDir, Recorder: noRecords{}, Logger: g.logger, Now: time.Now})
	disks := &storage{dirs: []string{g.cfg.StateDir, g.cfg.CatalogDir}}
	g.bare = &bare{why, auth.NewVerifier(g.keys, nil, time.Now), g.keys, images, g.identity.CA, disks.diskTrouble}
	return nil
}

// runBare serves until the catalog's disk takes something, or ctx ends. The process then ends in order, and its unit starts it
// again: with everything.
func (g *Gateway) runBare(ctx context.Context) error {
	g.logger.Error("catalog not read: only keys, and images by their version, are served until its disk takes something", "reason", g.bare.why)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work, working := errgroup.WithContext(ctx)
	handler := g.bare.handler(endpoint.NewRoutes(g.logger, g.metrics.operations), endpoint.Only(g.logger, &endpoint.Error{
		Status: http.StatusServiceUnavailable, Code: "away", Message: "the gateway cannot read its records: its disk takes nothing",
		Header: http.Header{"Retry-After": {"30"}},
	}, nil))
	work.Go(func() error {
		return endpoint.Serve(working, g.logger, g.doors.endpoints(handler, handler, g.identity, g.gate)...)
	})
	work.Go(func() error { return g.identity.Run(working) })
	work.Go(func() error { return systemd.NewWatchdog(g.logger).Run(working) })
	if err := systemd.Ready(); err != nil {
		g.logger.Warn("systemd not notified", "state", "ready", "error", err)
	}
	g.logger.Info("gateway ready", "slipway", g.binary.Version, "listens_on", g.doors.addresses())
	g.awaitDisk(working)
	cancel()
	return ignoreCancel(work.Wait())
}

// awaitDisk returns when the catalog could be opened, or ctx ends.
func (g *Gateway) awaitDisk(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		free, _, err := SpaceOf(g.cfg.CatalogDir)()
		if err == nil && free >= Reserve/2 && durable.Probe(g.cfg.CatalogDir) == nil {
			g.logger.Info("the disk takes something: ending, to be started with everything")
			return
		}
	}
}

// handler answers what can be answered, and everything else with none.
func (b *bare) handler(rs *endpoint.Routes, none http.Handler) http.Handler {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		rs.Handle(method, "/api/iot/firmware/{version}", "iot_get_firmware", b.image)
	}
	rs.Handle(http.MethodGet, "/.well-known/jwks.json", "", func(w http.ResponseWriter, _ *http.Request) error {
		return endpoint.WriteJSON(w, http.StatusOK, b.keys.Public())
	})
	rs.Handle(http.MethodGet, "/ca.crt", "", func(w http.ResponseWriter, _ *http.Request) error {
		ca, err := b.ca()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/x-pem-file")
		return endpoint.Write(w, http.StatusOK, ca)
	})
	rs.Handle(http.MethodGet, "/api/health", "", func(w http.ResponseWriter, _ *http.Request) error {
		return endpoint.WriteJSON(w, http.StatusOK, api.Health{Status: "degraded", Trouble: append(b.trouble(), b.why.Error())})
	})
	mux := http.NewServeMux()
	mux.Handle("/", none)
	for _, path := range []string{"/api/iot/firmware/{version}", "/.well-known/jwks.json", "/ca.crt", "/api/health"} {
		mux.Handle(path, rs)
	}
	return mux
}

// image answers a device with an image of its model.
func (b *bare) image(w http.ResponseWriter, r *http.Request) error {
	id, err := b.verifier.Verify(endpoint.Bearer(r))
	if err != nil {
		return endpoint.Errorf(http.StatusUnauthorized, "token_invalid", "the token does not verify").Because(err)
	}
	endpoint.ShowedCredentials(w)
	v, err := fleet.ParseVersion(r.PathValue("version"))
	if err == nil {
		var image fleet.Image
		if image, err = b.images.OpenImage(fleet.Model{Code: id.Model}, v); err == nil {
			defer image.File.Close()
			h := w.Header()
			h.Set("Content-Type", "application/octet-stream")
			h.Set("ETag", image.ETag)
			h.Set("X-Firmware-Version", string(image.Version))
			return endpoint.ServeContent(w, r, time.Time{}, image.Size, image.File)
		}
	}
	if errors.Is(err, fleet.ErrUnknown) {
		return endpoint.Errorf(http.StatusNotFound, "unknown", "unknown firmware").Because(err)
	}
	return err
}
