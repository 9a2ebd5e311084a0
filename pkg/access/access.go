// Package access says who calls, and what they may do: the API of people and CI asks it, and so does the page.
//
// Three ways in. The command line's socket, where the kernel says who it is: everything. A token in the Authorization
// header, as programs send it: what its role may. And a session: a browser that a token has signed in holds a cookie with
// 256 random bits of its own, whose hash lies in the catalog. It ends when it was unused for 12 hours, after 30 days, when
// the person signs out, here or everywhere, and with its token. Where the settings name an issuer of OpenID Connect ([Issuer]) a
// person may sign in there instead, and has the role that a claim of theirs gives; that session ends after a day.
//
// A browser sends its cookie along whoever has made it ask. So a cookie changes something only where the browser says that
// the gateway's own page has asked ([net/http.CrossOriginProtection]). It goes over TLS, or stays on this machine: on plain
// HTTP from elsewhere nobody is signed in.
package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Options are whom it asks.
type Options struct {
	Tokens   tokens
	Sessions sessions
	Socket   socket
	Issuer   *Issuer      // that people may sign in at; nil for none
	Failures *event.Tally // of those who show a token that nobody knows, or come back from the issuer with what does not hold
	Now      func() time.Time
}

// tokens are people's and pipelines'.
type tokens interface {
	Authenticate(token string) (auth.OperatorToken, error)
	ByID(id string) (auth.OperatorToken, error)
}

// sessions are stored.
type sessions interface {
	Session(auth.Hash) (auth.Session, error)
	Sessions() ([]auth.Session, error)
	AddSession(ctx context.Context, s auth.Session, over func(auth.Session) bool) error
	TouchSession(ctx context.Context, hash auth.Hash, at time.Time) error
	EndSessions(ctx context.Context, which func(auth.Session) bool) error
}

// socket knows who came through the command line's.
type socket interface {
	Trusted(context.Context) bool // and may do everything
	Peer(context.Context) string  // "uid:1000"
}

// Access tells callers apart.
type Access struct {
	options Options
	paces   paces

	mu    sync.Mutex // guards aside
	aside map[auth.Hash]auth.Session
}

// New makes one.
func New(o Options) *Access {
	return &Access{options: o, aside: map[auth.Hash]auth.Session{}, paces: paces{now: o.Now}}
}

// Caller is who asks.
type Caller struct {
	auth.OperatorToken              // without an id for who came through the socket
	Session            auth.Session // the zero one for who sent no cookie
}

// Is reports that the caller may do what a holder of the role may.
func (c Caller) Is(role auth.Role) bool { return c.Role.May(role) }

// Private says that an answer is for its caller only, and what its Content-Type says, whatever a browser makes of it.
func Private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// Need lets callers of a role pass.
func (a *Access) Need(role auth.Role) endpoint.Guard {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, err := a.Allowed(w, r, role)
		return err
	}
}

// Allowed is the caller, where its role is enough. What follows from the request is told as done by them.
func (a *Access) Allowed(w http.ResponseWriter, r *http.Request, need auth.Role) (Caller, error) {
	Private(w)
	c, err := a.Caller(r)
	if err != nil {
		return c, err
	}
	endpoint.ShowedCredentials(w)
	if !c.Is(need) {
		return c, endpoint.Errorf(http.StatusForbidden, "forbidden", "this needs the role %s, and the token has %s", need, c.Role)
	}
	a.ActAs(r, c)
	return c, nil
}

// Caller is who sends a request: an error of status 401 where nobody knows, and 403 where another site has made a browser
// send it.
func (a *Access) Caller(r *http.Request) (Caller, error) {
	if a.options.Socket.Trusted(r.Context()) {
		return Caller{OperatorToken: auth.OperatorToken{Role: auth.Admin}}, nil
	}
	if endpoint.Bearer(r) == "" {
		if cookie := cookieOf(r); cookie != "" {
			return a.bySession(r, auth.HashSecret(cookie))
		}
	}
	token, err := a.options.Tokens.Authenticate(endpoint.Bearer(r))
	switch {
	case errors.Is(err, auth.ErrNoToken):
		return Caller{}, unauthorized(err)
	case errors.Is(err, auth.ErrToken):
		a.options.Failures.Count(r.RemoteAddr)
		if later := a.paces.failed(r.RemoteAddr); later != nil {
			return Caller{}, later
		}
		return Caller{}, unauthorized(err)
	}
	return Caller{OperatorToken: token}, err
}

func unauthorized(err error) error {
	e := endpoint.Errorf(http.StatusUnauthorized, "unauthorized", "this needs a token that the gateway knows: none was sent, or it was revoked").Because(err)
	e.Header = http.Header{"Www-Authenticate": {"Bearer"}}
	return e
}

// ActAs has what follows from a request told as done by its caller. The handler gets the request that its guard had.
func (a *Access) ActAs(r *http.Request, c Caller) {
	by := event.By{Actor: fleet.Actor{Type: fleet.Person, ID: c.ID, Name: c.Name}}
	if a.options.Socket.Trusted(r.Context()) {
		by.Actor.ID = a.options.Socket.Peer(r.Context())
	} else if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		by.From = host
	}
	*r = *r.WithContext(event.WithActor(r.Context(), by))
}
