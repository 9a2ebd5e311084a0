package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// round carries events to one webhook. It ends when the webhook is changed, and another begins with what is on record then.
type round struct {
	*Courier
	hook   fleet.Webhook
	key    []byte
	client *http.Client
	cancel context.CancelFunc
	over   chan struct{}
	hurry  chan struct{} // the receiver has answered a test: it need not be waited for any longer

	mu       sync.Mutex // guards delivery, which only run writes
	delivery fleet.WebhookDelivery

	saved   fleet.WebhookDelivery // as it is on record
	savedAt time.Time
	silent  bool // that it cannot be recorded was logged
}

func (c *Courier) newRound(w fleet.Webhook) (*round, error) {
	secret, err := c.options.Store.WebhookSecret(w.ID)
	if err != nil {
		return nil, err
	}
	key, err := parseSecret(secret)
	if err != nil {
		return nil, err
	}
	client, err := c.client(w)
	if err != nil {
		return nil, err
	}
	d, err := c.options.Store.WebhookDelivery(w.ID)
	return &round{
		Courier: c, hook: w, key: key, client: client, over: make(chan struct{}), hurry: make(chan struct{}, 1),
		delivery: d, saved: d, savedAt: c.options.Now(),
	}, err
}

// at is how far it has come.
func (r *round) at() fleet.WebhookDelivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.delivery
}

func (r *round) note(d fleet.WebhookDelivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivery = d
}

// Passing over events that a webhook does not take is recorded now and then only: after a kill they are passed over again.
const (
	passedEvery = time.Hour
	passedMost  = 1000
)

func (r *round) run(ctx context.Context) {
	defer close(r.over)
	defer r.client.CloseIdleConnections()
	defer func() { r.save(context.WithoutCancel(ctx)) }()
	woken, stop := r.options.Store.Feed().Watch()
	defer stop()
	for {
		later, err := r.catchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if !r.silent {
				r.options.Logger.Error("events not read for a webhook", "webhook", r.hook.ID, "error", err)
			}
			r.silent, later = true, time.Minute
		}
		if later > 0 {
			if d := r.at(); hopeless(d, r.options.Now()) && r.giveUp(ctx, d) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-r.options.After(later):
			case <-r.hurry:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-r.hurry:
		case _, open := <-woken:
			if !open {
				woken = nil // the gateway stops
			}
		}
	}
}

// catchUp delivers what there is. later is not 0 where a delivery has failed: when to try it again.
func (r *round) catchUp(ctx context.Context) (later time.Duration, err error) {
	for ctx.Err() == nil {
		d := r.at()
		page, err := r.options.Store.Events(event.Filter{After: d.Cursor, Kinds: r.hook.Kinds, Limit: 20})
		if err != nil {
			return 0, err
		}
		r.silent = false
		if d.Cursor < page.Anchor.Seq {
			if later := r.deliver(ctx, gap(d.Cursor, page.Anchor), page.Anchor.Seq); later > 0 {
				return later, nil
			}
			continue
		}
		for _, e := range page.Events {
			if later := r.deliver(ctx, messageOf(e), e.Seq); later > 0 || ctx.Err() != nil {
				return later, nil
			}
		}
		d = r.at()
		d.Cursor = page.Head.Seq
		if page.Next > 0 {
			d.Cursor = page.Next
		}
		r.note(d)
		if d.Cursor-min(r.saved.Cursor, d.Cursor) >= passedMost || r.options.Now().Sub(r.savedAt) >= passedEvery {
			r.save(ctx)
		}
		if page.Next == 0 {
			return 0, nil
		}
	}
	return 0, nil
}

// deliver sends one message, and notes what has become of it.
func (r *round) deliver(ctx context.Context, m message, seq uint64) (later time.Duration) {
	t := r.send(ctx, r.client, r.hook, r.key, m)
	if !t.Delivered && ctx.Err() != nil {
		return 0 // it was stopped, and is no failure of the receiver's
	}
	r.options.Counted(t.Delivered)
	d, now := r.at(), r.options.Now().UTC()
	if t.Delivered {
		if d.Failures > 0 {
			r.options.Logger.Info("webhook answers again", "webhook", r.hook.ID, "host", host(r.hook), "failures", d.Failures)
		}
		d.Cursor, d.Failures, d.FailingSince = seq, 0, time.Time{}
		d.Delivered, d.DeliveredAt = d.Delivered+1, now
	} else {
		d = failed(d, now, t.Failure)
		later = wait(d.Failures, t.later)
		if d.Failures == 1 {
			r.options.Logger.Warn("webhook fails", "webhook", r.hook.ID, "host", host(r.hook), "status", t.Status)
		}
	}
	r.note(d)
	r.save(ctx)
	return later
}

// save records how far it has come. Where the catalog takes nothing it goes on: after a restart what was delivered since
// comes again.
func (r *round) save(ctx context.Context) {
	d := r.at()
	if d == r.saved {
		return
	}
	err := r.options.Store.SaveWebhookDelivery(context.WithoutCancel(ctx), r.hook.ID, d)
	if err == nil {
		r.saved, r.savedAt = d, r.options.Now()
	} else if !fleet.Told(err) { // of which the gateway tells by itself
		r.options.Logger.Error("delivery of a webhook not recorded", "webhook", r.hook.ID, "error", err)
	}
}

// giveUp disables the webhook, where that can be recorded.
func (r *round) giveUp(ctx context.Context, d fleet.WebhookDelivery) bool {
	why := fmt.Sprintf("%d deliveries in a row have failed since %s", d.Failures, d.FailingSince.UTC().Format(time.RFC3339)) // not what the receiver says: events and the log are no place for that
	err := r.options.Store.DisableWebhook(context.WithoutCancel(event.ByItself(ctx)), r.hook.ID, r.options.Now().UTC(), why, d)
	if err != nil {
		return false
	}
	r.saved = d
	r.Courier.mu.Lock()
	delete(r.rounds, r.hook.ID)
	r.Courier.mu.Unlock()
	return true
}

// messageOf is an event, as it is stored. Its id has a piece of its hash: events of two gateways, or of one before and after
// a restore, have the same numbers.
func messageOf(e event.Stored) message {
	return message{fmt.Sprintf("evt_%d_%s", e.Seq, e.Hash[:min(len(e.Hash), 16)]), e.Raw}
}

// gapped takes the place of events that are no longer there.
type gapped struct {
	Kind   string     `json:"kind"` // gap
	Missed uint64     `json:"missed"`
	Anchor event.Link `json:"anchor"` // the last of them: what comes next follows from it
}

func gap(cursor uint64, anchor event.Link) message {
	body, _ := json.Marshal(gapped{"gap", anchor.Seq - cursor, anchor}) // numbers and a text
	return message{fmt.Sprintf("gap_%d_%d_%s", cursor, anchor.Seq, anchor.Hash[:min(len(anchor.Hash), 16)]), body}
}
