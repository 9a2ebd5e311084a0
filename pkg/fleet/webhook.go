package fleet

import "time"

// Webhook is a receiver of events elsewhere: its address, and which events it takes. What its deliveries are signed with is
// stored apart, so that whoever lists webhooks has no secret in hand.
type Webhook struct {
	ID         string    `json:"id"`
	Name       string    `json:"name,omitempty"`
	URL        string    `json:"url"`
	Kinds      []string  `json:"kinds"`        // of events, or nouns for all kinds of one; none: every event
	CA         string    `json:"ca,omitempty"` // PEM that its certificate is checked against; "": the system's roots
	Active     bool      `json:"active"`
	DisabledAt time.Time `json:"disabled_at,omitzero"` // when the gateway gave up, or a restore paused it; a person activates it again
	Disabled   string    `json:"disabled_because,omitempty"`
	Restored   bool      `json:"restored,omitempty"` // it came with a backup: once a person activates it, it is sent what happens from then on
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// ObjectOf names a webhook.
func (w Webhook) ObjectOf() Object { return Object{Type: "webhook", ID: w.ID} }

// Enabling is the act that activates one which is disabled, and when that is right; "" of one which is not.
func (w Webhook) Enabling() string {
	switch act := "slipway webhook set " + w.ID + " --active"; {
	case w.DisabledAt.IsZero():
		return ""
	case w.Restored:
		return act + ", and it is sent what happens from then on"
	default:
		return act + " once its receiver works"
	}
}

// WebhookDelivery is how far a webhook's deliveries have come.
type WebhookDelivery struct {
	Cursor       uint64    `json:"cursor"`    // the last event that was acknowledged or passed over
	Delivered    int64     `json:"delivered"` // acknowledged ones
	DeliveredAt  time.Time `json:"delivered_at,omitzero"`
	Failures     int       `json:"failures"` // in a row, 0 once one is acknowledged
	FailingSince time.Time `json:"failing_since,omitzero"`
	FailedAt     time.Time `json:"failed_at,omitzero"`     // the last time, whatever came after
	Failure      string    `json:"last_failure,omitempty"` // what became of that one
}

// WebhookState is a webhook with its deliveries.
type WebhookState struct {
	Webhook
	Delivery WebhookDelivery `json:"delivery"`
	Waiting  uint64          `json:"waiting"` // events behind the cursor; those that it does not take are passed over in their turn, and none waits for one that came with a backup
}

// WebhookTried is what became of one request.
type WebhookTried struct {
	Delivered bool   `json:"delivered"`         // the receiver has acknowledged it: a status of 2xx
	Status    int    `json:"status,omitempty"`  // of the answer; 0: there was none
	Failure   string `json:"failure,omitempty"` // why it was not delivered
	Millis    int64  `json:"milliseconds"`      // that it took
}
