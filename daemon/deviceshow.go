package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// deviceText is a device as people read it.
func deviceText(w io.Writer, d api.Device) {
	config := string(d.Config)
	if d.Config == nil {
		config = "(its model's default)"
	}
	pairs := []string{
		"device_key", string(d.Key), "model_code", string(d.Model), "name", d.Name, "client_id", d.ClientID, "access", access(d.Device),
		"line", d.Place, "labels", strings.Join(d.Labels, " "), "aliases", joined(d.Aliases), "pin", string(d.Pin),
	}
	if d.PathSecret != nil {
		pairs = append(pairs, "path_secret", map[bool]string{true: "yes", false: "none"}[*d.PathSecret])
	}
	pairs = append(append(pairs, sightingText(d)...), "rollout", membershipText(d))
	pairs = append(pairs, reportedText(d.Reported)...)
	pairs = append(append(pairs, "config", config), provisioningText(d.Provisioning)...)
	fields(w, append(pairs, "created_at", localTime(d.CreatedAt), "updated_at", localTime(d.UpdatedAt))...)
}

func joined(aliases []fleet.Alias) string {
	words := make([]string, len(aliases))
	for i, a := range aliases {
		words[i] = string(a)
	}
	return strings.Join(words, " ")
}

// sightingText is what was seen of a device.
func sightingText(d api.Device) []string {
	s := d.Sighting
	pairs := []string{"state", stateText(s), "runs", runsText(s), "offered", offered(d), "heard", heardText(s)}
	if s.Boots > 0 {
		pairs = append(pairs, "booted", fmt.Sprintf("%s, %d boots seen", localTime(s.BootedAt), s.Boots))
	}
	pairs = append(pairs, "reset_reason", string(s.Reset), "ota_state", string(s.OTAState))
	if l := s.Download; l != nil {
		how := "whole"
		if l.Outcome == fleet.DownloadBroken {
			how = fmt.Sprintf("broke off after %s of %s", humanize.IBytes(uint64(l.Bytes)), humanize.IBytes(uint64(l.Size)))
		}
		pairs = append(pairs, "download", fmt.Sprintf("%s, %s, %s", l.Version, how, localTime(l.At)))
	}
	if b := s.WentBack; b != nil {
		pairs = append(pairs, "went_back", fmt.Sprintf("from %s, %s, %s", b.Version, localTime(b.At), api.ProofText(b.By)))
	}
	return append(pairs, "checked", localTime(s.CheckedAt), "agent", s.Agent)
}

// reportedText is what a device has told by hawkBit's protocol.
func reportedText(r *fleet.Reported) (pairs []string) {
	if r == nil {
		return nil
	}
	if u := r.Update; u != nil {
		text := fmt.Sprintf("%s: %s, %s, %s", u.Version, u.Execution, u.Finished, localTime(u.At))
		if len(u.Details) > 0 {
			text += "; " + strings.Join(u.Details, "; ")
		}
		pairs = append(pairs, "reported", text)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Attributes)) {
		pairs = append(pairs, "attribute "+name, r.Attributes[name])
	}
	return pairs
}

// membershipText is a device's place in its model's newest rollout.
func membershipText(d api.Device) string {
	if d.Rollout == nil {
		return ""
	}
	return fmt.Sprintf("%d, %s, %s: %s", d.Rollout.Number, d.Rollout.State, d.Rollout.Member.State, d.Rollout.Member.Story(d.Rollout.Version, d.Sighting, clockText))
}

// clockText is the time of a day, with the day where it is not today.
func clockText(t time.Time) string {
	local, now := t.Local(), time.Now().Local()
	if local.YearDay() == now.YearDay() && local.Year() == now.Year() {
		return local.Format("15:04")
	}
	return local.Format("2006-01-02 15:04")
}

func stateText(s fleet.Sighting) string {
	text := string(s.State)
	switch {
	case s.State == fleet.BootsOnly:
		text += ": it asks only when it boots, so that its silence cannot be seen"
	case s.Rhythm > 0:
		text += fmt.Sprintf(", heard every %d s or sooner", s.Rhythm)
	}
	return text
}

func runsText(s fleet.Sighting) string {
	if s.RunsBy == "" {
		return ""
	}
	text := s.Runs
	if text == "" {
		text = "ELF " + s.RunsELF
	}
	text += ", " + api.ProofText(s.RunsBy)
	if !s.RunsSince.IsZero() {
		text += ", since " + localTime(s.RunsSince)
	}
	if s.Restored {
		text += ", before the restore"
	}
	return text
}

func heardText(s fleet.Sighting) string {
	if s.HeardAt.IsZero() {
		return ""
	}
	text := localTime(s.HeardAt) + ", " + string(s.HeardBy)
	if s.Address != "" {
		text += ", from " + s.Address
	}
	return text
}
