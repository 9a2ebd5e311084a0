package operator

import (
	"context"
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// drops are the dropped files that were rejected. Both acts are told of before the file goes.
type drops interface {
	Rejected() ([]fleet.Drop, error) // by name
	Retry(ctx context.Context, name string) error
	Dismiss(ctx context.Context, name string) error
}

func (d *door) registerInbox(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/drops", d.listDrops, listed()...)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/drops/{name}/retry", d.retryDrop)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/drops/{name}", d.dismissDrop)
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/wanted", d.listWanted, listed()...)
}

func (d *door) listDrops(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	all, err := d.Drops.Rejected()
	if err != nil {
		return err
	}
	page, next := pageOf(all, q, func(d fleet.Drop) time.Time { return d.RejectedAt }, func(d fleet.Drop) string { return d.Name })
	return endpoint.WriteJSON(w, http.StatusOK, api.Drops{Drops: api.List(page), Next: next})
}

// retryDrop has a file taken again; whether it is, the drop folder says as ever.
func (d *door) retryDrop(w http.ResponseWriter, r *http.Request) error {
	if err := d.Drops.Retry(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (d *door) dismissDrop(w http.ResponseWriter, r *http.Request) error {
	if err := d.Drops.Dismiss(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	return noContent(w)
}

func (d *door) listWanted(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	all, err := d.Crashes.Wanted()
	if err != nil {
		return err
	}
	page, next := pageOf(all, q, func(w crash.Wanted) time.Time { return w.Since }, crash.Wanted.ID)
	return endpoint.WriteJSON(w, http.StatusOK, api.WantedList[crash.Wanted]{Wanted: api.List(page), Next: next})
}
