package operator

import (
	"net/http"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func forbidden(sentence string, args ...any) error {
	return endpoint.Errorf(http.StatusForbidden, "forbidden", sentence, args...)
}

// needPipeline lets those pass who may push firmware of the model that the address names. A pipeline's token lies on
// machines where many may read it: it may be for some models only, and what it pushed stays as it is.
func (d *door) needPipeline(w http.ResponseWriter, r *http.Request) error {
	token, err := d.Access.Allowed(w, r, auth.Pipeline)
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
