package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/dumps"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// afterRecovery keeps everybody but the health check until what lies on disk is known. A device erases its dump whatever
// it is answered, and recovery takes a moment: it waits, and only after that it is told to come again.
func (g *Gateway) afterRecovery(next http.Handler) http.Handler {
	const patience = 3 * time.Second // devices want a first byte within four
	early := endpoint.Only(g.logger, &endpoint.Error{
		Status: http.StatusServiceUnavailable, Code: "recovering", Message: "the gateway is starting: try again",
		Header: http.Header{"Retry-After": {"2"}},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/health" && !g.recoveredWithin(r.Context(), patience) {
			early.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Gateway) recoveredWithin(ctx context.Context, d time.Duration) bool {
	if g.ready() {
		return true
	}
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-g.recovered:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

// ready reports that recovery is over.
func (g *Gateway) ready() bool {
	select {
	case <-g.recovered:
		return true
	default:
		return false
	}
}

// recover makes what lies on disk and what the catalog knows agree.
func (g *Gateway) recover(ctx context.Context) error {
	if err := g.depot.Recover(ctx, g.store.Created()); err != nil {
		return err
	}
	if g.cfg.CoredumpsDir != "" {
		opened, err := dumps.Open(ctx, g.dumpOptions())
		if err != nil {
			return err
		}
		g.mu.Lock()
		g.dumps = opened
		g.mu.Unlock()
	}
	if err := g.store.Rebuilt(ctx); err != nil {
		return err
	}
	close(g.recovered)
	return nil
}

func (g *Gateway) dumpOptions() dumps.Options {
	return dumps.Options{
		Dir: g.cfg.CoredumpsDir, MaxBytes: g.cfg.DumpMaxBytes, KeepPerDevice: g.cfg.DumpKeepPerDevice,
		MaxUse: g.cfg.DumpMaxUse.Of, KeepFree: g.cfg.DumpKeepFree.Of, Reserve: Reserve, Space: SpaceOf(g.cfg.CoredumpsDir),
		Index: dumpIndex{g.store, g}, Logger: g.logger, Now: time.Now, CleanStop: g.store.LastStop(),
	}
}

// rebuild reads again what lies on disk.
func (g *Gateway) rebuild(ctx context.Context) error {
	if err := g.depot.Recover(ctx, true); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dumps == nil {
		return nil
	}
	opened, err := dumps.Open(ctx, g.dumpOptions())
	if err == nil {
		g.dumps = opened
	}
	return err
}
