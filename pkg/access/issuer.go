package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

// IssuerOptions are what the settings say of somebody else's sign-in for people.
type IssuerOptions struct {
	Issuer       string // an address; its tokens' iss is the same, byte for byte
	ClientID     string
	ClientSecret string // "" for a client that has none
	CA           []byte // PEM; nil for the CAs of this machine
	Scopes       []string
	Claim        string                 // what of the ID token says what a person may do, such as groups, email or realm_access.roles
	Values       map[auth.Role][]string // of the claim, that give a role: the highest counts
	Logger       *slog.Logger
	Now          func() time.Time
}

const (
	askPatience = 10 * time.Second // for each answer of the issuer
	mostAnswer  = 1 << 20          // bytes of it
	findEvery   = time.Hour        // its addresses and keys are asked for anew: a key that it has taken back counts no longer than that
	firstPause  = time.Second      // after a failure, and twice as long after each further one
	lastPause   = time.Minute
)

// Issuer is an OpenID Connect issuer that people sign in at. The gateway needs nothing of it to start, or to take tokens: where
// it does not answer, that is known, and it is asked again, the longer it lasts the more rarely. Nothing that it sends is
// followed elsewhere: an answer that redirects is none.
type Issuer struct {
	options IssuerOptions
	client  *http.Client
	turn    chan struct{} // holds one: whoever asks the issuer
	doubted chan struct{} // wakes Run: the issuer has failed somebody

	mu     sync.Mutex // guards what follows
	found  *found     // nil: it has never answered
	at     time.Time  // when found was
	failed error      // of the last time it was asked
	since  time.Time  // when that began
	next   time.Time  // it is not asked again before
	pause  time.Duration
	used   map[string]time.Time // states that have led to a session, with the end of their time
}

// found is what the issuer says of itself.
type found struct {
	oauth    oauth2.Config // without the address to come back to
	verifier *oidc.IDTokenVerifier
	signOut  string // where a person signs out there, "" where it does not say
	namesIss bool   // it says who it is when it sends a person back
}

// NewIssuer asks nobody.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	secured := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != nil {
		secured.RootCAs = x509.NewCertPool()
		if !secured.RootCAs.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("oidc.ca: there is no certificate in it")
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // it is one
	transport.TLSClientConfig = secured
	x := &Issuer{options: o, turn: make(chan struct{}, 1), doubted: make(chan struct{}, 1), used: map[string]time.Time{}}
	x.client = &http.Client{
		Timeout: askPatience, Transport: limited{transport},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error { return fmt.Errorf("it redirects to %s", r.URL.Host) },
	}
	return x, nil
}

// ReadSecret reads the file with the client secret. A name that is no path is one of systemd's credentials.
func ReadSecret(name string) (string, error) {
	if !strings.Contains(name, "/") {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", fmt.Errorf("%q is the name of a credential, and systemd has handed none over: LoadCredential= in the unit, or the path of a file", name)
		}
		name = dir + "/" + name
	}
	text, err := os.ReadFile(name)
	return strings.TrimRight(string(text), "\r\n"), err
}

// limited ends an answer at mostAnswer bytes.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, mostAnswer), resp.Body}
	}
	return resp, err
}

// Host names the issuer to people.
func (x *Issuer) Host() string {
	u, err := url.Parse(x.options.Issuer)
	if err != nil {
		return x.options.Issuer
	}
	return u.Host
}

// Down is since when the issuer fails, the zero time while it does not.
func (x *Issuer) Down() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.since
}

// SignOut is where a person signs out at the issuer, "" where it does not say.
func (x *Issuer) SignOut() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.found == nil {
		return ""
	}
	return x.found.signOut
}

// Run keeps what the issuer says of itself fresh until ctx ends.
func (x *Issuer) Run(ctx context.Context) error {
	for {
		_, err := x.find(ctx)
		wait := findEvery
		if x.mu.Lock(); err != nil || !x.since.IsZero() {
			wait = x.next.Sub(x.options.Now())
		}
		x.mu.Unlock()
		tick := time.NewTimer(max(wait, firstPause))
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-x.doubted:
		}
		tick.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

var errPaused = errors.New("it has failed a moment ago")

// find is what the issuer says of itself: as it was found within an hour, or asked now, by one caller at a time. Where it fails,
// what was found before still counts.
func (x *Issuer) find(ctx context.Context) (*found, error) {
	if f, err := x.asItIs(); f != nil || err != nil {
		return f, err
	}
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f, err := x.asItIs(); f != nil || err != nil { // whoever had the turn has asked
		return f, err
	}
	now := x.options.Now()
	x.mu.Lock()
	known := x.found
	x.mu.Unlock()
	asked, err := x.ask(ctx)
	if ctx.Err() != nil {
		return known, ctx.Err() // whoever asked has gone: that says nothing of the issuer
	}
	x.note(err)
	if err != nil {
		if known != nil {
			return known, nil
		}
		return nil, err
	}
	x.mu.Lock()
	x.found, x.at = asked, now
	x.mu.Unlock()
	return asked, nil
}

// asItIs is what was found, while nobody has to be asked for it: nothing and no error where somebody has.
func (x *Issuer) asItIs() (*found, error) {
	now := x.options.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.failed != nil && now.Before(x.next) && x.found == nil:
		return nil, errPaused
	case x.failed != nil && now.Before(x.next):
		return x.found, nil
	case x.failed == nil && x.found != nil && now.Sub(x.at) < findEvery && !now.Before(x.at):
		return x.found, nil
	}
	return nil, nil
}

// note notes how the issuer has answered. The journal is told when it begins to fail, and when that ends.
func (x *Issuer) note(err error) {
	now := x.options.Now()
	x.mu.Lock()
	began, ended := err != nil && x.failed == nil, err == nil && x.failed != nil
	x.failed = err
	if err == nil {
		x.since, x.pause = time.Time{}, 0
	} else {
		if began {
			x.since = now
		}
		x.pause = min(max(2*x.pause, firstPause), lastPause)
		x.next = now.Add(x.pause)
	}
	x.mu.Unlock()
	switch {
	case began:
		x.options.Logger.Warn("issuer for people fails: they sign in by tokens", "issuer", x.options.Issuer, "error", brief(err))
	case ended:
		x.options.Logger.Info("issuer for people answers again", "issuer", x.options.Issuer)
	}
}

// doubt notes that the issuer has failed somebody who came back from it, and has Run ask it.
func (x *Issuer) doubt(err error) {
	x.note(err)
	select {
	case x.doubted <- struct{}{}:
	default:
	}
}

// brief is an error for the journal. Those of an issuer may hold all that it sent, and that all that it was sent: the secret.
func brief(err error) string {
	var answered *oauth2.RetrieveError
	if errors.As(err, &answered) && answered.Response != nil {
		return fmt.Sprintf("the token endpoint answers %d, %s", answered.Response.StatusCode, plainCode(answered.ErrorCode))
	}
	return cut(err.Error(), 300)
}

// ask asks the issuer where to go and which keys it signs with.
func (x *Issuer) ask(ctx context.Context) (*found, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, x.client), x.options.Issuer)
	if err != nil {
		return nil, err
	}
	var says struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Keys          string `json:"jwks_uri"`
		SignOut       string `json:"end_session_endpoint"`
		NamesIss      bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&says); err != nil {
		return nil, err
	}
	for name, address := range map[string]string{"authorization_endpoint": says.Authorization, "token_endpoint": says.Token, "jwks_uri": says.Keys} {
		if !x.mayAsk(address) {
			return nil, fmt.Errorf("its %s is %.100q: want an address with https", name, address)
		}
	}
	f := &found{
		oauth: oauth2.Config{
			ClientID: x.options.ClientID, ClientSecret: x.options.ClientSecret, Endpoint: provider.Endpoint(),
			Scopes: append([]string{oidc.ScopeOpenID}, x.options.Scopes...),
		},
		// The clock of one of the two may be wrong by a little. Without algorithms that the issuer names it is RS256, and never none or HS256.
		verifier: provider.Verifier(&oidc.Config{ClientID: x.options.ClientID, Now: func() time.Time { return x.options.Now().Add(-mostSkew) }}),
		namesIss: says.NamesIss,
	}
	if x.mayAsk(says.SignOut) {
		f.signOut = says.SignOut
	}
	return f, nil
}

// mayAsk reports that an address of the issuer's is safe to ask: by TLS, or on this machine, as the issuer's own.
func (x *Issuer) mayAsk(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && ip != nil && ip.IsLoopback() && strings.HasPrefix(x.options.Issuer, "http://")
}

// spend marks a state as one that has led to a session, and says false where it has done so before.
func (x *Issuer) spend(state string) bool {
	now := x.options.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	for one, end := range x.used {
		if now.After(end) {
			delete(x.used, one)
		}
	}
	if _, spent := x.used[state]; spent {
		return false
	}
	x.used[state] = now.Add(flowPatience)
	return true
}

// roleOf is the highest role that a value gives, "" for none.
func (x *Issuer) roleOf(values []string) auth.Role {
	for _, role := range []auth.Role{auth.Admin, auth.Operator, auth.Viewer} {
		if slices.ContainsFunc(x.options.Values[role], func(v string) bool { return slices.Contains(values, v) }) {
			return role
		}
	}
	return ""
}
