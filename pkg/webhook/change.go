package webhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Add adds a webhook, and returns its secret, which is shown this once: the one that is given, or a new one. Events are
// delivered from its own webhook.added on.
func (c *Courier) Add(ctx context.Context, w fleet.Webhook, secret string) (fleet.Webhook, string, error) {
	id := make([]byte, 4)
	_, _ = rand.Read(id) // it never fails
	now := c.options.Now().UTC()
	w.ID, w.CreatedAt, w.UpdatedAt, w.Active = hex.EncodeToString(id), now, now, true
	if err := c.check(&w); err != nil {
		return w, "", err
	}
	secret = cmp.Or(secret, newSecret())
	if _, err := parseSecret(secret); err != nil {
		return w, "", err
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	if err := c.options.Store.AddWebhook(ctx, w, secret, most); err != nil {
		return w, "", err
	}
	c.look()
	return w, secret, nil
}

// Set changes a webhook. One that is activated goes on where it was, or behind the newest event with fromNow, and where it
// came with a backup.
func (c *Courier) Set(ctx context.Context, id string, fromNow bool, change func(*fleet.Webhook) error) (fleet.Webhook, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.end(id)
	defer c.look()
	return c.options.Store.UpdateWebhook(ctx, id, fromNow, func(w *fleet.Webhook) error {
		if err := change(w); err != nil {
			return err
		}
		w.UpdatedAt = c.options.Now().UTC()
		return c.check(w)
	})
}

// NewSecret replaces a webhook's secret and returns the new one, which is shown this once. What is delivered from now on is
// signed with it, and with nothing else.
func (c *Courier) NewSecret(ctx context.Context, id string) (string, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.end(id)
	defer c.look()
	secret := newSecret()
	return secret, c.options.Store.ReplaceWebhookSecret(ctx, id, secret)
}

// Remove removes a webhook, with its secret.
func (c *Courier) Remove(ctx context.Context, id string) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.end(id)
	defer c.look()
	return c.options.Store.RemoveWebhook(ctx, id)
}

// List are all webhooks, in the order of their ids, each with how far it has come.
func (c *Courier) List() ([]fleet.WebhookState, error) {
	hooks, err := c.options.Store.Webhooks()
	if err != nil {
		return nil, err
	}
	all := make([]fleet.WebhookState, len(hooks))
	for i, w := range hooks {
		if all[i], err = c.state(w); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Find is one of them, ErrUnknown where there is none.
func (c *Courier) Find(id string) (fleet.WebhookState, error) {
	w, err := c.options.Store.Webhook(id)
	if err != nil {
		return fleet.WebhookState{}, err
	}
	return c.state(w)
}

func (c *Courier) state(w fleet.Webhook) (s fleet.WebhookState, err error) {
	s.Webhook = w
	c.mu.Lock()
	r := c.rounds[w.ID]
	c.mu.Unlock()
	if r != nil {
		s.Delivery = r.at()
	} else if s.Delivery, err = c.options.Store.WebhookDelivery(w.ID); err != nil {
		return s, err
	}
	head, err := c.options.Store.LastEvent()
	if !w.Restored {
		s.Waiting = head.Seq - min(head.Seq, s.Delivery.Cursor)
	}
	return s, err
}

// tested is the body of a test.
type tested struct {
	Kind    string    `json:"kind"` // test
	At      time.Time `json:"at"`
	Webhook string    `json:"webhook"`
}

// Test sends a webhook, active or not, something that is no event, signed as events are, and says what has become of it.
// Where that works and events wait, they are tried at once.
func (c *Courier) Test(ctx context.Context, id string) (fleet.WebhookTried, error) {
	w, err := c.options.Store.Webhook(id)
	if err != nil {
		return fleet.WebhookTried{}, err
	}
	r, err := c.newRound(w)
	if err != nil {
		return fleet.WebhookTried{}, err
	}
	defer r.client.CloseIdleConnections()
	now := c.options.Now().UTC()
	body, err := json.Marshal(tested{"test", now, w.ID})
	if err != nil {
		return fleet.WebhookTried{}, err
	}
	t := c.send(ctx, r.client, w, r.key, message{fmt.Sprintf("test_%s_%d", w.ID, now.UnixMicro()), body})
	c.mu.Lock()
	carried := c.rounds[id]
	c.mu.Unlock()
	if t.Delivered && carried != nil {
		select {
		case carried.hurry <- struct{}{}:
		default:
		}
	}
	return t.WebhookTried, nil
}

// Trouble tells of webhooks that the gateway gave up or a restore paused, by their ids.
func (c *Courier) Trouble() []string {
	hooks, err := c.options.Store.Webhooks()
	if err != nil {
		return nil // the catalog tells of itself
	}
	var all []string
	for _, w := range hooks {
		if !w.DisabledAt.IsZero() {
			all = append(all, fmt.Sprintf("webhook %s is disabled since %s: %s; %s", Title(w), w.DisabledAt.Format(time.RFC3339), w.Disabled, w.Enabling()))
		}
	}
	slices.Sort(all)
	return all
}

// Title is what a webhook is called: its name, or its host.
func Title(w fleet.Webhook) string {
	return strings.TrimSpace(cmp.Or(w.Name, host(w)) + " (" + w.ID + ")")
}
