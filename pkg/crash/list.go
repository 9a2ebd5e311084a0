package crash

import (
	"cmp"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Listed is a dump with what is known of its crash.
type Listed struct {
	Dump  fleet.Dump
	Crash Crash
	Group string // that its chain belongs to, "" without one
}

// Read is the dump with the chip and the version that were read from it, where its device has declared none.
func (l Listed) Read() fleet.Dump {
	d := l.Dump
	d.Chip = cmp.Or(d.Chip, l.Crash.Chip)
	d.FirmwareVersion = cmp.Or(d.FirmwareVersion, string(l.Crash.Version))
	return d
}

// DumpFilter picks dumps, newest first. The zero one picks all.
type DumpFilter struct {
	Device   fleet.DeviceKey
	Model    fleet.ModelCode
	State    State
	Uploaded fleet.Span
	After    Ref // exclusive: older ones
	Limit    int // 0: all
}

// GroupFilter picks groups. The zero one picks all.
type GroupFilter struct {
	Model   fleet.ModelCode
	Version fleet.Version // seen in it
	State   GroupState
}

// GroupOrder is an order of groups by a number: the greatest comes first, and those of one number by their fingerprints.
type GroupOrder string

// GroupOrders are all of them.
var GroupOrders = []GroupOrder{"last_seen", "first_seen", "count", "devices"}

// Number is what an order goes by.
func (g *Group) Number(o GroupOrder) int64 {
	switch o {
	case "last_seen":
		return g.LastSeen.UnixMicro()
	case "first_seen":
		return g.FirstSeen.UnixMicro()
	case "count":
		return int64(g.Count)
	case "devices":
		return int64(g.Devices)
	}
	return 0
}

// GroupPlace is where a group stands in an order.
type GroupPlace struct {
	Number      int64
	Fingerprint string
}

// Compare is below 0 where p comes before q.
func (p GroupPlace) Compare(q GroupPlace) int {
	return cmp.Or(cmp.Compare(q.Number, p.Number), strings.Compare(p.Fingerprint, q.Fingerprint))
}

// GroupQuery asks for a page of groups.
type GroupQuery struct {
	GroupFilter
	Text  string     // in the fingerprint, kind, reason, own frame or model; of any case
	Seen  fleet.Span // between their first and their last crash
	Order GroupOrder
	After *GroupPlace // nil: from the first on
	Limit int         // 0: none
}

// GroupPage is what is found.
type GroupPage struct {
	Groups []Group
	Next   *GroupPlace // nil: this is the last
	Total  int         // groups on all pages
	Found  int         // groups that the filter picks, whatever the text is
}

// Wanted is a firmware that dumps wait for: its ELF is not here.
type Wanted struct {
	ELFHash  string          `json:"elf_hash,omitempty"` // hex prefix that the dumps carry; "": they carry none
	Model    fleet.ModelCode `json:"model_code"`
	Versions []string        `json:"versions"` // that the devices declared, in order
	Devices  int             `json:"devices"`
	Dumps    int             `json:"dumps"`
	Since    time.Time       `json:"since"` // upload of the oldest of them
}

// ID orders wanted firmware, and names it to whoever asks for the next page.
func (w Wanted) ID() string {
	if w.ELFHash != "" {
		return string(w.Model) + "/" + w.ELFHash
	}
	return string(w.Model) + "/" + strings.Join(w.Versions, "/") + "/"
}
