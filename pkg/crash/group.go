package crash

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Group is all crashes whose chains are near to each other, of one model and kind. Its fingerprint is that of its first
// chain.
type Group struct {
	Fingerprint string          `json:"fingerprint"`
	Model       fleet.ModelCode `json:"model_code"`
	Kind        string          `json:"kind"`
	Tally
	Devices int `json:"devices"` // different ones
	Chains  int `json:"chains"`  // that take dumps

	State       GroupState    `json:"state"`
	ResolvedIn  fleet.Version `json:"resolved_in,omitempty"` // gone from this version on
	ChangedAt   time.Time     `json:"changed_at,omitzero"`   // when somebody, or a regression, changed the state
	Regressed   bool          `json:"regressed,omitempty"`   // it came back after it was resolved
	RegressedIn fleet.Version `json:"regressed_in,omitempty"`
	Note        string        `json:"note,omitempty"` // what people say of it
	Link        string        `json:"link,omitempty"` // to their ticket
	Old         bool          `json:"old,omitempty"`  // made by the first rules, and no dump is left that could be grouped by today's
}

// GroupState is what people decided about a group.
type GroupState string

// The states of a group.
const (
	Open     GroupState = "open"
	Resolved GroupState = "resolved"
	Ignored  GroupState = "ignored"
)

// ParseGroupState refuses what is no state of a group.
func ParseGroupState(s string) (GroupState, error) {
	states := []GroupState{Open, Resolved, Ignored}
	if !slices.Contains(states, GroupState(s)) {
		return "", fleet.Refused("state %q: want open, resolved or ignored; the nearest is %q", clip(s, mostName), fleet.Nearest(s, states))
	}
	return GroupState(s), nil
}

// Urgency orders groups by what asks for a look, the least first: what came back after it was resolved, what is open, the
// rest.
func (g *Group) Urgency() int {
	switch {
	case g.Regressed:
		return 0
	case g.State == Open:
		return 1
	}
	return 2
}

// VersionCount is how often a group was seen in one version.
type VersionCount struct {
	Version   fleet.Version `json:"firmware_version"`
	Count     int           `json:"count"`
	FirstSeen time.Time     `json:"first_seen"`
	LastSeen  time.Time     `json:"last_seen"`
}

// Add counts a crash.
func (v *VersionCount) Add(c Crash) {
	if v.Count == 0 {
		v.Version, v.FirstSeen = c.Version, c.Uploaded
	}
	v.Count++
	if c.Uploaded.Before(v.FirstSeen) {
		v.FirstSeen = c.Uploaded
	}
	if c.Uploaded.After(v.LastSeen) {
		v.LastSeen = c.Uploaded
	}
}

// Plus adds what was counted of the same version elsewhere.
func (v VersionCount) Plus(other VersionCount) VersionCount {
	if other.Count == 0 {
		return v
	}
	v.Count += other.Count
	if other.FirstSeen.Before(v.FirstSeen) {
		v.FirstSeen = other.FirstSeen
	}
	if other.LastSeen.After(v.LastSeen) {
		v.LastSeen = other.LastSeen
	}
	return v
}

// Add counts a crash into its group and says what it was to it. The zero Group is one that nobody has seen. newDevice
// says that this device was not in the group before.
func (g *Group) Add(c Crash, newDevice bool, newer Newer) News {
	news := Known
	if g.Count == 0 {
		news = New
		*g = Group{Fingerprint: g.Fingerprint, Model: c.Model, Kind: c.Kind, State: Open, Chains: g.Chains}
		if g.Fingerprint == "" {
			g.Fingerprint = c.Fingerprint
		}
	}
	if g.State == Resolved && g.returnedIn(c.Version, newer) {
		news = Regression
		g.State, g.Regressed, g.RegressedIn, g.ChangedAt = Open, true, c.Version, c.DecodedAt
	}
	g.Take(c, newDevice, newer)
	return news
}

// Take counts a crash that is no news, as it was counted elsewhere before.
func (g *Group) Take(c Crash, newDevice bool, newer Newer) {
	g.Tally.Add(c, newer)
	if newDevice {
		g.Devices++
	}
}

// returnedIn tells a regression from a straggler: a dump of a version before the one that resolved the group may
// arrive at any time and changes nothing.
func (g *Group) returnedIn(v fleet.Version, newer Newer) bool {
	return v == g.ResolvedIn || newer(v, g.ResolvedIn)
}

// Resolve marks the group as gone from version v on.
func (g *Group) Resolve(v fleet.Version, now time.Time) {
	g.State, g.ResolvedIn, g.ChangedAt = Resolved, v, now
	g.Regressed, g.RegressedIn = false, ""
}

// Ignore keeps counting the group and reports it to nobody, whatever was said of it before.
func (g *Group) Ignore(now time.Time) {
	g.State, g.ResolvedIn, g.ChangedAt = Ignored, "", now
	g.Regressed, g.RegressedIn = false, ""
}

// Reopen takes a decision back.
func (g *Group) Reopen(now time.Time) {
	g.State, g.ResolvedIn, g.ChangedAt = Open, "", now
	g.Regressed, g.RegressedIn = false, ""
}

// mostNote is how many bytes people may say of a group: a group's record stays small.
const mostNote = 1000

// SetNote replaces what people say of the group.
func (g *Group) SetNote(note string) error {
	if len(note) > mostNote {
		return fleet.Refused("a note of %d bytes: at most %d are kept", len(note), mostNote)
	}
	g.Note = clip(note, mostNote)
	return nil
}

// mostLink is as long as the addresses of tickets are, and then some.
const mostLink = 500

// SetLink replaces the link to a ticket; an empty one removes it. It is shown as a link, and so is nothing but HTTP.
func (g *Group) SetLink(link string) error {
	u, err := url.Parse(link)
	if link != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return fleet.Refused("link %q: want an address such as https://tickets.example/4711", clip(link, mostName))
	}
	if len(link) > mostLink {
		return fleet.Refused("a link of %d bytes: at most %d are kept", len(link), mostLink)
	}
	g.Link = link
	return nil
}

// Decided takes what people decided about another group that is one with this one now: open goes over ignored, ignored
// over resolved, of two versions the later one counts, and both notes stay. Doing it again changes nothing.
func (g *Group) Decided(other Group, newer Newer) {
	rank := map[GroupState]int{Resolved: 0, Ignored: 1, Open: 2}
	higher := rank[other.State] - rank[g.State]
	if g.State == Resolved && other.State == Resolved && newer(other.ResolvedIn, g.ResolvedIn) {
		higher = 1
	}
	if higher > 0 {
		g.State, g.ResolvedIn, g.ChangedAt = other.State, other.ResolvedIn, other.ChangedAt
		g.Regressed, g.RegressedIn = other.Regressed, other.RegressedIn
	}
	if higher == 0 && other.Regressed && !g.Regressed {
		g.Regressed, g.RegressedIn = true, other.RegressedIn
	}
	g.Link = cmp.Or(g.Link, other.Link)
	switch {
	case g.Note == "":
		g.Note = other.Note
	case !strings.Contains(g.Note, other.Note):
		g.Note = clip(g.Note+"; "+other.Note, mostNote)
	}
}

// Outcome is what recording a crash did.
type Outcome struct {
	News    News
	Group   Group
	Surplus []Ref // dumps that storm control may remove
}

// Ref names a dump.
type Ref struct {
	Device fleet.DeviceKey
	Name   fleet.DumpName
}

// Regrouped is what became of the groups that the first rules for fingerprints made.
type Regrouped struct {
	Before, After int // groups
	Old           int // of those after: no dump is left that can be decoded
}

// String is the line that the journal and the status have.
func (r Regrouped) String() string {
	return fmt.Sprintf("%d %s became %d; %d old", r.Before, map[bool]string{true: "group", false: "groups"}[r.Before == 1], r.After, r.Old)
}
