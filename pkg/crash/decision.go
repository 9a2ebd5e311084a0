package crash

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Decision is what people decided about a group, and what has become of it by itself since.
type Decision struct {
	State       GroupState    `json:"state"`
	ResolvedIn  fleet.Version `json:"resolved_in,omitempty"`  // gone from this version on
	Until       Bound         `json:"ignored_until,omitzero"` // missing: it is not ignored, or for good
	ChangedAt   time.Time     `json:"changed_at,omitzero"`    // when the state changed, by somebody or by itself
	Regressed   bool          `json:"regressed,omitempty"`    // it came back after it was resolved
	RegressedIn fleet.Version `json:"regressed_in,omitempty"`
	Reopened    string        `json:"reopened,omitempty"` // why it is ignored no more, where that came by itself
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

// Bound is until when a group is ignored: a version, a number of crashes or a time. The zero one is for good.
type Bound struct {
	Version fleet.Version `json:"version,omitempty"`      // until a crash of this version or a later one comes
	Crashes int           `json:"crashes,omitempty"`      // until so many crashes more have come
	Left    int           `json:"crashes_left,omitempty"` // so many of them are still to come
	At      time.Time     `json:"at,omitzero"`            // until then
}

// String goes on from "ignored". It is "" for good.
func (b Bound) String() string {
	switch {
	case b.Version != "":
		return fmt.Sprintf("until a crash of %s or later", b.Version)
	case b.Crashes > 0 && b.Left > 0 && b.Left < b.Crashes:
		return fmt.Sprintf("until %d more %s (%d of them to come)", b.Crashes, crashes(b.Crashes), b.Left)
	case b.Crashes > 0:
		return fmt.Sprintf("until %d more %s", b.Crashes, crashes(b.Crashes))
	case !b.At.IsZero():
		return "until " + b.At.UTC().Format(time.RFC3339)
	}
	return ""
}

func crashes(n int) string {
	if n == 1 {
		return "crash"
	}
	return "crashes"
}

// Resolve marks the group as gone from version v on.
func (d *Decision) Resolve(v fleet.Version, now time.Time) {
	*d = Decision{State: Resolved, ResolvedIn: v, ChangedAt: now}
}

// Ignore keeps counting the group and reports it to nobody, whatever was said of it before, until what b says.
func (d *Decision) Ignore(b Bound, now time.Time) {
	b.Left = b.Crashes
	*d = Decision{State: Ignored, Until: b, ChangedAt: now}
}

// Reopen takes a decision back.
func (d *Decision) Reopen(now time.Time) {
	*d = Decision{State: Open, ChangedAt: now}
}

// ignoredOn counts a crash of a group that is ignored, and has it open again where it was ignored until that crash.
func (d *Decision) ignoredOn(c Crash, newer Newer) {
	switch {
	case d.Until.Version != "" && atLeast(c.Version, d.Until.Version, newer):
		d.reopen(fmt.Sprintf("a crash of %s came, and it was ignored until %s", c.Version, d.Until.Version), c.DecodedAt)
	case d.Until.Left > 1:
		d.Until.Left--
	case d.Until.Left == 1:
		d.reopen(fmt.Sprintf("%d more %s came, and it was ignored until then", d.Until.Crashes, crashes(d.Until.Crashes)), c.DecodedAt)
	}
}

// Due reports that the group was ignored until a time, which is over.
func (d *Decision) Due(now time.Time) bool {
	return d.State == Ignored && !d.Until.At.IsZero() && !now.Before(d.Until.At)
}

// EndIgnoring has the group open again, as the time is over until which it was ignored.
func (d *Decision) EndIgnoring(now time.Time) {
	d.reopen("it was ignored "+d.Until.String(), now)
}

func (d *Decision) reopen(why string, now time.Time) {
	*d = Decision{State: Open, Reopened: why, ChangedAt: now}
}

// atLeast tells what comes back from a straggler: a dump of a version before the one that was named may arrive at any time
// and changes nothing.
func atLeast(v, named fleet.Version, newer Newer) bool {
	return v == named || newer(v, named)
}

// Decided takes what people decided about another group that is one with this one now: open goes over ignored, ignored
// over resolved; of two versions that resolve the later one counts, of two that are ignored what was decided later, with
// its bound; and both notes stay. Doing it again changes nothing.
func (g *Group) Decided(other Group, newer Newer) {
	rank := map[GroupState]int{Resolved: 0, Ignored: 1, Open: 2}
	higher := rank[other.State] - rank[g.State]
	switch {
	case higher != 0:
	case g.State == Resolved && newer(other.ResolvedIn, g.ResolvedIn), g.State == Ignored && other.ChangedAt.After(g.ChangedAt):
		higher = 1
	}
	if higher > 0 {
		g.Decision = other.Decision
	}
	if higher == 0 && other.Regressed && !g.Regressed {
		g.Regressed, g.RegressedIn = true, other.RegressedIn
	}
	if higher == 0 {
		g.Reopened = cmp.Or(g.Reopened, other.Reopened)
	}
	g.Link = cmp.Or(g.Link, other.Link)
	switch {
	case g.Note == "":
		g.Note = other.Note
	case !strings.Contains(g.Note, other.Note):
		g.Note = clip(g.Note+"; "+other.Note, mostNote)
	}
}
