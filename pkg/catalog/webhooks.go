package catalog

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Webhooks lists all of them by id.
func (c *Catalog) Webhooks() ([]fleet.Webhook, error) { return list[fleet.Webhook](c, webhookPrefix) }

// Webhook finds one, or says ErrUnknown.
func (c *Catalog) Webhook(id string) (fleet.Webhook, error) {
	var w fleet.Webhook
	found, err := c.find(webhookKey(id), &w)
	if err == nil && !found {
		err = unknownWebhook(id)
	}
	return w, err
}

func unknownWebhook(id string) error {
	return fleet.Unknown("there is no webhook %q: slipway webhook list has their ids", id)
}

// WebhookSecret is what its deliveries are signed with.
func (c *Catalog) WebhookSecret(id string) (secret string, err error) {
	found, err := c.find(webhookSecretKey(id), &secret)
	if err == nil && !found {
		err = unknownWebhook(id)
	}
	return secret, err
}

// WebhookDelivery is how far its deliveries have come, as it was saved last.
func (c *Catalog) WebhookDelivery(id string) (d fleet.WebhookDelivery, err error) {
	_, err = c.find(webhookDeliveryKey(id), &d)
	return d, err
}

// AddWebhook adds one whose deliveries begin with the event of its being added, where there are fewer than most.
func (c *Catalog) AddWebhook(ctx context.Context, w fleet.Webhook, secret string, most int) error {
	return c.update(ctx, func(t *tx) error {
		there, err := t.keys(webhookPrefix)
		if err != nil {
			return err
		}
		if len(there) >= most {
			return fleet.Refused("there are %d webhooks, and more are not served: remove one", len(there))
		}
		if slices.Contains(there, webhookKey(w.ID)) {
			return fleet.Taken("webhook %q is there already", w.ID)
		}
		var l ledger // where the stream ends before what this operation tells
		if _, err := t.get(keyEvents, &l); err != nil {
			return err
		}
		t.tell(event.WebhookAdded, w.ObjectOf(), webhookFacts(w))
		return t.putAll(map[string]any{
			webhookKey(w.ID): w, webhookSecretKey(w.ID): secret, webhookDeliveryKey(w.ID): fleet.WebhookDelivery{Cursor: l.Head.Seq},
		})
	})
}

// webhookFacts are what events tell of a webhook. Of its address that is the host: its path and query are often a secret.
func webhookFacts(w fleet.Webhook) facts {
	return facts{"name": w.Name, "host": webhookHost(w), "kinds": w.Kinds, "active": w.Active}
}

func webhookHost(w fleet.Webhook) string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// UpdateWebhook changes one. Activating it makes it forget its failures, and the events that waited with fromNow, and where
// it came with a backup.
func (c *Catalog) UpdateWebhook(ctx context.Context, id string, fromNow bool, change func(*fleet.Webhook) error) (w fleet.Webhook, err error) {
	err = c.update(ctx, func(t *tx) error {
		w = fleet.Webhook{}
		found, err := t.get(webhookKey(id), &w)
		if err != nil {
			return err
		}
		if !found {
			return unknownWebhook(id)
		}
		before := w
		before.Kinds = slices.Clone(w.Kinds)
		if err := change(&w); err != nil {
			return err
		}
		var d fleet.WebhookDelivery
		if _, err := t.get(webhookDeliveryKey(id), &d); err != nil {
			return err
		}
		if w.Active && !before.Active {
			fromNow = fromNow || w.Restored
			w.DisabledAt, w.Disabled, w.Restored = time.Time{}, "", false
			d.Failures, d.FailingSince = 0, time.Time{}
		}
		if fromNow {
			var l ledger
			if _, err := t.get(keyEvents, &l); err != nil {
				return err
			}
			d.Cursor = l.Head.Seq
		}
		t.tellWebhook(before, w, fromNow)
		return t.putAll(map[string]any{webhookKey(id): w, webhookDeliveryKey(id): d})
	})
	return w, err
}

// tellWebhook tells what has become of a webhook's record.
func (t *tx) tellWebhook(before, after fleet.Webhook, fromNow bool) {
	var c changes
	c.noteText("name", before.Name, after.Name)
	c.noteText("host", webhookHost(before), webhookHost(after))
	c.note("kinds", before.Kinds, after.Kinds, slices.Equal(before.Kinds, after.Kinds))
	c.note("active", before.Active, after.Active, before.Active == after.Active)
	address := before.URL != after.URL
	if c.Before == nil && !address && !fromNow && before.CA == after.CA {
		return
	}
	t.tell(event.WebhookChanged, after.ObjectOf(), facts{
		"before": c.Before, "after": c.After, "url_changed": address, "ca_changed": before.CA != after.CA, "from_now": fromNow,
	})
}

// ReplaceWebhookSecret stores another secret.
func (c *Catalog) ReplaceWebhookSecret(ctx context.Context, id, secret string) error {
	return c.update(ctx, func(t *tx) error {
		var w fleet.Webhook
		found, err := t.get(webhookKey(id), &w)
		if err != nil {
			return err
		}
		if !found {
			return unknownWebhook(id)
		}
		t.tell(event.WebhookChanged, w.ObjectOf(), facts{"secret_replaced": true})
		return t.put(webhookSecretKey(id), secret)
	})
}

// RemoveWebhook removes one, with its secret.
func (c *Catalog) RemoveWebhook(ctx context.Context, id string) error {
	return c.update(ctx, func(t *tx) error {
		var w fleet.Webhook
		found, err := t.get(webhookKey(id), &w)
		if err != nil {
			return err
		}
		if !found {
			return unknownWebhook(id)
		}
		t.tell(event.WebhookRemoved, w.ObjectOf(), webhookFacts(w))
		t.delete(webhookKey(id))
		t.delete(webhookSecretKey(id))
		t.delete(webhookDeliveryKey(id))
		return nil
	})
}

// SaveWebhookDelivery notes how far deliveries have come. Those of a webhook that is gone are passed over.
func (c *Catalog) SaveWebhookDelivery(ctx context.Context, id string, d fleet.WebhookDelivery) error {
	return c.update(ctx, func(t *tx) error {
		there, err := t.has(webhookKey(id))
		if err != nil || !there {
			return err
		}
		return t.put(webhookDeliveryKey(id), d)
	})
}

// DisableWebhook gives one up, and tells why.
func (c *Catalog) DisableWebhook(ctx context.Context, id string, at time.Time, why string, d fleet.WebhookDelivery) error {
	return c.update(ctx, func(t *tx) error {
		var w fleet.Webhook
		found, err := t.get(webhookKey(id), &w)
		if err != nil || !found || !w.Active {
			return err
		}
		w.Active, w.DisabledAt, w.Disabled = false, at, why
		t.tell(event.WebhookDisabled, w.ObjectOf(), facts{
			"name": w.Name, "host": webhookHost(w), "failures": d.Failures, "failing_since": d.FailingSince, "cursor": d.Cursor,
		})
		return t.putAll(map[string]any{webhookKey(id): w, webhookDeliveryKey(id): d})
	})
}

// putAll stores several records.
func (t *tx) putAll(records map[string]any) error {
	for key, record := range records {
		if err := t.put(key, record); err != nil {
			return err
		}
	}
	return nil
}
