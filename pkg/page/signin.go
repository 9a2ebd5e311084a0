package page

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// signIn is what the form shows.
type signIn struct {
	Refusal    string
	To         string // where the person wanted to go
	NeedsHTTPS bool
	HTTPS      string // where the page has it, "" where nobody knows

	Issuer     string    // whom the person may sign in at, "" for nobody
	IssuerWay  string    // the address that leads there
	IssuerDown time.Time // since when it does not answer, zero while it does
	SignOut    string    // where one signs out there, for who has just signed out here; "" else
}

func (p *Page) registerSignIn(rs *endpoint.Routes) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		rs.Register(endpoint.Route{Method: method, Pattern: "/login", Query: endpoint.Query{"to", "out"}}, nil, func(w http.ResponseWriter, r *http.Request) error {
			return p.signInForm(w, r, http.StatusOK, "", local(r.URL.Query().Get("to")))
		})
	}
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/login/oidc", Query: endpoint.Query{"to"}}, nil, p.goSignIn)
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: access.CameBack}, nil, p.cameBack) // issuers add what they like to its query
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
	if x := p.Access.Issuer(); x != nil {
		s.Issuer, s.IssuerDown, s.IssuerWay = x.Host(), x.Down(), "/login/oidc?"+url.Values{"to": {to}}.Encode()
		if r.URL.Query().Has("out") {
			s.SignOut = x.SignOut()
		}
	}
	f := p.frame(r, "Sign in")
	f.View = s
	return render(w, r, status, "signin", f)
}

func (p *Page) login(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 8192)
	if err := r.ParseForm(); err != nil {
		return endpoint.Errorf(http.StatusBadRequest, "bad_form", "the form cannot be read")
	}
	to := local(r.PostForm.Get("to"))
	return p.signedIn(w, r, to, p.Access.SignIn(w, r, strings.TrimSpace(r.PostForm.Get("token"))))
}

// signedIn leads a person where they wanted to go, or back to the form, which says why not.
func (p *Page) signedIn(w http.ResponseWriter, r *http.Request, to string, err error) error {
	var e *endpoint.Error
	switch {
	case errors.As(err, &e) && e.Status != http.StatusNotFound && (e.Status < http.StatusInternalServerError || e.Code == "issuer_away"):
		for name, values := range e.Header {
			w.Header()[name] = values
		}
		return p.signInForm(w, r, e.Status, e.Message, to)
	case err != nil:
		return access.Visible(err)
	}
	return seeOther(w, to)
}

// goSignIn leads to the issuer. It is a link: a form that leads elsewhere is stopped by the policy.
func (p *Page) goSignIn(w http.ResponseWriter, r *http.Request) error {
	access.Private(w)
	to := local(r.URL.Query().Get("to"))
	there, err := p.Access.GoSignIn(w, r, to)
	if err != nil {
		return p.signedIn(w, r, to, err)
	}
	return seeOther(w, there)
}

// cameBack takes whom the issuer sends back.
func (p *Page) cameBack(w http.ResponseWriter, r *http.Request) error {
	access.Private(w)
	to, err := p.Access.SignInFromIssuer(w, r)
	return p.signedIn(w, r, local(to), err)
}

func (p *Page) logout(everywhere bool) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, _ := p.Access.Caller(r) // nobody, too, may sign out
		if err := p.Access.SignOut(w, r, everywhere); err != nil {
			return access.Visible(err)
		}
		if c.Session.Person != nil {
			return seeOther(w, "/login?out=issuer")
		}
		return seeOther(w, "/login")
	}
}
