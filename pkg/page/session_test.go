package page

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
)

func TestASessionIsNotTheTokenAndLeadsWhereThePersonWanted(t *testing.T) {
	d := open(t)
	form := url.Values{"token": {d.tokens[auth.Viewer]}, "to": {"/crashes?x=1"}}.Encode()
	a := d.ask(http.MethodPost, "/login", form)
	set := a.Header.Get("Set-Cookie")
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/crashes?x=1" {
		t.Fatalf("%s to %q", a.Status, a.Header.Get("Location"))
	}
	for _, want := range []string{"slipway=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} {
		if !strings.Contains(set, want) {
			t.Errorf("cookie %q without %s", set, want)
		}
	}
	if strings.Contains(set, "Secure") || strings.Contains(set, d.tokens[auth.Viewer]) {
		t.Errorf("cookie %q", set)
	}
	for to, want := range map[string]string{"": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/", "javascript:alert(1)": "/", "/login": "/", "/devices?q=a": "/devices?q=a"} {
		a := d.ask(http.MethodPost, "/login", url.Values{"token": {d.tokens[auth.Viewer]}, "to": {to}}.Encode())
		if got := a.Header.Get("Location"); got != want {
			t.Errorf("to %q leads to %q", to, got)
		}
	}
}

func TestWhoIsRefusedIsToldWhyAndGetsNoCookie(t *testing.T) {
	d := open(t)
	for token, want := range map[string]struct {
		status int
		says   string
	}{
		"slw_00000000_nonsense":   {http.StatusUnauthorized, "This token is not known."},
		"":                        {http.StatusUnauthorized, "This token is not known."},
		d.tokens[auth.Pipeline]:   {http.StatusForbidden, "cannot read the page"},
		"slw_" + d.tokens["none"]: {http.StatusUnauthorized, "This token is not known."},
	} {
		a := d.ask(http.MethodPost, "/login", url.Values{"token": {token}}.Encode())
		if a.StatusCode != want.status || a.Header.Get("Set-Cookie") != "" || !strings.Contains(a.body, want.says) {
			t.Errorf("%q: %s, cookie %q\n%s", token, a.Status, a.Header.Get("Set-Cookie"), a.body)
		}
	}
	for range 20 {
		d.ask(http.MethodPost, "/login", "token=slw_00000000_x")
	}
	if a := d.ask(http.MethodPost, "/login", "token=slw_00000000_x"); a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "too many wrong tokens") {
		t.Errorf("after many wrong ones: %s\n%s", a.Status, a.body)
	}
	d.signIn(auth.Viewer) // the right one is taken all the same
}

func TestASessionEndsByItselfByItsPersonAndWithItsToken(t *testing.T) {
	d := open(t)
	in := func(cookie string) bool {
		a := d.ask(http.MethodGet, "/devices", "", "Cookie", cookie)
		if (a.StatusCode == http.StatusOK) == (a.StatusCode == http.StatusUnauthorized) {
			t.Fatalf("%s\n%s", a.Status, a.body)
		}
		return a.StatusCode == http.StatusOK
	}
	one, two := d.signIn(auth.Operator), d.signIn(auth.Operator)
	other := d.signIn(auth.Viewer)
	if !in(one) || !in(two) || !in(other) || in("slipway=x") || in("slipway=") {
		t.Fatal("who is in and who is not?")
	}
	if a := d.ask(http.MethodPost, "/logout", "", "Cookie", one); a.StatusCode != http.StatusSeeOther || !strings.Contains(a.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("sign out: %s %q", a.Status, a.Header.Get("Set-Cookie"))
	}
	if in(one) || !in(two) {
		t.Error("signing out ended the wrong one")
	}
	one = d.signIn(auth.Operator)
	d.ask(http.MethodPost, "/logout/everywhere", "", "Cookie", one)
	if in(one) || in(two) || !in(other) {
		t.Error("signing out everywhere did not end exactly the person's own")
	}
	d.clock = d.clock.Add(11 * time.Hour)
	if !in(other) {
		t.Error("11 hours unused, and it is over")
	}
	d.clock = d.clock.Add(11 * time.Hour)
	if !in(other) {
		t.Error("it was used 11 hours ago, and is over")
	}
	d.clock = d.clock.Add(13 * time.Hour)
	if in(other) {
		t.Error("13 hours unused, and it goes on")
	}
	other = d.signIn(auth.Viewer)
	for range 31 {
		d.clock = d.clock.Add(6 * time.Hour)
		in(other)
	}
	if !in(other) {
		t.Error("it was used every 6 hours, and is over within 8 days")
	}
	for range 92 {
		d.clock = d.clock.Add(6 * time.Hour)
		in(other)
	}
	if in(other) {
		t.Error("it goes on for more than 30 days")
	}
	last := d.signIn(auth.Viewer)
	d.must(d.store.RemoveOperatorToken(t.Context(), strings.Split(d.tokens[auth.Viewer], "_")[1]))
	if in(last) {
		t.Error("its token is revoked, and it goes on")
	}
	if left, err := d.store.Sessions(); err != nil || len(left) != 0 {
		t.Errorf("left over: %+v, %v", left, err)
	}
}

func TestSigningInAndOutLeavesEventsAndEndingNothingLeavesNone(t *testing.T) {
	d := open(t)
	kinds := func() string {
		page, err := d.store.Events(event.Filter{})
		d.must(err)
		var all []string
		for _, e := range page.Events {
			if strings.HasPrefix(string(e.Kind), "session.") {
				all = append(all, string(e.Kind))
				if e.Actor.ID != strings.Split(d.tokens[auth.Viewer], "_")[1] || e.From != "127.0.0.1" {
					t.Errorf("%s was done by %+v from %q", e.Kind, e.Actor, e.From)
				}
			}
		}
		return strings.Join(all, " ")
	}
	cookie := d.signIn(auth.Viewer)
	for _, none := range []string{"", "slipway=x", "slipway=" + d.tokens[auth.Viewer]} {
		if a := d.ask(http.MethodPost, "/logout", "", "Cookie", none); a.StatusCode != http.StatusSeeOther {
			t.Errorf("%q: %s", none, a.Status)
		}
	}
	if got := kinds(); got != "session.started" {
		t.Errorf("left: %s", got)
	}
	d.signIn(auth.Viewer)
	d.ask(http.MethodPost, "/logout/everywhere", "", "Cookie", cookie)
	if got := kinds(); got != "session.started session.started session.ended session.ended" {
		t.Errorf("left: %s", got)
	}
}

func TestAnotherSiteSignsNobodyInOrOut(t *testing.T) {
	d := open(t)
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
		for _, path := range []string{"/login", "/logout", "/logout/everywhere"} {
			a := d.ask(http.MethodPost, path, form, test.headers...)
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
