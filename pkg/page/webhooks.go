package page

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// webhooks are the receivers of events elsewhere.
type webhooks interface {
	List() ([]fleet.WebhookState, error)
	Find(id string) (fleet.WebhookState, error)
	Add(ctx context.Context, w fleet.Webhook, secret string) (added fleet.Webhook, shown string, err error)
	Set(ctx context.Context, id string, fromNow bool, change func(*fleet.Webhook) error) (fleet.Webhook, error)
	NewSecret(ctx context.Context, id string) (string, error)
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
	w := fleet.Webhook{Name: form.Get("name"), URL: strings.TrimSpace(form.Get("url")), Kinds: words(form.Get("kinds")), CA: strings.TrimSpace(form.Get("ca"))}
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

// changeWebhook takes what a person entered. Of the address only the host is shown, so that none entered leaves the one that
// there is.
func (p *Page) changeWebhook(v *visit) (done, error) {
	before, err := p.webhookOf(v)
	if err != nil {
		return done{}, err
	}
	form := v.r.PostForm
	name, address, kinds, ca := form.Get("name"), strings.TrimSpace(form.Get("url")), words(form.Get("kinds")), strings.TrimSpace(form.Get("ca"))
	in := api.WebhookChange{Name: &name, Kinds: &kinds, CA: &ca, FromNow: form.Get("from_now") == "true"}
	if address != "" {
		in.URL = &address
	}
	after, err := p.Webhooks.Set(context.WithoutCancel(v.r.Context()), before.ID, in.FromNow, func(w *fleet.Webhook) error { in.Apply(w); return nil })
	if err != nil {
		return done{}, err
	}
	return done{To: "/gateway#webhooks", Said: changedWebhook(before, rowOfWebhook(fleet.WebhookState{Webhook: after}), in.FromNow)}, nil
}

// changedWebhook says what has become of one, what it was, and the command line that does the same.
func changedWebhook(before, after webhookRow, fromNow bool) said {
	var is, was []string
	line := "slipway webhook set " + quoted(after.ID)
	if before.Name != after.Name {
		is, was, line = append(is, fmt.Sprintf("is named %q", after.Name)), append(was, fmt.Sprintf("the name %q", before.Name)), line+" --name "+quoted(after.Name)
	}
	if before.URL != after.URL {
		is, was, line = append(is, "is sent to another address at "+after.Host), append(was, "the address at "+before.Host), line+" --to ADDRESS"
	}
	if !slices.Equal(before.Kinds, after.Kinds) {
		is, was = append(is, "takes "+kindsOf(after)), append(was, "the kinds "+kindsOf(before))
		if len(after.Kinds) == 0 {
			line += " --kind ''"
		}
		for _, kind := range after.Kinds {
			line += " --kind " + quoted(kind)
		}
	}
	if before.CA != after.CA {
		is, was, line = append(is, "is checked against another CA"), append(was, "the CA of before"), line+" --ca FILE"
	}
	if fromNow {
		is, line = append(is, "is not sent the events that waited"), line+" --from-now"
	}
	if len(is) == 0 {
		return said{after.Title() + " stays as it was.", "", line + " --name " + quoted(after.Name)}
	}
	s := said{Text: after.Title() + " " + strings.Join(is, ", ") + ".", Line: line}
	if len(was) > 0 {
		s.Undo = "enter what was there: " + strings.Join(was, ", ") + "."
	}
	return s
}

func kindsOf(w webhookRow) string {
	if len(w.Kinds) == 0 {
		return "all events"
	}
	return strings.Join(w.Kinds, ", ")
}

// replaceWebhookSecret shows the new one at once: it is not shown again.
func (p *Page) replaceWebhookSecret(v *visit) (done, error) {
	w, err := p.webhookOf(v)
	if err != nil {
		return done{}, err
	}
	secret, err := p.Webhooks.NewSecret(context.WithoutCancel(v.r.Context()), w.ID)
	if err != nil {
		return done{}, err
	}
	view, err := p.showGateway(v)
	view.SignsAgain, view.SignsFor = secret, w
	return done{View: "gateway", Shows: shown{"New secret of " + w.Title(), view}}, err
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
