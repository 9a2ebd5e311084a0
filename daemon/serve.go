package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/systemd"
)

// serve runs the gateway until ctx ends. It reads from top to bottom: make sure that we may, open what lasts, listen,
// recover, say ready, work, close in the opposite order.
func serve(ctx context.Context, cfg config.Config, logger *slog.Logger) (err error) {
	for _, w := range cfg.Warnings {
		logger.Warn("setting is odd", "reason", w)
	}
	if cfg.AuthDevice == "none" {
		logger.Warn("test mode: devices are not asked for tokens")
	}
	// An error after which nobody knows what the disk holds ends the process: the next start recovers.
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	watchdog := systemd.NewWatchdog(logger)
	doors, err := listen(cfg)
	if err != nil {
		return err
	}
	defer doors.close()
	if err := makeFolders(cfg); err != nil {
		return err
	}
	if err := backup.CheckFinished(cfg.StateDir); err != nil {
		return err
	}
	store, err := catalog.Open(catalog.Options{
		Dir: cfg.CatalogDir, Reserve: reserve, Space: spaceOf(cfg.CatalogDir), Logger: logger, Now: time.Now,
		Beat: watchdog.Part("catalog", partPatience), Fatal: fail,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	g, err := assemble(cfg, logger, store, watchdog, fail)
	if err != nil {
		return err
	}
	g.doors = doors
	for _, w := range doors.warnings {
		logger.Warn("setting is odd", "reason", w)
	}
	work, working := errgroup.WithContext(ctx)
	work.Go(func() error { return endpoint.Serve(working, logger, doors.endpoints(g)...) })
	if err := g.recover(working); err != nil {
		fail(err)
		return errors.Join(err, ignoreCancel(work.Wait()))
	}
	g.run(working, work)
	work.Go(func() error { return watchdog.Run(working) })
	if err := systemd.Ready(); err != nil {
		logger.Warn("systemd not told", "error", err)
	}
	logger.Info("gateway ready", "slipway", version, "listens_on", doors.addresses())

	<-working.Done()
	if err := systemd.Stopping(); err != nil {
		logger.Warn("systemd not told", "error", err)
	}
	logger.Info("gateway stopping")
	err = ignoreCancel(work.Wait())
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

const (
	reserve      = 64 << 20 // bytes of disk that nothing takes: below it Badger dies by SIGBUS
	partPatience = 25 * time.Second
)

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// makeFolders makes what lies under the state folder, and says what to do where it may not.
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
		probe, err := os.CreateTemp(dir.path, ".probe*")
		if err != nil {
			return fmt.Errorf("%w: make it a folder that user %d may write to, or set another state_dir", err, os.Getuid())
		}
		probe.Close()
		if err := os.Remove(probe.Name()); err != nil {
			return err
		}
	}
	return nil
}
