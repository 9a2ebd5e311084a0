package page

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// played is a form that is sent, and what it is to leave.
type sent struct {
	route, path, form string
	status            int
	leaves            string // kinds, separated by blanks
	says              string // on the page that the person is led to
}

// sends are all forms, in an order in which each can be done. A form that is added is played by a line here.
var sends = []sent{
	{"POST /devices/{key}/name", "/devices/aaaaaaaa/name", "name=Press+7&line=hall-3&labels=hot+corner", 303, "device.changed", "as you said"},
	{"POST /devices/{key}/name", "/devices/aaaaaaaa/name", "name=Press+7&line=No+Line", 400, "", ""},
	{"POST /devices/{key}/aliases", "/devices/aaaaaaaa/aliases", "aliases=press-7+old.press", 303, "device.changed", "--alias press-7 --alias old.press<"},
	{"POST /devices/{key}/aliases", "/devices/aaaaaaaa/aliases", "aliases=", 303, "device.changed", "its key and its client id only"},
	{"POST /devices/{key}/provisioning", "/devices/aaaaaaaa/provisioning", "values=site%3Dhall+3%0D%0Aempty%3D", 303, "provisioning.changed", "handed out besides: site."},
	{"POST /devices/{key}/provisioning", "/devices/aaaaaaaa/provisioning", "values=site", 400, "", ""},
	{"POST /devices/{key}/path-secret", "/devices/aaaaaaaa/path-secret", "do=make&typed=", 400, "", ""},
	{"POST /devices/{key}/path-secret", "/devices/aaaaaaaa/path-secret", "do=make&typed=aaaaaaaa", 200, "device.path_secret_made", ""},
	{"POST /devices/{key}/path-secret", "/devices/aaaaaaaa/path-secret", "do=revoke", 303, "device.path_secret_revoked", "--revoke<"},
	{"POST /devices/{key}/pin", "/devices/aaaaaaaa/pin", "pin=1.4.2", 303, "device.pinned", "offered 1.4.2"},
	{"POST /devices/{key}/pin", "/devices/aaaaaaaa/pin", "pin=9.9.9", 404, "", ""},
	{"POST /devices/{key}/pin", "/devices/aaaaaaaa/pin", "pin=", 303, "device.unpinned", "To undo it: choose 1.4.2."},
	{"POST /devices/{key}/revoke", "/devices/aaaaaaaa/revoke", "revoked=true", 303, "device.revoked", "slipway device set aaaaaaaa --revoked<"},
	{"POST /devices/{key}/revoke", "/devices/aaaaaaaa/revoke", "revoked=false", 303, "device.welcomed", "welcome again"},
	{"POST /devices/{key}/config", "/devices/aaaaaaaa/config", "do=check&config=" + url.QueryEscape(`{"deviceName":"x"}`), 200, "", ""},
	{"POST /devices/{key}/config", "/devices/aaaaaaaa/config", "do=save&config=" + url.QueryEscape("{\r\n  \"deviceName\": \"x\",\r\n  \"deviceEntityId\": \"y\"\r\n}"), 303, "config.changed", "39 bytes"},
	{"POST /devices/{key}/config", "/devices/aaaaaaaa/config", "do=save&config=" + url.QueryEscape(`{"a":`), 200, "", ""},
	{"POST /devices/{key}/config", "/devices/aaaaaaaa/config", "do=default", 303, "config.changed", "default again"},
	{"POST /crashes/{fingerprint}/resolve", "/crashes/0000000000000000/resolve", "in=0.1", 400, "", ""},
	{"POST /crashes/{fingerprint}/resolve", "/crashes/0000000000000000/resolve", "in=1.4.2", 303, "crash.resolved", "It is gone in 1.4.2."},
	{"POST /crashes/{fingerprint}/reopen", "/crashes/0000000000000000/reopen", "", 303, "crash.reopened", "open again"},
	{"POST /crashes/{fingerprint}/ignore", "/crashes/0000000000000000/ignore", "", 303, "crash.ignored", "asks for nobody"},
	{"POST /crashes/{fingerprint}/note", "/crashes/0000000000000000/note", "note=valve&link=https%3A%2F%2Ftickets.example%2F7", 303, "crash.noted crash.noted", "The note is kept."},
	{"POST /crashes/decide", "/crashes/decide", "verb=ignore&crash=0000000000000001", 303, "crash.ignored", "1 crash is ignored."},
	{"POST /crashes/decide", "/crashes/decide", "verb=reopen&crash=0000000000000001", 303, "crash.reopened", "1 crash is open again."},
	{"POST /crashes/decide", "/crashes/decide", "verb=ignore", 400, "", ""},
	{"POST /crashes/{fingerprint}/merge", "/crashes/0000000000000001/merge", "into=0000000000000000", 303, "crash.merged", "The two are one now."},
	{"POST /devices/{key}/secret", "/devices/aaaaaaaa/secret", "typed=bbbbbbbb", 400, "", ""},
	{"POST /devices/{key}/secret", "/devices/aaaaaaaa/secret", "typed=aaaaaaaa", 200, "device.secret_replaced", ""},
	{"POST /devices/add", "/devices/add", "model=pump&name=Press+8&key=bbbbbbb1", 200, "device.added", ""},
	{"POST /devices/add", "/devices/add", "model=none", 404, "", ""},
	{"POST /devices/add", "/devices/add", "model=pump&secret=short", 400, "", ""},
	{"POST /devices/import", "/devices/import", "csv=" + url.QueryEscape("pump,bbbbbbb2,,Press 9\r\npump,bbbbbbb1,,Press 8b\r\n"), 200, "device.imported device.changed", ""},
	{"POST /devices/import", "/devices/import", "csv=", 400, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=line&value=hall-4&to=/devices?q=b&key=bbbbbbb1&key=bbbbbbb2", 303, "device.changed device.changed", "2 devices: on the line"},
	{"POST /devices/selected", "/devices/selected", "do=labels&value=a+b&key=bbbbbbb1", 303, "device.changed", "slipway device set bbbbbbb1 --label a --label b<"},
	{"POST /devices/selected", "/devices/selected", "do=pin&value=1.4.1&key=bbbbbbb1&key=bbbbbbb2", 303, "device.pinned device.pinned", "pinned to 1.4.1"},
	{"POST /devices/selected", "/devices/selected", "do=pin&value=1.4.9&key=bbbbbbb1", 404, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=pin&value=&key=bbbbbbb1", 400, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=unpin&key=bbbbbbb1", 303, "device.unpinned", "what their model is offered"},
	{"POST /devices/selected", "/devices/selected", "do=revoke&key=bbbbbbb1", 303, "device.revoked", "and welcome them"},
	{"POST /devices/selected", "/devices/selected", "do=welcome&key=bbbbbbb1", 303, "device.welcomed", "welcome again"},
	{"POST /devices/selected", "/devices/selected", "do=config&value=%7B%22a%22:1%7D&key=bbbbbbb1", 303, "config.changed", "But deviceName is not a string"},
	{"POST /devices/selected", "/devices/selected", "do=config&value=%7B&key=bbbbbbb1", 400, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=config&value=&key=bbbbbbb1", 400, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=default-config&key=bbbbbbb1", 303, "config.changed", "default again"},
	{"POST /devices/selected", "/devices/selected", "do=revoke", 400, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=&key=bbbbbbb1", 400, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=remove&value=1&key=bbbbbbb1&key=bbbbbbb2", 400, "", ""},
	{"POST /devices/selected", "/devices/selected", "do=remove&value=2&key=bbbbbbb1&key=bbbbbbb2", 303, "device.removed device.removed", "2 devices are removed"},
	{"POST /models/add", "/models/add", "code=winch&name=Winch+7", 303, "model.added", "slipway model add winch --name &#39;Winch 7&#39;<"},
	{"POST /models/add", "/models/add", "code=Winch", 400, "", ""},
	{"POST /models/add", "/models/add", "code=winch", 409, "", ""},
	{uploadRoute, "/models/winch/upload", uploaded("1.0.zip", built("1.0.0", ""), "then", "", "version", ""), 303, "build.accepted model.changed build.published", "winch 1.0.0 is accepted and published"},
	{uploadRoute, "/models/winch/upload", uploaded("1.0.zip", built("1.0.0", "")), 303, "", "nothing changed"},
	{uploadRoute, "/models/winch/upload", uploaded("1.1.zip", built("1.1.0", "1.1.0")), 303, "build.accepted build.published", "To undo it: publish 1.0.0 again."},
	{uploadRoute, "/models/winch/upload", uploaded("1.2.zip", built("1.2.0", ""), "then", "store"), 303, "build.accepted", "slipway firmware add 1.2.zip --model winch --store<"},
	{uploadRoute, "/models/winch/upload", uploaded("1.1.zip", built("1.1.0", "1.0.0")), 409, "build.rejected", ""},
	{uploadRoute, "/models/winch/upload", uploaded("1.1.zip", built("1.1.0", "1.0.0"), "replace", "true"), 303, "build.replaced", "--replace<"},
	{uploadRoute, "/models/winch/upload", uploaded("notes.txt", "no firmware"), 400, "build.rejected", ""},
	{uploadRoute, "/models/winch/upload", uploaded("", ""), 400, "", ""},
	{uploadRoute, "/models/winch/upload", "version=1", 400, "", ""},
	{uploadRoute, "/models/none/upload", uploaded("1.0.zip", built("1.0.0", "")), 404, "", ""},
	{publishRoute, "/models/winch/builds/1.0.0/publish", "", 303, "build.published", "To undo it: publish 1.1.0 again"},
	{publishRoute, "/models/winch/builds/1.0.0/publish", "", 303, "", "published already"},
	{publishRoute, "/models/winch/builds/9.9.9/publish", "", 404, "", ""},
	{"POST /models/{code}/builds/{version}/note", "/models/winch/builds/1.1.0/note", "note=for+hall+3%0D%0Aonly", 303, "build.noted", "The note is kept."},
	{"POST /models/{code}/builds/{version}/note", "/models/winch/builds/1.1.0/note", "note=" + strings.Repeat("x", 2049), 400, "", ""},
	{"POST /models/{code}/builds/{version}/remove", "/models/winch/builds/1.1.0/remove", "typed=1.0.0", 400, "", ""},
	{"POST /models/{code}/builds/{version}/remove", "/models/winch/builds/1.0.0/remove", "typed=1.0.0", 409, "", ""},
	{"POST /models/{code}/builds/{version}/remove", "/models/winch/builds/1.1.0/remove", "typed=1.1.0", 303, "build.removed", "Build 1.1.0 is removed."},
	{"POST /models/{code}/change", "/models/winch/change", "name=Winch+8&chip=ESP32-C3&project=", 303, "model.changed", "for the chip &#34;ESP32-C3&#34;"},
	{"POST /models/{code}/config", "/models/winch/config", "do=check&config=" + url.QueryEscape(`{"a":1}`), 200, "", ""},
	{"POST /models/{code}/config", "/models/winch/config", "do=save&config=" + url.QueryEscape("{\r\n  \"a\": \"{device_key}\"\r\n}"), 303, "config.changed", "20 bytes"},
	{"POST /models/{code}/config", "/models/winch/config", "do=save&config=" + url.QueryEscape(`{"a":`), 200, "", ""},
	{"POST /models/{code}/config", "/models/winch/config", "do=default", 303, "config.changed", "and no more"},
	{"POST /models/{code}/provisioning", "/models/winch/provisioning", "values=" + url.QueryEscape("mqtt_url=mqtts://b\r\nwifi_password=a=b\r\n\r\n"), 303, "provisioning.changed", "handed out: mqtt_url, wifi_password."},
	{"POST /models/{code}/provisioning", "/models/winch/provisioning", "values=" + url.QueryEscape("mqtt_url=mqtts://b\r\nwifi_password=a=b"), 303, "", "mqtt_url"},
	{"POST /models/{code}/provisioning", "/models/winch/provisioning", "values=none", 400, "", ""},
	{"POST /models/{code}/provisioning", "/models/winch/provisioning", "values=a%3D1%0Aa%3D2", 400, "", ""},
	{"POST /models/{code}/remove", "/models/winch/remove", "typed=pump", 400, "", ""},
	{"POST /models/{code}/remove", "/models/winch/remove", "typed=winch", 409, "", ""},
	{"POST /models/add", "/models/add", "code=fan", 303, "model.added", "Model fan is added"},
	{"POST /models/{code}/remove", "/models/fan/remove", "typed=fan", 303, "model.removed", "Model fan is removed."},
	{inboxRoute, "/drop/upload", uploaded("crane.zip", builtOf("crane", "1.0.0", "")), 400, "build.rejected", ""},
	{"POST /models/add", "/models/add", "code=crane", 303, "model.added", "Model crane is added"},
	{inboxRoute, "/drop/upload", uploaded("crane.zip", builtOf("crane", "1.0.0", ""), "to", "/drop", "model", "", "version", ""), 303, "build.accepted model.changed build.published", "slipway firmware add crane.zip<"},
	{inboxRoute, "/drop/upload", uploaded("crane.zip", builtOf("crane", "1.1.0", "1.1.0"), "model", "crane"), 303, "build.accepted build.published", "To undo it: publish 1.0.0 again."},
	{inboxRoute, "/drop/upload", uploaded("crane.zip", builtOf("crane", "1.1.0", "1.0.0"), "replace", "true"), 303, "build.replaced", "--replace<"},
	{inboxRoute, "/drop/upload", uploaded("crane.zip", builtOf("crane", "1.1.0", "1.1.0")), 409, "build.rejected", ""},
	{inboxRoute, "/drop/upload", uploaded("crane.zip", builtOf("crane", "1.2.0", ""), "model", "none"), 404, "", ""},
	{inboxRoute, "/drop/upload", uploaded("", ""), 400, "", ""},
	{"POST /crashes/{fingerprint}/decode", "/crashes/0000000000000000/decode", "", 303, "dump.decoded_again dump.decoded_again", "slipway crash decode 0000000000000000<"},
	{"POST /crashes/{fingerprint}/decode", "/crashes/0000000000000000/decode", "after=x", 400, "", ""},
	{"POST /crashes/{fingerprint}/decode", "/crashes/00000000000000ff/decode", "", 404, "", ""},
	{"POST /dumps/{key}/{name}/decode", "/dumps/aaaaaaaa/coredump_20260504T120000_000000Z/decode", "", 303, "dump.decoded_again", "slipway dump decode aaaaaaaa coredump_20260504T120000_000000Z<"},
	{"POST /dumps/{key}/{name}/decode", "/dumps/aaaaaaaa/coredump_20260504T120001_000000Z/decode", "", 404, "", ""},
	{"POST /dumps/{key}/{name}/remove", "/dumps/aaaaaaaa/coredump_20260504T120000_000000Z/remove", "typed=", 400, "", ""},
	{"POST /dumps/{key}/{name}/remove", "/dumps/aaaaaaaa/coredump_20260504T120000_000000Z/remove", "typed=aaaaaaaa", 303, "dump.removed", "slipway dump rm aaaaaaaa"},
	{"POST /devices/{key}/remove", "/devices/aaaaaaaa/remove", "typed=", 400, "", ""},
	{"POST /devices/{key}/remove", "/devices/aaaaaaaa/remove", "typed=aaaaaaaa", 303, "device.removed", "is removed"},
	{"POST /gateway/backup", "/gateway/backup", "", 303, "backup.created", "backup/b.age is made"},
	{"POST /trouble/{id}/seen", "/trouble/" + fleet.TroubleID("disk", "disk") + "/seen", "", 303, "trouble.noted", "is seen"},
	{"POST /trouble/{id}/seen", "/trouble/none/seen", "", 404, "", ""},
	{"POST /trouble/{id}/unseen", "/trouble/" + fleet.TroubleID("disk", "disk") + "/unseen", "", 303, "trouble.noted", "needs somebody again"},
	{"POST /trouble/{id}/unseen", "/trouble/none/unseen", "", 404, "", ""},
	{"POST /drop/{name}/model", "/drop/pump-1.5.0.zip/model", "", 400, "", ""},
	{"POST /drop/{name}/retry", "/drop/pump-1.5.0.zip/retry", "", 303, "drop.retried", "lies in the drop folder again"},
	{"POST /drop/{name}/retry", "/drop/pump-1.5.0.zip/retry", "", 404, "", ""},
	{"POST /drop/{name}/model", "/drop/valve.zip/model", "", 303, "model.added drop.retried", "Model valve is made"},
	{"POST /drop/{name}/dismiss", "/drop/a%20b%3F.txt/dismiss", "", 303, "drop.dismissed", "slipway drop dismiss &#39;a b?.txt&#39;<"},
	{"POST /gateway/webhooks", "/gateway/webhooks", "url=" + url.QueryEscape("http://127.0.0.1:1/in?key=k") + "&name=tickets&kinds=crash,+line.dark", 200, "webhook.added", ""},
	{"POST /gateway/webhooks", "/gateway/webhooks", "url=ftp:x", 400, "", ""},
	{"POST /gateway/webhooks", "/gateway/webhooks", "url=http://h/&kinds=crush", 400, "", ""},
	{"POST /gateway/webhooks/{id}/test", "/gateway/webhooks/aaaa0001/test", "", 303, "", "has not taken the test"},
	{"POST /gateway/webhooks/{id}/test", "/gateway/webhooks/none/test", "", 404, "", ""},
	{"POST /gateway/webhooks/{id}/active", "/gateway/webhooks/aaaa0001/active", "active=false", 303, "webhook.changed", "is sent nothing"},
	{"POST /gateway/webhooks/{id}/active", "/gateway/webhooks/aaaa0001/active", "active=true", 303, "webhook.changed", "is sent events again"},
	{"POST /gateway/webhooks/{id}/change", "/gateway/webhooks/aaaa0001/change", "name=pager&kinds=line,+crash.new&url=&ca=", 303, "webhook.changed", "To undo it: enter what was there: the name &#34;&#34;, the kinds all events.<"},
	{"POST /gateway/webhooks/{id}/change", "/gateway/webhooks/aaaa0001/change", "name=pager&kinds=line+crash.new", 303, "", "pager stays as it was"},
	{"POST /gateway/webhooks/{id}/change", "/gateway/webhooks/aaaa0001/change", "name=pager&kinds=&url=" + url.QueryEscape("http://127.0.0.1:2/in?key=k") + "&from_now=true", 303, "webhook.changed", "--to ADDRESS --kind &#39;&#39; --from-now<"},
	{"POST /gateway/webhooks/{id}/change", "/gateway/webhooks/aaaa0001/change", "url=ftp:x", 400, "", ""},
	{"POST /gateway/webhooks/{id}/change", "/gateway/webhooks/aaaa0001/change", "kinds=crush", 400, "", ""},
	{"POST /gateway/webhooks/{id}/change", "/gateway/webhooks/none/change", "", 404, "", ""},
	{"POST /gateway/webhooks/{id}/secret", "/gateway/webhooks/aaaa0001/secret", "", 200, "webhook.changed", ""},
	{"POST /gateway/webhooks/{id}/secret", "/gateway/webhooks/none/secret", "", 404, "", ""},
	{"POST /gateway/webhooks/{id}/remove", "/gateway/webhooks/aaaa0001/remove", "", 303, "webhook.removed", "is removed"},
	{"POST /gateway/tokens", "/gateway/tokens", "role=viewer&name=Ana", 200, "token.created", ""},
	{"POST /gateway/tokens", "/gateway/tokens", "role=boss&name=Ana", 400, "", ""},
	{"POST /gateway/tokens", "/gateway/tokens", "role=viewer&name=", 400, "", ""},
	{"POST /gateway/sessions/{id}/end", "/gateway/sessions/OTHER/end", "", 303, "session.ended", "The session has ended"},
	{"POST /gateway/sessions/{id}/end", "/gateway/sessions/none/end", "", 404, "", ""},
	{"POST /gateway/tokens/{id}/revoke", "/gateway/tokens/PIPELINE/revoke", "", 303, "token.revoked", "The token of the pipeline is revoked"},
	{"POST /logout", "/logout", "", 303, "session.ended", ""},
	{"POST /login", "/login", "token=VIEWER", 303, "session.started", ""},
	{"POST /logout/everywhere", "/logout/everywhere", "", 303, "", ""},
}

// acting has the model pump with its device and two builds.
func acting(t *testing.T) *desk {
	t.Helper()
	d := rollingOut(t)
	for i, v := range []fleet.Version{"1.4.1", "1.4.2"} {
		_, _, err := d.store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: v, ELFSHA256: strings.Repeat("0", 63) + string(v[4])}, i == 0)
		d.must(err)
	}
	d.crashed(2, "abort()", "main.c:1")
	d.mixer()
	d.gateway.wrong = []fleet.Wrong{{Kind: "disk", About: "disk", Text: "12 MiB are free"}}
	d.inbox.refused("pump-1.5.0.zip", "the file is incomplete")
	d.inbox.refused("valve.zip", fleet.NoModel("valve", "pump").Error())
	d.inbox.refused("a b?.txt", "not a ZIP")
	d.must(d.store.AddWebhook(t.Context(), fleet.Webhook{ID: "aaaa0001", URL: "http://127.0.0.1:1/", Active: true}, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 20))
	return d
}

// TestEveryFormLeavesTheEventsThatTheTableNames plays all of them, from the routes' own list: one that is not in the table, or
// that nobody plays here, fails.
func TestEveryFormLeavesTheEventsThatTheTableNames(t *testing.T) {
	d := acting(t)
	cookie, other := d.signIn(auth.Admin), d.signIn(auth.Operator)
	_, secret, _ := strings.Cut(other, "=")
	at := strings.NewReplacer("OTHER", auth.Session{Hash: auth.HashSecret(secret)}.ID(), "PIPELINE", strings.Split(d.tokens[auth.Pipeline], "_")[1])
	left := map[string][]string{}
	for _, one := range slices.Concat(rolled, sends) {
		page, err := d.store.Events(event.Filter{Limit: 1})
		d.must(err)
		if one.leaves == "rollout.excused" { // the device takes the build by itself, and so has a slot
			d.must(d.rollouts.engine.Strays(t.Context(), fleet.Device{Key: "mixer001", Model: "mixer"}, "1.1.0"))
		}
		a := d.ask(http.MethodPost, at.Replace(one.path), strings.ReplaceAll(one.form, "VIEWER", d.tokens[auth.Viewer]), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		if a.StatusCode != one.status {
			t.Errorf("%s %s: %s\n%s", one.route, one.form, a.Status, a.body)
		}
		page, err = d.store.Events(event.Filter{After: page.Head.Seq})
		d.must(err)
		var kinds []string
		for _, e := range page.Events {
			kinds = append(kinds, string(e.Kind))
			if e.Actor.Type != fleet.Person || e.Actor.Name == "" {
				t.Errorf("%s: %s was done by %+v", one.route, e.Kind, e.Actor)
			}
		}
		if got := strings.Join(kinds, " "); got != one.leaves {
			t.Errorf("%s %s leaves %q, want %q", one.route, one.form, got, one.leaves)
		}
		left[one.route] = append(left[one.route], kinds...)
		if one.says == "" {
			continue
		}
		then := d.ask(http.MethodGet, a.Header.Get("Location"), "", "Cookie", cookie+"; "+cookieIn(a, saidCookie))
		if !strings.Contains(then.body, one.says) || !strings.Contains(then.body, "The same on the command line: <code>slipway ") {
			t.Errorf("%s %s: %s does not say %q\n%s", one.route, one.form, a.Header.Get("Location"), one.says, then.body)
		}
	}
	for _, r := range d.routes.List() {
		name := r.Method + " " + r.Pattern
		if r.Method != http.MethodPost || event.Silent[name] != "" {
			continue
		}
		if _, played := left[name]; !played {
			t.Errorf("%s: nobody plays it: put it into sends", name)
		}
		var want []string
		for _, row := range event.Table {
			if slices.Contains(row.Left, name) && row.Kind != event.SignInFailed {
				want = append(want, string(row.Kind))
			}
		}
		slices.Sort(want)
		got := slices.Compact(slices.Sorted(slices.Values(left[name])))
		if name == "POST /logout/everywhere" {
			got = append(got, string(event.SessionEnded)) // TestSigningInAndOutLeavesEvents plays it
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s leaves %v, and the table says %v", name, got, want)
		}
	}
}

func cookieIn(a answer, name string) string {
	for _, c := range a.Cookies() {
		if c.Name == name {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

// TestNoFormIsTakenFromAViewerFromAnotherSiteOrFromNobody sends each form of the routes' own list.
func TestNoFormIsTakenFromAViewerFromAnotherSiteOrFromNobody(t *testing.T) {
	d := acting(t)
	viewer, operator := d.signIn(auth.Viewer), d.signIn(auth.Admin)
	before, err := d.store.Events(event.Filter{Limit: 1})
	d.must(err)
	for _, one := range slices.Concat(rolled, sends) {
		if strings.Contains(one.route, "/log") {
			continue
		}
		for who, test := range map[string]struct {
			headers []string
			status  int
		}{
			"a viewer":     {[]string{"Cookie", viewer, "Sec-Fetch-Site", "same-origin"}, http.StatusForbidden},
			"another site": {[]string{"Cookie", operator, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
			"a neighbour":  {[]string{"Cookie", operator, "Sec-Fetch-Site", "same-site", "Origin", "https://wiki.plant.example"}, http.StatusForbidden},
			"an old one":   {[]string{"Cookie", operator, "Origin", "http://evil.example"}, http.StatusForbidden},
			"nobody":       {nil, http.StatusUnauthorized},
			"a pipeline":   {[]string{"Authorization", "Bearer " + d.tokens[auth.Pipeline]}, http.StatusForbidden},
		} {
			if a := d.ask(http.MethodPost, one.path, one.form, test.headers...); a.StatusCode != test.status {
				t.Errorf("%s, by %s: %s\n%s", one.route, who, a.Status, a.body)
			}
		}
	}
	after, err := d.store.Events(event.Filter{Limit: 1})
	d.must(err)
	if before.Head != after.Head {
		t.Errorf("it left events: %+v", after.Head)
	}
}
