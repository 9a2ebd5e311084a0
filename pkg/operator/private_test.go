package operator

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

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
