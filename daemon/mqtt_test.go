package main

import (
	"log/slog"
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

func TestWhatADeviceTellsTheBrokerIsShownAndANudgeReachesIt(t *testing.T) {
	broker := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := broker.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	if err := broker.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := broker.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	nudged := make(chan string, 1)
	err := broker.Subscribe("iotsupport/#", 1, func(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
		nudged <- p.TopicName + " " + string(p.Payload)
	})
	if err != nil {
		t.Fatal(err)
	}
	// Kept by the broker: it is heard whenever the gateway comes.
	told := `{"unique_id":"iot_x","device":{"name":"Press 4","firmware_version":"1.4.0"}}`
	if err := broker.Publish("iot/0x0242ac110001/configuration", []byte(told), true, 1); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t)
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	g.cli("device", "set", device.Key, "--name", "Press 4")
	if out, err := g.tryCLI("device", "nudge", device.Key); err == nil || !strings.Contains(out, "mqtt.url is off") {
		t.Errorf("without a broker: %v %s", err, out)
	}
	g.sets = append(g.sets, "mqtt.url=mqtt://"+l.Address())
	g.restart()
	var shown struct {
		Sighting struct {
			Runs   string `json:"runs"`
			RunsBy string `json:"runs_by"`
			State  string `json:"state"`
		} `json:"sighting"`
	}
	g.within(testPatience, "what it runs", func() bool {
		g.cliJSON(&shown, "device", "show", device.Key)
		return shown.Sighting.Runs == "1.4.0"
	})
	if shown.Sighting.RunsBy != "said" || shown.Sighting.State != "never" {
		t.Errorf("of what the broker has kept: %+v", shown.Sighting)
	}
	if err := broker.Publish("iot/0x0242ac110001/configuration", []byte(strings.Replace(told, "1.4.0", "1.4.1", 1)), true, 1); err != nil {
		t.Fatal(err)
	}
	g.within(testPatience, "what it runs now", func() bool {
		g.cliJSON(&shown, "device", "show", device.Key)
		return shown.Sighting.Runs == "1.4.1" && shown.Sighting.State != "never"
	})
	g.cli("device", "nudge", device.Key)
	if got, want := <-nudged, `iotsupport/updates/firmware {"client_id":"`+device.ID+`"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if out, err := g.tryCLI("device", "nudge", device.Key, "--config"); err == nil || !strings.Contains(out, "paced") {
		t.Errorf("a second one at once: %v %s", err, out)
	}
}
