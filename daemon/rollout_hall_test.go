package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAGoodBuildReachesAllDevicesByItself(t *testing.T) {
	goodRollout(t, quickHall(t))
}

func TestABuildWhoseDevicesFallSilentStopsAtThreeDevices(t *testing.T) {
	badRollout(t, quickHall(t), "1.1.0=silent", "3 of the first 3 devices did not come back")
}

// quickHall has 40 devices that come every second.
func quickHall(t *testing.T) *hall {
	t.Helper()
	t.Parallel()
	h := newHall(t, 40, quick, "rollout.up_within=2s")
	h.speed, h.plan = 300, hurried
	return h
}

func goodRollout(t *testing.T, h *hall) {
	t.Helper()
	n := len(h.devices)
	l := h.play(h.devices)
	h.awaitHeard(n)
	h.begin()
	r := h.await(fleet.RolloutFinished)
	if c := r.Counts; c.Healthy != n || r.Why != "" {
		t.Errorf("%+v, %q", c, r.Why)
	}
	if got := h.offered(); got != "1.1.0" {
		t.Errorf("the model is offered %q", got)
	}
	if got := l.running("1.1.0"); got != n {
		t.Errorf("%d of %d devices run it", got, n)
	}
	l.asPlanned(t)
	h.flatFileIs("1.1.0")
}

// flatFileIs checks the file that other programs take the published image from.
func (h *hall) flatFileIs(version string) {
	h.t.Helper()
	flat, err := os.ReadFile(filepath.Join(h.state, "assets", "firmware-press.bin"))
	if err != nil {
		h.t.Fatal(err)
	}
	if !bytes.Contains(flat[:256], []byte(version)) {
		h.t.Errorf("the flat file is not the image of %s", version)
	}
}

// badRollout plays a bad build: it halts and says why; who has it keeps it, and all others are offered the base.
func badRollout(t *testing.T, h *hall, fault string, why ...string) {
	t.Helper()
	l := h.play(h.devices, fault)
	h.awaitHeard(len(h.devices))
	h.begin()
	r := h.await(fleet.RolloutHalted)
	h.says("why", r.Why, why...)
	if got := h.offered(); got != "1.0.0" {
		t.Errorf("the model is offered %q", got)
	}
	h.flatFileIs("1.0.0")
	h.offersHold(l)
}

// offersHold compares what each device is offered with its record: who has the build keeps it, all others are offered the base.
func (h *hall) offersHold(l *lives) {
	h.t.Helper()
	members, offered := h.members(), h.offers()
	var has, hasNot string
	for _, d := range l.devices() {
		m, want := members[d.Key], "1.0.0"
		switch m.State {
		case fleet.MemberFetched, fleet.MemberUp, fleet.MemberHealthy, fleet.MemberLost:
			want, has = "1.1.0", d.Key
		default:
			hasNot = d.Key
		}
		if slices.Contains(d.Named, "1.1.0") && m.Wave == 0 {
			h.t.Errorf("%s was told of 1.1.0 and is not on record: %+v", d.Key, m)
		}
		if offered[d.Key] != want {
			h.t.Errorf("%s, which is %s and runs %s, is offered %s", d.Key, m.State, d.Runs, offered[d.Key])
		}
	}
	for key, want := range map[string]string{has: "1.1.0", hasNot: "1.0.0"} {
		if key == "" {
			continue
		}
		if got := h.ask("GET", "/api/iot/firmware-version", h.deviceToken(key), nil).json(h.t)["firmware_version"]; got != want {
			h.t.Errorf("%s asks, and is offered %v, want %s", key, got, want)
		}
	}
}

// offers are what all devices are offered.
func (h *hall) offers() map[string]string {
	h.t.Helper()
	var seen api.Devices
	h.cliJSON(&seen, "device", "list")
	all := map[string]string{}
	for _, d := range seen.Devices {
		if d.Offered != nil {
			all[string(d.Key)] = string(*d.Offered)
		}
	}
	return all
}
