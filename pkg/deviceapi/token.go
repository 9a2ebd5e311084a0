package deviceapi

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	tokenPath = "/api/oauth/token"
	mostID    = 69      // bytes of one that is one; so much of any is noted
	formMost  = 8 << 10 // bytes: an id of 69, a secret, and whatever scopes a client names
)

// token is RFC 6749's client credentials grant. Firmware in the field does not look at the status, only for a string
// access_token and a numeric expires_in in less than 4 KiB.
func (d *Door) token(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("Content-Type") == "" { // ESP-IDF 6.0.1 to 6.1-beta1 name none
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	if err := r.ParseForm(); err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "the body is no form of at most 8 KiB").Because(err)
	}
	switch grant := r.PostForm.Get("grant_type"); grant {
	case "client_credentials":
	case "":
		return oauthError(http.StatusBadRequest, "invalid_request", "grant_type is missing")
	default:
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "want client_credentials")
	}
	id, secret, err := clientOf(r)
	if err != nil {
		return err
	}
	noteClient(w, id)
	token, err := d.options.Issuer.Grant(asClient(r, id), id, secret)
	if err = d.options.Guesses.judge(r, id, err); err != nil {
		var paced *endpoint.Error
		if errors.As(err, &paced) {
			paced.Message, paced.Description = "invalid_client", paced.Message
			return paced
		}
	}
	switch {
	case errors.Is(err, auth.ErrInvalidClient):
		e := oauthError(http.StatusUnauthorized, "invalid_client", "client id and secret do not match").Because(err)
		e.Header = challenge(refusedCredentials)
		return e
	case errors.Is(err, auth.ErrClock):
		return oauthError(http.StatusServiceUnavailable, "temporarily_unavailable", "the gateway's clock is wrong").Because(err)
	case errors.Is(err, fleet.ErrFull): // 507 is nothing that a client of OAuth knows
		return oauthError(http.StatusServiceUnavailable, "temporarily_unavailable", "the gateway's disk takes nothing").Because(err)
	case err != nil:
		return refusal(err)
	}
	endpoint.ShowedCredentials(w)
	if _, key, err := fleet.ParseClientID(id); err == nil {
		d.options.Sightings.Seen(d.seen(r, key, fleet.HeardToken))
	}
	return endpoint.WriteJSON(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}{token.AccessToken, "Bearer", int64(token.Lifetime.Seconds())})
}

// clientOf takes the credentials from Basic, where they are form-encoded once more (RFC 6749, 2.3.1), or from the body.
func clientOf(r *http.Request) (id, secret string, err error) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		if id == "" {
			return "", "", oauthError(http.StatusBadRequest, "invalid_request", "client_id is missing")
		}
		return id, secret, nil
	}
	if r.PostForm.Has("client_secret") {
		return "", "", oauthError(http.StatusBadRequest, "invalid_request", "the client names itself twice")
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if errID != nil || errSecret != nil {
		return "", "", oauthError(http.StatusBadRequest, "invalid_request", "id and secret are not form-encoded")
	}
	return id, secret, nil
}

// oauthError has RFC 6749's members beside the house's.
func oauthError(status int, code, description string) *endpoint.Error {
	return &endpoint.Error{Status: status, Code: code, Message: code, Description: description}
}

// keys publishes the key set. Brokers fetch it now and then; a new key is published an hour before it signs.
func (d *Door) keys(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=300")
	return endpoint.WriteJSON(w, http.StatusOK, d.options.Keys.Public())
}
