package page

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// reasonOf is the reason that an event gives, "" for none.
func reasonOf(e fleet.Event) string {
	var details struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(e.Details, &details) // of another kind: it gives none
	return details.Reason
}

// tell is an event in words: its kind, and what it says before and after.
func tell(e fleet.Event) string {
	text := strings.ReplaceAll(strings.ReplaceAll(string(e.Kind), ".", " "), "_", " ")
	var details struct {
		Before json.RawMessage `json:"before"`
		After  json.RawMessage `json:"after"`
		Reason string          `json:"reason"`
	}
	if json.Unmarshal(e.Details, &details) != nil {
		return text
	}
	before, after := brief(details.Before), brief(details.After)
	switch {
	case before != "" && after != "":
		text += ": " + before + " → " + after
	case after != "":
		text += ": " + after
	case before != "":
		text += ": was " + before
	}
	if details.Reason != "" {
		text += ": " + details.Reason
	}
	return text
}

const mostBrief = 120 // bytes of what an event says

// brief is a value in a line.
func brief(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	if len(text) > mostBrief {
		text = strings.ToValidUTF8(text[:mostBrief], "") + "…"
	}
	return text
}

// whoOf is who did it.
func whoOf(e fleet.Event) string {
	switch e.Actor.Type {
	case fleet.Itself:
		return "the gateway"
	case fleet.DeviceActor:
		return "the device"
	}
	return cmp.Or(e.Actor.Name, e.Actor.ID)
}
