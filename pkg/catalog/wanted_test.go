package catalog

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestWantedFirmwareIsListedOnceWithWhoWaitsForIt(t *testing.T) {
	c := withDumps(t, 8)
	wait := func(n int, hash, version string, after time.Duration, state crash.State) {
		t.Helper()
		one := reported(n, "", "")
		one.State, one.ELFHash, one.DeclaredVersion, one.Uploaded = state, hash, version, noon.Add(after)
		one.Model = "pump"
		if n == 4 {
			one.Model = "fan"
		}
		record(t, c, one, 0)
	}
	wait(0, "ab12", "1.1", 2*time.Hour, crash.Missing)
	wait(1, "ab12", "1.0", time.Hour, crash.Missing)
	wait(2, "", "2.0", 3*time.Hour, crash.Missing)
	wait(3, "", "2.1", 3*time.Hour, crash.Missing)
	wait(4, "ab12", "1.0", 4*time.Hour, crash.Missing)
	wait(5, "ab12", "1.0", 0, crash.Failed)
	wanted, err := c.Wanted()
	must(t, err)
	got, err := json.Marshal(wanted)
	must(t, err)
	const want = `[{"elf_hash":"ab12","model_code":"fan","versions":["1.0"],"devices":1,"dumps":1,"since":"2026-05-04T16:00:00Z"},` +
		`{"model_code":"pump","versions":["2.0"],"devices":1,"dumps":1,"since":"2026-05-04T15:00:00Z"},` +
		`{"model_code":"pump","versions":["2.1"],"devices":1,"dumps":1,"since":"2026-05-04T15:00:00Z"},` +
		`{"elf_hash":"ab12","model_code":"pump","versions":["1.0","1.1"],"devices":2,"dumps":2,"since":"2026-05-04T13:00:00Z"}]`
	if string(got) != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	_, err = c.WakeCrashes(t.Context(), fleet.Build{Model: "pump", Version: "3.0", ELFSHA256: "ab1234"})
	must(t, err)
	if wanted, err := c.Wanted(); err != nil || len(wanted) != 2 {
		t.Errorf("after it has come: %+v, %v", wanted, err)
	}
}
