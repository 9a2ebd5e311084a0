package operator

import (
	"context"
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// webhooks are the receivers of events elsewhere. Admins name them only: what they are sent leaves the gateway, and their
// addresses are often secrets themselves.
type webhooks interface {
	List() ([]fleet.WebhookState, error) // by id
	Find(id string) (fleet.WebhookState, error)
	Add(ctx context.Context, w fleet.Webhook, secret string) (added fleet.Webhook, shown string, err error)
	Set(ctx context.Context, id string, fromNow bool, change func(*fleet.Webhook) error) (fleet.Webhook, error)
	NewSecret(ctx context.Context, id string) (string, error)
	Remove(ctx context.Context, id string) error
	Test(ctx context.Context, id string) (fleet.WebhookTried, error)
}

func (d *door) registerWebhooks(rs *endpoint.Routes) {
	d.handle(rs, auth.Admin, http.MethodGet, "/api/webhooks", d.listWebhooks, listed()...)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/webhooks", d.addWebhook)
	d.handle(rs, auth.Admin, http.MethodGet, "/api/webhooks/{id}", d.showWebhook)
	d.handle(rs, auth.Admin, http.MethodPatch, "/api/webhooks/{id}", d.changeWebhook)
	d.handle(rs, auth.Admin, http.MethodDelete, "/api/webhooks/{id}", d.removeWebhook)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/webhooks/{id}/secret", d.replaceWebhookSecret)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/webhooks/{id}/test", d.testWebhook)
}

func (d *door) listWebhooks(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	all, err := d.Webhooks.List()
	if err != nil {
		return err
	}
	page, next := pageOf(all, q, func(s fleet.WebhookState) time.Time { return s.UpdatedAt }, func(s fleet.WebhookState) string { return s.ID })
	return endpoint.WriteJSON(w, http.StatusOK, api.Webhooks{Webhooks: api.List(page), Next: next})
}

func (d *door) showWebhook(w http.ResponseWriter, r *http.Request) error {
	s, err := d.Webhooks.Find(r.PathValue("id"))
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, s)
}

func (d *door) addWebhook(w http.ResponseWriter, r *http.Request) error {
	var in api.NewWebhook
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	added, secret, err := d.Webhooks.Add(r.Context(), fleet.Webhook{Name: in.Name, URL: in.URL, Kinds: in.Kinds, CA: in.CA}, in.Secret)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, api.CreatedWebhook{Secret: secret, Webhook: added})
}

func (d *door) changeWebhook(w http.ResponseWriter, r *http.Request) error {
	var in api.WebhookChange
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	_, err := d.Webhooks.Set(context.WithoutCancel(r.Context()), id, in.FromNow, func(w *fleet.Webhook) error { in.Apply(w); return nil })
	if err != nil {
		return err
	}
	return d.showWebhook(w, r)
}

func (d *door) replaceWebhookSecret(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	secret, err := d.Webhooks.NewSecret(context.WithoutCancel(r.Context()), id)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.WebhookSecret{ID: id, Secret: secret})
}

func (d *door) removeWebhook(w http.ResponseWriter, r *http.Request) error {
	if err := d.Webhooks.Remove(context.WithoutCancel(r.Context()), r.PathValue("id")); err != nil {
		return err
	}
	return noContent(w)
}

// testWebhook says what has become of a request to the receiver: that it failed is an answer like any other.
func (d *door) testWebhook(w http.ResponseWriter, r *http.Request) error {
	tried, err := d.Webhooks.Test(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, tried)
}
