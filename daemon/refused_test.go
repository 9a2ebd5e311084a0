package main

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestWhyADeviceIsRefusedIsInTheLogUnderItsCorrelationID: a device is told as little as possible, and whoever looks for
// the reason needs to find it.
func TestWhyADeviceIsRefusedIsInTheLogUnderItsCorrelationID(t *testing.T) {
	g := startGateway(t, "log.level=debug")
	g.cli("model", "add", "pump")
	device, gone := g.addDevice("pump"), g.addDevice("pump")
	g.cli("device", "set", gone.Key, "--revoked")
	for _, test := range []struct{ id, secret, why string }{
		{device.ID, "not-the-secret-0", "wrong secret"},
		{gone.ID, gone.Secret, "the device is revoked"},
		{"iotdevice-fan-" + device.Key, device.Secret, "the device is of model pump"},
		{"iotdevice-pump-zzzzzzzz", "not-the-secret-1", `there is no device`},
		{strings.Repeat("x", 4000), "not-the-secret-2", "client id"},
	} {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {test.id}, "client_secret": {test.secret}}
		a := g.ask("POST", "/api/oauth/token", "", strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
		told := a.json(t)
		if told["error"] != "invalid_client" || told["error_description"] != "client id and secret do not match" {
			t.Errorf("%.40s is told %s", test.id, a.body)
		}
		id, _ := told["correlationId"].(string)
		var line string
		g.within(time.Second, "a log line with "+id, func() bool {
			for l := range strings.Lines(g.log.String()) {
				if strings.Contains(l, id) {
					line = l
				}
			}
			return line != ""
		})
		if !strings.Contains(line, test.why) || !strings.Contains(line, `"client_id":"`+test.id[:min(len(test.id), 69)]+`"`) || len(line) > 1000 {
			t.Errorf("%.40s: the log says %s", test.id, line)
		}
	}
	if log := g.log.String(); strings.Contains(log, "not-the-secret") || strings.Contains(log, device.Secret) {
		t.Error("a secret is in the log")
	}
}
