package operator

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The page is made on the server and needs nothing from anywhere else: a factory floor has no internet.

//go:embed page/*.html page/style.css
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"ago":   humanize.Time,
	"bytes": func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) },
	"comma": func(n int) string { return humanize.Comma(int64(n)) },
	"rfc":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(pageFiles, "page/*.html"))

const cookieName = "slipway_token"

func (d *door) registerPage(rs *endpoint.Routes) {
	rs.Handle(http.MethodGet, "/{$}", "", d.page)
	rs.Handle(http.MethodGet, "/crashes/{fingerprint}", "", d.crashPage)
	rs.Handle(http.MethodGet, "/dumps/{key}/{name}", "", d.dumpPage)
	rs.Handle(http.MethodGet, "/models/{code}/rollouts/{number}", "", d.rolloutPage)
	rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: "/login"}, ownPage, d.login)
	rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: "/logout"}, ownPage, d.logout)
	rs.Handle(http.MethodGet, "/style.css", "", func(w http.ResponseWriter, _ *http.Request) error {
		css, err := pageFiles.ReadFile("page/style.css")
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		return endpoint.Write(w, http.StatusOK, css)
	})
}

func render(w http.ResponseWriter, status int, name string, data any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer a browser sends our own forms with "Origin: null"
	private(w)
	return endpoint.Write(w, status, b.Bytes())
}

// mayRead lets a reader in, or shows where to show a token.
func (d *door) mayRead(w http.ResponseWriter, r *http.Request) (bool, error) {
	token, err := d.caller(r)
	if err == nil && token.Role.May(auth.Viewer) {
		return true, nil
	}
	return false, render(w, http.StatusUnauthorized, "login.html", map[string]any{"Refusal": ""})
}

const shownRows = 50 // of each table of the page

func (d *door) page(w http.ResponseWriter, r *http.Request) error {
	if ok, err := d.mayRead(w, r); !ok {
		return err
	}
	status, err := d.Gateway.Status()
	if err != nil {
		return err
	}
	models, err := d.Records.Models()
	if err != nil {
		return err
	}
	rollouts, err := d.newestRollouts(models)
	if err != nil {
		return err
	}
	groups, total, err := d.Crashes.UrgentGroups(shownRows)
	if err != nil {
		return err
	}
	dumps, _, err := d.Crashes.Dumps(crash.DumpFilter{Limit: shownRows})
	if err != nil {
		return err
	}
	return render(w, http.StatusOK, "page.html", map[string]any{
		"Status": status, "Models": models, "Groups": groups, "MoreGroups": total - len(groups),
		"Dumps": showAll(dumps), "Rollouts": rollouts,
	})
}

func (d *door) crashPage(w http.ResponseWriter, r *http.Request) error {
	if ok, err := d.mayRead(w, r); !ok {
		return err
	}
	g, versions, _, err := d.Crashes.Group(r.PathValue("fingerprint"))
	if err != nil {
		return visible(err)
	}
	dumps, err := d.Crashes.GroupDumps(g.Fingerprint, shownRows)
	if err != nil {
		return err
	}
	var text string
	if len(dumps) > 0 {
		if text, err = d.reportText(dumps[0].Dump); err != nil {
			return err
		}
	}
	return render(w, http.StatusOK, "crash.html", map[string]any{"Group": g, "Versions": versions, "Dumps": showAll(dumps), "Report": text})
}

// dumpPage is one dump, of a group or of none: one that waits for its firmware may have frames already.
func (d *door) dumpPage(w http.ResponseWriter, r *http.Request) error {
	if ok, err := d.mayRead(w, r); !ok {
		return err
	}
	l, err := d.dump(r)
	if err != nil {
		return visible(err)
	}
	text, err := d.reportText(l.Dump)
	if err != nil {
		return err
	}
	return render(w, http.StatusOK, "dump.html", map[string]any{"Dump": show(l), "Report": text})
}

// reportText is a report as people read it.
func (d *door) reportText(dump fleet.Dump) (string, error) {
	report, err := d.report(dump)
	if err != nil || report == nil {
		return "", err
	}
	return d.Gateway.Text(report)
}

var otherSites = http.NewCrossOriginProtection()

// ownPage refuses a form that another site has sent through somebody's browser: it would sign the person in as whom that
// site likes, or out. A program, which sends neither Origin nor Sec-Fetch-Site, passes.
func ownPage(w http.ResponseWriter, r *http.Request) error {
	private(w)
	if err := otherSites.Check(r); err != nil {
		return endpoint.Errorf(http.StatusForbidden, "cross_origin", "another site sent this form: open the gateway's own page and sign in there").Because(err)
	}
	return nil
}

func (d *door) login(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if err := r.ParseForm(); err != nil {
		return endpoint.Errorf(http.StatusBadRequest, "bad_form", "the form cannot be read")
	}
	token := r.PostForm.Get("token")
	known, err := d.Operators.Authenticate(token)
	switch {
	case errors.Is(err, auth.ErrNoToken), errors.Is(err, auth.ErrToken):
		d.Failures.Count(r.RemoteAddr)
		return render(w, http.StatusUnauthorized, "login.html", map[string]any{"Refusal": "This token is not known."})
	case err != nil:
		return err
	case !known.Role.May(auth.Viewer):
		return render(w, http.StatusForbidden, "login.html", map[string]any{"Refusal": "This token pushes firmware and cannot read the page."})
	}
	endpoint.ShowedCredentials(w)
	if err := d.tellSession(r, known, event.SessionStarted); err != nil {
		return err
	}
	return d.setCookie(w, r, token, 30*24*time.Hour)
}

// logout has the browser forget its token. Who has none, or one that counts no more, has no session to end.
func (d *door) logout(w http.ResponseWriter, r *http.Request) error {
	if cookie, err := r.Cookie(cookieName); err == nil {
		known, err := d.Operators.Authenticate(cookie.Value)
		if err == nil {
			err = d.tellSession(r, known, event.SessionEnded)
		}
		if err != nil && !errors.Is(err, auth.ErrNoToken) && !errors.Is(err, auth.ErrToken) {
			return err
		}
	}
	return d.setCookie(w, r, "", -time.Second)
}

// tellSession tells that somebody signed in or out. On a full disk people are let in all the same.
func (d *door) tellSession(r *http.Request, who auth.OperatorToken, kind fleet.EventKind) error {
	d.actAs(r, who)
	err := d.Events.Record(context.WithoutCancel(r.Context()), kind, fleet.Object{Type: "token", ID: who.ID}, nil)
	if errors.Is(err, fleet.ErrFull) {
		return nil
	}
	return err
}

func (d *door) setCookie(w http.ResponseWriter, r *http.Request, token string, age time.Duration) error {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: token, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Location", "/")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
