package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func TestAnArduinoBuildIsNamedAtEveryDoor(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	pipeline, device := g.operatorToken("pipeline"), g.addDevice("pump")
	token := g.deviceToken(device.Key)
	sketch := func(papers, seed string) []byte {
		b := firmware.Build{Code: "pump", Version: papers, Base: seed, Arduino: true}
		zip, err := b.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		return zip
	}
	offered := func(door, version string, zip []byte) {
		t.Helper()
		a := g.ask("GET", "/api/iot/firmware", token, nil)
		if a.Header.Get("X-Firmware-Version") != version || !bytes.Equal(a.body, imageOf(t, zip, "pump")) {
			t.Errorf("%s: %s offers %q", door, a.Status, a.Header.Get("X-Firmware-Version"))
		}
		if a := g.ask("GET", "/api/iot/firmware/"+version, token, nil); a.StatusCode != http.StatusOK {
			t.Errorf("%s: by its version: %s", door, a.Status)
		}
	}
	push := func(query string, body []byte) answer {
		return g.ask("POST", uploadAddress+query, pipeline, bytes.NewReader(body))
	}
	file := func(body []byte) string {
		name := filepath.Join(t.TempDir(), "firmware")
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}

	nameless := sketch("", "1.0.0")
	const says = "name this build with --version, SLIPWAY_VERSION or ?version="
	if a := push("", nameless); a.StatusCode != http.StatusBadRequest || !strings.Contains(string(a.body), says) {
		t.Errorf("API, without a name: %s %s", a.Status, a.body)
	}
	if out, err := g.tryCLI("firmware", "add", file(nameless), "--model", "pump"); err == nil || !strings.Contains(out, says) {
		t.Errorf("command line, without a name: %v %s", err, out)
	}
	g.drop("nameless.zip", nameless)
	if reason := reasonOf(t, g, "nameless.zip"); !strings.Contains(reason, says) {
		t.Errorf("drop folder, without a name: %s", reason)
	}

	if a := push("?version=1.0.0", nameless); a.StatusCode != http.StatusOK || a.json(t)["firmware_version"] != "1.0.0" {
		t.Errorf("API: %s %s", a.Status, a.body)
	}
	offered("API", "1.0.0", nameless)
	if a := push("?version=1.0.1", bundleOf(t, "pump", "1.0.0")); a.StatusCode != http.StatusBadRequest || !strings.Contains(string(a.body), `the image says version \"1.0.0\", and not \"1.0.1\"`) {
		t.Errorf("a name for an image that has one: %s %s", a.Status, a.body)
	}
	second := sketch("1.1.0", "1.1.0")
	g.cli("firmware", "add", file(second), "--version", "1.1.1")
	offered("command line", "1.1.1", second)
	third := sketch("1.2.0", "1.0.0")
	g.drop("third.zip", third)
	g.within(10*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "third.zip") })
	offered("drop folder", "1.2.0", third)
	plain := sketch("1.3.0", "1.0.0")
	if a := push("?version=1.3.0", imageOf(t, plain, "pump")); a.StatusCode != http.StatusOK {
		t.Errorf("a plain image: %s %s", a.Status, a.body)
	}
	offered("a plain image", "1.3.0", plain)
	g.restart()
	offered("a plain image, after a restart", "1.3.0", plain)
}
