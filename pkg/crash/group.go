package crash

import (
	"fmt"
	"net/url"
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

	Decision
	Note string `json:"note,omitempty"` // what people say of it
	Link string `json:"link,omitempty"` // to their ticket
	Old  bool   `json:"old,omitempty"`  // made by the first rules, and no dump is left that could be grouped by today's
}

// Urgency orders groups by what asks for a look, the least first: what came back after it was resolved and what has been
// ignored for as long as was said, what is open, the rest.
func (g *Group) Urgency() int {
	switch {
	case g.Regressed, g.Reopened != "":
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
		*g = Group{Fingerprint: g.Fingerprint, Model: c.Model, Kind: c.Kind, Decision: Decision{State: Open}, Chains: g.Chains}
		if g.Fingerprint == "" {
			g.Fingerprint = c.Fingerprint
		}
	}
	if g.State == Resolved && atLeast(c.Version, g.ResolvedIn, newer) {
		news = Regression
		g.Decision = Decision{State: Open, ResolvedIn: g.ResolvedIn, Regressed: true, RegressedIn: c.Version, ChangedAt: c.DecodedAt}
	}
	if g.State == Ignored {
		g.ignoredOn(c, newer)
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

// String is the place of a dump in a list, as its answers and addresses have it; "" of none.
func (r Ref) String() string {
	if r.Name == "" {
		return ""
	}
	return string(r.Device) + "/" + string(r.Name)
}

// ParseRef reads that.
func ParseRef(s string) (r Ref, err error) {
	if s == "" {
		return r, nil
	}
	key, name, _ := strings.Cut(s, "/")
	if r.Device, err = fleet.ParseDeviceKey(key); err == nil {
		r.Name, err = fleet.ParseDumpName(name)
	}
	return r, err
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
