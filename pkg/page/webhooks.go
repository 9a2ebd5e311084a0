package page

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// webhooks are the receivers of events elsewhere.
type webhooks interface {
	List() ([]fleet.WebhookState, error)
	Find(id string) (fleet.WebhookState, error)
	Add(ctx context.Context, w fleet.Webhook, secret string) (added fleet.Webhook, shown string, err error)
	Set(ctx context.Context, id string, fromNow bool, change func(*fleet.Webhook) error) (fleet.Webhook, error)
	Remove(ctx context.Context, id string) error
	Test(ctx context.Context, id string) (fleet.WebhookTried, error)
}

// webhookRow is a webhook as the page shows it: of its address that is the host, as the rest is often a secret.
type webhookRow struct {
	fleet.WebhookState
	Host string
}

// Title is what it is called.
func (w webhookRow) Title() string { return cmp.Or(w.Name, w.Host) }

func (p *Page) webhookRows() ([]webhookRow, error) {
	all, err := p.Webhooks.List()
	rows := make([]webhookRow, len(all))
	for i, s := range all {
		rows[i] = rowOfWebhook(s)
	}
	return rows, err
}

func rowOfWebhook(s fleet.WebhookState) webhookRow {
	row := webhookRow{WebhookState: s}
	if u, err := url.Parse(s.URL); err == nil {
		row.Host = u.Host
	}
	return row
}

// addWebhook shows the secret at once: it is not shown again.
func (p *Page) addWebhook(v *visit) (done, error) {
	form := v.r.PostForm
	kinds := strings.FieldsFunc(form.Get("kinds"), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' })
	w := fleet.Webhook{Name: form.Get("name"), URL: strings.TrimSpace(form.Get("url")), Kinds: kinds, CA: strings.TrimSpace(form.Get("ca"))}
	added, secret, err := p.Webhooks.Add(v.r.Context(), w, "")
	if err != nil {
		return done{}, err
	}
	view, err := p.showGateway(v)
	view.Signs, view.SignsFor = secret, rowOfWebhook(fleet.WebhookState{Webhook: added})
	return done{View: "gateway", Shows: shown{"New webhook", view}}, err
}

// webhookOf is the one that an address names.
func (p *Page) webhookOf(v *visit) (webhookRow, error) {
	s, err := p.Webhooks.Find(v.r.PathValue("id"))
	return rowOfWebhook(s), err
}

func (p *Page) activateWebhook(v *visit) (done, error) {
	w, err := p.webhookOf(v)
	if err != nil {
		return done{}, err
	}
	active := v.r.PostForm.Get("active") == "true"
	_, err = p.Webhooks.Set(context.WithoutCancel(v.r.Context()), w.ID, false, func(w *fleet.Webhook) error { w.Active = active; return nil })
	if active && w.Restored {
		return done{To: "/gateway#webhooks", Said: said{w.Title() + " is sent what happens from now on, and nothing of before.", "switch it off.", "slipway webhook set " + quoted(w.ID) + " --active"}}, err
	}
	if active {
		return done{To: "/gateway#webhooks", Said: said{w.Title() + " is sent events again, from the first that it has not acknowledged.", "switch it off.", "slipway webhook set " + quoted(w.ID) + " --active"}}, err
	}
	return done{To: "/gateway#webhooks", Said: said{w.Title() + " is sent nothing. Events wait for it for as long as they are kept.", "switch it on again.", "slipway webhook set " + quoted(w.ID) + " --active=false"}}, err
}

func (p *Page) removeWebhook(v *visit) (done, error) {
	w, err := p.webhookOf(v)
	if err != nil {
		return done{}, err
	}
	return done{
		To: "/gateway#webhooks", Said: said{fmt.Sprintf("The webhook %s is removed.", w.Title()), "add it again; it gets another secret.", "slipway webhook rm " + quoted(w.ID)},
	}, p.Webhooks.Remove(context.WithoutCancel(v.r.Context()), w.ID)
}

// testWebhook says what has become of it, well or not.
func (p *Page) testWebhook(v *visit) (done, error) {
	w, err := p.webhookOf(v)
	if err != nil {
		return done{}, err
	}
	tried, err := p.Webhooks.Test(v.r.Context(), w.ID)
	text := fmt.Sprintf("%s has taken the test: it answered %d after %d ms.", w.Title(), tried.Status, tried.Millis)
	if !tried.Delivered {
		text = fmt.Sprintf("%s has not taken the test: %s.", w.Title(), tried.Failure)
	}
	return done{To: "/gateway#webhooks", Said: said{text, "", "slipway webhook test " + quoted(w.ID)}}, err
}
