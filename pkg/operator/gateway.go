package operator

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (d *door) registerGateway(rs *endpoint.Routes) {
	d.handle(rs, auth.Admin, http.MethodGet, "/api/tokens", d.listTokens, listed()...)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/tokens", d.createToken)
	d.handle(rs, auth.Admin, http.MethodDelete, "/api/tokens/{id}", d.revokeToken)
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/api/caller", Query: none}, anyone, seen(d.whoAsks))
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/status", d.status)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/catalog/rebuild", d.rebuild)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/keys/rotate", d.rotateKeys)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/clock/accept", d.acceptClock)
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/api/backup", Query: none}, anyone, d.backup)
	d.handle(rs, auth.Admin, http.MethodPost, "/api/backups", d.backUpNow)
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/api/health"}, anyone, d.health)
	rs.Handle(http.MethodGet, "/metrics", "", func(w http.ResponseWriter, r *http.Request) error {
		d.Metrics.ServeHTTP(w, r)
		return nil
	})
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/ca.crt", Query: none}, anyone, seen(d.ca))
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/api/docs", Query: none}, anyone, d.docs)
}

func (d *door) listTokens(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	tokens, err := d.Operators.List()
	if err != nil {
		return err
	}
	page, next := pageOf(tokens, q, func(t auth.OperatorToken) time.Time { return t.CreatedAt }, func(t auth.OperatorToken) string { return t.ID })
	shown := make([]api.Token, len(page))
	for i, t := range page {
		shown[i] = showToken(t)
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Tokens{Tokens: shown, Next: next})
}

func showToken(t auth.OperatorToken) api.Token {
	return api.Token{ID: t.ID, Name: t.Name, Role: string(t.Role), Models: t.Models, CreatedAt: t.CreatedAt, UsedAt: t.UsedAt, MadeBy: cmp.Or(t.MadeBy.Name, t.MadeBy.ID)}
}

// whoAsks tells any holder of a token whom the gateway takes it for.
func (d *door) whoAsks(w http.ResponseWriter, r *http.Request) error {
	t, err := d.Access.Caller(r)
	if err != nil {
		return err
	}
	endpoint.ShowedCredentials(w)
	return endpoint.WriteJSON(w, http.StatusOK, api.Caller{Name: t.Name, Role: string(t.Role), Models: t.Models})
}

func (d *door) createToken(w http.ResponseWriter, r *http.Request) error {
	var in api.NewToken
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	role, err := auth.ParseRole(in.Role)
	if err != nil {
		return fleet.Refused("%s", err)
	}
	models, err := d.modelsOf(in.Models)
	if err != nil {
		return err
	}
	token, record, err := d.Operators.Create(r.Context(), in.Name, role, models...)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, api.CreatedToken{Secret: token, Token: showToken(record)})
}

const mostTokenModels = 100 // of one token: a refusal names them all

// modelsOf are the models that a token names, in the order of their codes. A mistyped one would be found out by a CI job.
func (d *door) modelsOf(named []string) ([]fleet.ModelCode, error) {
	if len(named) > mostTokenModels {
		return nil, fleet.Refused("%d models: a token names at most %d; one without models is for all", len(named), mostTokenModels)
	}
	codes := make([]fleet.ModelCode, len(named))
	for i, name := range named {
		code, err := fleet.ParseModelCode(name)
		if err != nil {
			return nil, d.nearModel(name, err)
		}
		if err := d.knownModel(code); err != nil {
			return nil, err
		}
		codes[i] = code
	}
	slices.Sort(codes)
	return slices.Compact(codes), nil
}

func (d *door) revokeToken(w http.ResponseWriter, r *http.Request) error {
	if err := d.Operators.Revoke(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return noContent(w)
}

func (d *door) status(w http.ResponseWriter, _ *http.Request) error {
	s, err := d.Gateway.Status()
	if err != nil {
		return err
	}
	ca, err := d.Gateway.CA()
	if err != nil {
		return err
	}
	s.CAFingerprint, s.CI = Fingerprint(ca), CILines(s.BaseURL, d.ownCA())
	return endpoint.WriteJSON(w, http.StatusOK, s)
}

// health is for whoever watches the gateway: 503 until recovery is over, then 200 with what is wrong, if anything.
func (d *door) health(w http.ResponseWriter, _ *http.Request) error {
	trouble := api.List(d.Gateway.Trouble())
	status, word := http.StatusOK, "ok"
	switch {
	case !d.Gateway.Ready():
		status, word = http.StatusServiceUnavailable, "recovering"
	case len(trouble) > 0:
		word = "degraded"
	}
	return endpoint.WriteJSON(w, status, api.Health{Status: word, Trouble: trouble})
}

func (d *door) rebuild(w http.ResponseWriter, r *http.Request) error {
	if err := d.Gateway.Rebuild(r.Context()); err != nil {
		return err
	}
	if err := d.record(r, event.CatalogRebuilt, nil); err != nil {
		return err
	}
	return d.status(w, r)
}

// backup hands out the private keys, so that no token is enough: whoever asks is on this machine and may read them
// anyway.
func (d *door) backup(w http.ResponseWriter, r *http.Request) error {
	if !d.Gateway.Trusted(r.Context()) {
		return endpoint.Errorf(http.StatusUnauthorized, "unauthorized", "a backup is given out only through the gateway's own socket: slipway backup create")
	}
	w.Header().Set("Content-Type", "application/x-tar")
	d.Access.ActAs(r, access.Caller{})
	if err := d.Gateway.Backup(w); err != nil {
		return err
	}
	err := d.record(r, event.BackupCreated, nil)
	if fleet.Told(err) { // of which the gateway tells by itself
		return nil // a backup is wanted most where nothing can be recorded any more
	}
	return err
}

// backUpNow has the daily backup made at once. It stays on the gateway, encrypted: no token opens it.
func (d *door) backUpNow(w http.ResponseWriter, r *http.Request) error {
	made, err := d.Gateway.BackUpNow(r.Context())
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusCreated, made)
}

func (d *door) rotateKeys(w http.ResponseWriter, r *http.Request) error {
	if err := d.Keys.Rotate(); err != nil {
		return err
	}
	if err := d.record(r, event.KeysRotated, nil); err != nil {
		return err
	}
	return noContent(w)
}

func (d *door) acceptClock(w http.ResponseWriter, r *http.Request) error {
	now, err := d.Gateway.AcceptClock()
	if err != nil {
		return err
	}
	if err := d.record(r, event.GatewayClockAccepted, nil); err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.AcceptedClock{Noted: now.UTC()})
}
