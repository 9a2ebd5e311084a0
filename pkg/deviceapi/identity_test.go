package deviceapi

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestADeviceGetsItsOwnConfigurationByteForByte(t *testing.T) {
	r := open(t, nil)
	own := "{ \"deviceName\" : \"<x>\",\n\t\"big\": \"" + strings.Repeat("y", 3000) + "\" }"
	r.devices["bbbbbbb2"] = fleet.Device{Key: "bbbbbbb2", Model: "empty", Config: json.RawMessage(own)}
	got := r.do(t, "GET", "/api/iot/config", nil, emptysToken)
	if string(got.body) != own || got.length != int64(len(own)) || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v %s", got.length, got.header, got.body)
	}
	got = r.do(t, "GET", "/api/iot/config", nil, pumpsToken)
	if got.member(t, "deviceName") != "left pump" || got.member(t, "deviceEntityId") != "pump_aaaaaaa1" || got.member(t, "enableOTA") != true {
		t.Errorf("default: %s", got.body)
	}
}

func TestProvisioningHandsOutAFlatObjectOfStringsWithAllThatADeviceNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		base string
		want string
	}{
		"as set":         {"https://gateway.example:8443", "https://gateway.example:8443"},
		"as it was come": {"", "http://127.0.0.1"},
	} {
		r := open(t, func(o *Options) { o.Provisioning.BaseURL = c.base })
		r.models["pump"] = fleet.Model{Code: "pump", Provisioning: map[string]string{"mqtt_url": "mqtt://model", "extra": "model", "client_secret": "x"}}
		device := r.devices["aaaaaaa1"]
		device.Provisioning = map[string]string{"extra": "device", "device_key": "forged"}
		r.devices["aaaaaaa1"] = device
		got := r.do(t, "GET", "/api/iot/provisioning", nil, pumpsToken)
		var values map[string]string
		if err := json.Unmarshal(got.body, &values); err != nil || got.status != 200 {
			t.Fatalf("%s: %d %v %s", name, got.status, err, got.body)
		}
		secret := values["client_secret"]
		if len(secret) != 43 || secret != r.secrets["aaaaaaa1"][1] || r.secrets["aaaaaaa1"][0] != "old secret" {
			t.Errorf("%s: secret %q, known are %q", name, secret, r.secrets["aaaaaaa1"])
		}
		base := values["base_url"]
		want := map[string]string{
			"device_key": "aaaaaaa1", "client_id": "iotdevice-pump-aaaaaaa1", "client_secret": secret, "base_url": base,
			"token_url": base + "/api/oauth/token", "mqtt_url": "mqtt://model", "wifi_ssid": "hall", "wifi_password": "pass", "extra": "device",
		}
		if fmt.Sprint(values) != fmt.Sprint(want) || !strings.HasPrefix(base, c.want) || strings.HasSuffix(base, "/") {
			t.Errorf("%s: %v, want %v", name, values, want)
		}
		if got.header.Get("Cache-Control") != "no-store" || !strings.HasSuffix(string(got.body), `,"client_secret":"`+secret+"\"}\n") {
			t.Errorf("%s: %v %s", name, got.header, got.body)
		}
		if again := r.do(t, "GET", "/api/iot/provisioning", nil, pumpsToken); again.member(t, "client_secret") == secret || len(r.secrets["aaaaaaa1"]) != 2 {
			t.Errorf("%s: the unused secret was not replaced: %q", name, r.secrets["aaaaaaa1"])
		}
	}
}

func TestABaseAddressOfTheModelMovesTheTokenAddressToo(t *testing.T) {
	r := open(t, nil)
	r.models["pump"] = fleet.Model{Code: "pump", Provisioning: map[string]string{"base_url": "https://other/"}}
	got := r.do(t, "GET", "/api/iot/provisioning", nil, pumpsToken)
	if got.member(t, "token_url") != "https://other/api/oauth/token" || got.member(t, "base_url") != "https://other/" {
		t.Errorf("%s", got.body)
	}
}

func TestProvisioningThatLacksARequiredValueChangesNothing(t *testing.T) {
	r := open(t, func(o *Options) { o.Provisioning.Extra = map[string]string{"wifi_ssid": "hall", "wifi_password": ""} })
	got := r.do(t, "GET", "/api/iot/provisioning", nil, pumpsToken)
	if got.status != 409 || got.header.Get("Cache-Control") != "no-store" || !strings.Contains(string(got.body), `"details":{"missing":["mqtt_url","wifi_password"]}`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if fmt.Sprint(r.secrets["aaaaaaa1"]) != "[old secret]" {
		t.Errorf("secrets are %q", r.secrets["aaaaaaa1"])
	}
}

func TestAClientWithoutHostGetsTheAddressThatItReached(t *testing.T) {
	r := open(t, nil)
	answer := r.raw(t, "GET /api/iot/provisioning HTTP/1.0\r\n"+pumpsToken+"\r\n\r\n")
	if !strings.Contains(answer, `"base_url":"`+r.URL+`"`) {
		t.Errorf("%s", answer)
	}
}

func TestAHostWithoutAPortIsOnTheListenersPort(t *testing.T) {
	r := open(t, nil)
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"gateway.lan": "http://gateway.lan:" + port, "gateway.lan:9": "http://gateway.lan:9", "10.1.2.3": "http://10.1.2.3:" + port,
		"[fd00::1]": "http://[fd00::1]:" + port, "[fd00::1]:9": "http://[fd00::1]:9",
	} {
		answer := r.raw(t, "GET /api/iot/provisioning HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+pumpsToken+"\r\n\r\n")
		if !strings.Contains(answer, `"base_url":"`+want+`"`) {
			t.Errorf("Host %s: %s", host, answer)
		}
	}
}
