package page

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// hooked has a webhook whose address holds a secret, and an admin who is signed in.
func hooked(t *testing.T, w fleet.Webhook) (d *desk, admin string) {
	t.Helper()
	d = open(t)
	w.ID, w.URL = "aaaa0001", "http://127.0.0.1:1/in?key=in-the-address"
	d.must(d.store.AddWebhook(t.Context(), w, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 20))
	return d, d.signIn(auth.Admin)
}

func TestAWebhooksNewSecretIsShownOnceAndSignsFromThenOn(t *testing.T) {
	d, admin := hooked(t, fleet.Webhook{Name: "tickets", Active: true})
	a := d.act(admin, "/gateway/webhooks/aaaa0001/secret", "")
	contains(t, "the answer", a.body, "The new secret that signs what tickets is sent, shown this once: <code>whsec_", "slipway webhook secret aaaa0001<")
	secret, err := d.store.WebhookSecret("aaaa0001")
	d.must(err)
	if a.StatusCode != http.StatusOK || !strings.Contains(html.UnescapeString(a.body), "<code>"+secret+"</code>") || secret == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" {
		t.Errorf("%s shows another secret than the one that signs:\n%s", a.Status, a.body)
	}
	if body := d.see(admin, "/gateway"); strings.Contains(body, "whsec_") {
		t.Errorf("it is shown again:\n%s", body)
	}
}

func TestAWebhookIsChangedOnThePageAndItsAddressIsNotShown(t *testing.T) {
	d, admin := hooked(t, fleet.Webhook{Name: "tickets", Active: true, Kinds: []string{"crash", "line.dark"}})
	body := d.see(admin, "/gateway")
	contains(t, "the gateway", body, `placeholder="empty: the one at 127.0.0.1:1 stays"`, `value="crash, line.dark"`, `value="tickets"`, "slipway webhook set aaaa0001 --name … --to … --kind … --ca …<")
	if strings.Contains(body, "in-the-address") {
		t.Errorf("the address is shown:\n%s", body)
	}
	change := func(form string) (w fleet.Webhook, says string) {
		t.Helper()
		a := d.act(admin, "/gateway/webhooks/aaaa0001/change", form)
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s\n%s", a.Status, a.body)
		}
		w, err := d.store.Webhook("aaaa0001")
		d.must(err)
		return w, d.see(admin+"; "+cookieIn(a, saidCookie), "/gateway")
	}
	w, says := change("name=pager&kinds=&url=&ca=")
	if w.Name != "pager" || len(w.Kinds) != 0 || !strings.HasSuffix(w.URL, "in-the-address") || !w.Active {
		t.Errorf("%+v", w)
	}
	contains(t, "said", says, "pager is named &#34;pager&#34;, takes all events.", "the name &#34;tickets&#34;, the kinds crash, line.dark.", "slipway webhook set aaaa0001 --name pager --kind &#39;&#39;<")
	w, says = change("name=pager&kinds=crash&url=" + url.QueryEscape("http://127.0.0.1:2/other?key=as-secret"))
	if w.URL != "http://127.0.0.1:2/other?key=as-secret" || len(w.Kinds) != 1 {
		t.Errorf("%+v", w)
	}
	contains(t, "said", says, "pager is sent to another address at 127.0.0.1:2, takes crash.", "enter what was there: the address at 127.0.0.1:1, the kinds all events.", "--to ADDRESS --kind crash<")
	if strings.Contains(says, "as-secret") {
		t.Errorf("the address is shown:\n%s", says)
	}
	delivery, err := d.store.WebhookDelivery("aaaa0001")
	d.must(err)
	if _, says = change("name=pager&kinds=crash&from_now=true"); !strings.Contains(says, "pager is not sent the events that waited.") || strings.Contains(says, "To undo it: enter") {
		t.Errorf("said is\n%s", says)
	}
	if after, err := d.store.WebhookDelivery("aaaa0001"); err != nil || after.Cursor <= delivery.Cursor {
		t.Errorf("%+v, and %+v before, %v", after, delivery, err)
	}
}

func TestWhoIsNoAdminSeesNoWebhookAndNoButtonOfOne(t *testing.T) {
	d, _ := hooked(t, fleet.Webhook{Name: "tickets", Active: true})
	for _, role := range []auth.Role{auth.Viewer, auth.Operator} {
		if body := d.see(d.signIn(role), "/gateway"); strings.Contains(body, "aaaa0001") || strings.Contains(body, `action="/gateway/webhooks`) {
			t.Errorf("a %s sees:\n%s", role, body)
		}
	}
}

func TestAWebhookThatARestoreHasPausedSaysSoAndWhatSwitchingItOnMeans(t *testing.T) {
	d, admin := hooked(t, fleet.Webhook{Name: "tickets", Restored: true, DisabledAt: noon, Disabled: "paused by the restore of a backup"})
	contains(t, "the gateway", d.see(admin, "/gateway"), "paused by the restore of a backup (<code>slipway webhook set aaaa0001 --active, and it is sent what happens from then on</code>)")
	a := d.act(admin, "/gateway/webhooks/aaaa0001/active", "active=true")
	says := d.see(admin+"; "+cookieIn(a, saidCookie), "/gateway")
	contains(t, "said", says, "tickets is sent what happens from now on, and nothing of before.", `<span class="mark good">ok</span>`)
	if strings.Contains(says, "paused by") {
		t.Errorf("it is paused still:\n%s", says)
	}
}
