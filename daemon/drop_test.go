package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

func reasonOf(t *testing.T, g *running, name string) string {
	t.Helper()
	var text []byte
	g.within(5*time.Second, "rejected "+name, func() bool {
		var err error
		text, err = os.ReadFile(filepath.Join(g.state, "drop", "rejected", name+".reason.txt"))
		return err == nil && len(text) > 0
	})
	return string(text)
}

func TestADroppedBundleIsOfferedWithinASecond(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "demo")
	device := g.addDevice("demo")
	token := g.deviceToken(device.Key)
	bundle := bundleOf(t, "demo", "1.0.0")
	g.drop("demo.zip", bundle)
	g.within(time.Second, "offered", func() bool {
		return strings.Contains(string(g.ask("GET", "/api/iot/firmware-version", token, nil).body), `"1.0.0"`)
	})
	g.within(time.Second, "in accepted/", func() bool { return g.exists("drop", "accepted", "demo.zip") })
	if got := g.ask("GET", "/api/iot/firmware", token, nil); !bytes.Equal(got.body, imageOf(t, bundle, "demo")) {
		t.Error("the download is not the dropped image")
	}
	// The same bytes again change nothing, other ones of the same version overwrite nothing.
	g.drop("again.zip", bundle)
	g.within(2*time.Second, "accepted again", func() bool { return g.exists("drop", "accepted", "again.zip") })
	other, err := firmware.Build{Code: "demo", Version: "1.0.0", Base: "1.1.0"}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	g.drop("other.zip", other)
	if reason := reasonOf(t, g, "other.zip"); !strings.Contains(reason, "1.0.0") {
		t.Errorf("other bytes: %s", reason)
	}
	if stored, err := os.ReadFile(filepath.Join(g.state, "assets", "demo", "firmware-1.0.0.zip")); err != nil || !bytes.Equal(stored, bundle) {
		t.Errorf("the stored bundle changed: %v", err)
	}
}

func TestWhatIsDroppedForAnotherModelIsRejectedWithAReason(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "drop.stalled_after=2s")
	g.cli("model", "add", "demo")
	g.drop("first.zip", bundleOf(t, "demo", "1.0.0"))
	g.within(2*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "first.zip") })
	good := bundleOf(t, "demo", "1.1.0")
	project, err := firmware.Build{Code: "demo", Version: "2.0.0", Project: "other_app"}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	chip, err := firmware.Build{Code: "demo", Version: "2.0.0", Chip: 9}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		body []byte
		says string
	}{
		"project.zip": {project, "other_app"},
		"chip.zip":    {chip, "ESP32-S3"},
		"unknown.zip": {bundleOf(t, "demmo", "1.0.0"), `"demo"`},
		"cut.zip":     {good[:len(good)-100], "incomplete"},
		"torn.zip":    {append(bytes.Clone(good[:len(good)/2]), append([]byte("torn"), good[len(good)/2+4:]...)...), ""},
		"text.zip":    {[]byte("this is no ZIP"), "incomplete"},
	} {
		g.drop(name, test.body)
		if reason := reasonOf(t, g, name); !strings.Contains(reason, test.says) {
			t.Errorf("%s: %s", name, reason)
		}
	}
	var list api.Drops
	if err := json.Unmarshal([]byte(g.cli("drop", "list", "--format", "json")), &list); err != nil || len(list.Drops) != 6 {
		t.Fatalf("%v: %+v", err, list)
	}
	for _, d := range list.Drops {
		if (d.Lacks == "demmo") != (d.Name == "unknown.zip") || strings.HasPrefix(d.Mend, "Mend what") {
			t.Errorf("%s, %q: %q, lacks %q", d.Name, d.Reason, d.Mend, d.Lacks)
		}
	}
}

func TestWhatWasDroppedWhileTheGatewayWasDownIsTakenAtTheStart(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "demo")
	g.stop()
	g.drop("demo.zip", bundleOf(t, "demo", "1.0.0"))
	g.start()
	g.within(2*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "demo.zip") })
}

func TestABundleOfAnUnknownModelMakesItWhenTheSettingSaysSo(t *testing.T) {
	g := startGateway(t, "drop.create_models=true")
	g.drop("demo.zip", bundleOf(t, "demo", "1.0.0"))
	g.within(2*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "demo.zip") })
	if out := g.cli("model", "list"); !strings.Contains(out, "demo") {
		t.Errorf("models: %s", out)
	}
}

func TestAThousandDroppedBundlesAreAllHandled(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "firmware.keep_versions=5")
	g.cli("model", "add", "demo")
	bundle := bundleOf(t, "demo", "1.0.0")
	for i := range 1000 {
		g.drop(fmt.Sprintf("%04d.zip", i), bundle)
	}
	g.within(60*time.Second, "a thousand in accepted/", func() bool {
		return len(filesIn(t, filepath.Join(g.state, "drop", "accepted"), ".zip")) == 1000
	})
}
