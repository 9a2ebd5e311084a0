package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/page"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

// recovery makes what lies on disk and what the catalog knows agree, and is the latch that holds callers until it has.
type recovery struct {
	store *catalog.Catalog
	depot *depot.Depot
	dumps *dumpFront
	book  *sighting.Book

	over chan struct{} // closed when it is
}

// run is called once, at the start. A catalog that is being opened again is waited for.
func (r *recovery) run(ctx context.Context) error {
	for {
		err := r.agree(ctx)
		if !errors.Is(err, fleet.ErrAway) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (r *recovery) agree(ctx context.Context) error {
	if err := r.depot.Recover(ctx, r.store.Created()); err != nil {
		return err
	}
	if err := r.dumps.open(ctx); err != nil {
		return err
	}
	if err := r.book.Read(); err != nil {
		return err
	}
	if err := r.store.Rebuilt(ctx); err != nil && !errors.Is(err, fleet.ErrFull) { // then the next start rebuilds once more
		return err
	}
	close(r.over)
	return nil
}

// again reads what lies on disk once more, beside the work that goes on.
func (r *recovery) again(ctx context.Context, rebuild bool) error {
	if err := r.depot.Reconcile(ctx, rebuild); err != nil {
		return err
	}
	return r.dumps.reconcile(ctx)
}

// resume does what could not be done while the disk took nothing.
func (g *Gateway) resume(ctx context.Context) error {
	g.triage.Wake()
	if g.untold.CompareAndSwap(true, false) {
		if err := g.started(ctx); err != nil {
			g.untold.Store(true)
			return err
		}
	}
	if err := g.recovery.again(ctx, g.store.Created()); err != nil {
		return err
	}
	return g.store.Rebuilt(ctx)
}

// isOver reports that what lies on disk is known.
func (r *recovery) isOver() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

func (r *recovery) isOverWithin(ctx context.Context, d time.Duration) bool {
	if r.isOver() {
		return true
	}
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-r.over:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

// hold keeps everybody but the health check until recovery is over. Browsers get a page that asks again by itself, and its style. A device erases its dump whatever it is answered, and
// recovery takes a moment: it waits, and only after that it is told to come again.
func (r *recovery) hold(next http.Handler, logger *slog.Logger) http.Handler {
	const patience = 3 * time.Second // devices want a first byte within four
	early := endpoint.Only(logger, &endpoint.Error{
		Status: http.StatusServiceUnavailable, Code: "recovering", Message: "the gateway is starting: try again",
		Header: http.Header{"Retry-After": {"2"}},
	}, page.Starting)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/api/health" && !strings.HasPrefix(req.URL.Path, "/static/") && !r.isOverWithin(req.Context(), patience) {
			early.ServeHTTP(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}
