package api

import "github.com/slipway-gateway/slipway/pkg/fleet"

// NewWebhook is what a webhook is made of.
type NewWebhook struct {
	Name   string   `json:"name,omitempty"`
	URL    string   `json:"url"`
	Kinds  []string `json:"kinds,omitempty"`  // of events, or nouns for all kinds of one; none: every event
	CA     string   `json:"ca,omitempty"`     // PEM that its certificate is checked against; "": the system's roots
	Secret string   `json:"secret,omitempty"` // whsec_ and the Base64 of 24 to 64 bytes; "": one is made
}

// WebhookChange is what becomes of a webhook. What is missing stays.
type WebhookChange struct {
	Name    *string   `json:"name,omitempty"`
	URL     *string   `json:"url,omitempty"`
	Kinds   *[]string `json:"kinds,omitempty"` // all of them; an empty list: every event
	CA      *string   `json:"ca,omitempty"`    // "": the system's roots
	Active  *bool     `json:"active,omitempty"`
	FromNow bool      `json:"from_now,omitempty"` // the events that wait are passed over
}

// Apply changes a webhook's record. Whether it is right then, others say.
func (in WebhookChange) Apply(w *fleet.Webhook) {
	set(&w.Name, in.Name)
	set(&w.URL, in.URL)
	set(&w.Kinds, in.Kinds)
	set(&w.CA, in.CA)
	set(&w.Active, in.Active)
}

// CreatedWebhook is a webhook that was just added, with what its deliveries are signed with, shown once.
type CreatedWebhook struct {
	Secret string `json:"secret"`
	fleet.Webhook
}

// WebhookSecret is a new secret of a webhook, shown once.
type WebhookSecret struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// Webhooks is a page of webhooks, in the order of their ids, each with how far its deliveries have come.
type Webhooks struct {
	Webhooks []fleet.WebhookState `json:"webhooks"`
	Next     *string              `json:"next"` // what ?after= takes for the next page; null: this is the last
}
