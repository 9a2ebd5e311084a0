// Package event is the stream of what happened: the audit log, the history of each object, and the live feed.
//
// It knows the table of kinds ([Table]), who acts ([ActorOf]), how one event follows from the one before ([Follow],
// [Verify]), and how those who wait for the next one are woken ([Feed]). The events lie in the catalog, each in the
// transaction of the change that it tells of: there is no change without its event and no event without its change.
//
// The chain shows whoever reads it that nothing in its middle was changed, put in or taken out. It shows nothing to whom
// the end is withheld: for that the journal has the newest number and hash once a day.
package event

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Stored is an event with its bytes as they are stored, which are what its hash is of.
type Stored struct {
	fleet.Event
	Raw json.RawMessage
}

// Filter picks events. The zero one picks all, oldest first.
type Filter struct {
	After  uint64   // only later ones
	Before uint64   // only earlier ones, latest first; 0: none of that
	Kinds  []string // "build.published", or "build" for all of a noun
	Object fleet.Object
	At     fleet.Span
	Limit  int // 0: as many as one answer has
}

// Page is one answer.
type Page struct {
	Events []Stored
	Next   uint64 // where the next page begins, as After or Before; 0: this was the last one
	Anchor Link   // what the oldest event that is there follows from
	Head   Link   // the newest
}

// Takes reports that the filter picks an event that lies where it looks.
func (f Filter) Takes(e fleet.Event) bool {
	if f.Object.Type != "" && !slices.Contains(Subjects(e.Object), f.Object) {
		return false
	}
	if !f.At.Has(e.At) {
		return false
	}
	return len(f.Kinds) == 0 || slices.ContainsFunc(f.Kinds, func(kind string) bool {
		noun, _, _ := strings.Cut(string(e.Kind), ".")
		return kind == string(e.Kind) || kind == noun
	})
}

// Subjects are the objects whose history an event belongs to: its own, of a build and of a rollout the model, of a dump the
// device.
func Subjects(o fleet.Object) []fleet.Object {
	owner, _, owned := strings.Cut(o.ID, "/")
	switch {
	case owned && (o.Type == "build" || o.Type == "rollout"):
		return []fleet.Object{o, fleet.ModelCode(owner).ObjectOf()}
	case owned && o.Type == "dump":
		return []fleet.Object{o, fleet.DeviceKey(owner).ObjectOf()}
	}
	return []fleet.Object{o}
}
