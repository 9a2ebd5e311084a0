package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	idle       = 12 * time.Hour      // unused for so long a session is over
	longest    = 30 * 24 * time.Hour // and after that whatever is done with it
	ofIssuer   = 24 * time.Hour      // of who has signed in at the issuer: whoever leaves the plant is taken out there, and has left here a day later
	touchEvery = 10 * time.Minute    // its use is noted: each note is a write to the disk
	mostAgent  = 100                 // bytes of a User-Agent that are kept
	mostAside  = 50                  // sessions that a full disk does not take
)

// The cookie. With the prefix a browser takes it over TLS only, from this very host, and for no other. On this machine there
// is no TLS where a person has not asked for it, and nobody in between.
const (
	secureCookie = "__Host-slipway"
	plainCookie  = "slipway"
)

// NeedsHTTPS reports that nobody can sign in by this request: what it carries is to be read on its way.
func NeedsHTTPS(r *http.Request) bool { return r.TLS == nil && !onThisMachine(r) }

func onThisMachine(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// cookieName is under which name a session may come, "" where it may not.
func cookieName(r *http.Request) string {
	switch {
	case r.TLS != nil:
		return secureCookie
	case onThisMachine(r):
		return plainCookie
	}
	return ""
}

func cookieOf(r *http.Request) string {
	name := cookieName(r)
	if name == "" {
		return ""
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// over reports that a session has ended by itself.
func (a *Access) over(s auth.Session) bool {
	now := a.options.Now()
	return now.Sub(s.SeenAt) > idle || now.Sub(s.CreatedAt) > lifetime(s)
}

func lifetime(s auth.Session) time.Duration {
	if s.Person != nil {
		return ofIssuer
	}
	return longest
}

func (a *Access) session(hash auth.Hash) (auth.Session, error) {
	a.mu.Lock()
	s, held := a.aside[hash]
	a.mu.Unlock()
	if held {
		return s, nil
	}
	return a.options.Sessions.Session(hash)
}

// bySession is the caller with a cookie.
func (a *Access) bySession(r *http.Request, hash auth.Hash) (Caller, error) {
	if err := a.OwnPage(r); err != nil {
		return Caller{}, err
	}
	s, err := a.session(hash)
	if errors.Is(err, fleet.ErrUnknown) || err == nil && a.over(s) {
		return Caller{}, unauthorized(errors.New("the session is over"))
	}
	if err != nil {
		return Caller{}, err
	}
	if s.Person != nil {
		if x := a.options.Issuer; x == nil || x.options.Issuer != s.Person.Issuer {
			return Caller{}, unauthorized(errors.New("the session's issuer is not set any more"))
		}
		return Caller{OperatorToken: s.Person.Holder(), Session: s}, nil
	}
	token, err := a.options.Tokens.ByID(s.Token)
	if errors.Is(err, fleet.ErrUnknown) {
		return Caller{}, unauthorized(errors.New("the session's token was revoked"))
	}
	return Caller{OperatorToken: token, Session: s}, err
}

// Touch notes that a person has used the session that a request came with.
func (a *Access) Touch(ctx context.Context, c Caller) {
	now := a.options.Now().UTC()
	if c.Session.Hash == "" || now.Sub(c.Session.SeenAt) < touchEvery {
		return
	}
	a.mu.Lock()
	if s, held := a.aside[c.Session.Hash]; held {
		s.SeenAt = now
		a.aside[s.Hash] = s
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	_ = a.options.Sessions.TouchSession(ctx, c.Session.Hash, now) // on a full disk it is over early, and signing in works
}

var otherSites = http.NewCrossOriginProtection()

// OwnPage refuses what would change something and was sent by another site through somebody's browser. A program, which
// says nothing of where it comes from, passes: it has no cookie that somebody else has got.
func (a *Access) OwnPage(r *http.Request) error {
	if err := otherSites.Check(r); err != nil {
		return endpoint.Errorf(http.StatusForbidden, "cross_origin", "another site sent this form: open the gateway's own page and sign in there").Because(err)
	}
	return nil
}

func needsHTTPS() error {
	return endpoint.Errorf(http.StatusBadRequest, "needs_https", "nobody signs in over plain HTTP: use https")
}

// SignIn begins a session of whoever shows a token, and sets its cookie. Who may not read the page gets none. The errors are
// of status 400 on plain HTTP from elsewhere, 401, 403 or 429.
func (a *Access) SignIn(w http.ResponseWriter, r *http.Request, token string) error {
	if NeedsHTTPS(r) {
		return needsHTTPS()
	}
	known, err := a.options.Tokens.Authenticate(token)
	switch {
	case errors.Is(err, auth.ErrNoToken), errors.Is(err, auth.ErrToken):
		a.options.Failures.Count(r.RemoteAddr)
		if later := a.paces.failed(r.RemoteAddr); later != nil {
			return later
		}
		return endpoint.Errorf(http.StatusUnauthorized, "unauthorized", "This token is not known.").Because(err)
	case err != nil:
		return err
	case !known.Role.May(auth.Viewer):
		return endpoint.Errorf(http.StatusForbidden, "forbidden", "This token pushes firmware and cannot read the page.")
	}
	endpoint.ShowedCredentials(w)
	a.ActAs(r, Caller{OperatorToken: known})
	return a.begin(w, r, auth.Session{Token: known.ID})
}

// begin begins a session, of which is given whose it is.
func (a *Access) begin(w http.ResponseWriter, r *http.Request, s auth.Session) error {
	now := a.options.Now().UTC()
	secret := auth.NewSecret()
	agent := r.UserAgent()
	s.Hash, s.CreatedAt, s.SeenAt, s.Agent = auth.HashSecret(secret), now, now, agent[:min(len(agent), mostAgent)]
	s.From, _, _ = net.SplitHostPort(r.RemoteAddr)
	err := a.options.Sessions.AddSession(context.WithoutCancel(r.Context()), s, a.over)
	if fleet.Told(err) { // people are let in all the same: they are wanted now
		err = a.putAside(s)
	}
	if err != nil {
		return err
	}
	setCookie(w, r, "", secret, lifetime(s))
	return nil
}

// putAside keeps a session until the process ends.
func (a *Access) putAside(s auth.Session) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for hash, one := range a.aside {
		if a.over(one) {
			delete(a.aside, hash)
		}
	}
	if len(a.aside) >= mostAside {
		return endpoint.Errorf(http.StatusInsufficientStorage, "full", "the disk takes no more sessions, and %d are kept without it", mostAside)
	}
	a.aside[s.Hash] = s
	return nil
}

// SignOut ends the session of a request, or with everywhere all sessions of its token, and takes the cookie back. Who has
// none, or one that counts no more, has no session to end.
func (a *Access) SignOut(w http.ResponseWriter, r *http.Request, everywhere bool) error {
	if cookie := cookieOf(r); cookie != "" {
		hash := auth.HashSecret(cookie)
		c, err := a.bySession(r, hash)
		var e *endpoint.Error
		switch {
		case errors.As(err, &e) && e.Status == http.StatusUnauthorized:
		case err != nil:
			return err
		default:
			a.ActAs(r, c)
			err := a.End(context.WithoutCancel(r.Context()), func(s auth.Session) bool { return s.Hash == hash || everywhere && s.Token == c.ID })
			if err != nil {
				return err
			}
		}
	}
	setCookie(w, r, "", "", -time.Second)
	return nil
}

// End ends the sessions that are picked.
func (a *Access) End(ctx context.Context, which func(auth.Session) bool) error {
	a.mu.Lock()
	for hash, s := range a.aside {
		if which(s) {
			delete(a.aside, hash)
		}
	}
	a.mu.Unlock()
	return a.options.Sessions.EndSessions(ctx, which)
}

// Sessions are those that go on.
func (a *Access) Sessions() ([]auth.Session, error) {
	stored, err := a.options.Sessions.Sessions()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.aside {
		stored = append(stored, s)
	}
	kept := stored[:0]
	for _, s := range stored {
		if !a.over(s) {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

func setCookie(w http.ResponseWriter, r *http.Request, suffix, value string, age time.Duration) {
	name := cookieName(r)
	if name == "" {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: name + suffix, Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}
