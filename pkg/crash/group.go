package crash

import (
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Group is all crashes with one fingerprint, of one model: the fingerprint has the model in it.
type Group struct {
	Fingerprint string          `json:"fingerprint"`
	Model       fleet.ModelCode `json:"model_code"`
	Kind        string          `json:"kind"`
	Reason      string          `json:"reason"`    // of the latest crash
	TopFrame    string          `json:"top_frame"` // of the latest crash
	FirstSeen   time.Time       `json:"first_seen"`
	LastSeen    time.Time       `json:"last_seen"`
	Count       int             `json:"count"`   // crashes, also those whose dumps are gone
	Devices     int             `json:"devices"` // different ones

	FirstVersion fleet.Version `json:"first_version"` // the oldest by version order
	LastVersion  fleet.Version `json:"last_version"`  // the newest by version order

	State        GroupState      `json:"state"`
	ResolvedIn   fleet.Version   `json:"resolved_in,omitempty"` // gone from this version on
	ChangedAt    time.Time       `json:"changed_at,omitzero"`   // when somebody, or a regression, changed the state
	Regressed    bool            `json:"regressed,omitempty"`   // it came back after it was resolved
	RegressedIn  fleet.Version   `json:"regressed_in,omitempty"`
	LatestDevice fleet.DeviceKey `json:"latest_device"`
	LatestDump   fleet.DumpName  `json:"latest_dump"`
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

// Newer reports whether version a is later than b, among the builds of one model: by version order, else by the order
// of acceptance, which only the store knows.
type Newer func(a, b fleet.Version) bool

// Add counts a crash into its group and says what it was to it. The zero Group is one that nobody has seen. newDevice
// says that this device was not in the group before.
func (g *Group) Add(c Crash, newDevice bool, newer Newer) News {
	news := Known
	if g.Count == 0 {
		news = New
		*g = Group{
			Fingerprint: c.Fingerprint, Model: c.Model, State: Open,
			FirstSeen: c.Uploaded, FirstVersion: c.Version, LastVersion: c.Version,
		}
	}
	if g.State == Resolved && g.returnedIn(c.Version, newer) {
		news = Regression
		g.State, g.Regressed, g.RegressedIn, g.ChangedAt = Open, true, c.Version, c.DecodedAt
	}
	g.Count++
	if newDevice {
		g.Devices++
	}
	if c.Uploaded.Before(g.FirstSeen) {
		g.FirstSeen = c.Uploaded
	}
	if newer(g.FirstVersion, c.Version) {
		g.FirstVersion = c.Version
	}
	if newer(c.Version, g.LastVersion) {
		g.LastVersion = c.Version
	}
	if !c.Uploaded.Before(g.LastSeen) {
		g.LastSeen, g.LatestDevice, g.LatestDump = c.Uploaded, c.Device, c.Name
		g.Kind, g.Reason, g.TopFrame = c.Kind, c.Reason, c.TopFrame
	}
	return news
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
