package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/pkg/access"
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
	"github.com/slipway-gateway/slipway/pkg/mqtt"
	"github.com/slipway-gateway/slipway/pkg/operator"
	"github.com/slipway-gateway/slipway/pkg/page"
	"github.com/slipway-gateway/slipway/pkg/rollout"
	"github.com/slipway-gateway/slipway/pkg/sighting"
	"github.com/slipway-gateway/slipway/pkg/systemd"
	"github.com/slipway-gateway/slipway/pkg/webhook"
)

// Gateway is the parts, put together. What each does is its package's matter; here is who talks to whom.
type Gateway struct {
	cfg      config.Config
	binary   Binary
	logger   *slog.Logger
	watchdog *systemd.Watchdog
	clock    clock
	ballast  *ballast

	store     *catalog.Catalog
	keys      *auth.Keys
	external  []*auth.External
	identity  *certificate.Identity
	depot     *depot.Depot
	dumps     *dumpFront
	triage    *crash.Triage
	folder    *dropfolder.Folder // nil: off
	backups   *backup.Daily      // nil: off
	book      *sighting.Book
	rollouts  *rollout.Rollouts
	turns     chan turn
	devices   *deviceapi.Door
	broker    *mqtt.Broker   // nil: off
	people    *access.Issuer // that they sign in at; nil: off
	webhooks  *webhook.Courier
	operators *auth.Operators
	recovery  *recovery
	storage   *storage
	debt      debt
	metrics   *metrics
	whole     *overview
	needs     operator.Troubles
	failures  failures
	bare      *bare       // nil: there is a catalog
	untold    atomic.Bool // the start, as the disk took nothing

	doors      *ways
	gate       *endpoint.Gate
	allDoors   http.Handler
	deviceDoor http.Handler
}

// assemble makes the parts that need nothing from disk but keys, in the order in which they need each other.
func (g *Gateway) assemble() (err error) {
	g.clock = clock{g.store, g.binary.Built}
	if err := g.openKeys(); err != nil {
		return err
	}
	g.metrics = newMetrics()
	wake := &waker{}
	g.depot = depot.New(g.depotOptions(wake))
	if err := g.openBook(); err != nil {
		return err
	}
	g.dumps = &dumpFront{options: g.dumpOptions(wake)}
	g.triage = crash.NewTriage(g.triageOptions())
	wake.triage, wake.came = g.triage, g.rollOut
	g.recovery = &recovery{store: g.store, depot: g.depot, dumps: g.dumps, book: g.book, over: make(chan struct{})}
	source := &backup.Source{
		Catalog: g.store, KeysDir: g.cfg.KeysDir(), SettingsFile: g.cfg.File, Slipway: g.binary.Version, Now: time.Now,
	}
	if g.cfg.CatalogBackup {
		dir := g.cfg.BackupDir()
		g.backups = &backup.Daily{Source: source, Dir: dir, Space: SpaceOf(dir), Reserve: Reserve, Made: g.backupMade, Logger: g.logger, Now: time.Now, Believed: g.clock.believed}
	}
	if g.cfg.DropDir != "" {
		if g.folder, err = dropfolder.Open(g.dropOptions()); err != nil {
			return err
		}
	}
	if err := g.openBroker(); err != nil {
		return err
	}
	if err := g.openIssuer(); err != nil {
		return err
	}
	if err := g.openRollouts(); err != nil {
		return err
	}
	g.webhooks = webhook.New(webhook.Options{
		Store: g.store, Agent: "slipway/" + g.binary.Version, Loopback: g.cfg.WebhooksLoopback, Counted: g.metrics.delivered,
		Logger: g.logger, Now: time.Now, After: time.After,
	})
	g.storage = g.newStorage()
	whole := &overview{
		cfg: g.cfg, binary: g.binary, started: time.Now(), clock: g.clock, recovery: g.recovery, store: g.store, depot: g.depot,
		dumps: g.dumps, book: g.book, lostKey: g.lostKey, identity: g.identity, folder: g.folder, backups: g.backups, source: source, doors: g.doors, gate: g.gate,
		storage: g.storage, broker: g.broker, rollouts: g.rollouts, webhooks: g.webhooks,
	}
	g.metrics.registry.MustRegister(newStock(whole, g.logger), newRolloutStock(whole, g.logger))
	g.whole = whole
	g.makeDoors(whole)
	return nil
}

// openKeys opens who signs, whose tokens count, and the TLS identity.
func (g *Gateway) openKeys() error {
	if err := g.lostKey(); err != nil {
		return orRestore(g.cfg, err)
	}
	keys, err := auth.OpenKeys(g.cfg.KeysDir(), g.cfg.TokenAlgorithm, g.cfg.TokenLifetime, time.Now)
	if err := g.readKeys(keys, err, false); err != nil {
		return err
	}
	if err := g.noteKeys(context.Background()); err != nil && !errors.Is(err, fleet.ErrFull) { // then they are noted later
		return err
	}
	return nil
}

// readKeys is openKeys without what the catalog knows of them. Kept has it make no CA.
func (g *Gateway) readKeys(keys *auth.Keys, err error, kept bool) error {
	if err != nil {
		return orRestore(g.cfg, err)
	}
	g.keys = keys
	for _, x := range g.cfg.Issuers {
		g.external = append(g.external, auth.NewExternal(auth.ExternalIssuer{
			Issuer: x.Issuer, JWKSURL: x.JWKSURL, Audience: x.Audience, Algorithms: x.Algorithms,
		}, g.logger))
	}
	g.identity, err = certificate.Open(certificate.Options{
		Dir: g.cfg.KeysDir(), CertFile: g.cfg.TLSCert, KeyFile: g.cfg.TLSKey, RSA: g.cfg.TLSRSA, Kept: kept, Hosts: certificate.Hosts, Built: g.binary.Built,
		Now: time.Now, Logger: g.logger, Beat: g.watchdog.Part("certificate", partPatience),
	})
	if err != nil && g.cfg.TLSCert == "" {
		err = orRestore(g.cfg, err)
	}
	return err
}

func (g *Gateway) depotOptions(wake *waker) depot.Options {
	return depot.Options{
		Dir: g.cfg.AssetsDir, MaxBytes: g.cfg.FirmwareMaxBytes, KeepVersions: g.cfg.FirmwareKeepVersions, ELFCache: g.cfg.FirmwareELFCache,
		Manual: g.cfg.FirmwareManual, Holds: g.holdsBuild, CreateModels: g.cfg.DropCreateModels, Reserve: Reserve, Space: SpaceOf(g.cfg.AssetsDir),
		Recorder: g.store, Waker: wake, Logger: g.logger, Now: time.Now,
	}
}

func (g *Gateway) dumpOptions(wake *waker) dumps.Options {
	return dumps.Options{
		Dir: g.cfg.CoredumpsDir, MaxBytes: g.cfg.DumpMaxBytes, KeepPerDevice: g.cfg.DumpKeepPerDevice,
		MaxUse: g.cfg.DumpMaxUse.Of, KeepFree: g.cfg.DumpKeepFree.Of, Reserve: Reserve, Space: SpaceOf(g.cfg.CoredumpsDir),
		Index: dumpIndex{g.store, wake, &g.debt}, Logger: g.logger, Now: time.Now, CleanStop: g.store.LastStop(),
	}
}

func (g *Gateway) triageOptions() crash.Options {
	return crash.Options{
		Store: g.store, Files: g.dumps, ELFs: g.depot, Watcher: g.book, Decoder: &decoding.Decoder{Killed: g.metrics.workerKilled},
		Logger: g.logger, Now: time.Now, Version: g.binary.Version, CleanStop: g.store.LastStop(), KeepPerCrash: g.cfg.DumpKeepPerCrash,
		Beat: g.watchdog.Part("triage", partPatience), Observe: g.metrics.decoded, Came: g.crashCame,
	}
}

func (g *Gateway) dropOptions() dropfolder.Options {
	return dropfolder.Options{
		Rejected: g.dropRejected, Dir: g.cfg.DropDir, Accept: g.acceptDropped, Complete: bundle.Complete, KeepDone: g.cfg.DropKeepDone,
		StalledAfter: g.cfg.DropStalledAfter, Logger: g.logger, Beat: g.watchdog.Part("drop folder", 2*time.Minute),
		Observe: func(took time.Duration, err error) { g.metrics.operations.Observe("drop_ingest", took, err != nil) },
	}
}

// acceptDropped hands a dropped bundle to the depot.
func (g *Gateway) acceptDropped(ctx context.Context, body io.Reader, size int64) (string, error) {
	accepted, err := g.depot.Accept(ctx, fleet.Submission{Body: body, Size: size, Origin: fleet.FromDrop})
	return string(accepted.Build.Model) + " " + string(accepted.Build.Version), err
}

// newStorage is what watches the disks and the stores on them.
func (g *Gateway) newStorage() *storage {
	dirs := []string{g.cfg.StateDir, g.cfg.CatalogDir, g.cfg.AssetsDir}
	if g.cfg.CoredumpsDir != "" {
		dirs = append(dirs, g.cfg.CoredumpsDir)
	}
	return &storage{
		dirs: dirs, faults: []func() string{g.store.Fault, g.depot.Fault, g.dumps.Fault}, again: g.resume, debt: &g.debt, logger: g.logger,
	}
}

// makeDoors lays the routes: of all doors, and of only the device door, which then serves nothing else.
func (g *Gateway) makeDoors(whole *overview) {
	verifier := auth.NewVerifier(g.keys, g.external, time.Now)
	issuer := &auth.Issuer{Keys: g.keys, Devices: g.store, Adopter: g.store, Lifetime: g.cfg.TokenLifetime, Earliest: g.clock.earliest, Now: time.Now}
	devices := &auth.Devices{Verifier: verifier, Secrets: issuer, Registry: g.store, Now: time.Now}
	guesses := deviceapi.NewGuesses(g.logger, g.failures.tokens.Count, time.Now)
	options := deviceapi.Options{
		Caller: deviceapi.ByCredentials(devices, g.store, guesses), Guesses: guesses, Issuer: issuer, Keys: g.keys, TokenPaths: g.cfg.TokenPaths, Images: g.depot,
		Offers: offers{g.store, g.rollouts}, MaxDump: g.cfg.DumpMaxBytes,
		Provisioning: deviceapi.Provisioning{
			BaseURL: g.cfg.ProvisioningBaseURL, Extra: g.cfg.ProvisioningExtra, Required: g.cfg.ProvisioningRequired,
		},
		Uploads: deviceapi.Pace{PerMinute: g.cfg.DumpPerMinute, Burst: g.cfg.DumpBurst}, Sightings: g.book, Now: time.Now,
		Controllers: controllers{g.store, g.book}, Tenant: g.cfg.HawkbitTenant,
	}
	if g.cfg.AuthDevice == "none" {
		options.Caller = deviceapi.ByWord(g.store)
	}
	if g.cfg.CoredumpsDir != "" {
		options.Dumps = g.dumps
	}
	door := deviceapi.New(options)
	g.devices = door
	alone := endpoint.NewRoutes(g.logger, g.metrics.operations)
	door.Register(alone)
	all := endpoint.NewRoutes(g.logger, g.metrics.operations)
	door.Register(all)
	operators := &auth.Operators{Store: g.store, Now: time.Now}
	g.operators = operators
	who := access.New(access.Options{Tokens: operators, Sessions: g.store, Socket: whole, Issuer: g.people, Failures: &g.failures.signIns, Now: time.Now})
	dropped := &drops{g.folder, g.store}
	people := operator.Options{
		Records: g.store, Sightings: g.book, Rollouts: g.rollouts, Offers: offers{g.store, g.rollouts}, Firmware: g.depot, Dumps: decodings{g.dumps, g.triage}, Crashes: g.store, Adoptions: g.store, Issuer: issuer,
		Drops:  dropped,
		Noted:  g.store,
		Access: who, Operators: operators, Keys: signing{g.keys, g.cfg.KeysDir()}, Gateway: whole,
		Webhooks: g.webhooks, Events: g.store, Metrics: g.metrics.handler, Counter: g.metrics.operations, Now: time.Now,
	}
	if g.broker != nil {
		people.Nudges = &nudges{g.broker, g.store}
	}
	people.Docs = page.Docs(page.Options{Access: who, Gateway: pageGateway{whole, g.metrics}}, operator.DescriptionJSON)
	operator.Register(all, people)
	g.needs = operator.NewTroubles(people)
	page.Register(all, page.Options{
		Troubles: g.needs,
		Access:   who, Records: g.store, Sightings: g.book, Offers: offers{g.store, g.rollouts}, Rollouts: g.rollouts, Members: g.rollouts, Changes: g.store,
		Rolling: operator.NewRolling(people),
		Roster:  operator.NewRoster(people), Models: operator.NewModels(people), Stock: g.store,
		Issuer: issuer, Operators: operators, Dumps: decodings{g.dumps, g.triage}, Drops: dropped, Crashes: g.store, Events: g.store, Hints: g.store.Hints(), Webhooks: g.webhooks, Gateway: pageGateway{whole, g.metrics}, Reported: g.policyReported, Now: time.Now,
	})
	g.deviceDoor = g.recovery.hold(deviceapi.PathSecrets(alone, alone), g.logger)
	g.allDoors = g.recovery.hold(deviceapi.PathSecrets(alone, all), g.logger)
}

// policyReported tells the journal what a browser has stopped. Anybody may say such a thing.
func (g *Gateway) policyReported(r page.PolicyReport) {
	g.logger.Warn("policy of the page violated", "page", r.Page, "directive", r.Directive, "blocked", r.Blocked, "sample", r.Sample)
}

// run starts what works until the end.
func (g *Gateway) run(ctx context.Context, work *errgroup.Group) {
	for _, x := range g.external {
		work.Go(func() error { return x.Run(ctx) })
	}
	if g.people != nil {
		work.Go(func() error { return g.people.Run(ctx) })
	}
	work.Go(func() error { return g.identity.Run(ctx) })
	work.Go(func() error { return g.tend(ctx) })
	work.Go(func() error { return g.tell(ctx) })
	work.Go(func() error { return g.depot.Mend(ctx) })
	work.Go(func() error { return g.storage.run(ctx) })
	work.Go(func() error { return g.book.Run(ctx) })
	work.Go(func() error { return g.rollouts.Run(ctx) })
	work.Go(func() error { return g.webhooks.Run(ctx) })
	work.Go(func() error { return g.operators.Run(ctx) })
	if g.broker != nil {
		work.Go(func() error { return g.broker.Run(ctx) })
		work.Go(func() error { return g.nudgeAll(ctx) })
	}
	work.Go(func() error { return g.ballast.run(ctx) })
	if g.backups != nil {
		work.Go(func() error { return g.backups.Run(ctx) })
	}
	if g.folder != nil {
		work.Go(func() error { return g.folder.Run(ctx) })
	}
	work.Go(func() error { return g.verify(ctx) })
	work.Go(func() error { return new(thrift).run(ctx) })
	if store, err := g.dumps.opened(); err == nil {
		work.Go(func() error { return store.Mend(ctx) })
		work.Go(func() error { return g.triage.Run(ctx) })
	}
}

// verify reads everything that lies on the disk, once a day, and compares it with its checksums.
func (g *Gateway) verify(ctx context.Context) error {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		g.verifyStored(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// verifyStored is one pass. What it cannot do is said once, and no reason to end the gateway: the rest is looked at.
func (g *Gateway) verifyStored(ctx context.Context) {
	if err := g.store.Verify(ctx); err != nil && ctx.Err() == nil {
		g.logger.Error("catalog not verified", "error", err)
	}
	if err := g.depot.FillSums(ctx); err != nil && ctx.Err() == nil && !fleet.Told(err) {
		g.logger.Error("hashes of older firmware not noted", "error", err)
	}
	if err := g.depot.Verify(ctx); err != nil && ctx.Err() == nil {
		g.logger.Error("firmware not verified", "error", err)
	}
	if store, err := g.dumps.opened(); err == nil {
		if err := store.Verify(ctx); err != nil && ctx.Err() == nil {
			g.logger.Error("dumps not verified", "error", err)
		}
	}
	if ctx.Err() == nil {
		g.logger.Info("stored data verified")
	}
}

// tend does what has to be done now and then: notes that time passes, and looks after the signing keys.
func (g *Gateway) tend(ctx context.Context) error {
	const every = time.Minute
	tick := time.NewTicker(every)
	defer tick.Stop()
	var ahead leap
	failing := failing{}
	for started := time.Now(); ; {
		noted, err := g.store.LastKnownTime()
		if failing.began("read", err) {
			g.logger.Error("last known time not read", "error", err)
		}
		first := noted.IsZero() // nothing to be ahead of
		if noted.Before(g.binary.Built) {
			noted = g.binary.Built
		}
		now := time.Now()
		watched := ahead.seen
		due := err == nil && !now.Before(g.clock.earliest()) && ahead.note(now, noted, time.Since(started))
		if ahead.seen && !watched && !first {
			g.logger.Warn("clock is more than a day ahead of what was noted, and is noted once it has stood for a day, or by slipway clock accept", "clock", now.UTC(), "noted", noted)
		}
		if due {
			if err := g.store.NoteTime(now); failing.began("note", err) && !fleet.Told(err) {
				g.logger.Error("time not noted", "error", err)
			}
		}
		if g.clock.believed() {
			if err := g.keys.Restamp(); failing.began("restamp", err) {
				g.logger.Error("signing key from the future not put right", "error", err)
			}
		}
		before := g.newestKey()
		g.tendKeys(ctx, failing)
		g.tellKey(ctx, before)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tendKeys rotates the signing keys, misses those that are gone, and notes which there are.
func (g *Gateway) tendKeys(ctx context.Context, failing failing) {
	err := g.keys.Tend()
	if failing.began("tend", err) {
		g.logger.Error("signing keys not rotated", "error", err)
	}
	if err != nil {
		return
	}
	err = g.lostKey()
	if failing.began("lost", err) {
		g.logger.Error("key lost", "error", err)
	}
	if err != nil {
		return
	}
	if err := g.noteKeys(ctx); failing.began("keys", err) && ctx.Err() == nil {
		g.logger.Error("keys not noted", "error", err)
	}
}

// failing is what fails of what is done again and again: the journal is told once, and once more after it has worked.
type failing map[string]bool

// began reports that what has ended with err has not failed before.
func (f failing) began(what string, err error) bool {
	before := f[what]
	f[what] = err != nil
	return err != nil && !before
}
