package fleet

import (
	"slices"
	"time"
)

// Sighting is what requests, dumps and messages have shown about a device until now.
type Sighting struct {
	State     DeviceState `json:"state"`
	HeardAt   time.Time   `json:"heard_at,omitzero"` // last contact
	HeardBy   HeardBy     `json:"heard_by,omitempty"`
	Address   string      `json:"address,omitempty"`        // of its peer at the last contact
	Agent     string      `json:"agent,omitempty"`          // User-Agent, cut at 64 bytes
	Rhythm    int64       `json:"rhythm,omitempty"`         // seconds: 95th percentile of the gaps between its last contacts
	BootedAt  time.Time   `json:"booted_at,omitzero"`       // last boot
	Boots     int         `json:"boots"`                    // that were seen
	Reset     ResetReason `json:"reset_reason,omitempty"`   // of its last boot, as it says
	OTAState  OTAState    `json:"ota_state,omitempty"`      // of the image that runs, as it says
	Runs      string      `json:"runs,omitempty"`           // version
	RunsELF   string      `json:"runs_elf,omitempty"`       // first 16 digits of its ELF's hash
	RunsBy    Proof       `json:"runs_by,omitempty"`        // how that is known
	RunsSince time.Time   `json:"runs_since,omitzero"`      // of this version
	WentBack  *WentBack   `json:"went_back,omitempty"`      // the last rollback that was seen
	Download  *Download   `json:"download,omitempty"`       // the last one that was whole or broken
	CheckedAt time.Time   `json:"checked_at,omitzero"`      // asked which build it is offered, or for an image and stopped in its first block
	Restored  bool        `json:"before_restore,omitempty"` // what it runs is from before the restore of a backup
}

// DeviceState says how a device is to be heard.
type DeviceState string

// The states of a device.
const (
	Live      DeviceState = "live"       // heard within three rhythms
	Late      DeviceState = "late"       // heard within ten
	Silent    DeviceState = "silent"     // not heard for longer
	Never     DeviceState = "never"      // never heard
	BootsOnly DeviceState = "boots_only" // asks when it boots and at no other time: its silence cannot be seen
)

// DeviceStates are all of them, for metrics and filters.
var DeviceStates = []DeviceState{Live, Late, Silent, Never, BootsOnly}

// ParseDeviceState refuses what is no state of a device.
func ParseDeviceState(s string) (DeviceState, error) {
	if !slices.Contains(DeviceStates, DeviceState(s)) {
		return "", Refused("state %q: want live, late, silent, never or boots_only; the nearest is %q", clip(s), Nearest(s, DeviceStates))
	}
	return DeviceState(s), nil
}

// Proof is how it is known what a device runs.
type Proof string

// The proofs, from strong to weak. "" is nothing known.
const (
	ProofSaid    Proof = "said"    // its own word
	ProofDump    Proof = "dump"    // a dump of that build's ELF, declared by that version
	ProofBehaved Proof = "behaved" // it fetched the whole image, booted once, and wanted no more of it
)

// WentBack is a device that was found to run another version than the one that it had installed.
type WentBack struct {
	Version Version   `json:"version"` // which it left
	At      time.Time `json:"at"`
	By      Proof     `json:"by"`
}

// Download is an image that a device fetched.
type Download struct {
	Version Version         `json:"version"`
	Bytes   int64           `json:"bytes"` // that arrived
	Size    int64           `json:"size"`  // bytes of the image
	Outcome DownloadOutcome `json:"outcome"`
	At      time.Time       `json:"at"` // its end
}

// DownloadOutcome is how a download ended.
type DownloadOutcome string

// The outcomes.
const (
	DownloadWhole  DownloadOutcome = "whole"  // all of the image arrived
	DownloadBroken DownloadOutcome = "broken" // it ended behind its first block and before its end
)

// HourCount is what was counted of a model's devices that run a version, in one hour.
type HourCount struct {
	Model   ModelCode
	Version string    // as the devices say; "" where nobody knows
	Hour    time.Time // its begin
	Heard   int       // devices
	Refused int       // uploads of dumps
}

// VersionRuns is how many devices of a model run a version.
type VersionRuns struct {
	Version   string `json:"firmware_version"` // "": nobody knows
	Devices   int    `json:"devices"`
	Live      int    `json:"live"`
	Late      int    `json:"late"`
	Silent    int    `json:"silent"`
	Never     int    `json:"never"`
	BootsOnly int    `json:"boots_only"` // of them, such as are heard at boots only
}
