package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// Signing in at an issuer: the authorization code flow of OpenID Connect, with PKCE. What the gateway has to remember while the
// person is there lies in a cookie of this browser, which its coming back takes away: a link back that another browser was
// given, or that was used, is good for nothing.

const (
	flowPatience = 10 * time.Minute // for a person to sign in there
	flowSuffix   = "_oidc"          // of the cookie's name
	mostReturn   = 1500             // bytes of the address that the person wanted: a cookie has 4,096
	mostShown    = 10               // values of a claim are shown to their person
)

// CameBack is where the issuer sends people.
const CameBack = "/login/oidc/back"

// flow is one person's way to the issuer and back.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	To       string    `json:"to"`
	At       time.Time `json:"at"`
}

// Issuer is whom people may sign in at, nil for nobody.
func (a *Access) Issuer() *Issuer { return a.options.Issuer }

func noIssuer() error {
	return endpoint.Errorf(http.StatusNotFound, "unknown_path", "no issuer for people is set: oidc.issuer")
}

// GoSignIn is the address at the issuer that a person signs in at, after which they are led to an address of this page. It sets
// the cookie. The errors are of status 400, 404, or 503 while the issuer does not answer.
func (a *Access) GoSignIn(w http.ResponseWriter, r *http.Request, to string) (string, error) {
	x := a.options.Issuer
	if x == nil {
		return "", noIssuer()
	}
	if NeedsHTTPS(r) {
		return "", needsHTTPS()
	}
	f, err := x.find(r.Context())
	if err != nil {
		return "", x.away(err)
	}
	if len(to) > mostReturn {
		to = "/"
	}
	began := flow{State: auth.NewSecret(), Nonce: auth.NewSecret(), Verifier: oauth2.GenerateVerifier(), To: to, At: a.options.Now().UTC()}
	text, err := json.Marshal(began)
	if err != nil {
		return "", err
	}
	setCookie(w, r, flowSuffix, base64.RawURLEncoding.EncodeToString(text), flowPatience)
	way := f.comingBack(r)
	return way.AuthCodeURL(began.State, oidc.Nonce(began.Nonce), oauth2.S256ChallengeOption(began.Verifier)), nil
}

// comingBack is the way by the address that the browser has the gateway at: the cookie is there and nowhere else.
func (f *found) comingBack(r *http.Request) oauth2.Config {
	way := f.oauth
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	way.RedirectURL = (&url.URL{Scheme: scheme, Host: r.Host, Path: CameBack}).String()
	return way
}

func (x *Issuer) away(err error) error {
	e := endpoint.Errorf(http.StatusServiceUnavailable, "issuer_away", "%s cannot be asked now: sign in with a token, or try again in a moment.", x.Host()).Because(err)
	e.Header = http.Header{"Retry-After": {"5"}}
	return e
}

// SignInFromIssuer begins a session of whom the issuer has sent back, sets its cookie, and says where the person wanted to go.
// The errors are of status 400, 401, 403 for whom no claim gives a role, 404, 429, or 503 while the issuer does not answer.
func (a *Access) SignInFromIssuer(w http.ResponseWriter, r *http.Request) (to string, err error) {
	x := a.options.Issuer
	if x == nil {
		return "", noIssuer()
	}
	if NeedsHTTPS(r) {
		return "", needsHTTPS()
	}
	began := flowOf(r)
	setCookie(w, r, flowSuffix, "", -time.Second)
	if later := a.paces.later(r.RemoteAddr); later != nil { // before somebody is asked on a stranger's word
		return began.To, later
	}
	person, err := x.cameBack(r, began)
	var refused *endpoint.Error
	if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
		x.options.Logger.Warn("sign-in at the issuer refused", "issuer", x.options.Issuer, "from", r.RemoteAddr, "error", brief(err))
		a.options.Failures.Count(r.RemoteAddr)
		if later := a.paces.failed(r.RemoteAddr); later != nil {
			return began.To, later
		}
	}
	if err != nil {
		return began.To, err
	}
	endpoint.ShowedCredentials(w)
	who := person.Holder()
	a.ActAs(r, Caller{OperatorToken: who})
	return began.To, a.begin(w, r, auth.Session{Token: who.ID, Person: &person})
}

// flowOf is what the browser remembers, the zero one where it does not.
func flowOf(r *http.Request) (f flow) {
	name := cookieName(r)
	c, err := r.Cookie(name + flowSuffix)
	if name == "" || err != nil {
		return f
	}
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || json.Unmarshal(text, &f) != nil {
		return flow{}
	}
	return f
}

func same(a, b string) bool { return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// cameBack is the person that a request of the way back is of.
func (x *Issuer) cameBack(r *http.Request, began flow) (p auth.Person, err error) {
	q := r.URL.Query()
	age := x.options.Now().Sub(began.At)
	if !same(began.State, q.Get("state")) || began.Verifier == "" || began.Nonce == "" || age < 0 || age > flowPatience {
		return p, x.refuse(http.StatusBadRequest, "this sign-in was not begun in this browser, or more than %.0f minutes ago. Begin again.", flowPatience.Minutes())
	}
	f, err := x.find(r.Context())
	if err != nil {
		return p, x.away(err)
	}
	if iss := q.Get("iss"); iss != "" && iss != x.options.Issuer || iss == "" && f.namesIss {
		return p, x.refuse(http.StatusBadRequest, "somebody else sent you back than %s. Begin again.", x.Host())
	}
	if code := q.Get("error"); code != "" {
		return p, x.refuse(http.StatusUnauthorized, "%s did not let you in: %s.", x.Host(), plainCode(code))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*askPatience) // a code is good once: it is not given up half-way
	defer cancel()
	ctx = oidc.ClientContext(ctx, x.client)
	way := f.comingBack(r)
	token, err := way.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(began.Verifier))
	var answered *oauth2.RetrieveError
	switch {
	case errors.As(err, &answered) && (answered.ErrorCode == "invalid_client" || answered.ErrorCode == "unauthorized_client"):
		return p, x.refuse(http.StatusUnauthorized, "%s does not know this gateway by its client id and secret. Whoever runs the gateway mends oidc.client_id or oidc.client_secret_file.", x.Host()).Because(err)
	case errors.As(err, &answered) && answered.Response != nil && answered.Response.StatusCode < http.StatusInternalServerError && answered.Response.StatusCode >= http.StatusBadRequest:
		return p, x.refuse(http.StatusUnauthorized, "%s does not know this sign-in any more. Begin again.", x.Host()).Because(err)
	case err != nil:
		x.doubt(err)
		return p, x.away(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := f.verifier.Verify(ctx, raw)
	var values []string
	if err == nil {
		p, values, err = x.verified(verified, token, began.Nonce)
	}
	var expired *oidc.TokenExpiredError
	var ahead *clockError
	switch {
	case errors.As(err, &expired), errors.As(err, &ahead):
		return p, x.refuse(http.StatusUnauthorized, "the clocks of %s and of the gateway, which says %s, are too far apart. Sign in with a token.", x.Host(), x.options.Now().UTC().Format("2 Jan 2006, 15:04:05 UTC")).Because(err)
	case err != nil:
		return p, x.refuse(http.StatusUnauthorized, "what %s says of you does not hold; the journal says why. Sign in with a token.", x.Host()).Because(err)
	case !x.spend(began.State):
		return p, x.refuse(http.StatusUnauthorized, "this sign-in was used before. Begin again.")
	case p.Role == "":
		return p, x.refuse(http.StatusForbidden, "%s knows you as %s, and nothing in its claim %s gives you a role here%s. Whoever runs the gateway adds a value of it to oidc.viewers, oidc.operators or oidc.admins.",
			x.Host(), p.Name, x.options.Claim, listed(values))
	}
	return p, nil
}

func (x *Issuer) refuse(status int, sentence string, args ...any) *endpoint.Error {
	text := fmt.Sprintf(sentence, args...)
	return endpoint.Errorf(status, "sign_in_refused", "%s%s", strings.ToUpper(text[:1]), text[1:])
}

// plainCode is an error's name as OAuth has it. Whoever makes a link may write there what they like.
func plainCode(code string) string {
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
		return "an error"
	}
	return code
}

// listed names values to their person.
func listed(values []string) string {
	if len(values) == 0 {
		return ": it has no value"
	}
	var all []string
	for _, v := range values[:min(len(values), mostShown)] {
		all = append(all, fmt.Sprintf("%q", readable(v)))
	}
	if len(values) > mostShown {
		all = append(all, "…")
	}
	return ": it has " + strings.Join(all, ", ")
}
