package api

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Groups is a page of groups of crashes. A group is a record of its own package, which this one does not know.
type Groups[Group any] struct {
	Groups []Group `json:"crashes"`
	Next   *string `json:"next"`  // what ?after= takes for the next page; null: this is the last
	Total  int     `json:"total"` // on all pages
}

// SplitGroups are the two groups that one has become.
type SplitGroups[Group any] struct {
	Groups []Group `json:"crashes"`
}

// GroupDevices is a page of the devices that a group was seen on, in the order of their keys.
type GroupDevices struct {
	Devices []fleet.DeviceKey `json:"devices"`
	Counts  []GroupDevice     `json:"counts"` // of the same devices, in the same order
	Next    *string           `json:"next"`   // what ?after= takes for the next page; null: this is the last
	Total   int               `json:"total"`
}

// GroupDevice is how often a device crashed in a group, and when last. Both are missing where only older versions saw it.
type GroupDevice struct {
	Device   fleet.DeviceKey `json:"device_key"`
	Count    int             `json:"count,omitempty"`
	LastSeen time.Time       `json:"last_seen,omitzero"`
}

// Resolve says in which version a group is gone.
type Resolve struct {
	Version string `json:"firmware_version"`
	Force   bool   `json:"force,omitempty"` // also one that is no build's and does not come after all
}

// Ignore says until when a group is ignored: one of the three, or none of them for good.
type Ignore struct {
	Version string `json:"until_version,omitempty"` // until a crash of this version or a later one comes
	Crashes *int   `json:"until_crashes,omitempty"` // until so many crashes more have come
	Until   string `json:"until,omitempty"`         // until then: how long, such as 2h or 7d, a day, which is its beginning in UTC, or a time of RFC 3339
	Force   bool   `json:"force,omitempty"`         // also a version that is no build's and does not come after all
}

// Read says what is named of the three, and refuses two of them, and what could not come.
func (i Ignore) Read(now time.Time) (v fleet.Version, crashes int, at time.Time, err error) {
	named := 0
	if i.Version != "" {
		named++
		if v, err = fleet.ParseVersion(i.Version); err != nil {
			return "", 0, at, fleet.Refused("until_version: %v", err)
		}
	}
	if i.Crashes != nil {
		named++
		if crashes = *i.Crashes; crashes < 1 {
			return "", 0, at, fleet.Refused("until_crashes %d: want how many crashes more, 1 at least", crashes)
		}
	}
	if i.Until != "" {
		named++
		if at, err = ParseAhead("until", i.Until, now); err != nil {
			return "", 0, at, err
		}
	}
	if named > 1 {
		return "", 0, time.Time{}, fleet.Refused("a group is ignored until a version, until a number of crashes or until a time: name one of them")
	}
	return v, crashes, at, nil
}

// Note is a person's note on a group, and a link to a ticket. An empty one removes what is there; nil leaves it.
type Note struct {
	Note *string `json:"note,omitempty"`
	Link *string `json:"link,omitempty"`
}

// Merge names the other group.
type Merge struct {
	Fingerprint string `json:"fingerprint"`
}

// Split names the chains that become a group of their own.
type Split struct {
	Chains []string `json:"chains"`
}

// DecodedAgain is what becomes of the dumps of a group that somebody wants decoded again.
type DecodedAgain struct {
	Dumps int     `json:"dumps"` // that are decoded in their turn, newest first
	Kept  int     `json:"kept"`  // dumps of the group that are there
	Next  *string `json:"next"`  // what ?after= takes for those behind them; null: there are no more
}
