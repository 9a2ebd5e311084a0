package page

import (
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// failure is what a browser shows of an error.
type failure struct {
	Status  int
	Words   string // of the status
	Message string
	ID      string // which the journal names too
	Back    string // the page that the person came from, "" for none
	SignIn  string // where to sign in, "" for whom it would not help
}

// failed answers a failure to whoever reads HTML. It says false for everybody else.
func (p *Page) failed(w http.ResponseWriter, r *http.Request, e *endpoint.Error, correlation string) (bool, error) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false, nil
	}
	f := p.frame(r, http.StatusText(e.Status))
	if c, err := p.Access.Caller(r); err == nil && c.Is(auth.Viewer) {
		f.Caller, f.In = c, true
	}
	shows := failure{Status: e.Status, Words: http.StatusText(e.Status), Message: e.Message, ID: correlation, Back: backTo(r)}
	if !f.In && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
		shows.SignIn = "/login"
	}
	f.View = shows
	access.Private(w)
	return true, render(w, r, e.Status, "failure", f)
}

// backTo is the page of ours that a request came from.
func backTo(r *http.Request) string {
	from := r.Referer()
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := strings.CutPrefix(from, scheme+r.Host); ok && strings.HasPrefix(rest, "/") {
			if to := local(rest); to != r.URL.RequestURI() {
				return to
			}
		}
	}
	return ""
}

// starting is what a browser shows while the gateway is not ready.
type starting struct{ Sent bool } // something that was not taken

const startingAgain = "3" // seconds until a browser asks again

// Starting answers whoever reads HTML while the gateway recovers after its start, and has the browser ask again. It says false for
// everybody else.
func Starting(w http.ResponseWriter, r *http.Request, e *endpoint.Error, _ string) (bool, error) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false, nil
	}
	asks := r.Method == http.MethodGet || r.Method == http.MethodHead
	if asks {
		w.Header().Set("Refresh", startingAgain)
	}
	access.Private(w)
	return true, render(w, r, e.Status, "starting", frame{Title: "Starting", Here: local(r.URL.RequestURI()), View: starting{!asks}})
}
