package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// realm is a real issuer, whose answers a test may change.
type realm struct {
	*mockoidc.MockOIDC
	t       *testing.T
	hook    func(w http.ResponseWriter, r *http.Request, next http.Handler) // nil: as it is
	asked   map[string]int                                                  // by the last part of the path
	mu      sync.Mutex                                                      // guards asked and hook
	journal safeBuffer
	options access.IssuerOptions
	address string
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// somebody is a person at the issuer.
type somebody struct {
	sub    string
	claims func(jwt.MapClaims)
}

func (s somebody) ID() string                        { return s.sub }
func (s somebody) Userinfo([]string) ([]byte, error) { return []byte("{}"), nil }
func (s somebody) Claims(_ []string, base *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	text, err := json.Marshal(base)
	if err != nil {
		return nil, err
	}
	all := jwt.MapClaims{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	all["sub"], all["name"] = s.sub, "Ana Kovač"
	if s.claims != nil {
		s.claims(all)
	}
	return all, nil
}

func in(groups ...string) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) { c["groups"] = groups }
}

// openAtIssuer is a desk whose people may sign in at an issuer.
func openAtIssuer(t *testing.T, change ...func(*access.IssuerOptions)) (*desk, *realm) {
	t.Helper()
	m, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &realm{MockOIDC: m, t: t, asked: map[string]int{}}
	err = m.AddMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.mu.Lock()
			parts := strings.Split(req.URL.Path, "/")
			r.asked[parts[len(parts)-1]]++
			hook := r.hook
			r.mu.Unlock()
			if hook != nil {
				hook(w, req, next)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(l, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Shutdown() })
	d := openWith(t, func(now func() time.Time) *access.Issuer {
		r.options = access.IssuerOptions{
			Issuer: m.Issuer(), ClientID: m.ClientID, ClientSecret: m.ClientSecret, Scopes: []string{"profile", "email"}, Claim: "groups",
			Values: map[auth.Role][]string{auth.Viewer: {"plant"}, auth.Operator: {"shift-leads", "maintenance"}, auth.Admin: {"it"}},
			Logger: slog.New(slog.NewJSONHandler(&r.journal, nil)), Now: now,
		}
		for _, c := range change {
			c(&r.options)
		}
		x, err := access.NewIssuer(r.options)
		if err != nil {
			t.Fatal(err)
		}
		return x
	})
	m.FastForward(time.Until(d.clock))
	return d, r
}

func (r *realm) hooked(hook func(w http.ResponseWriter, req *http.Request, next http.Handler)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

func (r *realm) askedFor(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[what]
}

// tokens has the ID tokens of an issuer changed before they are sent.
func (r *realm) tokens(change func(token string) string) {
	r.hooked(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		if !strings.HasSuffix(req.URL.Path, "/token") {
			next.ServeHTTP(w, req)
			return
		}
		kept := httptest.NewRecorder()
		next.ServeHTTP(kept, req)
		var answer map[string]any
		if err := json.Unmarshal(kept.Body.Bytes(), &answer); err != nil {
			r.t.Error(err)
		}
		if token, ok := answer["id_token"].(string); ok {
			answer["id_token"] = change(token)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(kept.Code)
		_ = json.NewEncoder(w).Encode(answer)
	})
}

// way is a person's at the issuer: the cookie that remembers it, and the address that they are sent back to.
type way struct{ cookie, back string }

// goes signs somebody in at the issuer, and leaves them there.
func (d *desk) goes(r *realm, who somebody, to string) way {
	d.t.Helper()
	r.QueueUser(who)
	a := d.ask(http.MethodGet, "/login/oidc?"+url.Values{"to": {to}}.Encode(), "")
	if a.StatusCode != http.StatusSeeOther {
		d.t.Fatalf("to the issuer: %s\n%s", a.Status, a.body)
	}
	r.address = a.Header.Get("Location")
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	there, err := http.DefaultTransport.RoundTrip(httptest.NewRequestWithContext(d.t.Context(), http.MethodGet, r.address, nil))
	d.must(err)
	defer there.Body.Close()
	if there.StatusCode != http.StatusFound {
		text, _ := io.ReadAll(there.Body)
		d.t.Fatalf("at the issuer: %s\n%s", there.Status, text)
	}
	back, ok := strings.CutPrefix(there.Header.Get("Location"), d.url)
	if !ok {
		d.t.Fatalf("the issuer sends people to %s", there.Header.Get("Location"))
	}
	return way{cookie, back}
}

func (d *desk) comesBack(w way) answer {
	d.t.Helper()
	return d.ask(http.MethodGet, w.back, "", "Cookie", w.cookie, "Sec-Fetch-Site", "cross-site", "Accept", "text/html")
}

// session is the cookie of a session that an answer has begun, "" for none.
func session(a answer) string {
	for _, set := range a.Header.Values("Set-Cookie") {
		if cookie, _, _ := strings.Cut(set, ";"); strings.HasPrefix(cookie, "slipway=") && cookie != "slipway=" {
			return cookie
		}
	}
	return ""
}

func (d *desk) failed() int {
	d.t.Helper()
	sum := 0
	d.must(d.failures.Tell(func(_ fleet.Object, n int) error { sum += n; return nil }))
	return sum
}

func TestAPersonSignsInAtTheIssuerAndGoesOnWhereTheyWanted(t *testing.T) {
	d, r := openAtIssuer(t)
	form := d.ask(http.MethodGet, "/devices?q=a", "")
	if !strings.Contains(form.body, `href="/login/oidc?to=%2Fdevices%3Fq%3Da"`) || !strings.Contains(form.body, `name="token"`) {
		t.Fatalf("the form leads to no issuer, or takes no token:\n%s", form.body)
	}
	w := d.goes(r, somebody{"u-17", in("shift-leads", "plant")}, "/devices?q=a")
	address, err := url.Parse(r.address)
	d.must(err)
	q := address.Query()
	for name, want := range map[string]string{"response_type": "code", "code_challenge_method": "S256", "redirect_uri": d.url + "/login/oidc/back", "client_id": r.ClientID, "scope": "openid profile email"} {
		if q.Get(name) != want {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	if len(q.Get("state")) < 40 || len(q.Get("nonce")) < 40 || len(q.Get("code_challenge")) < 40 || q.Get("state") == q.Get("nonce") {
		t.Errorf("state, nonce or challenge: %s", r.address)
	}
	a := d.comesBack(w)
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/devices?q=a" {
		t.Fatalf("back: %s to %q\n%s", a.Status, a.Header.Get("Location"), a.body)
	}
	sets := strings.Join(a.Header.Values("Set-Cookie"), "\n")
	for _, want := range []string{"slipway_oidc=; Path=/; Max-Age=0", "HttpOnly; SameSite=Lax", "Max-Age=86400"} {
		if !strings.Contains(sets, want) {
			t.Errorf("cookies without %s:\n%s", want, sets)
		}
	}
	cookie := session(a)
	view := d.ask(http.MethodGet, "/devices?q=a", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site") // as a browser asks after the way back
	if view.StatusCode != http.StatusOK || !strings.Contains(view.body, "Signed in as Ana Kovač, operator") {
		t.Errorf("%s\n%s", view.Status, view.body)
	}
	if a := d.ask(http.MethodGet, "/gateway", "", "Authorization", "Bearer "+d.tokens[auth.Admin]); !strings.Contains(a.body, `<th scope="row">Ana Kovač`) || !strings.Contains(a.body, "End the session of Ana Kovač") {
		t.Errorf("an admin does not see the session:\n%s", a.body)
	}
	if again := d.comesBack(w); again.StatusCode < 400 || session(again) != "" {
		t.Errorf("the same code once more: %s", again.Status)
	}
	out := d.ask(http.MethodPost, "/logout", "", "Cookie", cookie)
	if out.StatusCode != http.StatusSeeOther || out.Header.Get("Location") != "/login?out=issuer" {
		t.Errorf("sign out: %s to %q", out.Status, out.Header.Get("Location"))
	}
	if a := d.ask(http.MethodGet, "/devices", "", "Cookie", cookie); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("signed out, and in: %s", a.Status)
	}
	page, err := d.store.Events(event.Filter{Kinds: []string{"session"}})
	d.must(err)
	var kinds []string
	for _, e := range page.Events {
		kinds = append(kinds, string(e.Kind))
		if e.Actor != (fleet.Actor{Type: fleet.Person, ID: "oidc:u-17", Name: "Ana Kovač"}) || e.Object != (fleet.Object{Type: "person", ID: "oidc:u-17"}) ||
			e.From != "127.0.0.1" || !strings.Contains(string(e.Details), `"role":"operator"`) || !strings.Contains(string(e.Details), `"name":"Ana Kovač"`) {
			t.Errorf("%+v %s", e, e.Details)
		}
	}
	if got := strings.Join(kinds, " "); got != "session.started session.ended" {
		t.Errorf("left: %s", got)
	}
}

func TestAClaimGivesTheHighestRoleOfItsValues(t *testing.T) {
	for _, test := range []struct {
		what, claim string
		says        func(jwt.MapClaims)
		role        auth.Role // "" for none
		tells       string
	}{
		{"a group", "groups", in("plant"), auth.Viewer, ""},
		{"several", "groups", in("plant", "it", "maintenance"), auth.Admin, ""},
		{"a text", "team", func(c jwt.MapClaims) { c["team"] = "maintenance" }, auth.Operator, ""},
		{"none of ours", "groups", in("sales", `"><script>alert(1)</script>`), "", "it has &#34;sales&#34;"},
		{"none at all", "groups", nil, "", "it has no value"},
		{"a number", "groups", func(c jwt.MapClaims) { c["groups"] = 7 }, "", "it has no value"},
		{"a list of numbers", "groups", func(c jwt.MapClaims) { c["groups"] = []any{7, nil, map[string]any{}} }, "", "it has no value"},
		{"its beginning", "groups", in("plan", "it ", "IT"), "", "IT"},
		{"an object within", "realm_access.roles", func(c jwt.MapClaims) { c["realm_access"] = map[string]any{"roles": []string{"it"}} }, auth.Admin, ""},
		{"a name with dots", "https://plant.example/roles", func(c jwt.MapClaims) { c["https://plant.example/roles"] = []string{"it"} }, auth.Admin, ""},
		{"no object", "realm_access.roles", func(c jwt.MapClaims) { c["realm_access"] = "it" }, "", "it has no value"},
		{"an address", "email", func(c jwt.MapClaims) { c["email"], c["email_verified"] = "it", true }, auth.Admin, ""},
		{"an address that nobody has verified", "email", func(c jwt.MapClaims) { c["email"], c["email_verified"] = "it", false }, "", "it has no value"},
		{"an address of which nothing is said", "email", func(c jwt.MapClaims) { c["email"] = "it" }, "", "it has no value"},
	} {
		t.Run(test.what, func(t *testing.T) {
			d, r := openAtIssuer(t, func(o *access.IssuerOptions) { o.Claim = test.claim })
			a := d.comesBack(d.goes(r, somebody{"u-17", test.says}, "/"))
			if test.role == "" {
				if a.StatusCode != http.StatusForbidden || session(a) != "" || !strings.Contains(a.body, "knows you as Ana Kovač") || !strings.Contains(a.body, test.tells) || strings.Contains(a.body, "<script>a") {
					t.Errorf("%s, cookie %q\n%s", a.Status, session(a), a.body)
				}
				if !strings.Contains(a.body, `name="token"`) || d.failed() != 1 {
					t.Error("no form for a token, or no failure is counted")
				}
				return
			}
			view := d.ask(http.MethodGet, "/", "", "Cookie", session(a))
			if a.StatusCode != http.StatusSeeOther || !strings.Contains(view.body, "Ana Kovač, "+string(test.role)) {
				t.Errorf("%s %s\n%s", a.Status, a.body, view.body)
			}
		})
	}
}

// TestNobodySignsInByWhatAnIssuerSaysOfNoneOrOfAnother has a real issuer lie in one thing each.
func TestNobodySignsInByWhatAnIssuerSaysOfNoneOrOfAnother(t *testing.T) {
	parts := func(token string) (header, body, signature string) {
		p := strings.Split(token, ".")
		return p[0], p[1], p[2]
	}
	b64 := base64.RawURLEncoding
	for _, test := range []struct {
		what   string
		says   func(d *desk, c jwt.MapClaims)
		before func(d *desk, r *realm) // the person leaves
		after  func(d *desk, r *realm, w *way)
		status int
		tells  string // the person
		notes  string // the journal
	}{
		{what: "the nonce of another sign-in", says: func(_ *desk, c jwt.MapClaims) { c["nonce"] = "other" }, status: 401, tells: "does not hold", notes: "nonce"},
		{what: "no nonce", says: func(_ *desk, c jwt.MapClaims) { delete(c, "nonce") }, status: 401, tells: "does not hold", notes: "nonce"},
		{what: "another audience", says: func(_ *desk, c jwt.MapClaims) { c["aud"] = "other" }, status: 401, tells: "does not hold", notes: "audience"},
		{what: "another client's token", says: func(_ *desk, c jwt.MapClaims) { c["azp"] = "other" }, status: 401, tells: "does not hold", notes: "azp"},
		{what: "another issuer", says: func(_ *desk, c jwt.MapClaims) { c["iss"] = "https://evil.example" }, status: 401, tells: "does not hold", notes: "different provider"},
		{what: "expired", says: func(d *desk, c jwt.MapClaims) { c["exp"] = d.clock.Add(-3 * time.Minute).Unix() }, status: 401, tells: "too far apart", notes: "expired"},
		{what: "of tomorrow", says: func(d *desk, c jwt.MapClaims) { c["iat"] = d.clock.Add(24 * time.Hour).Unix() }, status: 401, tells: "too far apart", notes: "its time is"},
		{what: "not yet good", says: func(d *desk, c jwt.MapClaims) { c["nbf"] = d.clock.Add(24 * time.Hour).Unix() }, status: 401, tells: "does not hold", notes: "nbf"},
		{what: "of another access token", says: func(_ *desk, c jwt.MapClaims) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, status: 401, tells: "does not hold", notes: "at_hash"},
		{what: "nobody", says: func(_ *desk, c jwt.MapClaims) { c["sub"] = "" }, status: 401, tells: "does not hold", notes: "sub"},
		{what: "a name of 256 bytes", says: func(_ *desk, c jwt.MapClaims) { c["sub"] = strings.Repeat("a", 256) }, status: 401, tells: "does not hold", notes: "sub"},
		{what: "a name that turns", says: func(_ *desk, c jwt.MapClaims) { c["sub"] = "a\u202eb" }, status: 401, tells: "does not hold", notes: "sub"},
		{what: "alg none", before: func(_ *desk, r *realm) {
			r.tokens(func(token string) string {
				_, body, _ := parts(token)
				return b64.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + body + "."
			})
		}, status: 401, tells: "does not hold", notes: "malformed jwt"},
		{what: "signed with the client secret", before: func(_ *desk, r *realm) {
			r.tokens(func(token string) string {
				_, body, _ := parts(token)
				all := jwt.MapClaims{}
				text, _ := b64.DecodeString(body)
				_ = json.Unmarshal(text, &all)
				signed, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(r.ClientSecret))
				return signed
			})
		}, status: 401, tells: "does not hold", notes: "malformed jwt"},
		{what: "changed after it was signed", before: func(_ *desk, r *realm) {
			r.tokens(func(token string) string {
				header, body, signature := parts(token)
				text, _ := b64.DecodeString(body)
				return header + "." + b64.EncodeToString(bytes.Replace(text, []byte(`"plant"`), []byte(`"it"`), 1)) + "." + signature
			})
		}, status: 401, tells: "does not hold", notes: "verify"},
		{what: "no ID token", before: func(_ *desk, r *realm) { r.tokens(func(string) string { return "" }) }, status: 401, tells: "does not hold", notes: "malformed jwt"},
		{what: "the state of another browser", after: func(d *desk, r *realm, w *way) {
			w.back = d.goes(r, somebody{"mallory", in("it")}, "/").back
		}, status: 400, tells: "not begun in this browser"},
		{what: "no cookie", after: func(_ *desk, _ *realm, w *way) { w.cookie = "" }, status: 400, tells: "not begun in this browser"},
		{what: "an empty way", after: func(_ *desk, _ *realm, w *way) {
			w.cookie, w.back = "slipway_oidc="+b64.EncodeToString([]byte(`{}`)), "/login/oidc/back?state=&code=x"
		}, status: 400, tells: "not begun in this browser"},
		{what: "eleven minutes later", after: func(d *desk, _ *realm, _ *way) { d.clock = d.clock.Add(11 * time.Minute) }, status: 400, tells: "not begun in this browser"},
		{what: "the verifier of another sign-in", after: func(_ *desk, _ *realm, w *way) {
			var f map[string]any
			name, value, _ := strings.Cut(w.cookie, "=")
			text, _ := b64.DecodeString(value)
			_ = json.Unmarshal(text, &f)
			f["verifier"] = strings.Repeat("x", 43)
			text, _ = json.Marshal(f)
			w.cookie = name + "=" + b64.EncodeToString(text)
		}, status: 401, tells: "does not know this sign-in any more", notes: "invalid_grant"},
		{what: "sent back by another issuer", after: func(_ *desk, _ *realm, w *way) { w.back += "&iss=https%3A%2F%2Fevil.example" }, status: 400, tells: "Somebody else sent you back"},
		{what: "a code that the issuer does not know", after: func(_ *desk, _ *realm, w *way) { w.back = strings.Replace(w.back, "code=", "code=x", 1) }, status: 401, tells: "does not know this sign-in any more"},
		{what: "refused there", after: func(_ *desk, _ *realm, w *way) {
			w.back += "&error=access_denied&error_description=%3Cscript%3Ecall+555%3C%2Fscript%3E"
		}, status: 401, tells: "did not let you in: access_denied."},
		{what: "refused there in strange words", after: func(_ *desk, _ *realm, w *way) { w.back += "&error=call+555" }, status: 401, tells: "did not let you in: an error."},
		{what: "a huge answer", before: func(_ *desk, r *realm) {
			r.hooked(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
				if strings.HasSuffix(req.URL.Path, "/jwks.json") {
					_, _ = io.WriteString(w, `{"keys":[],"pad":"`)
					for range 1100 {
						_, _ = w.Write(bytes.Repeat([]byte("a"), 1<<10))
					}
					_, _ = io.WriteString(w, `"}`)
					return
				}
				next.ServeHTTP(w, req)
			})
		}, status: 401, tells: "does not hold", notes: "unexpected end of JSON"},
		{what: "a token endpoint that redirects", before: func(_ *desk, r *realm) { r.redirects("/token") }, status: 503, tells: "cannot be asked now", notes: "redirects to evil.example"},
		{what: "keys that redirect", before: func(_ *desk, r *realm) { r.redirects("/jwks.json") }, status: 401, tells: "does not hold", notes: "redirects to evil.example"},
	} {
		t.Run(test.what, func(t *testing.T) {
			d, r := openAtIssuer(t)
			if test.before != nil {
				test.before(d, r)
			}
			w := d.goes(r, somebody{"u-17", func(c jwt.MapClaims) {
				in("plant")(c)
				if test.says != nil {
					test.says(d, c)
				}
			}}, "/devices")
			if test.after != nil {
				test.after(d, r, &w)
			}
			a := d.comesBack(w)
			if a.StatusCode != test.status || session(a) != "" || !strings.Contains(a.body, test.tells) || strings.Contains(a.body, "call 555") {
				t.Errorf("%s, cookie %q\n%s", a.Status, session(a), a.body)
			}
			if !strings.Contains(a.body, `name="token"`) {
				t.Error("there is no form for a token")
			}
			journal := r.journal.String()
			if !strings.Contains(journal, test.notes) || strings.Contains(journal, r.ClientSecret) || strings.Contains(journal, "code=") {
				t.Errorf("the journal:\n%s", journal)
			}
			if want := map[bool]int{true: 1}[test.status < 500]; d.failed() != want {
				t.Errorf("%d failures are not counted", want)
			}
			d.signIn(auth.Viewer)
		})
	}
}

func (r *realm) redirects(path string) {
	r.hooked(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		if strings.HasSuffix(req.URL.Path, path) {
			http.Redirect(w, req, "http://evil.example/", http.StatusTemporaryRedirect)
			return
		}
		next.ServeHTTP(w, req)
	})
}

func TestACodeThatAnIssuerTakesTwiceSignsInOnce(t *testing.T) {
	d, r := openAtIssuer(t)
	r.hooked(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		for _, s := range r.SessionStore.Store {
			s.Granted = false
		}
		next.ServeHTTP(w, req)
	})
	w := d.goes(r, somebody{"u-17", in("plant")}, "/")
	if a := d.comesBack(w); session(a) == "" {
		t.Fatalf("%s\n%s", a.Status, a.body)
	}
	if a := d.comesBack(w); session(a) != "" || a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "was used before") {
		t.Errorf("once more: %s, cookie %q\n%s", a.Status, session(a), a.body)
	}
}

func TestKeysOfAnIssuerThatRotatesAreAskedForAndThoseThatItTookBackForgotten(t *testing.T) {
	d, r := openAtIssuer(t)
	signs := func() bool { return session(d.comesBack(d.goes(r, somebody{"u-17", in("plant")}, "/"))) != "" }
	if !signs() {
		t.Fatal("the first key does not count")
	}
	stolen := r.Keypair
	fresh, err := mockoidc.RandomKeypair(2048)
	d.must(err)
	r.Keypair = fresh
	if !signs() {
		t.Error("the key after a rotation does not count")
	}
	r.hooked(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		r.Keypair = stolen
		if strings.HasSuffix(req.URL.Path, "/jwks.json") {
			r.Keypair = fresh
		}
		next.ServeHTTP(w, req)
	})
	d.clock = d.clock.Add(2 * time.Hour)
	r.FastForward(2 * time.Hour)
	if signs() {
		t.Error("a key that was taken back hours ago counts")
	}
}

func TestClocksThatAreALittleApartKeepNobodyOut(t *testing.T) {
	for _, apart := range []time.Duration{-90 * time.Second, 90 * time.Second} {
		d, r := openAtIssuer(t)
		r.AccessTTL = time.Minute
		r.FastForward(apart)
		if a := d.comesBack(d.goes(r, somebody{"u-17", in("plant")}, "/")); session(a) == "" {
			t.Errorf("%s apart: %s\n%s", apart, a.Status, a.body)
		}
	}
}

// TestAnIssuerThatIsDownLeavesTokensAndIsSaidOnTheForm has it down at the start, come up, and go down again.
func TestAnIssuerThatIsDownLeavesTokensAndIsSaidOnTheForm(t *testing.T) {
	d, r := openAtIssuer(t)
	down := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "no", http.StatusBadGateway)
	}
	r.hooked(down)
	says := func() bool {
		return strings.Contains(d.ask(http.MethodGet, "/login", "").body, "does not answer since")
	}
	if says() {
		t.Error("the form says that it is down before anybody has asked it")
	}
	for range 20 { // people who try
		a := d.ask(http.MethodGet, "/login/oidc?to=/devices", "")
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "cannot be asked now") || !strings.Contains(a.body, `name="to" value="/devices"`) {
			t.Fatalf("%s\n%s", a.Status, a.body)
		}
	}
	if !says() {
		t.Error("the form does not say that it is down")
	}
	if n := r.askedFor("openid-configuration"); n != 1 {
		t.Errorf("it was asked %d times within a moment", n)
	}
	for range 60 {
		d.clock = d.clock.Add(10 * time.Second)
		d.ask(http.MethodGet, "/login/oidc", "")
	}
	if n := r.askedFor("openid-configuration"); n < 10 || n > 20 {
		t.Errorf("it was asked %d times in ten minutes", n)
	}
	d.signIn(auth.Viewer)
	if n := strings.Count(r.journal.String(), "issuer for people fails"); n != 1 {
		t.Errorf("the journal is told %d times:\n%s", n, r.journal.String())
	}
	r.hooked(nil)
	d.clock = d.clock.Add(time.Minute)
	r.FastForward(11 * time.Minute)
	w := d.goes(r, somebody{"u-17", in("plant")}, "/")
	if says() || !strings.Contains(r.journal.String(), "answers again") {
		t.Error("it answers, and the form says that it is down, or the journal does not say so")
	}
	r.hooked(down)
	if a := d.comesBack(w); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, "cannot be asked now") || !says() {
		t.Errorf("down on the way back: %s\n%s", a.Status, a.body)
	}
	if d.failed() != 0 {
		t.Error("an outage is counted as somebody's failure")
	}
	d.signIn(auth.Viewer)
}

func TestWhoComesBackWithNonsenseAgainAndAgainIsSlowedAndTheIssuerIsLeftInPeace(t *testing.T) {
	d, r := openAtIssuer(t)
	paced := 0
	for range 30 {
		w := d.goes(r, somebody{"u-17", in("plant")}, "/")
		w.back = strings.Replace(w.back, "code=", "code=x", 1)
		if a := d.comesBack(w); a.StatusCode == http.StatusTooManyRequests {
			paced++
			if a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "wait a minute") {
				t.Errorf("%s\n%s", a.Header, a.body)
			}
		}
	}
	if n := r.askedFor("token"); paced < 15 || n > 24 { // each is asked twice: the first time finds out how
		t.Errorf("%d of 30 were slowed, and the issuer was asked %d times", paced, n)
	}
	d.signIn(auth.Viewer)
}

func TestASessionFromTheIssuerEndsWithinADayAndWithItsIssuer(t *testing.T) {
	d, r := openAtIssuer(t)
	cookie := session(d.comesBack(d.goes(r, somebody{"u-17", in("plant")}, "/")))
	goesOn := func() bool { return d.ask(http.MethodGet, "/", "", "Cookie", cookie).StatusCode == http.StatusOK }
	for range 3 {
		d.clock = d.clock.Add(8*time.Hour - time.Minute)
		if !goesOn() {
			t.Fatal("it is over too early")
		}
	}
	d.clock = d.clock.Add(4 * time.Minute)
	if goesOn() {
		t.Error("it goes on after a day")
	}
	r.FastForward(24 * time.Hour)
	hash := auth.HashSecret(strings.TrimPrefix(session(d.comesBack(d.goes(r, somebody{"u-17", in("plant")}, "/"))), "slipway="))
	stored, err := d.store.Session(hash)
	d.must(err)
	for name, issuer := range map[string]*access.Issuer{"none": nil, "another": must(access.NewIssuer(access.IssuerOptions{Issuer: "https://other.example", Now: time.Now, Logger: r.options.Logger}))} {
		a := access.New(access.Options{Tokens: &auth.Operators{Store: d.store, Now: func() time.Time { return d.clock }}, Sessions: d.store, Socket: d.gateway, Issuer: issuer, Failures: &d.failures, Now: func() time.Time { return d.clock }})
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr = "127.0.0.1:1"
		req.Header.Set("Cookie", cookie)
		if c, err := a.Caller(req); err == nil {
			t.Errorf("with %s set it goes on: %+v of %+v", name, c, stored)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOnlyAddressesOfThisPageAreGoneOnTo(t *testing.T) {
	d, r := openAtIssuer(t)
	for to, want := range map[string]string{"": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/", "javascript:alert(1)": "/", "/login": "/", "/" + strings.Repeat("a", 3000): "/"} {
		if a := d.comesBack(d.goes(r, somebody{"u-17", in("plant")}, to)); a.Header.Get("Location") != want {
			t.Errorf("to %.40q leads to %q", to, a.Header.Get("Location"))
		}
	}
	w := d.goes(r, somebody{"u-17", in("plant")}, "/")
	var f map[string]any
	text, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(w.cookie, "slipway_oidc="))
	d.must(json.Unmarshal(text, &f))
	f["to"] = "https://evil.example/"
	text, _ = json.Marshal(f)
	w.cookie = "slipway_oidc=" + base64.RawURLEncoding.EncodeToString(text)
	if a := d.comesBack(w); a.Header.Get("Location") != "/" {
		t.Errorf("a cookie leads to %q", a.Header.Get("Location"))
	}
}

func TestAHostileNameIsOneShortLine(t *testing.T) {
	for name, want := range map[string]string{
		"Ana\u202e\u0000\r\nX-Evil: 1":         "Ana X-Evil: 1",
		strings.Repeat("n", 4096):              strings.Repeat("n", 100) + "…",
		"\u200b\u202e":                         "u-17",
		`<script>alert(1)</script>`:            `<script>alert(1)</script>`,
		"\xff\xfe" + strings.Repeat("é", 4096): strings.Repeat("é", 100) + "…",
	} {
		d, r := openAtIssuer(t)
		cookie := session(d.comesBack(d.goes(r, somebody{"u-17", func(c jwt.MapClaims) { in("it")(c); c["name"] = name }}, "/")))
		sessions, err := d.store.Sessions()
		d.must(err)
		if len(sessions) != 1 || sessions[0].Person.Name != want {
			t.Errorf("%.20q is kept as %+v", name, sessions)
		}
		if a := d.ask(http.MethodGet, "/gateway", "", "Cookie", cookie); a.StatusCode != http.StatusOK || strings.Contains(a.body, "<script>a") {
			t.Errorf("%s\n%s", a.Status, a.body)
		}
	}
}

func TestWithoutAnIssuerNothingLeadsToOne(t *testing.T) {
	d := open(t)
	if a := d.ask(http.MethodGet, "/login", ""); strings.Contains(a.body, "oidc") {
		t.Error(a.body)
	}
	for _, path := range []string{"/login/oidc", "/login/oidc/back?code=x&state=y"} {
		if a := d.ask(http.MethodGet, path, ""); a.StatusCode != http.StatusNotFound || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}
