package page

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestTheEventsSayWhoDidWhatAndGoBackPageByPage(t *testing.T) {
	d := acting(t)
	cookie := d.signIn(auth.Operator)
	d.ask(http.MethodPost, "/devices/aaaaaaaa/revoke", "revoked=true", "Cookie", cookie)
	for i := range 150 {
		d.must(d.store.Record(event.WithActor(t.Context(), event.Itself), event.DropRejected, fleet.Object{Type: "drop", ID: fmt.Sprintf("file-%03d.zip", i)}, map[string]string{"reason": "<script>no bundle"}))
	}
	a := d.read("/events")
	if strings.Count(a.body, "drop rejected: &lt;script&gt;no bundle") != eventRows || !strings.Contains(a.body, "file-149.zip") || strings.Contains(a.body, "file-049.zip") {
		t.Errorf("the newest page:\n%.3000s", a.body)
	}
	_, rest, _ := strings.Cut(a.body, `<a href="/events?`)
	older, _, found := strings.Cut(rest, `"`)
	if b := d.read("/events?" + older); !found || !strings.Contains(b.body, "file-049.zip") || strings.Contains(b.body, "file-050.zip") {
		t.Errorf("the older page, ?%s:\n%.3000s", older, b.body)
	}
	for query, want := range map[string]string{
		"?who=THE+OPERATOR&object=device/aaaaaaaa": `device revoked</th><td data-label="device"><a href="/devices/aaaaaaaa">aaaaaaaa</a>`,
		"?kind=device.revoked":                     "127.0.0.1",
		"?kind=session&since=1h":                   "session started",
		"?kind=drop&until=1h":                      "Nothing of this happened.",
		"?who=nobody":                              "Nothing of this happened among the newest",
	} {
		if a := d.read("/events" + query); a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) || strings.Contains(a.body, "file-149") {
			t.Errorf("%s: %s without %q\n%.3000s", query, a.Status, want, a.body)
		}
	}
	d.must(d.store.Record(event.WithActor(t.Context(), event.Itself), event.RolloutHalted, fleet.Object{Type: "rollout", ID: "press/1"}, map[string]string{"why": "3 of the first 3 devices went back"}))
	if a := d.read("/events?kind=rollout"); !strings.Contains(a.body, "rollout halted: 3 of the first 3 devices went back") {
		t.Errorf("why a rollout has halted is not said:\n%.3000s", a.body)
	}
	for _, bad := range []string{"?kind=nothing", "?object=x", "?before=0", "?since=yesterday", "?since=1", "?until=noon", "?since=1h&until=2h"} {
		if a := d.read("/events" + bad); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", bad, a.Status)
		}
	}
}

func TestTokensAndSessionsAreForAdminsAndATokenIsShownOnce(t *testing.T) {
	d := open(t)
	d.gateway.status.BaseURL, d.gateway.status.CI = "https://gateway.example", []string{"curl --cacert ca.crt"}
	admin := d.signIn(auth.Admin)
	for _, role := range []auth.Role{auth.Viewer, auth.Operator} {
		if a := d.ask(http.MethodGet, "/gateway", "", "Cookie", d.signIn(role)); a.StatusCode != http.StatusOK || strings.Contains(a.body, "the admin") || !strings.Contains(a.body, "listen.http") {
			t.Errorf("for %s: %s\n%s", role, a.Status, a.body)
		}
	}
	a := d.ask(http.MethodPost, "/gateway/tokens", "role=viewer&name=Ana", "Cookie", admin)
	_, rest, _ := strings.Cut(a.body, "shown this once: <code>")
	token, _, found := strings.Cut(rest, "</code>")
	if b := d.ask(http.MethodPost, "/login", "token="+token); !found || b.StatusCode != http.StatusSeeOther {
		t.Errorf("%q signs nobody in: %s", token, b.Status)
	}
	b := d.ask(http.MethodGet, "/gateway", "", "Cookie", admin)
	for _, want := range []string{`<td data-label="made by">the admin</td>`, "5.0 MiB catalog", "its worker died 2 times", "BEGIN CERTIFICATE"} {
		if !strings.Contains(b.body, want) {
			t.Errorf("no %q in\n%s", want, b.body)
		}
	}
	if strings.Contains(b.body, token) || strings.Contains(b.body, "slw_") || !strings.Contains(b.body, "Ana") || !strings.Contains(b.body, "this one") {
		t.Errorf("the tokens:\n%s", b.body)
	}
}
