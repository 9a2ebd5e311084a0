package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/bundle"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/certificate"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/decoding"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/deviceapi"
	"github.com/slipway-gateway/slipway/pkg/dropfolder"
	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/operator"
	"github.com/slipway-gateway/slipway/pkg/systemd"
)

// Gateway is the parts, put together. What each does is its package's matter; here is who talks to whom.
type Gateway struct {
	cfg      config.Config
	binary   Binary
	logger   *slog.Logger
	fatal    chan error // holds the first error after which nobody knows what the disk holds
	started  time.Time
	watchdog *systemd.Watchdog

	store    *catalog.Catalog
	keys     *auth.Keys
	external []*auth.External
	identity *certificate.Identity
	depot    *depot.Depot
	folder   *dropfolder.Folder // nil: off
	metrics  *metrics
	triage   *crash.Triage
	source   *backup.Source
	backups  *backup.Daily // nil: off

	allDoors   http.Handler
	deviceDoor http.Handler
	doors      *ways
	gate       *endpoint.Gate

	recovered chan struct{} // closed when recovery is over
	mu        sync.Mutex    // guards dumps
	dumps     *dumps.Store  // nil: off, or not recovered yet
}

// assemble makes the parts that need nothing from disk but keys.
func (g *Gateway) assemble() (err error) {
	cfg, logger, store, watchdog := g.cfg, g.logger, g.store, g.watchdog
	if g.keys, err = auth.OpenKeys(cfg.KeysDir(), cfg.TokenAlgorithm, cfg.TokenLifetime, time.Now); err != nil {
		return err
	}
	for _, x := range cfg.Issuers {
		g.external = append(g.external, auth.NewExternal(auth.ExternalIssuer{
			Issuer: x.Issuer, JWKSURL: x.JWKSURL, Audience: x.Audience, Algorithms: x.Algorithms,
		}, logger))
	}
	g.identity, err = certificate.Open(certificate.Options{
		Dir: cfg.KeysDir(), CertFile: cfg.TLSCert, KeyFile: cfg.TLSKey, Hosts: certificate.Hosts, Built: g.binary.Built,
		Now: time.Now, Logger: logger, Beat: watchdog.Part("certificate", partPatience),
	})
	if err != nil {
		return err
	}
	g.depot = depot.New(depot.Options{
		Dir: cfg.AssetsDir, MaxBytes: cfg.FirmwareMaxBytes, KeepVersions: cfg.FirmwareKeepVersions, ELFCache: cfg.FirmwareELFCache,
		Manual: cfg.FirmwareManual, CreateModels: cfg.DropCreateModels, Reserve: Reserve, Space: SpaceOf(cfg.AssetsDir),
		Recorder: store, Waker: g, Logger: logger, Now: time.Now,
	})
	g.metrics = newMetrics(g)
	g.triage = crash.NewTriage(crash.Options{
		Store: store, Files: g, ELFs: g.depot, Decoder: decoder{&decoding.Decoder{Killed: g.metrics.workerKilled}}, Logger: logger,
		Now: time.Now, Version: g.binary.Version, CleanStop: store.LastStop(), KeepPerCrash: cfg.DumpKeepPerCrash, Beat: watchdog.Part("triage", partPatience), Observe: g.metrics.decoded, Came: g.metrics.crashCame,
	})
	g.source = &backup.Source{Catalog: store, KeysDir: cfg.KeysDir(), SettingsFile: cfg.File, Slipway: g.binary.Version, Now: time.Now}
	if cfg.CatalogBackup {
		g.backups = &backup.Daily{
			Source: g.source, Dir: cfg.BackupDir(), Space: SpaceOf(cfg.BackupDir()), Reserve: Reserve, Logger: logger, Now: time.Now,
		}
	}
	if cfg.DropDir != "" {
		if g.folder, err = dropfolder.Open(g.dropOptions()); err != nil {
			return err
		}
	}
	g.makeDoors()
	return nil
}

func (g *Gateway) dropOptions() dropfolder.Options {
	return dropfolder.Options{
		Dir: g.cfg.DropDir, Accept: g.acceptDropped, Complete: bundle.Complete, KeepDone: g.cfg.DropKeepDone,
		StalledAfter: g.cfg.DropStalledAfter, Logger: g.logger, Beat: g.watchdog.Part("drop folder", 2*time.Minute),
		Observe: func(took time.Duration, err error) { g.metrics.operations.Observe("drop_ingest", took, err != nil) },
	}
}

// acceptDropped hands a dropped bundle to the depot.
func (g *Gateway) acceptDropped(ctx context.Context, body io.Reader, size int64) (string, error) {
	accepted, err := g.depot.Accept(ctx, depot.Submission{Body: body, Size: size, Origin: fleet.FromDrop})
	return string(accepted.Build.Model) + " " + string(accepted.Build.Version), err
}

// makeDoors lays the routes: of all doors, and of the device door alone, which then serves nothing else.
func (g *Gateway) makeDoors() {
	verifier := auth.NewVerifier(g.keys, g.external, time.Now)
	issuer := &auth.Issuer{Keys: g.keys, Devices: g.store, Lifetime: g.cfg.TokenLifetime, Earliest: g.earliest, Now: time.Now}
	devices := &auth.Devices{Verifier: verifier, Secrets: issuer, Registry: g.store, Now: time.Now}
	guesses := deviceapi.NewGuesses(g.logger, time.Now)
	options := deviceapi.Options{
		Caller: deviceapi.ByCredentials(devices, guesses), Guesses: guesses, Issuer: issuer, Keys: g.keys, TokenPaths: g.cfg.TokenPaths, Images: images{g.depot},
		MaxDump: g.cfg.DumpMaxBytes,
		Provisioning: deviceapi.Provisioning{
			BaseURL: g.cfg.ProvisioningBaseURL, Extra: g.cfg.ProvisioningExtra, Required: g.cfg.ProvisioningRequired,
		},
		Uploads: deviceapi.Pace{PerMinute: g.cfg.DumpPerMinute, Burst: g.cfg.DumpBurst}, Now: time.Now,
	}
	if g.cfg.AuthDevice == "none" {
		options.Caller = deviceapi.ByWord(g.store)
	}
	if g.cfg.CoredumpsDir != "" {
		options.Dumps = g
	}
	door := deviceapi.New(options)
	alone := endpoint.NewRoutes(g.logger, g.metrics.operations)
	door.Register(alone)
	all := endpoint.NewRoutes(g.logger, g.metrics.operations)
	door.Register(all)
	operator.Register(all, operator.Options{
		Records: g.store, Firmware: shelf{g.depot}, Dumps: g, Crashes: g.store, Issuer: issuer,
		Operators: &auth.Operators{Store: g.store, Now: time.Now}, Keys: g.keys, Rebuild: g.rebuild, CA: g.identity.CA, Backup: g.source.Write, Status: g.status,
		Text: reportText, Ready: g.ready, Trouble: g.trouble, Metrics: g.metrics.handler, Counter: g.metrics.operations,
		Trusted: fromTrustedPeer, BaseURL: g.baseURL, Now: time.Now,
	})
	g.deviceDoor, g.allDoors = g.afterRecovery(alone), g.afterRecovery(all)
}

// run starts what works until the end.
func (g *Gateway) run(ctx context.Context, work *errgroup.Group) {
	for _, x := range g.external {
		work.Go(func() error { return x.Run(ctx) })
	}
	work.Go(func() error { return g.identity.Run(ctx) })
	work.Go(func() error { return g.tend(ctx) })
	if g.backups != nil {
		work.Go(func() error { return g.backups.Run(ctx) })
	}
	if g.folder != nil {
		work.Go(func() error { return g.folder.Run(ctx) })
	}
	if g.dumps != nil {
		work.Go(func() error { return g.dumps.Verify(ctx) })
		work.Go(func() error { return g.triage.Run(ctx) })
	}
}

// tend does what has to be done now and then: notes that time passes, and looks after the signing keys.
func (g *Gateway) tend(ctx context.Context) error {
	const every = time.Minute
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if now := time.Now(); !now.Before(g.earliest()) {
			if err := g.store.NoteTime(now); err != nil && !errors.Is(err, fleet.ErrFull) {
				return err
			}
		}
		if err := g.keys.Tend(); err != nil {
			g.logger.Error("signing keys not tended", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// earliest is a time that has passed for certain: a clock that says less is wrong.
func (g *Gateway) earliest() time.Time {
	known, err := g.store.LastKnownTime()
	if err != nil || known.Before(g.binary.Built) {
		return g.binary.Built
	}
	return known
}

// BuildArrived is the depot's waker.
func (g *Gateway) BuildArrived(ctx context.Context, b fleet.Build) error {
	return g.triage.BuildArrived(ctx, b)
}
