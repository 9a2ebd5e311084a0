package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestTheMetricsPassPrometheusOwnLinter(t *testing.T) {
	g := startGateway(t)
	a := g.ask("GET", "/metrics", "", nil)
	problems, err := promlint.New(bytes.NewReader(a.body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, operation := range []string{
		"iot_upload_coredump", "iot_get_firmware", "iot_get_firmware_version", "iot_get_config", "iot_get_provisioning",
		"pipeline_upload_firmware", "oauth_token",
	} {
		if !strings.Contains(string(a.body), `slipway_operations_total{operation="`+operation+`",status="success"} 0`) {
			t.Errorf("operation %s is not counted from the start", operation)
		}
	}
}

func TestTheDeviceDoorAloneServesNothingElse(t *testing.T) {
	g := startGateway(t, "listen.device_http=127.0.0.1:0")
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	admin := g.operatorToken("admin")
	alone := &running{t: t, url: g.urls["device_http"]}
	for path, want := range map[string]int{
		"/api/iot/config": http.StatusOK, "/.well-known/jwks.json": http.StatusOK, "/api/iot/firmware-version": http.StatusOK,
		"/": http.StatusNotFound, "/metrics": http.StatusNotFound, "/api/health": http.StatusNotFound, "/api/devices": http.StatusNotFound,
		"/api/docs": http.StatusNotFound, "/api/pipeline/upload.sh": http.StatusNotFound, "/api/tokens": http.StatusNotFound,
	} {
		shown := token
		if want == http.StatusNotFound {
			shown = admin
		}
		if a := alone.ask("GET", path, shown, nil); a.StatusCode != want {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}

func TestARevokedDeviceIsRefusedAtOnceAndItsOldTokensStayRefused(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	poll := func() int { return g.ask("GET", "/api/iot/config", token, nil).StatusCode }
	if got := poll(); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	g.cli("device", "set", device.Key, "--revoked")
	if got := poll(); got != http.StatusUnauthorized {
		t.Errorf("revoked: %d", got)
	}
	g.cli("device", "set", device.Key, "--revoked=false")
	if got := poll(); got != http.StatusUnauthorized {
		t.Errorf("welcome again, with the old token: %d", got)
	}
}

func TestKeysForBrokersAreES256WhenTheSettingsSaySo(t *testing.T) {
	g := startGateway(t, "auth.token_algorithm=ES256", `auth.token_paths=["/realms/iot/protocol/openid-connect/token"]`)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	form := "grant_type=client_credentials&client_id=" + device.ID + "&client_secret=" + device.Secret
	a := g.ask("POST", "/realms/iot/protocol/openid-connect/token", "", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded")
	token, _ := a.json(t)["access_token"].(string)
	if a.StatusCode != http.StatusOK || len(token) > 485 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	if got := g.ask("GET", "/api/iot/config", token, nil); got.StatusCode != http.StatusOK {
		t.Errorf("with it: %s", got.Status)
	}
	if keys := g.ask("GET", "/.well-known/jwks.json", "", nil); !bytes.Contains(keys.body, []byte(`"ES256"`)) {
		t.Errorf("key set %s", keys.body)
	}
}
