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
