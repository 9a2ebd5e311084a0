// Package gateway puts the parts together: it listens, opens what lasts, makes disk and catalog agree after a start, and
// runs everything until the end. It knows all packages and their settings; none of them knows it.
//
// A Gateway is made by New, which takes its addresses and its catalog, works in Run, and gives both back in Close. It
// needs no process of its own, so a test may start one and ask it.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/systemd"
)

// Binary is which slipway runs.
type Binary struct {
	Version string
	Commit  string
	Built   time.Time // when its source was committed, zero when unknown: no clock that says less can be right
}

// New listens and opens what lasts. It binds every address before it touches the disk: a port that is taken damages
// nothing.
func New(cfg config.Config, binary Binary, logger *slog.Logger) (_ *Gateway, err error) {
	g := &Gateway{
		cfg: cfg, binary: binary, logger: logger,
		watchdog: systemd.NewWatchdog(logger), gate: endpoint.NewGate(),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.doors, err = listen(cfg); err != nil {
		return nil, err
	}
	g.ballast = newBallast(cfg.StateDir, logger)
	g.ballast.forStart()
	if err := makeFolders(cfg); err != nil {
		return nil, err
	}
	if err := backup.CheckFinished(cfg.StateDir); err != nil {
		return nil, err
	}
	g.store, err = catalog.Open(catalog.Options{
		Dir: cfg.CatalogDir, Reserve: Reserve, Space: SpaceOf(cfg.CatalogDir), Short: g.ballast.short, Logger: logger, Now: time.Now,
		KeepEvents: cfg.EventsKeep, StandIn: g.doors.standIn(cfg),
		Beat: g.watchdog.Part("catalog", partPatience), BeforeUpgrade: g.backUp,
		MayBegin: func() error { return mayBegin(cfg) },
	})
	if errors.Is(err, catalog.ErrNoStandIn) {
		return g, g.openBare(err)
	}
	if err != nil {
		return nil, damaged(cfg, err)
	}
	if err := g.assemble(); err != nil {
		return nil, err
	}
	return g, nil
}

// backUp makes the backup that one restores to go back to the slipway before: an older one refuses a catalog that was
// upgraded.
func (g *Gateway) backUp(c *catalog.Catalog) (file string, err error) {
	b := backup.Daily{
		Source: &backup.Source{Catalog: c, KeysDir: g.cfg.KeysDir(), SettingsFile: g.cfg.File, Slipway: g.binary.Version, Now: time.Now},
		Dir:    g.cfg.BackupDir(), Space: SpaceOf(g.cfg.BackupDir()), Reserve: Reserve, Logger: g.logger, Now: time.Now,
		Made: func(context.Context, string, int64, int) {}, // the upgrade says that there is one
	}
	return b.Before(fmt.Sprintf("schema-%d", catalog.Schema))
}

// Run recovers, says ready, and works until ctx ends or a part fails. What New and recovery found odd is in the log.
func (g *Gateway) Run(ctx context.Context) error {
	g.warn()
	if g.bare != nil {
		return g.runBare(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work, working := errgroup.WithContext(ctx)
	work.Go(func() error {
		return endpoint.Serve(working, g.logger, g.doors.endpoints(g.allDoors, g.deviceDoor, g.identity, g.gate)...)
	})
	context.AfterFunc(working, g.store.Feed().End)  // those who wait for events would keep the doors open
	context.AfterFunc(working, g.store.Hints().End) // and so would pages
	if err := g.started(ctx); err != nil {
		g.logger.Error("start not told", "error", err)
	}
	if err := g.recovery.run(working); err != nil {
		cancel()
		failed := ignoreCancel(work.Wait())
		if errors.Is(err, context.Canceled) {
			return failed // it is what recovery was ended by; nil: somebody stopped the gateway
		}
		return err
	}
	g.run(working, work)
	work.Go(func() error { return g.watchdog.Run(working) })
	if err := systemd.Ready(); err != nil {
		g.logger.Warn("systemd not notified", "state", "ready", "error", err)
	}
	g.logger.Info("gateway ready", "slipway", g.binary.Version, "listens_on", g.doors.addresses())

	<-working.Done()
	if err := systemd.Stopping(); err != nil {
		g.logger.Warn("systemd not notified", "state", "stopping", "error", err)
	}
	g.logger.Info("gateway stopping")
	err := ignoreCancel(work.Wait())
	if err == nil {
		g.stopped()
	}
	return err
}

// Close gives back the addresses and the catalog, after Run.
func (g *Gateway) Close() error {
	var err error
	if g.store != nil {
		if g.rollouts != nil {
			g.rollouts.Close()
		}
		err = errors.Join(g.closeBook(), g.store.Close())
	}
	if g.doors != nil {
		g.doors.close()
	}
	return err
}

// Addresses are what the gateway listens on, as name=address, separated by spaces.
func (g *Gateway) Addresses() string { return g.doors.addresses() }

// warn logs what is odd in the settings.
func (g *Gateway) warn() {
	for _, w := range append(g.cfg.Warnings, g.doors.warnings...) {
		g.logger.Warn("questionable setting", "reason", w)
	}
	if g.cfg.AuthDevice == "none" {
		g.logger.Warn("test mode: devices are not asked for tokens")
	}
}

const (
	// Reserve is disk space in bytes that nothing takes: below it Badger dies by SIGBUS.
	Reserve = 64 << 20

	partPatience = 25 * time.Second
)

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// makeFolders makes what lies under the state folder, and says what to do where it may not. On a disk that takes nothing
// it is content with folders that are there.
func makeFolders(cfg config.Config) error {
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{cfg.StateDir, 0o711}, {cfg.KeysDir(), 0o700}, {cfg.AssetsDir, 0o750}, {cfg.CoredumpsDir, 0o750}, {cfg.CatalogDir, 0o700}, {cfg.BackupDir(), 0o700}} {
		if dir.path == "" {
			continue
		}
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return fmt.Errorf("%w: make it a folder that user %d may write to, or set another state_dir", err, os.Getuid())
		}
		removeProbes(dir.path)
		probe, err := os.CreateTemp(dir.path, ".probe*")
		if errors.Is(fleet.OfDisk(err), fleet.ErrFull) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: make it a folder that user %d may write to, or set another state_dir", err, os.Getuid())
		}
		probe.Close()
		if err := os.Remove(probe.Name()); err != nil && !errors.Is(fleet.OfDisk(err), fleet.ErrFull) {
			return err
		}
	}
	return nil
}

// removeProbes removes what an earlier start could not.
func removeProbes(dir string) {
	left, err := filepath.Glob(filepath.Join(dir, ".probe*"))
	if err != nil {
		return // the pattern is right
	}
	for _, path := range left {
		os.Remove(path)
	}
}
