package sighting

import (
	"net/netip"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Record is what is stored of a device.
type Record struct {
	Device fleet.DeviceKey `json:"-"` // in its key
	Shown
}

// Shown is what a device has shown. Times are in milliseconds since 1970, 0 for never. Its members have short names: a fleet
// that boots writes one for each device.
type Shown struct {
	Saved      int64         `json:"saved"`
	Heard      int64         `json:"heard,omitempty"`
	HeardBy    fleet.HeardBy `json:"by,omitempty"`
	Address    netip.Addr    `json:"address,omitzero"`
	Agent      string        `json:"agent,omitempty"`
	Rhythm     uint32        `json:"rhythm,omitempty"` // milliseconds
	Contacts   uint32        `json:"contacts,omitempty"`
	Closed     uint8         `json:"closed,omitempty"` // how many bits of Contacts say something
	Reset      ordinal       `json:"reset,omitempty"`  // of [fleet.ResetReasons], by its last boot
	OTAState   ordinal       `json:"ota,omitempty"`    // of [fleet.OTAStates]
	Booted     int64         `json:"booted,omitempty"`
	Boots      uint32        `json:"boots,omitempty"`
	BootID     uint64        `json:"boot_id,omitempty"` // hash of the last X-Boot-ID
	Runs       string        `json:"runs,omitempty"`
	ELF        string        `json:"elf,omitempty"`
	RunsBy     fleet.Proof   `json:"runs_by,omitempty"`
	RunsSince  int64         `json:"runs_since,omitempty"`
	RunsSeen   int64         `json:"runs_seen,omitempty"` // the last time that it was shown
	Before     string        `json:"before,omitempty"`    // what it ran before that
	Back       *back         `json:"back,omitempty"`
	Download   *download     `json:"download,omitempty"`
	Checked    int64         `json:"checked,omitempty"`
	Whole      fleet.Version `json:"whole,omitempty"` // of the last download that was whole
	WholeAt    int64         `json:"whole_at,omitempty"`
	BootsSince uint8         `json:"boots_since,omitempty"` // that download, 2 is many
	Restored   bool          `json:"restored,omitempty"`
	Asked      uint32        `json:"asked,omitempty"` // in seconds: which build it is offered, see [entry.asks]
}

// ordinal is a word of a list, 1 the first; 0 is none. A record holds a byte for it, and not a text that a device has made up.
type ordinal uint8

func ordinalOf[T ~string](all []T, word T) ordinal { return ordinal(slices.Index(all, word) + 1) }

func wordAt[T ~string](all []T, p ordinal) (word T) {
	if p == 0 || int(p) > len(all) { // of a later slipway
		return ""
	}
	return all[p-1]
}

// back is a rollback that was seen, from a version to one before.
type back struct {
	Version fleet.Version `json:"version"`
	At      int64         `json:"at"`
	Dump    bool          `json:"dump,omitempty"` // a dump shows it; else the device says so
}

// download is one that is over.
type download struct {
	Version fleet.Version `json:"version"`
	Bytes   int64         `json:"bytes"`
	Size    int64         `json:"size"`
	At      int64         `json:"at"`
	Whole   bool          `json:"whole,omitempty"`

	took uint32 // milliseconds from its last request until At; 0 after a restart
}

// entry is a device in memory: 800 bytes at most, with its share of everything, and a fifth of that until it is heard.
type entry struct {
	Device fleet.DeviceKey
	model  fleet.ModelCode
	names  string    // its name, and each alias on a line of its own
	labels *[]string // shared
	place  string    // the line that it stands on: as named, or the network that it comes from
	*trail           // shared by all of whom nothing was seen: see [Book.own]

	named   bool // place is a person's word
	offline bool // its broker says so
	unsaved bool // it is in dirty
	moved   bool // address or agent are others than those that are stored
	missed  bool // its line is lit again, and it was not heard since
	gone    bool
	barred  bar  // why no rollout brings it a build
	told    bool // the watcher was told that it is missed
}

// trail is what is known of a device by what it has shown.
type trail struct {
	Shown

	last      moment // contact
	offlineAt moment // when its broker said that it is offline
	token     moment // its last token request
	boot      moment // its last boot, of esp-mdm: of the token
	gaps      [mostGaps]uint32
	hour      int64 // since 1970: the last that it was counted for
	number    uint8 // of gaps that say something
	next      uint8 // of the gaps to be written
	bootBy    bootBy
	noIDs     uint8 // contacts in a row in which it asked and told no boot id

	contactBoots bool // the contact that goes on is a boot
	contactAsked bool // it was a request over HTTP, other than for a token
	contactIDs   bool // it told the boot's id

	fetch *fetch // a download in pieces, nil without one
	check fleet.Version
}

// millis is a time as records have it.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// timeOf is a record's time.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// WentBack is the last rollback that was seen, nil without one.
func (r *Shown) WentBack() *fleet.WentBack {
	if r.Back == nil {
		return nil
	}
	seen := &fleet.WentBack{Version: r.Back.Version, At: timeOf(r.Back.At), By: fleet.ProofSaid}
	if r.Back.Dump {
		seen.By = fleet.ProofDump
	}
	return seen
}

// sighting is what people are shown.
func (e *entry) sighting(now moment, f floors) fleet.Sighting {
	s := fleet.Sighting{
		State: e.state(now, f), HeardAt: timeOf(e.Heard), HeardBy: e.HeardBy, Agent: e.Agent,
		BootedAt: timeOf(e.Booted), Boots: int(e.Boots), Reset: wordAt(fleet.ResetReasons, e.Reset), OTAState: wordAt(fleet.OTAStates, e.OTAState), Runs: e.Runs, RunsELF: e.ELF, RunsBy: e.RunsBy, RunsSince: timeOf(e.RunsSince),
		CheckedAt: timeOf(max(e.Checked, int64(e.Asked)*1000)), Restored: e.Restored && e.RunsBy != "",
	}
	s.WentBack = e.WentBack()
	if d := e.Download; d != nil {
		s.Download = &fleet.Download{Version: d.Version, Bytes: d.Bytes, Size: d.Size, Outcome: fleet.DownloadBroken, At: timeOf(d.At)}
		if d.Whole {
			s.Download.Outcome = fleet.DownloadWhole
		}
	}
	if e.Address.IsValid() {
		s.Address = e.Address.String()
	}
	if s.State != fleet.BootsOnly {
		s.Rhythm = int64(e.Rhythm+500) / 1000
	}
	return s
}
