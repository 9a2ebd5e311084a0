package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
)

// A path is written into logs by everything that sees it. The gateway is made to talk, and nothing that it leaves anywhere has
// the secret.
func TestAPathSecretIsWrittenNowhere(t *testing.T) {
	g := startGateway(t, "log.level=debug", "listen.device_http=127.0.0.1:0")
	g.cli("model", "add", "pump")
	g.drop("pump.zip", bundleOf(t, "pump", "1.0.0"))
	device := g.addDevice("pump")
	key := device.Key
	g.within(testPatience, "the build is offered", func() bool {
		return g.ask(http.MethodGet, "/api/iot/firmware", g.deviceToken(key), nil).StatusCode == http.StatusOK
	})
	var made api.PathSecret
	g.cliJSON(&made, "device", "path-secret", key)
	secret := strings.TrimPrefix(made.Path, "/d/")
	wrong := secret[:len(secret)-4] + "0000"

	for _, door := range []string{"http", "device_http"} {
		g.url = g.urls[door]
		for _, c := range []struct {
			method, path string
			status       int
		}{
			{http.MethodGet, "/d/" + secret + "/api/iot/firmware", 200},
			{http.MethodGet, "/d/" + secret + "/api/iot/manifest.json", 200},
			{http.MethodGet, "/_catalog?op=list&path=/d/" + secret, 200},
			{http.MethodPost, "/d/" + secret + uploadPath("esp32c3", "1.0.0"), 201},
			{http.MethodPost, "/d/" + secret + "/api/iot/coredump", 400},
			{http.MethodGet, "/d/" + secret + "/api/iot/firmware/9.9.9", 404},
			{http.MethodPut, "/d/" + secret + "/api/iot/firmware", 405},
			{http.MethodGet, "/d/" + secret + "/api/devices", 404},
			{http.MethodGet, "/d/" + secret + "/login", 404},
			{http.MethodGet, "/d/" + wrong + "/api/iot/firmware", 401},
			{http.MethodGet, "/_catalog?op=list&path=/d/" + wrong, 401},
		} {
			if got := g.ask(c.method, c.path, "", strings.NewReader("a dump of "+door)); got.StatusCode != c.status {
				t.Errorf("%s: %s %s: %d, want %d", door, c.method, strings.ReplaceAll(c.path, secret, "SECRET"), got.StatusCode, c.status)
			}
		}
	}
	g.url = g.urls["http"]
	left := map[string]string{
		"log": g.log.String(), "metrics": string(g.ask(http.MethodGet, "/metrics", "", nil).body), "events": g.cli("events", "--format", "json"),
		"device": g.cli("device", "show", key, "--format", "json"),
	}
	if !strings.Contains(left["log"], "/api/iot/firmware/9.9.9") || !strings.Contains(left["log"], `"/d/…"`) || !strings.Contains(left["events"], "device.path_secret_made") {
		t.Errorf("nothing tells what was asked:\n%s\n%s", left["log"], left["events"])
	}
	g.cli("device", "path-secret", key, "--revoke")
	if got := g.ask(http.MethodGet, "/d/"+secret+"/api/iot/config", "", nil); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("once it is revoked: %d", got.StatusCode)
	}
	g.stop()
	err := filepath.WalkDir(g.state, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "ballast" {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) || bytes.Contains(b, []byte(wrong)) {
			t.Errorf("%s has it", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for name, text := range left {
		if strings.Contains(text, secret) || strings.Contains(text, wrong) {
			t.Errorf("%s has it:\n%s", name, text)
		}
	}
}
