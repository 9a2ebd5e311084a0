// Package webhook tells events to receivers elsewhere by HTTP: a chat, a ticket system, a plant's own programs.
//
// Each webhook has a cursor in the stream of events, which is its queue: nothing is stored twice, and nothing is lost over a
// restart. Events go out one at a time and in their order; the cursor moves when the receiver has answered 2xx, so that an
// event comes again where the answer was lost (at least once, told apart by its id). A receiver that fails is tried again
// after 5 s, doubled up to an hour, for a day; then the webhook is disabled, which is an event. Each has a goroutine, a
// connection and a deadline of its own: a slow one holds up no other.
//
// Deliveries are signed as Standard Webhooks has it (github.com/standard-webhooks/standard-webhooks), whose libraries verify
// them: HMAC-SHA256 over id, timestamp and body. The secret has to be readable for that. It lies in the catalog, under a key
// of its own, with the catalog's permissions (0600) and encrypted in backups; it is shown once and is in no list, event or log.
//
// Whom it does not trust: receivers. Their answers are read up to a bound, their redirects are not followed, and what they
// say of a failure is cut and cleaned before a person sees it. And, by a little, the admin who names an address: what listens
// on the gateway's own loopback does so for nobody else, and whoever owns the machine says whether it may be reached
// ([Options.Loopback]). The address is looked at when it is dialled, whatever a name meant before.
package webhook

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Options are whom it asks, and what it may.
type Options struct {
	Store    store
	Agent    string        // as which it calls
	Loopback bool          // receivers may be on this machine itself
	Patience time.Duration // with one request; 0: 20 s
	Counted  func(delivered bool)
	Logger   *slog.Logger
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time // time.After
}

// store is what it needs of the catalog.
type store interface {
	Events(event.Filter) (event.Page, error)
	LastEvent() (event.Link, error)
	Feed() *event.Feed
	Webhooks() ([]fleet.Webhook, error)
	Webhook(id string) (fleet.Webhook, error)
	WebhookSecret(id string) (string, error)
	WebhookDelivery(id string) (fleet.WebhookDelivery, error)
	AddWebhook(ctx context.Context, w fleet.Webhook, secret string, most int) error
	UpdateWebhook(ctx context.Context, id string, fromNow bool, change func(*fleet.Webhook) error) (fleet.Webhook, error)
	ReplaceWebhookSecret(ctx context.Context, id, secret string) error
	RemoveWebhook(ctx context.Context, id string) error
	SaveWebhookDelivery(ctx context.Context, id string, d fleet.WebhookDelivery) error
	DisableWebhook(ctx context.Context, id string, at time.Time, why string, d fleet.WebhookDelivery) error
}

// most webhooks of a gateway: each has a goroutine, a connection and a page of events in memory.
const most = 20

// Courier carries events to the webhooks.
type Courier struct {
	options Options
	changed chan struct{} // the records are others than those that are carried to

	changing sync.Mutex // is held by who changes webhooks, from stopping what is carried until the change is recorded

	mu      sync.Mutex // guards what follows
	rounds  map[string]*round
	stopped bool // Run has ended, or has not begun
}

// New makes one that carries nothing before Run.
func New(o Options) *Courier {
	return &Courier{options: o, changed: make(chan struct{}, 1), rounds: map[string]*round{}, stopped: true}
}

// Run carries events until ctx ends, and returns once nothing is on its way any more.
func (c *Courier) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.stopped = false
	c.mu.Unlock()
	defer c.endAll()
	failing := false
	for {
		err := c.begin(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			c.options.Logger.Error("webhooks not read", "error", err)
		}
		failing = err != nil
		var again <-chan time.Time
		if failing {
			again = c.options.After(time.Minute)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		case <-again:
		}
	}
}

// begin has every active webhook carried to that is not.
func (c *Courier) begin(ctx context.Context) error {
	c.changing.Lock() // else one could begin with a record that is about to change
	defer c.changing.Unlock()
	hooks, err := c.options.Store.Webhooks()
	if err != nil {
		return err
	}
	for _, w := range hooks {
		if !w.Active {
			continue
		}
		c.mu.Lock()
		_, there := c.rounds[w.ID]
		c.mu.Unlock()
		if there {
			continue
		}
		r, err := c.newRound(w)
		if err != nil {
			return err
		}
		c.mu.Lock()
		if !c.stopped && c.rounds[w.ID] == nil {
			ctx, cancel := context.WithCancel(ctx)
			r.cancel = cancel
			c.rounds[w.ID] = r
			go r.run(ctx)
		}
		c.mu.Unlock()
	}
	return nil
}

// end stops what is carried to a webhook, and waits for it.
func (c *Courier) end(id string) {
	c.mu.Lock()
	r := c.rounds[id]
	c.mu.Unlock()
	if r == nil {
		return
	}
	r.cancel()
	<-r.over
	c.mu.Lock()
	delete(c.rounds, id)
	c.mu.Unlock()
}

func (c *Courier) endAll() {
	c.mu.Lock()
	c.stopped = true
	rounds := c.rounds
	c.rounds = map[string]*round{}
	c.mu.Unlock()
	for _, r := range rounds {
		r.cancel()
	}
	for _, r := range rounds {
		<-r.over
	}
}

// look has Run look at the records again.
func (c *Courier) look() {
	select {
	case c.changed <- struct{}{}:
	default: // it will look anyway
	}
}
