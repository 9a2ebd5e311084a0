package access

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// full is a store on a disk that takes nothing, with the one token "right".
type full struct{}

var known = auth.OperatorToken{ID: "a1", Name: "Ana", Role: auth.Operator}

func (full) Authenticate(token string) (auth.OperatorToken, error) {
	if token != "right" {
		return auth.OperatorToken{}, auth.ErrToken
	}
	return known, nil
}
func (full) ByID(string) (auth.OperatorToken, error)                  { return known, nil }
func (full) Session(auth.Hash) (auth.Session, error)                  { return auth.Session{}, fleet.Unknown("none") }
func (full) Sessions() ([]auth.Session, error)                        { return nil, nil }
func (full) TouchSession(context.Context, auth.Hash, time.Time) error { return fleet.Full("the disk") }
func (full) AddSession(context.Context, auth.Session, func(auth.Session) bool) error {
	return fleet.Full("the disk")
}
func (full) EndSessions(context.Context, func(auth.Session) bool) error { return nil }
func (full) Trusted(context.Context) bool                               { return false }
func (full) Peer(context.Context) string                                { return "" }

func onFullDisk() *Access {
	return New(Options{Tokens: full{}, Sessions: full{}, Socket: full{}, Failures: &event.Tally{}, Now: func() time.Time { return noon }})
}

// request comes from an address, over TLS or not.
func request(method, from string, encrypted bool) *http.Request {
	r := httptest.NewRequest(method, "http://gateway/", nil)
	r.RemoteAddr = from
	if encrypted {
		r.TLS = &tls.ConnectionState{}
	}
	return r
}

func TestASessionGoesOverTLSOrStaysOnThisMachine(t *testing.T) {
	for _, test := range []struct {
		from      string
		encrypted bool
		cookie    string // its beginning, "" for none
		secure    bool
	}{
		{"192.0.2.7:1", true, "__Host-slipway=", true},
		{"127.0.0.1:1", true, "__Host-slipway=", true},
		{"127.0.0.1:1", false, "slipway=", false},
		{"[::1]:1", false, "slipway=", false},
		{"192.0.2.7:1", false, "", false},
		{"nonsense", false, "", false},
	} {
		a, w := onFullDisk(), httptest.NewRecorder()
		err := a.SignIn(w, request(http.MethodPost, test.from, test.encrypted), "right")
		set := w.Header().Get("Set-Cookie")
		if (err == nil) != (test.cookie != "") || !strings.HasPrefix(set, test.cookie) || strings.Contains(set, "; Secure") != test.secure || test.cookie == "" && set != "" {
			t.Errorf("%s, TLS %t: %q, %v", test.from, test.encrypted, set, err)
		}
		var e *endpoint.Error
		if test.cookie == "" && (!errors.As(err, &e) || e.Code != "needs_https") {
			t.Errorf("%s is refused with %v", test.from, err)
		}
	}
}

func TestAPersonIsLetInOnAFullDiskAndOutAgain(t *testing.T) {
	a, w := onFullDisk(), httptest.NewRecorder()
	if err := a.SignIn(w, request(http.MethodPost, "127.0.0.1:1", false), "right"); err != nil {
		t.Fatal(err)
	}
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	with := func(method, from string) *http.Request {
		r := request(method, from, false)
		r.Header.Set("Cookie", cookie)
		return r
	}
	if c, err := a.Caller(with(http.MethodGet, "127.0.0.1:2")); err != nil || c.Name != "Ana" || !c.Is(auth.Operator) || c.Is(auth.Admin) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := a.Caller(with(http.MethodGet, "192.0.2.7:2")); err == nil {
		t.Errorf("a cookie in plain HTTP from elsewhere counts: %+v", c)
	}
	foreign := with(http.MethodPost, "127.0.0.1:2")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	if c, err := a.Caller(foreign); err == nil {
		t.Errorf("another site acts: %+v", c)
	}
	if listed, err := a.Sessions(); err != nil || len(listed) != 1 {
		t.Errorf("%+v, %v", listed, err)
	}
	if err := a.SignOut(httptest.NewRecorder(), with(http.MethodPost, "127.0.0.1:2"), false); err != nil {
		t.Fatal(err)
	}
	if c, err := a.Caller(with(http.MethodGet, "127.0.0.1:2")); err == nil {
		t.Errorf("signed out, and in: %+v", c)
	}
	for range mostAside {
		if err := a.SignIn(httptest.NewRecorder(), request(http.MethodPost, "127.0.0.1:1", false), "right"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.SignIn(httptest.NewRecorder(), request(http.MethodPost, "127.0.0.1:1", false), "right"); err == nil {
		t.Errorf("more than %d sessions are kept in memory", mostAside)
	}
}
