package operator

import (
	"context"
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// adoptions let strangers become devices.
type adoptions interface {
	Adoptions() ([]auth.Adoption, error)
	OpenAdoption(context.Context, auth.Adoption) error
	CloseAdoption(context.Context, fleet.ModelCode) (auth.Adoption, error)
	StillShared(auth.Adoption) (int, error)
}

func (d *door) registerAdoptions(rs *endpoint.Routes) {
	socket := func(method, pattern string, h endpoint.Handler, known ...string) {
		rs.Register(endpoint.Route{Method: method, Pattern: pattern, Query: append(none, known...)}, d.onlySocket, seen(h))
	}
	socket(http.MethodGet, "/api/adoptions", d.listAdoptions, listed()...)
	socket(http.MethodPost, "/api/adoptions", d.openAdoption)
	socket(http.MethodDelete, "/api/adoptions/{code}", d.closeAdoption)
}

// onlySocket lets nobody pass but who comes through the gateway's own socket: a token that was stolen must not let strangers in
// by the hundred.
func (d *door) onlySocket(w http.ResponseWriter, r *http.Request) error {
	access.Private(w)
	if !d.Gateway.Trusted(r.Context()) {
		return endpoint.Errorf(http.StatusUnauthorized, "unauthorized", "devices are adopted only through the gateway's own socket: slipway device adopt, on the gateway and without --url")
	}
	d.Access.ActAs(r, access.Caller{})
	return nil
}

func (d *door) listAdoptions(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	all, err := d.Adoptions.Adoptions()
	if err != nil {
		return err
	}
	page, next := pageOf(all, q, func(a auth.Adoption) time.Time { return a.OpenedAt }, func(a auth.Adoption) string { return string(a.Model) })
	shown := make([]api.Adoption, len(page))
	for i, a := range page {
		if shown[i], err = d.showAdoption(a); err != nil {
			return err
		}
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Adoptions{Adoptions: shown, Next: next})
}

func (d *door) showAdoption(a auth.Adoption) (api.Adoption, error) {
	shared, err := d.Adoptions.StillShared(a)
	return api.Adoption{
		Model: a.Model, Open: a.Open(d.Now()), AtMost: a.AtMost, Adopted: api.List(a.Adopted), Shared: shared,
		OpenedAt: a.OpenedAt, Until: a.Until, ClosedAt: a.ClosedAt,
	}, err
}

func (d *door) openAdoption(w http.ResponseWriter, r *http.Request) error {
	var in api.NewAdoption
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	code, err := fleet.ParseModelCode(in.Model)
	switch {
	case err != nil:
		return d.nearModel(in.Model, err)
	case in.AtMost < 1 || in.AtMost > auth.MostAdopted:
		return fleet.Refused("at most %d devices: want 1 to %d", in.AtMost, auth.MostAdopted)
	case in.For.Of() < time.Second || in.For.Of() > auth.MostOpen:
		return fleet.Refused("for %s: want up to %s", in.For, fleet.Duration(auth.MostOpen))
	}
	if err := d.knownModel(code); err != nil {
		return err
	}
	secret, shown := in.Secret, ""
	if secret == "" {
		secret = auth.NewSecret()
		shown = secret
	}
	if _, err := checkSecret(secret); err != nil {
		return err
	}
	now := d.Now().UTC()
	a := auth.Adoption{Model: code, Hash: auth.HashSecret(secret), AtMost: in.AtMost, OpenedAt: now, Until: now.Add(in.For.Of())}
	if err := d.Adoptions.OpenAdoption(r.Context(), a); err != nil {
		return err
	}
	opened, err := d.showAdoption(a)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, api.OpenedAdoption{Adoption: opened, Secret: shown})
}

func (d *door) closeAdoption(w http.ResponseWriter, r *http.Request) error {
	code, err := modelOf(r)
	if err != nil {
		return err
	}
	a, err := d.Adoptions.CloseAdoption(r.Context(), code)
	if err != nil {
		return err
	}
	shown, err := d.showAdoption(a)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, shown)
}
