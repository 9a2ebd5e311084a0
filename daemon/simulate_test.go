package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/simulate"
	"github.com/slipway-gateway/slipway/testdata/tryout/press"
)

// pressHall is a gateway whose states change within seconds, with both builds of the model press, and their dumps in a folder.
func pressHall(t *testing.T, settings ...string) (g *running, dumps string) {
	t.Helper()
	g = startGateway(t, append([]string{"rollout.up_within=3s"}, settings...)...)
	g.cli("model", "add", "press")
	dir := t.TempDir()
	dumps = filepath.Join(dir, "dumps")
	for _, version := range press.Versions {
		b, err := press.Read(version)
		if err != nil {
			t.Fatal(err)
		}
		zip, err := b.Bundle("press")
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{filepath.Join(dir, "press.zip"): zip}
		for name, dump := range b.Dumps {
			files[filepath.Join(dumps, version, name+".dmp")] = dump
		}
		for name, data := range files {
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		g.cli("firmware", "add", filepath.Join(dir, "press.zip"))
	}
	return g, dumps
}

// TestASimulatedFleetIsWhatTheGatewaySays plays 40 devices of all kinds that are offered a bad build, and compares what the
// gateway has found out about each with what the simulation has done.
func TestASimulatedFleetIsWhatTheGatewaySays(t *testing.T) {
	g, dumps := pressHall(t)
	cmd := exec.Command("slipway", "simulate", "--gateway", g.url, "--model", "press", "--devices", "40", "--runs", "1.0.0",
		"--mix", "esp-mdm=25,poller=50,ota=15,arduino=10", "--speed", "120", "--seed", "3", "--crash-rate", "0.05", "--dumps", dumps,
		"--bad", "1.1.0=silent:15%", "--bad", "1.1.0=back:20%", "--format", "json")
	cmd.Env = append(os.Environ(), "SLIPWAY_SOCKET="+g.socket)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	// Of seed 3: what follows from the seed does not depend on the machine.
	want := map[string]int{"silent": 6, "up": 34, "said 1.0.0": 4, "said 1.1.0": 18, "went back": 4}
	var seen api.Devices
	g.within(time.Minute, fmt.Sprintf("the fleet is %v", want), func() bool {
		seen = api.Devices{}
		g.cliJSON(&seen, "device", "list")
		got := map[string]int{}
		for _, d := range seen.Devices {
			switch d.Sighting.State {
			case fleet.Silent:
				got["silent"]++
			case fleet.Live, fleet.BootsOnly:
				got["up"]++
				if d.Sighting.RunsBy == fleet.ProofSaid {
					got["said "+d.Sighting.Runs]++
				}
			}
			if d.Sighting.WentBack != nil {
				got["went back"]++
			}
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
	g.within(time.Minute, "a dump of each build is decoded", func() bool {
		listed := g.cli("dump", "list", "--state", "reported")
		return strings.Contains(listed, "1.0.0") && strings.Contains(listed, "1.1.0")
	})
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	ended = true
	if err != nil {
		t.Fatalf("the simulation: %v\n%s%s", err, &out, &errs)
	}
	var sum simulate.Summary
	if err := json.Unmarshal(out.Bytes(), &sum); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	compareFleet(t, sum, seen)
	if sum.Errors > 0 || sum.Downloads < 40 || sum.Checks == 0 || sum.Dumps == 0 || sum.Boots < 40 || len(sum.Requests) != 6 {
		t.Errorf("the summary: %+v", sum)
	}
}

// compareFleet compares device by device. What a device runs is known of those that say it themselves; of the others it
// may be, from what they fetched and from their dumps, and then it is right. Of a silent one nobody has heard what it booted.
func compareFleet(t *testing.T, sum simulate.Summary, seen api.Devices) {
	t.Helper()
	states := map[string]fleet.Sighting{}
	for _, d := range seen.Devices {
		states[string(d.Key)] = d.Sighting
	}
	for _, p := range sum.Devices {
		s, there := states[p.Key]
		silent := s.State == fleet.Silent
		says := (p.Kind == simulate.Poller || p.Kind == simulate.Arduino) && !p.Silent
		switch {
		case !there:
			t.Errorf("the gateway does not know %s", p.Key)
		case silent != p.Silent:
			t.Errorf("%+v is %s", p, s.State)
		case s.State == fleet.BootsOnly && p.Kind != simulate.ESPMDM:
			t.Errorf("%+v is %s", p, s.State)
		case !p.Silent && s.RunsBy != "" && s.Runs != p.Runs:
			t.Errorf("%+v runs %q by %q", p, s.Runs, s.RunsBy)
		case s.Download == nil || s.Download.Outcome != fleet.DownloadWhole || s.Download.Version != "1.1.0":
			t.Errorf("%+v has fetched %+v", p, s.Download)
		case says && (s.RunsBy != fleet.ProofSaid || s.Runs != p.Runs):
			t.Errorf("%+v runs %q by %q", p, s.Runs, s.RunsBy)
		}
	}
}

func TestASimulationThatIsAnsweredOtherwiseThanPlannedFails(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "press") // without firmware
	out, err := g.tryCLI("simulate", "--gateway", g.url, "--model", "press", "--devices", "2", "--interval", "1s", "--for", "20s", "--speed", "20")
	if err == nil || !strings.Contains(out, "otherwise than planned") || !strings.Contains(out, "404") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = g.tryCLI("simulate", "--gateway", g.url, "--model", "press", "--devices", "2")
	if err == nil || !strings.Contains(out, "there already") {
		t.Errorf("a second fleet of the same keys: %v\n%s", err, out)
	}
}

func TestAFleetOfACSVIsPlayed(t *testing.T) {
	t.Parallel()
	g, _ := pressHall(t)
	dir := t.TempDir()
	list, secrets := filepath.Join(dir, "fleet.csv"), filepath.Join(dir, "secrets.csv")
	if err := os.WriteFile(list, []byte("press,press001\npress,press002\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.cli("device", "import", list, "--secrets", secrets)
	var sum simulate.Summary
	out := g.cli("simulate", "--gateway", g.url, "--model", "press", "--csv", secrets, "--mix", "ota=1", "--interval", "1s", "--for", "30s", "--speed", "30", "--format", "json")
	if err := json.Unmarshal([]byte(out), &sum); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(sum.Devices) != 2 || sum.Versions["1.1.0"] != 2 || sum.Downloads != 2 {
		t.Errorf("%+v", sum)
	}
}
