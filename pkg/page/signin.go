package page

import (
	"errors"
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// signIn is what the form shows.
type signIn struct {
	Refusal    string
	To         string // where the person wanted to go
	NeedsHTTPS bool
	HTTPS      string // where the page has it, "" where nobody knows
}

func (p *Page) registerSignIn(rs *endpoint.Routes) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		rs.Register(endpoint.Route{Method: method, Pattern: "/login", Query: endpoint.Query{"to"}}, nil, func(w http.ResponseWriter, r *http.Request) error {
			return p.signInForm(w, r, http.StatusOK, "", local(r.URL.Query().Get("to")))
		})
	}
	rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: "/login"}, p.ownPage, p.login)
	rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: "/logout"}, p.ownPage, p.logout(false))
	rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: "/logout/everywhere"}, p.ownPage, p.logout(true))
}

// ownPage refuses a form that another site has sent through somebody's browser: it would sign the person in as whom that
// site likes, or out.
func (p *Page) ownPage(w http.ResponseWriter, r *http.Request) error {
	access.Private(w)
	return p.Access.OwnPage(r)
}

func (p *Page) signInForm(w http.ResponseWriter, r *http.Request, status int, refusal, to string) error {
	s := signIn{Refusal: refusal, To: to, NeedsHTTPS: access.NeedsHTTPS(r)}
	if base := p.Gateway.BaseURL(); strings.HasPrefix(base, "https://") {
		s.HTTPS = base
	}
	f := p.frame(r, "Sign in")
	f.View = s
	return render(w, status, "signin", f)
}

func (p *Page) login(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 8192)
	if err := r.ParseForm(); err != nil {
		return endpoint.Errorf(http.StatusBadRequest, "bad_form", "the form cannot be read")
	}
	to := local(r.PostForm.Get("to"))
	err := p.Access.SignIn(w, r, strings.TrimSpace(r.PostForm.Get("token")))
	var e *endpoint.Error
	switch {
	case errors.As(err, &e) && e.Status < http.StatusInternalServerError:
		for name, values := range e.Header {
			w.Header()[name] = values
		}
		return p.signInForm(w, r, e.Status, e.Message, to)
	case err != nil:
		return access.Visible(err)
	}
	return seeOther(w, to)
}

func (p *Page) logout(everywhere bool) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := p.Access.SignOut(w, r, everywhere); err != nil {
			return access.Visible(err)
		}
		return seeOther(w, "/login")
	}
}
