package deviceapi

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEveryRouteOfADeviceWorksBelowItsPathSecret(t *testing.T) {
	for _, route := range deviceRoutes {
		r := open(t, nil)
		method, path, _ := strings.Cut(route, " ")
		want := r.do(t, method, path, strings.NewReader("dump"), pumpsToken)
		for _, base := range []string{"/d/aaaaaaa1-in-the-path", "//d//aaaaaaa1-in-the-path/"} {
			got := r.do(t, method, base+path, strings.NewReader("dump"))
			if got.status != want.status || want.status >= 400 || got.length < 0 {
				t.Errorf("%s below %s: %d, length %d; with a token %d", route, base, got.status, got.length, want.status)
			}
			for _, secret := range []string{"wrong", "", "aaaaaaa1", "zzzzzzz9-in-the-path"} {
				wrong := r.do(t, method, strings.Replace(base, "aaaaaaa1-in-the-path", secret, 1)+path, strings.NewReader("dump"), pumpsToken)
				if secret == "" && wrong.status == http.StatusNotFound {
					continue
				}
				if wrong.status != http.StatusUnauthorized || wrong.header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s below %q: %d, challenge %q", route, secret, wrong.status, wrong.header.Get("WWW-Authenticate"))
				}
			}
		}
	}
}

func TestBelowAPathSecretThereIsNothingElse(t *testing.T) {
	r := open(t, nil)
	for _, path := range []string{
		"/d", "/d/", "/d/aaaaaaa1-in-the-path", "/d/aaaaaaa1-in-the-path/", "/d/aaaaaaa1-in-the-path/.well-known/jwks.json",
		"/d/aaaaaaa1-in-the-path/d/aaaaaaa1-in-the-path/api/iot/firmware", "/d/aaaaaaa1-in-the-path/api/devices", "/_catalog", "/_catalog?op=list&path=/",
	} {
		if got := r.do(t, http.MethodGet, path, nil, pumpsToken); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestWrongPathSecretsArePacedByTheDeviceThatTheyNameAndNeverLogged(t *testing.T) {
	var journal bytes.Buffer
	failed := 0
	r := open(t, func(o *Options) {
		o.Guesses = NewGuesses(slog.New(slog.NewTextHandler(&journal, nil)), func(string) { failed++ }, time.Now)
		o.Caller = ByCredentials(o.Images.(*memory), o.Images.(*memory), o.Guesses)
	})
	for range guessesPerMinute {
		if got := r.do(t, http.MethodGet, "/d/aaaaaaa1wrong/api/iot/config", nil); got.status != http.StatusUnauthorized {
			t.Fatalf("%d", got.status)
		}
	}
	got := r.do(t, http.MethodGet, "/d/aaaaaaa1guess/api/iot/config", nil)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("after %d wrong ones: %d", guessesPerMinute, got.status)
	}
	if got := r.do(t, http.MethodGet, "/d/aaaaaaa1-in-the-path/api/iot/config", nil); got.status != http.StatusOK {
		t.Errorf("the right one then: %d", got.status)
	}
	if failed != guessesPerMinute+1 {
		t.Errorf("%d were counted", failed)
	}
	if text := journal.String(); !strings.Contains(text, "path secret of aaaaaaa1") || strings.Contains(text, "wrong/") || strings.Contains(text, "aaaaaaa1wrong") {
		t.Errorf("journal: %s", text)
	}
}

func TestAutoConnectIsShownTheOfferedBuildAndFetchesItByItsName(t *testing.T) {
	r := open(t, nil)
	secret := "/d/aaaaaaa1-in-the-path"
	for _, address := range []string{"/_catalog?op=list&path=" + secret, secret + "/_catalog?op=list&path=" + secret, secret + "/_catalog?op=list&path=."} {
		got := r.do(t, http.MethodGet, address, nil)
		var list []struct{ Name, Type string }
		if err := json.Unmarshal(got.body, &list); err != nil || got.status != http.StatusOK || len(list) != 1 || list[0].Name != "pump-1.1.bin" || list[0].Type != "bin" {
			t.Fatalf("%s: %d %s %v", address, got.status, got.body, err)
		}
		const buffer = 256 // AUTOCONNECT_UPDATE_CATALOG_JSONBUFFER_SIZE
		if n := arduinoJSON(t, got.body); n > buffer {
			t.Errorf("the catalog takes %d bytes", n)
		}
	}
	sketch := []string{"x-ESP32-mode: sketch", "x-ESP32-sketch-sha256: " + strings.Repeat("F", 64)}
	got := r.do(t, http.MethodGet, secret+"/pump-1.1.bin", nil, sketch...)
	if got.status != http.StatusOK || got.header.Get("x-MD5") == "" || got.length != 20000 {
		t.Errorf("%d, x-MD5 %q, %d bytes", got.status, got.header.Get("x-MD5"), got.length)
	}
	for path, want := range map[string]int{
		"/pump-1.0.bin": 200, "/pump-9.bin": 404, "/empty-1.1.bin": 404, "/1.1.bin": 404, "/pump-1.1": 404, "/pump-../1.1.bin": 404,
		"/_catalog?op=remove": 400, "/_catalog": 400,
	} {
		if got := r.do(t, http.MethodGet, secret+path, nil, sketch...); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
	if got := r.do(t, http.MethodGet, "/d/bbbbbbb2-in-the-path/_catalog?op=list", nil); string(got.body) != "[]" && strings.TrimSpace(string(got.body)) != "[]" {
		t.Errorf("without firmware: %d %s", got.status, got.body)
	}
}

func FuzzCutSecret(f *testing.F) {
	for _, path := range []string{"/d/s/api/iot/firmware", "//d//s//_catalog", "/_catalog", "/d/", "/d", "/d/%2e%2e/api", "/api/iot/firmware"} {
		f.Add(path, "op=list&path=/d/s")
	}
	f.Add("_catalog", "op=list&path=/ddd")
	f.Fuzz(func(t *testing.T, path, query string) {
		req, err := http.NewRequest(http.MethodGet, "http://x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path, req.URL.RawQuery = path, query
		secret, rest, shown := cutSecret(req.URL)
		switch {
		case !shown && secret != "":
			t.Errorf("%q: %q", path, secret)
		case shown && !strings.HasPrefix(rest, "/api/") && !strings.HasPrefix(rest, "/d/"):
			t.Errorf("%q leads to %q", path, rest)
		case strings.HasPrefix(path, "/d/") && !shown:
			t.Errorf("%q is handed on with its secret", path)
		}
	})
}
