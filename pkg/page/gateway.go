package page

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// operators are people's and pipelines' tokens.
type operators interface {
	Create(ctx context.Context, name string, role auth.Role, models ...fleet.ModelCode) (string, auth.OperatorToken, error)
	List() ([]auth.OperatorToken, error)
	Revoke(ctx context.Context, id string) error
}

// Setting is one of the gateway's, as `slipway config show` prints it: secrets are hidden.
type Setting struct{ Key, Value, Source string }

// Folder is what takes room on the disk.
type Folder struct {
	Name  string
	Bytes int64
}

// Decoding is what the worker has done since the start that reads dumps.
type Decoding struct {
	LastAt time.Time // when it decoded one; the zero time: it has not
	Died   int       // at one of its limits; the next one was started for the next dump
}

// gatewayView is the gateway itself. Tokens and sessions are for admins.
type gatewayView struct {
	Status     api.Status
	Settings   []Setting
	Backup     string    // the file of the newest, "" for none
	BackupAt   time.Time // when it was made
	BackupsOff bool
	Folders    []Folder
	Decoding   Decoding
	CA         string // PEM that CI needs to trust the gateway, "" for none
	Tokens     []tokenRow
	Sessions   []sessionRow
	Roles      []auth.Role
	Made       string // a token that was just made; "" else
	MadeOf     auth.OperatorToken
	Webhooks   []webhookRow
	Signs      string     // the secret of a webhook that was just added; "" else
	SignsAgain string     // one that took the place of another; "" else
	SignsFor   webhookRow // whose it is
}

type tokenRow struct {
	auth.OperatorToken
	Used  time.Time // the last time, by a session or in a request
	Mine  bool      // it is the reader's own
	Fixed string    // the models that it is for, "" for all
}

type sessionRow struct {
	auth.Session
	Name string
	Role auth.Role
	Mine bool
}

func (p *Page) gateway(v *visit) (shown, error) {
	view, err := p.showGateway(v)
	return shown{"Gateway", view}, err
}

func (p *Page) showGateway(v *visit) (view gatewayView, err error) {
	if view.Status, err = p.Gateway.Status(); err != nil {
		return view, err
	}
	view.Settings = p.Gateway.Settings()
	view.Backup, view.BackupAt, view.BackupsOff = p.Gateway.NewestBackup()
	view.Folders, view.Decoding = p.Gateway.Folders(), p.Gateway.Decoding()
	ca, err := p.Gateway.CA()
	if err != nil {
		return view, err
	}
	if strings.HasPrefix(view.Status.BaseURL, "https:") {
		view.CA = strings.TrimSpace(string(ca))
	}
	view.Roles = []auth.Role{auth.Viewer, auth.Operator, auth.Pipeline, auth.Admin}
	if !v.caller.Is(auth.Admin) {
		return view, nil
	}
	if view.Webhooks, err = p.webhookRows(); err != nil {
		return view, err
	}
	sessions, err := p.Access.Sessions()
	if err != nil {
		return view, err
	}
	tokens, err := p.Operators.List()
	if err != nil {
		return view, err
	}
	used := map[string]time.Time{}
	for _, s := range sessions {
		if s.SeenAt.After(used[s.Token]) {
			used[s.Token] = s.SeenAt
		}
	}
	of := map[string]auth.OperatorToken{}
	for _, t := range tokens {
		of[t.ID] = t
		models := make([]string, len(t.Models))
		for i, code := range t.Models {
			models[i] = string(code)
		}
		view.Tokens = append(view.Tokens, tokenRow{t, latest(t.UsedAt, used[t.ID]), t.ID == v.caller.ID, strings.Join(models, ", ")})
	}
	for _, s := range sessions {
		if s.Person != nil {
			of[s.Token] = s.Person.Holder()
		}
		view.Sessions = append(view.Sessions, sessionRow{s, of[s.Token].Name, of[s.Token].Role, s.Hash == v.caller.Session.Hash})
	}
	slices.SortFunc(view.Sessions, func(a, b sessionRow) int { return b.SeenAt.Compare(a.SeenAt) })
	return view, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// createToken shows the token at once: only its hash is stored.
func (p *Page) createToken(v *visit) (done, error) {
	role, err := auth.ParseRole(v.r.PostForm.Get("role"))
	if err != nil {
		return done{}, fleet.Refused("%s", err)
	}
	name := strings.TrimSpace(v.r.PostForm.Get("name"))
	if name == "" {
		return done{}, fleet.Refused("name the person or the pipeline that the token is for: the events say who did what by it")
	}
	token, record, err := p.Operators.Create(v.r.Context(), name, role)
	if err != nil {
		return done{}, err
	}
	view, err := p.showGateway(v)
	view.Made, view.MadeOf = token, record
	return done{View: "gateway", Shows: shown{"New token", view}}, err
}

func (p *Page) revokeToken(v *visit) (done, error) {
	id := v.r.PathValue("id")
	tokens, err := p.Operators.List()
	if err != nil {
		return done{}, err
	}
	name := id
	for _, t := range tokens {
		if t.ID == id {
			name = cmp.Or(t.Name, id)
		}
	}
	return done{
		To: "/gateway", Said: said{fmt.Sprintf("The token of %s is revoked, and its sessions have ended.", name), "make a new one; this one is gone.", "slipway token revoke " + quoted(id)},
	}, p.Operators.Revoke(v.r.Context(), id)
}

// backUpNow has today's backup made.
func (p *Page) backUpNow(v *visit) (done, error) {
	made, err := p.Gateway.BackUpNow(v.r.Context())
	return done{
		To: "/gateway", Said: said{fmt.Sprintf("The backup %s is made and was read back: %d records.", made.File, made.Records), "nothing needs to be undone: it took the place of today's.", "slipway backup now"},
	}, err
}

// endSession ends a session of anybody's.
func (p *Page) endSession(v *visit) (done, error) {
	id, found := v.r.PathValue("id"), false
	err := p.Access.End(v.r.Context(), func(s auth.Session) bool {
		found = found || s.ID() == id
		return s.ID() == id
	})
	if err == nil && !found {
		err = fleet.Unknown("no session %q: it has ended", id)
	}
	return done{To: "/gateway", Said: said{"The session has ended.", "the person signs in again.", "slipway token revoke ID ends all sessions of a token"}}, err
}
