package endpoint

import (
	"net/http"
	"strings"
)

// Bearer is the token in the Authorization header, "" for none. The scheme's name is taken in any case (RFC 9110).
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
