package deviceapi

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

const formType = "Content-Type: application/x-www-form-urlencoded"

func TestTokensAreGrantedToFormAndBasic(t *testing.T) {
	r := open(t, func(o *Options) { o.TokenPaths = []string{"/realms/iot/protocol/openid-connect/token", tokenPath} })
	basic := func(id, secret string) string { return basic(url.QueryEscape(id), url.QueryEscape(secret)) }
	esp := "grant_type=client_credentials&scope=openid+profile+email&client_id=iotdevice-pump-aaaaaaa1&client_secret=old+secret"
	for name, c := range map[string]struct {
		path, body, auth string
	}{
		"form":                   {tokenPath, esp, "X: none"},
		"form at another path":   {"/realms/iot/protocol/openid-connect/token", esp, "X: none"},
		"basic":                  {tokenPath, "grant_type=client_credentials", basic("iotdevice-pump-aaaaaaa1", "old secret")},
		"basic with odd secret":  {tokenPath, "grant_type=client_credentials&scope=x", basic("iotdevice-empty-bbbbbbb2", "p+q/=%")},
		"basic and the same id":  {tokenPath, "grant_type=client_credentials&client_id=iotdevice-pump-aaaaaaa1", basic("iotdevice-pump-aaaaaaa1", "old secret")},
		"form, double slash too": {"//api//oauth/token", esp, "X: none"},
	} {
		got := r.do(t, "POST", c.path, strings.NewReader(c.body), formType, c.auth)
		lifetime, numeric := got.member(t, "expires_in").(float64)
		if got.status != 200 || !numeric || lifetime != 86400 || got.member(t, "token_type") != "Bearer" || got.length <= 0 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if token, _ := got.member(t, "access_token").(string); !strings.HasPrefix(token, "token-") {
			t.Errorf("%s: %s", name, got.body)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, got.header)
		}
	}
}

func TestARefusedTokenHasTheMembersOfRFC6749AndTheHouse(t *testing.T) {
	r := open(t, nil)
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		"grant_type=client_credentials&client_id=iotdevice-pump-aaaaaaa1&client_secret=wrong": {401, "invalid_client"},
		"grant_type=client_credentials&client_id=iotdevice-pump-aaaaaaa1":                     {401, "invalid_client"},
		"grant_type=client_credentials&client_id=nobody&client_secret=x":                      {401, "invalid_client"},
		"grant_type=client_credentials":                                                       {400, "invalid_request"},
		"client_id=iotdevice-pump-aaaaaaa1&client_secret=old+secret":                          {400, "invalid_request"},
		"":                    {400, "invalid_request"},
		"grant_type=password": {400, "unsupported_grant_type"},
		"grant_type=%zz":      {400, "invalid_request"},
		"grant_type=client_credentials&x=" + strings.Repeat("x", formMost):                        {400, "invalid_request"},
		"grant_type=client_credentials&client_id=iotdevice-pump-aaaaaaa1&client_secret=the+clock": {503, "temporarily_unavailable"},
	} {
		got := r.do(t, "POST", tokenPath, strings.NewReader(body), formType)
		if len(body) > 80 {
			body = body[:80]
		}
		if got.status != want.status || got.member(t, "error") != want.code || got.member(t, "code") != want.code {
			t.Errorf("%q: %d %s", body, got.status, got.body)
		}
		if _, object := got.member(t, "details").(map[string]any); !object || got.member(t, "error_description") == nil {
			t.Errorf("%q: %s", body, got.body)
		}
	}
	got := r.do(t, "POST", tokenPath, strings.NewReader(`{"grant_type":"client_credentials"}`), "Content-Type: application/json")
	if got.status != 400 {
		t.Errorf("JSON: %d", got.status)
	}
}

func TestAFormNeedsNoContentType(t *testing.T) {
	r := open(t, nil)
	form := "grant_type=client_credentials&client_id=iotdevice-pump-aaaaaaa1&client_secret="
	for secret, want := range map[string]string{"old+secret": " 200 ", "wrong": " 401 "} {
		answer := r.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", tokenPath, len(form+secret), form+secret))
		if line, _, _ := strings.Cut(answer, "\r\n"); !strings.Contains(line, want) {
			t.Errorf("%s: %s", secret, line)
		}
	}
}

func TestTheKeySetIsPublic(t *testing.T) {
	r := open(t, nil)
	if got := r.do(t, "GET", "/.well-known/jwks.json", nil); got.status != 200 || !strings.Contains(string(got.body), `"kid":"k"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}
