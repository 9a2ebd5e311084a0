package deviceapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Path secrets are for clients that can send neither a token nor HTTP Basic: what stands in a path as /d/SECRET is taken out of
// it before anybody else sees the request, so that no log, metric or event has it.
//
//	/d/SECRET/api/…       a route of the device API, as it is
//	/d/SECRET/…           what AutoConnect asks for: see [Door.catalog]
//	/_catalog?path=/d/SECRET   how AutoConnect names the same by itself

// secretKey is the path secret in a request's context.
type secretKey struct{}

// pathSecret is what the path of a request showed before it was taken out.
func pathSecret(r *http.Request) (secret string, shown bool) {
	secret, shown = r.Context().Value(secretKey{}).(string)
	return secret, shown
}

// below is what a client puts before the paths that it is told.
func below(r *http.Request) string {
	if secret, shown := pathSecret(r); shown {
		return "/d/" + secret
	}
	return ""
}

// PathSecrets hands requests that show a path secret to the routes of devices, and all others on.
func PathSecrets(devices, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secret, rest, shown := cutSecret(r.URL)
		if !shown {
			others.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), secretKey{}, secret))
		r.URL = &url.URL{Path: rest, RawQuery: r.URL.RawQuery}
		r.RequestURI = rest
		devices.ServeHTTP(w, r)
	})
}

// cutSecret takes the secret out of an address. What is not below /api is asked for in AutoConnect's way, and has routes
// of its own, which no other address leads to.
func cutSecret(u *url.URL) (secret, rest string, shown bool) {
	path := strings.TrimLeft(u.Path, "/")
	if path == strings.TrimPrefix(catalogPath, "/d/") {
		if secret, shown = strings.CutPrefix(strings.Trim(u.Query().Get("path"), "/"), "d/"); !shown {
			return "", "", false
		}
		return secret, catalogPath, true
	}
	path, shown = strings.CutPrefix(path, "d/")
	if !shown {
		return "", "", false
	}
	secret, rest, _ = strings.Cut(strings.TrimLeft(path, "/"), "/")
	rest = "/" + strings.TrimLeft(rest, "/")
	if !strings.HasPrefix(rest, "/api/") {
		rest = "/d" + rest
	}
	return secret, rest, true
}
