package api

import (
	"encoding/json"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Dumps is a page of core dumps, newest first.
type Dumps struct {
	Dumps []Dump  `json:"coredumps"`
	Next  *string `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// Dump is a core dump: the sidecar's facts, its name, and what is known of its crash.
type Dump struct {
	Name fleet.DumpName `json:"name"`
	File string         `json:"file"`
	fleet.Dump
	State       string        `json:"state"` // waiting, missing, reported or failed
	Why         string        `json:"why,omitempty"`
	Wants       string        `json:"wants,omitempty"`    // the ELF that it waits for
	ELFHash     string        `json:"elf_hash,omitempty"` // hex prefix that the dump carries
	Grade       string        `json:"grade,omitempty"`    // how well the ELF fits
	Build       fleet.Version `json:"build,omitempty"`    // that decoded it
	Reason      string        `json:"reason,omitempty"`
	TopFrame    string        `json:"top_frame,omitempty"`
	Fingerprint string        `json:"fingerprint,omitempty"` // of its chain
	Group       string        `json:"group,omitempty"`       // that the chain belongs to
	News        string        `json:"news,omitempty"`        // what the crash was to its group
	Disagree    []string      `json:"disagreements,omitempty"`
	Again       bool          `json:"decoding_again,omitempty"` // somebody asked for it, and it is not done yet
}

// DumpReport is a core dump with its report, once it has one.
type DumpReport struct {
	Dump
	Report json.RawMessage `json:"report,omitempty"`
}
