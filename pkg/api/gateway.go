package api

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Status is what `slipway status` and the page tell.
type Status struct {
	Version       string    `json:"version"`
	StartedAt     time.Time `json:"started_at"`
	Healthy       bool      `json:"healthy"`
	Trouble       []string  `json:"trouble"`
	Warnings      []string  `json:"warnings"` // what works, and could be better
	Listens       string    `json:"listens"`
	BaseURL       string    `json:"base_url"`
	DropFolder    string    `json:"drop_folder,omitempty"`
	CAFile        string    `json:"ca_file,omitempty"`
	CAFingerprint string    `json:"ca_fingerprint,omitempty"` // SHA-256, as openssl prints it
	CI            []string  `json:"ci_lines"`                 // what a CI job runs to push a build
	CertificateTo time.Time `json:"certificate_ends,omitzero"`
	Models        int       `json:"models"`
	Devices       int       `json:"devices"`
	Dumps         int       `json:"coredumps"`
	Waiting       int       `json:"coredumps_waiting"` // to be looked at
	Missing       int       `json:"coredumps_missing"` // for their firmware
	Failed        int       `json:"coredumps_failed"`  // nothing can be made of them
	OpenCrashes   int       `json:"open_crashes"`
	Regrouped     string    `json:"regrouped,omitempty"` // what became of groups that older rules made
	CountedSince  time.Time `json:"counted_since"`       // what came before is in no counter of a version
	AssetBytes    int64     `json:"assets_bytes"`
	DumpBytes     int64     `json:"coredumps_bytes"`
	FreeBytes     int64     `json:"free_bytes"`
}

// Unreported says which dumps have no report that counts, "" when all have.
func (s Status) Unreported() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{s.Waiting, "not decoded yet"}, {s.Missing, "waiting for their firmware"}, {s.Failed, "not decodable"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// Health is the word on the gateway for whoever watches it.
type Health struct {
	Status  string   `json:"status"`  // ok, degraded or recovering
	Trouble []string `json:"trouble"` // in words for an operator
}

// Caller is whom the gateway takes the holder of a token for.
type Caller struct {
	Name   string            `json:"name,omitempty"`
	Role   string            `json:"role"`
	Models []fleet.ModelCode `json:"models,omitempty"` // that a pipeline's token is for; none names all
}

// NewToken is what a token of a person or a pipeline is made of.
type NewToken struct {
	Role   string   `json:"role"`
	Name   string   `json:"name"`
	Models []string `json:"models,omitempty"` // that a pipeline's token is for; none: for all
}

// Token is a token's record without its hash.
type Token struct {
	ID        string            `json:"id"`
	Name      string            `json:"name,omitempty"`
	Role      string            `json:"role"`
	Models    []fleet.ModelCode `json:"models,omitempty"` // that a pipeline's token is for; none: for all
	CreatedAt time.Time         `json:"created_at"`
	MadeBy    string            `json:"made_by,omitempty"` // who made it: a token's name or id, or uid:1000 of the socket
	UsedAt    time.Time         `json:"used_at,omitzero"`  // the last time, by whatever route; after a kill up to an hour behind
}

// CreatedToken is a token that was just made, with itself, shown once.
type CreatedToken struct {
	Secret string `json:"token"`
	Token
}

// Tokens is a page of tokens, in the order of their ids.
type Tokens struct {
	Tokens []Token `json:"tokens"`
	Next   *string `json:"next"` // what ?after= takes for the next page; null: this is the last
}

// MadeBackup is a daily backup that was made because somebody wanted it, and read back to its end.
type MadeBackup struct {
	File    string `json:"file"` // on the gateway
	Bytes   int64  `json:"bytes"`
	Records int    `json:"records"` // of the catalog
}

// AcceptedClock is the time that was noted.
type AcceptedClock struct {
	Noted time.Time `json:"noted"`
}
