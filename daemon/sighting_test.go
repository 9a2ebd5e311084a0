package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (g *running) sighting(key string) fleet.Sighting {
	g.t.Helper()
	var d api.Device
	g.cliJSON(&d, "device", "show", key)
	return d.Sighting
}

// TestWhatADeviceRunsIsKnownAfterAKill: what would be missed is on the disk a second later. A busy machine may take longer:
// the test gives it twice the time again and again.
func TestWhatADeviceRunsIsKnownAfterAKill(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	c := g.addDevice("pump")
	for wait := time.Second; ; wait *= 2 {
		g.ask(http.MethodGet, "/api/iot/config", g.deviceToken(c.Key), nil, "X-Running-Version", "1.4.1", "X-Boot-ID", "7")
		if got := g.sighting(c.Key); got.Runs != "1.4.1" || got.RunsBy != fleet.ProofSaid || got.State != fleet.Live {
			t.Fatalf("before the kill: %+v", got)
		}
		time.Sleep(wait) // the time that is promised, not a wait for something
		g.kill()
		g.start()
		got := g.sighting(c.Key)
		if got.Runs == "1.4.1" && got.RunsBy == fleet.ProofSaid {
			return
		}
		if wait > testPatience {
			t.Fatalf("after a kill: %+v", got)
		}
		t.Logf("not saved after %s", wait)
	}
}

// TestWhenADeviceWasHeardIsKnownAfterACleanStop: contacts are saved then, though they wait an hour otherwise.
func TestWhenADeviceWasHeardIsKnownAfterACleanStop(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	c := g.addDevice("pump")
	g.ask(http.MethodGet, "/api/iot/config", g.deviceToken(c.Key), nil)
	before := g.sighting(c.Key)
	g.restart()
	after := g.sighting(c.Key)
	if before.HeardAt.IsZero() || before.HeardAt.Sub(after.HeardAt).Abs() > time.Second || after.State != fleet.Live {
		t.Errorf("heard at %s, after the stop at %s, and it is %s", before.HeardAt, after.HeardAt, after.State)
	}
}

func TestALineWhosePowerIsCutIsAnEventAndAMetric(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "rollout.up_within=2s")
	g.cli("model", "add", "pump")
	var tokens []string
	for range 4 {
		c := g.addDevice("pump")
		g.cli("device", "set", c.Key, "--line", "hall3")
		tokens = append(tokens, g.deviceToken(c.Key))
	}
	poll := func() {
		for _, token := range tokens {
			g.ask(http.MethodGet, "/api/iot/firmware-version", token, nil)
		}
	}
	dark := func(value string) bool {
		return strings.Contains(string(g.ask(http.MethodGet, "/metrics", "", nil).body), `slipway_line_dark{line="hall3"} `+value)
	}
	told := func(kind string) bool { // each event is a line of the journal
		return strings.Contains(g.log.String(), `"msg":"`+kind+`","seq":`)
	}
	for range 10 { // a rhythm of half a second
		poll()
		time.Sleep(500 * time.Millisecond) // theirs
	}
	g.within(time.Minute, "four live devices among the metrics", func() bool {
		poll() // on a busy machine they are late at once
		return strings.Contains(string(g.ask(http.MethodGet, "/metrics", "", nil).body), `slipway_devices{model="pump",state="live",version=""} 4`)
	})
	g.within(time.Minute, "the line is dark", func() bool { return dark("1") })
	g.within(time.Minute, "its event", func() bool { return told("line dark") })
	g.within(time.Minute, "the line is lit", func() bool { poll(); return dark("0") })
	g.within(time.Minute, "its event", func() bool { return told("line is back") })
}
