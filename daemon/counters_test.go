package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/operator"
)

// version is what a model's counters say of one version.
func (g *running) version(model, version string) (v operator.ModelVersion) {
	g.t.Helper()
	var all operator.ModelVersions
	g.cliJSON(&all, "model", "versions", model)
	for _, one := range all.Versions {
		if one.Version == version {
			v = one
		}
	}
	return v
}

// TestWhatWasCountedOutlivesAKillARebuildAndItsDumps: a crash is counted when its dump is indexed, and device-hours and
// refusals are stored once an hour and at a clean stop.
func TestWhatWasCountedOutlivesAKillARebuildAndItsDumps(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	c := g.addDevice("pump")
	token := g.deviceToken(c.Key)
	for i, want := range []int{http.StatusCreated, http.StatusCreated, http.StatusBadRequest} {
		body := []string{"x", "y", ""}[i]
		if a := g.ask("POST", uploadPath("esp32", "1.4.1"), token, strings.NewReader(body), "X-Running-Version", "1.4.1"); a.StatusCode != want {
			t.Fatalf("upload %d: %s", i, a.Status)
		}
	}
	wants := func(when string) {
		t.Helper()
		v := g.version("pump", "1.4.1")
		if v.Week.Crashes != 2 || v.Week.Devices != 1 || v.Week.Refused != 1 || v.Week.DeviceHours < 1 {
			t.Errorf("%s: %+v", when, v.Week)
		}
	}
	g.restart()
	wants("after a clean stop")
	g.kill()
	g.start()
	wants("after a kill")
	var listed struct {
		Coredumps []struct{ Name string }
	}
	g.cliJSON(&listed, "dump", "list")
	for _, d := range listed.Coredumps {
		g.cli("dump", "rm", c.Key, d.Name, "--yes")
	}
	if said := g.cli("catalog", "rebuild"); !strings.Contains(said, "counted since 20") {
		t.Errorf("a rebuild says %s", said)
	}
	if len(listed.Coredumps) != 2 {
		t.Errorf("%d dumps were there", len(listed.Coredumps))
	}
	wants("after its dumps went and a rebuild")
}
