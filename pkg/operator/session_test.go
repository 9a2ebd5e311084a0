package operator

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

func TestAnotherSiteSignsNobodyInOrOut(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	form := url.Values{"token": {d.tokens[auth.Viewer]}}.Encode()
	for _, test := range []struct {
		who     string
		headers []string
		want    int
	}{
		{"a program", nil, http.StatusSeeOther},
		{"the page", []string{"Sec-Fetch-Site", "same-origin", "Origin", d.url}, http.StatusSeeOther},
		{"the page, in a browser on plain HTTP", []string{"Origin", d.url}, http.StatusSeeOther},
		{"a form that a person has kept", []string{"Sec-Fetch-Site", "none"}, http.StatusSeeOther},
		{"another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		{"a neighbour", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://wiki.plant.example"}, http.StatusForbidden},
		{"another site, in a browser on plain HTTP", []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		{"a frame without an origin", []string{"Origin", "null"}, http.StatusForbidden},
	} {
		for _, path := range []string{"/login", "/logout"} {
			a := d.ask(http.MethodPost, path, form, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, test.headers...)...)
			if a.StatusCode != test.want || (a.Header.Get("Set-Cookie") != "") != (test.want == http.StatusSeeOther) {
				t.Errorf("%s, %s: %s, cookie %q", test.who, path, a.Status, a.Header.Get("Set-Cookie"))
			}
			if test.want == http.StatusForbidden && !strings.Contains(a.body, "another site sent this form") {
				t.Errorf("%s, %s: %s", test.who, path, a.body)
			}
		}
	}
	// With no-referrer a browser says "Origin: null" for the page's own forms, and without HTTPS nothing else says where they are from.
	if got := d.ask(http.MethodGet, "/", "").Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("the page's Referrer-Policy is %q", got)
	}
}

func TestAnswersAreForTheirCallerOnly(t *testing.T) {
	d := open(t, nil)
	d.crashes(1, "abort()", "main.c:1")
	for _, test := range []struct{ method, path, body string }{
		{"GET", "/api/status", ""}, {"GET", "/api/devices", ""}, {"GET", "/api/devices/aaaaaaaa", ""}, {"GET", "/api/devices/aaaaaaaa/config", ""},
		{"GET", "/api/devices/zzzzzzzz", ""}, {"GET", "/api/crashes", ""}, {"GET", "/api/coredumps", ""}, {"GET", "/api/tokens", ""}, {"GET", "/api/health", ""},
		{"GET", "/api/device-models", ""}, {"GET", "/api/builds", ""}, {"POST", "/api/devices", `{"model_code":"pump"}`}, {"POST", "/api/devices", `{`},
		{"POST", "/api/devices/import", "pump,bbbbbbb1\n"}, {"POST", "/api/tokens", `{"role":"viewer"}`}, {"GET", "/api/nothing", ""}, {"PATCH", "/api/status", ""},
		{"GET", "/api/devices?mdl=pump", ""}, {"DELETE", "/api/devices/aaaaaaaa", ""},
	} {
		for _, headers := range [][]string{nil, d.bearer(auth.Admin)} {
			a := d.ask(test.method, test.path, test.body, headers...)
			if cache, sniff := a.Header.Get("Cache-Control"), a.Header.Get("X-Content-Type-Options"); cache != "no-store" || sniff != "nosniff" {
				t.Errorf("%s %s: %s, Cache-Control %q, X-Content-Type-Options %q", test.method, test.path, a.Status, cache, sniff)
			}
		}
	}
}

func TestWhoHasNoSessionEndsNone(t *testing.T) {
	d := open(t, nil)
	for _, cookie := range []string{"", cookieName + "=slw_00000000_x", cookieName + "=" + d.tokens[auth.Viewer]} {
		before := d.head()
		if a := d.ask(http.MethodPost, "/logout", "", "Cookie", cookie); a.StatusCode != http.StatusSeeOther {
			t.Errorf("%q: %s", cookie, a.Status)
		}
		if left := d.head() - before; (left == 1) != strings.Contains(cookie, d.tokens[auth.Viewer]) {
			t.Errorf("%q leaves %d events", cookie, left)
		}
	}
}
