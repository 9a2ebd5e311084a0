package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/deviceapi"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/operator"
	"github.com/slipway-gateway/slipway/pkg/page"
)

// own are changing routes that a person sends for themselves: nobody else does it for them.
var own = []string{"POST /login", "POST /logout", "POST /logout/everywhere"}

// changing are the routes of all doors that are not asked with GET or HEAD, as they register themselves, and which of them are
// for devices: those know no session at all.
func changing() (routes []endpoint.Route, ofDevices map[string]bool) {
	list := func(register func(*endpoint.Routes)) (kept []endpoint.Route) {
		rs := endpoint.NewRoutes(slog.New(slog.DiscardHandler), endpoint.NewMetrics(prometheus.NewRegistry()))
		register(rs)
		for _, r := range rs.List() {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				kept = append(kept, r)
			}
		}
		return kept
	}
	devices := list(func(rs *endpoint.Routes) {
		deviceapi.New(deviceapi.Options{Keys: &auth.Keys{}, Tenant: "DEFAULT"}).Register(rs)
	})
	ofDevices = map[string]bool{}
	for _, r := range devices {
		ofDevices[r.Method+" "+r.Pattern] = true
	}
	people := list(func(rs *endpoint.Routes) {
		operator.Register(rs, operator.Options{})
		page.Register(rs, page.Options{})
	})
	return slices.Concat(devices, people), ofDevices
}

// socketOnly are the routes that the description has for the command line on the gateway.
func socketOnly(t *testing.T) map[string]bool {
	t.Helper()
	text, err := operator.DescriptionJSON()
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths map[string]map[string]struct{ Security []map[string][]string }
	}
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	only := map[string]bool{}
	for path, methods := range described.Paths {
		for method, route := range methods {
			if len(route.Security) == 1 && route.Security[0]["socket"] != nil {
				only[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	return only
}

// TestNoChangingRouteIsTakenFromAViewerFromAnotherSiteOrFromNobody sends each of them as a browser would, with all that it
// names being there. A route that is added is tried without a line here.
func TestNoChangingRouteIsTakenFromAViewerFromAnotherSiteOrFromNobody(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	key := g.addDevice("pump").Key
	signIn := func(role string) (cookie string) {
		form := url.Values{"token": {g.operatorToken(role)}}.Encode()
		a := g.ask(http.MethodPost, "/login", "", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded")
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s %s", a.Status, a.body)
		}
		cookie, _, _ = strings.Cut(a.Header.Get("Set-Cookie"), ";")
		return cookie
	}
	viewer, admin := signIn("viewer"), signIn("admin")
	at := strings.NewReplacer("{code}", "pump", "{key}", key, "{version}", "1.0.0", "{number}", "1", "{fingerprint}", "0000000000000000",
		"{controller}", key, "{action}", "1")
	routes, ofDevices := changing()
	bySocket := socketOnly(t)
	before := len(g.events())
	for _, r := range routes {
		name, path := r.Method+" "+r.Pattern, at.Replace(r.Pattern)
		if r.Pattern == "/policy-reports" { // any browser may say what it has stopped
			continue
		}
		for who, test := range map[string]struct {
			headers []string
			want    int
		}{
			"a viewer's session":              {[]string{"Cookie", viewer, "Sec-Fetch-Site", "same-origin", "Origin", g.url}, http.StatusForbidden},
			"another site":                    {[]string{"Cookie", admin, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
			"another site without an origin":  {[]string{"Cookie", admin, "Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
			"another site, in an old browser": {[]string{"Cookie", admin, "Origin", "http://evil.example"}, http.StatusForbidden},
			"a neighbour":                     {[]string{"Cookie", admin, "Sec-Fetch-Site", "same-site", "Origin", "https://wiki.plant.example"}, http.StatusForbidden},
			"a browser that is signed out":    {[]string{"Cookie", "slipway=", "Sec-Fetch-Site", "same-origin", "Origin", g.url}, http.StatusUnauthorized},
			"one whose session has ended":     {[]string{"Cookie", "slipway=" + auth.NewSecret(), "Sec-Fetch-Site", "same-origin"}, http.StatusUnauthorized},
		} {
			foreign := strings.Contains(who, "another site") || who == "a neighbour"
			if !foreign && slices.Contains(own, name) {
				continue
			}
			a := g.ask(r.Method, path, "", strings.NewReader("typed="+key), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, test.headers...)...)
			switch {
			case ofDevices[name]:
				if a.StatusCode != http.StatusUnauthorized && (a.StatusCode != http.StatusBadRequest || r.Pattern != "/api/oauth/token") {
					t.Errorf("%s, by %s: %s %s", name, who, a.Status, a.body)
				}
			case bySocket[name]: // it asks for no session and no token
				if a.StatusCode != http.StatusUnauthorized || !strings.Contains(string(a.body), "socket") {
					t.Errorf("%s, by %s: %s %s", name, who, a.Status, a.body)
				}
			case a.StatusCode != test.want:
				t.Errorf("%s, by %s: %s %s", name, who, a.Status, a.body)
			case foreign && !strings.Contains(string(a.body), "another site sent this form"):
				t.Errorf("%s, by %s, is refused with %s", name, who, a.body)
			}
		}
	}
	if len(routes) < 70 {
		t.Errorf("only %d routes change something", len(routes))
	}
	for _, e := range g.events()[before:] {
		if e.Kind != event.SignInFailed && e.Kind != event.TokenRequestFailed && e.Kind != event.TokenCreated { // the last is of who reads the events
			t.Errorf("it has left %s of %+v", e.Kind, e.Object)
		}
	}
}
