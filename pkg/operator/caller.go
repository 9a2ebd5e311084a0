package operator

import (
	"errors"
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// need lets callers of a role pass.
func (d *door) need(need auth.Role) endpoint.Guard {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, err := d.allowed(w, r, need)
		return err
	}
}

// allowed is the caller, where its role is enough.
func (d *door) allowed(w http.ResponseWriter, r *http.Request, need auth.Role) (auth.OperatorToken, error) {
	private(w)
	token, err := d.caller(r)
	if err != nil {
		return token, err
	}
	endpoint.ShowedCredentials(w)
	if !token.Role.May(need) {
		return token, forbidden("this needs the role %s, and the token has %s", need, token.Role)
	}
	d.actAs(r, token)
	return token, nil
}

func forbidden(sentence string, args ...any) error {
	return endpoint.Errorf(http.StatusForbidden, "forbidden", sentence, args...)
}

// needPipeline lets those pass who may push firmware of the model that the address names. A pipeline's token lies on
// machines where many may read it: it may be for some models only, and what it pushed stays as it is.
func (d *door) needPipeline(w http.ResponseWriter, r *http.Request) error {
	token, err := d.allowed(w, r, auth.Pipeline)
	if err != nil {
		return err
	}
	if code := fleet.ModelCode(r.PathValue("code")); !token.For(code) {
		return forbidden("this token pushes firmware of %s only, not of %q: an admin makes one with slipway token create --role pipeline --model %s",
			orList(token.Models), string(code), code)
	}
	if token.Role == auth.Pipeline && r.URL.Query().Get("replace") == "true" {
		return forbidden("a pipeline's token replaces no build: raise the version, use an operator's token, or run slipway firmware add --replace on the gateway")
	}
	return nil
}

// orList is "a, b or c".
func orList(codes []fleet.ModelCode) string {
	var b strings.Builder
	for i, code := range codes {
		switch {
		case i == 0:
		case i == len(codes)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(code))
	}
	return b.String()
}

// caller is the token that the caller shows. Whoever came through the socket needs none and may do everything.
func (d *door) caller(r *http.Request) (auth.OperatorToken, error) {
	if d.Gateway.Trusted(r.Context()) {
		return auth.OperatorToken{Role: auth.Admin}, nil
	}
	token, err := d.Operators.Authenticate(tokenOf(r))
	switch {
	case errors.Is(err, auth.ErrNoToken), errors.Is(err, auth.ErrToken):
		if errors.Is(err, auth.ErrToken) {
			d.Failures.Count(r.RemoteAddr)
		}
		e := endpoint.Errorf(http.StatusUnauthorized, "unauthorized", "this needs a token that the gateway knows: none was sent, or it was revoked").Because(err)
		e.Header = http.Header{"Www-Authenticate": {"Bearer"}}
		return token, e
	case err != nil:
		return token, err
	}
	return token, nil
}

// tokenOf is the caller's token: a program's in the header, a browser's in the cookie of the page. The cookie counts for
// reading only: a foreign page can make a browser send a form, and its answer stays unread.
func tokenOf(r *http.Request) string {
	if token := endpoint.Bearer(r); token != "" {
		return token
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return ""
	}
	if c, err := r.Cookie(cookieName); err == nil {
		return c.Value
	}
	return ""
}
