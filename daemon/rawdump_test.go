package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// TestADumpOfWhichNothingIsDeclaredIsOfTheBuildThatItNames: as ESP-ADF and esp-crash send it. Of what the device runs it proves
// nothing: it may have gone back.
func TestADumpOfWhichNothingIsDeclaredIsOfTheBuildThatItNames(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	viewer := g.operatorToken("viewer")
	inFlash := append(fixtureDump(t, "esp32c3"), bytes.Repeat([]byte{0xff}, 40_000)...)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "crash.dmp")
	if err == nil {
		_, err = part.Write(inFlash)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	withSecret := strings.Replace(g.url, "://", "://"+device.ID+":"+device.Secret+"@", 1) + "/api/iot/coredump/raw"
	post := func(contentType string, body []byte) string {
		t.Helper()
		resp, err := http.Post(withSecret, contentType, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var stored struct{ Filename string }
		if err := json.NewDecoder(resp.Body).Decode(&stored); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", contentType, resp.Status, err)
		}
		return stored.Filename
	}
	name := post("application/octet-stream", inFlash)
	if again := post(w.FormDataContentType(), form.Bytes()); again != name {
		t.Errorf("the same dump in a form is %s, and not %s", again, name)
	}
	address := "/api/coredumps/" + device.Key + "/" + strings.TrimSuffix(name, ".dmp")
	if r := g.reportAt(viewer, address, "missing"); !strings.Contains(r.Why, "firmware") {
		t.Errorf("without its firmware: %+v", r)
	}
	g.drop("pump.zip", fixtureBundle(t, "pump", "esp32c3"))
	if r := g.reportAt(viewer, address, "reported"); r.Grade != "exact" {
		t.Errorf("with it: %+v", r)
	}
	var shown api.Dump
	if err := json.Unmarshal(g.ask(http.MethodGet, address, viewer, nil).body, &shown); err != nil {
		t.Fatal(err)
	}
	if shown.Chip != "ESP32-C3" || shown.FirmwareVersion == "" || shown.FirmwareVersion != string(shown.Build) || len(shown.Disagree) != 0 {
		t.Errorf("shown: %+v", shown)
	}
	sidecar, err := os.ReadFile(filepath.Join(dumpDir(g, device.Key), strings.TrimSuffix(name, ".dmp")+".json"))
	if err != nil || !strings.HasPrefix(string(sidecar), `{"chip":"","firmware_version":"","device_key":"`+device.Key+`"`) {
		t.Errorf("sidecar: %s, %v", sidecar, err)
	}
	if s := g.sighting(device.Key); s.Runs != "" || s.RunsBy != fleet.Proof("") || s.WentBack != nil {
		t.Errorf("what it runs: %+v", s)
	}
}
