// Package contract is what the house's stores promise to those who declare what they need of them. Tests of triage, of
// tokens, of the dump directories and of the device door stand on small stores in memory: each suite here is run on such
// a one and on the real one, so that no test passes on what the real one does not do.
package contract

import (
	"errors"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// dump is one of a device, the nth.
func dump(key fleet.DeviceKey, n int) fleet.Dump {
	return fleet.Dump{Device: key, Model: "pump", Chip: "esp32", FirmwareVersion: "1.0.0", UploadedAt: noon.Add(time.Duration(n) * time.Second), Size: 4}
}

// must is for what a suite takes for granted.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is checks that an error is of a kind.
func is(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}
