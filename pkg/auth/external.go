package auth

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// ExternalIssuer is somebody else's token service, from the settings.
type ExternalIssuer struct {
	Issuer     string
	JWKSURL    string
	Audience   string
	Algorithms []string // only asymmetric ones
}

// External holds an external issuer's key set. The set is fetched in the background from the configured address; no
// request waits for it, and the last good one survives an outage.
type External struct {
	ExternalIssuer
	logger *slog.Logger
	keys   atomic.Pointer[keyfunc.Keyfunc]
	stale  chan struct{} // a token named a key that the set does not have
}

const (
	refetchEvery   = time.Hour
	refetchUnknown = time.Minute // at most, for keys that are not in the set
	fetchTimeout   = 10 * time.Second
	mostKeySet     = 1 << 20 // bytes
)

// NewExternal makes the issuer; its tokens are refused until Run has fetched the keys.
func NewExternal(o ExternalIssuer, logger *slog.Logger) *External {
	return &External{ExternalIssuer: o, logger: logger, stale: make(chan struct{}, 1)}
}

// Run fetches the key set now, every hour, and soon after a token named an unknown key, until ctx ends.
func (x *External) Run(ctx context.Context) error {
	for {
		started := time.Now()
		if err := x.fetch(ctx); err != nil && ctx.Err() == nil {
			x.logger.Warn("key set not fetched, keeping the last one", "issuer", x.Issuer, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(refetchUnknown - time.Since(started)):
		}
		wait := refetchEvery
		if x.keys.Load() == nil {
			wait = 0 // an outage at the start: once a minute
		}
		select {
		case <-ctx.Done():
			return nil
		case <-x.stale:
		case <-time.After(wait):
		}
	}
}

func (x *External) fetch(ctx context.Context) error {
	storage, err := jwkset.NewStorageFromHTTP(x.JWKSURL, jwkset.HTTPClientStorageOptions{
		Ctx: ctx, HTTPTimeout: fetchTimeout, Client: &http.Client{Transport: bounded{http.DefaultTransport}},
	})
	if err != nil {
		return err
	}
	keys, err := keyfunc.New(keyfunc.Options{Storage: storage, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return err
	}
	x.keys.Store(&keys)
	return nil
}

// find is a jwt.Keyfunc over the set as it is.
func (x *External) find(token *jwt.Token) (any, error) {
	if _, named := token.Header["kid"].(string); !named {
		return nil, ErrToken
	}
	keys := x.keys.Load()
	if keys == nil {
		return nil, ErrToken
	}
	found, err := (*keys).Keyfunc(token)
	if err != nil {
		select {
		case x.stale <- struct{}{}:
		default:
		}
	}
	return found, err
}

// bounded ends a key set's body at mostKeySet.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, mostKeySet), resp.Body}
	}
	return resp, err
}
