// Package crash turns dumps into crashes and crashes into groups: what crashes, where in the code, since which firmware.
//
// [Triage] is the queue. It finds what waits, has it decoded by a process of its own that it never trusts, and records
// the outcome. A [Crash] is the summary of one dump's report, a [Group] all crashes with one fingerprint. Both are plain
// records: the whole report is a file beside the dump, derived and made again at need.
//
// The package knows no store, no file and no process: it declares the few methods that it needs of each.
package crash

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Crash is what is known of one dump's decoding. It stays under 4 KiB, whatever the dump says: [Summarize] clips.
type Crash struct {
	Device   fleet.DeviceKey `json:"device_key"`
	Model    fleet.ModelCode `json:"model_code"`
	Name     fleet.DumpName  `json:"name"`
	Uploaded time.Time       `json:"uploaded_at"`

	State     State     `json:"state"`
	Why       string    `json:"why,omitempty"` // of a failed one, what a missing one waits for, and why a report could not be made again
	DecodedAt time.Time `json:"decoded_at,omitzero"`
	DecodedBy string    `json:"decoded_by,omitempty"` // version of the gateway that tried last
	Again     *Asked    `json:"again,omitempty"`      // a person wants it decoded anew; nil once it was

	DeclaredVersion string        `json:"declared_version"` // what the device said when it uploaded
	DeclaredChip    string        `json:"declared_chip"`
	ELFHash         string        `json:"elf_hash,omitempty"` // hex prefix that the dump itself carries
	Grade           Grade         `json:"grade,omitempty"`
	Version         fleet.Version `json:"firmware_version,omitempty"` // of the build that decoded it
	Chip            string        `json:"chip,omitempty"`             // what the dump says
	Disagreements   []string      `json:"disagreements,omitempty"`    // between device, dump and image

	Fingerprint string   `json:"fingerprint,omitempty"` // of its chain; a group holds several
	Chain       []string `json:"chain,omitempty"`       // what the fingerprint names, clipped
	Rules       int      `json:"rules,omitempty"`       // of which fingerprint it is; see [Rules]
	Kind        string   `json:"kind,omitempty"`        // abort, assert, stack_overflow, task_wdt, int_wdt, cache, fault:…
	Reason      string   `json:"reason,omitempty"`
	Task        string   `json:"task,omitempty"`
	TopFrame    string   `json:"top_frame,omitempty"` // "function file:line", the first in the app
	Warnings    int      `json:"warnings,omitempty"`
	News        News     `json:"news,omitempty"` // what the crash was to its group when it came
}

// Asked is who wants a dump decoded anew.
type Asked struct {
	By   fleet.Actor `json:"by"`
	From string      `json:"from,omitempty"` // the address that they came from
	At   time.Time   `json:"at"`
}

// Wants says which ELF a dump waits for: by the hash that it carries, and the version that its device declared. It is ""
// where nothing is waited for.
func (c Crash) Wants() string {
	switch {
	case c.State != Missing:
		return ""
	case c.DeclaredVersion == "" && c.ELFHash == "":
		return "nothing: the dump carries no hash, and its device declared no version"
	case c.DeclaredVersion == "":
		return fmt.Sprintf("the ELF with the SHA-256 %s…", c.ELFHash)
	case c.ELFHash == "":
		return fmt.Sprintf("the build %s of %s, as its device declared; the dump carries no hash", c.DeclaredVersion, c.Model)
	}
	return fmt.Sprintf("the ELF with the SHA-256 %s…, declared version %s of %s", c.ELFHash, c.DeclaredVersion, c.Model)
}

// Rules is the version of the rules for fingerprints. What has an older one is decoded again when the catalog is
// opened by this version.
const Rules = 2

// State is how far a dump has come.
type State string

// The states of a dump. Storm control removes only dumps in state Reported.
const (
	Waiting  State = "waiting"  // nobody has looked at it yet
	Missing  State = "missing"  // its ELF is not here; the build's arrival wakes it
	Reported State = "reported" // its report can be read
	Failed   State = "failed"   // it could not be decoded; Why says what happened
)

// States lists all of them, for metrics and filters.
var States = []State{Waiting, Missing, Reported, Failed}

// ParseState refuses what is no state of a dump.
func ParseState(s string) (State, error) {
	if !slices.Contains(States, State(s)) {
		return "", fleet.Refused("state %q: want waiting, missing, reported or failed; the nearest is %q", clip(s, mostName), fleet.Nearest(s, States))
	}
	return State(s), nil
}

// Grade says how well the ELF fits the dump.
type Grade string

// The grades: how well a dump's ELF is known.
const (
	Exact       Grade = "exact"    // the dump's hash is a prefix of the ELF's
	Mismatch    Grade = "mismatch" // it is not; the frames may be wrong
	UnknownHash Grade = "unknown"  // the dump carries no hash
	MissingELF  Grade = "missing"  // no ELF
)

// News is what a crash was to its group when it came.
type News string

// The three kinds of news.
const (
	New        News = "new"        // the first of its group
	Known      News = "known"      // seen before
	Regression News = "regression" // its group was resolved, and it comes from a version in which it should be gone
)
