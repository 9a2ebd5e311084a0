package page

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// tell is an event in words: its kind, and what it says before and after.
func tell(e fleet.Event) string {
	text := strings.ReplaceAll(strings.ReplaceAll(string(e.Kind), ".", " "), "_", " ")
	var details struct {
		Before json.RawMessage `json:"before"`
		After  json.RawMessage `json:"after"`
		Reason string          `json:"reason"`
		Why    string          `json:"why"` // of rollouts
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
	if reason := cmp.Or(details.Reason, details.Why); reason != "" {
		text += ": " + reason
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

// eventsView is a page of what happened, newest first.
type eventsView struct {
	Rows            []eventRow
	Kinds           []string
	Kind, Object    string
	Who             string
	Since, Until    string
	Next            string // the address of the older ones, "" where there are none
	Newest          uint64
	Hash            string // of the newest
	From            uint64 // the oldest that is there follows from it
	Looked, Looking int    // events that were looked at for who, at most so many
}

type eventRow struct {
	fleet.Event
	Text, By, Where string
}

// eventQuery is what the address may say.
var eventQuery = []string{"kind", "object", "who", "since", "until", "before"}

const (
	eventRows  = 100
	mostLooked = 5000 // events are looked at for those of a person
)

func (p *Page) events(v *visit) (shown, error) {
	q := v.r.URL.Query()
	newest, err := p.Events.Events(event.Filter{Limit: 1})
	if err != nil {
		return shown{}, err
	}
	f, err := eventFilter(q, newest.Head.Seq, p.Now())
	if err != nil {
		return shown{}, err
	}
	view := eventsView{
		Kinds: nouns(), Kind: q.Get("kind"), Object: q.Get("object"), Who: q.Get("who"), Since: q.Get("since"), Until: q.Get("until"),
		Newest: newest.Head.Seq, Hash: newest.Head.Hash, From: newest.Anchor.Seq, Looking: mostLooked,
	}
	for len(view.Rows) < eventRows && view.Looked < mostLooked {
		page, err := p.Events.Events(f)
		if err != nil {
			return shown{}, err
		}
		for _, e := range page.Events {
			view.Looked++
			f.Before = e.Seq
			if by := whoOf(e.Event); view.Who == "" || strings.Contains(strings.ToLower(by), strings.ToLower(view.Who)) {
				view.Rows = append(view.Rows, eventRow{e.Event, tell(e.Event), by, whereOf(e.Object)})
			}
			if len(view.Rows) == eventRows {
				break
			}
		}
		if page.Next == 0 && len(view.Rows) < eventRows {
			f.Before = 0
			break
		}
	}
	if f.Before > 1 {
		next := url.Values{}
		for _, name := range eventQuery {
			if given := q.Get(name); given != "" {
				next.Set(name, given)
			}
		}
		next.Set("before", strconv.FormatUint(f.Before, 10))
		view.Next = "/events?" + next.Encode()
	}
	return shown{"Events", view}, nil
}

// eventFilter reads the address.
func eventFilter(q url.Values, newest uint64, now time.Time) (f event.Filter, err error) {
	f = event.Filter{Before: newest + 1, Limit: eventRows}
	if given := q.Get("before"); given != "" {
		if f.Before, err = strconv.ParseUint(given, 10, 53); err != nil || f.Before == 0 {
			return f, fleet.Refused("before %q: want the number of an event", given)
		}
	}
	if kind := q.Get("kind"); kind != "" {
		if !event.Known(kind) {
			return f, fleet.Refused("kind %q: there is no such kind of event", kind)
		}
		f.Kinds = []string{kind}
	}
	if object := q.Get("object"); object != "" {
		var named bool
		if f.Object.Type, f.Object.ID, named = strings.Cut(object, "/"); !named {
			return f, fleet.Refused("object %q: want a type and a name, such as device/a1b2c3d4, model/pump or build/pump/1.0.0", object)
		}
	}
	f.At, err = api.ParseSpan("", q.Get("since"), q.Get("until"), now)
	return f, err
}

// nouns are those of the kinds, in the order of the table.
func nouns() []string {
	var all []string
	for _, name := range event.Names() {
		if noun, _, _ := strings.Cut(name, "."); !slices.Contains(all, noun) {
			all = append(all, noun)
		}
	}
	return all
}

// whereOf is the view of an object, "" where there is none.
func whereOf(o fleet.Object) string {
	escaped := url.PathEscape(o.ID)
	model, number, _ := strings.Cut(o.ID, "/")
	switch o.Type {
	case "device":
		return "/devices/" + escaped
	case "crash":
		return "/crashes/" + escaped
	case "model", "build":
		return "/models/" + url.PathEscape(model)
	case "drop":
		return "/drop"
	case "rollout":
		return "/models/" + url.PathEscape(model) + "/rollouts/" + url.PathEscape(number)
	case "line":
		return devicesAt("line", o.ID)
	case "dump":
		return "/dumps/" + url.PathEscape(model) + "/" + url.PathEscape(number)
	}
	return ""
}
