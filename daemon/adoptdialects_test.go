package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// byController asks as hawkBit's clients do, by a name of their own.
func (g *running) byController(name, secret string) answer {
	g.t.Helper()
	return g.ask(http.MethodGet, "/DEFAULT/controller/v1/"+name, "", nil, "Authorization", "TargetToken "+secret)
}

// byPath asks as a client does that can show a secret in its path only.
func (g *running) byPath(secret, rest string) int {
	g.t.Helper()
	return g.ask(http.MethodGet, "/d/"+secret+rest, "", nil).StatusCode
}

// keyCalled is the device that has an alias, "" where none has.
func (g *running) keyCalled(alias string) string {
	g.t.Helper()
	var list api.Devices
	g.cliJSON(&list, "device", "list")
	for _, d := range list.Devices {
		if slices.Contains(d.Aliases, fleet.Alias(alias)) {
			return string(d.Key)
		}
	}
	return ""
}

func detailsOf(t *testing.T, e fleet.Event) (details map[string]any) {
	t.Helper()
	if err := json.Unmarshal(e.Details, &details); err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return details
}

func TestAStrangerOfHawkbitsProtocolBecomesADeviceOfTheModelWhoseSecretItShows(t *testing.T) {
	g := startGateway(t, "provisioning.required=[]")
	g.cli("model", "add", "fan")
	g.cli("model", "add", "pump")
	g.drop("pump.zip", bundleOf(t, "pump", "1.0.0"))
	const mac = "24:6f:28:aa:00:01"
	const zephyr = "esp32c3_devkitm-24ec4a001122"
	if got := g.byController(mac, "the secret of a hundred boards"); got.StatusCode != http.StatusUnauthorized {
		t.Fatalf("while nothing is adopted: %s", got.Status)
	}
	var fan, pump api.OpenedAdoption
	g.cliJSON(&fan, "device", "adopt", "--model", "fan")
	g.cliJSON(&pump, "device", "adopt", "--model", "pump", "--at-most", "3")

	polled := g.byController(mac, pump.Secret)
	if polled.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", polled.Status, polled.body)
	}
	key := g.keyCalled(mac)
	g.within(testPatience, "the build is offered, as to any other device of its model", func() bool {
		return g.byBasic("iotdevice-pump-"+key, pump.Secret, "/api/iot/firmware") == http.StatusOK
	})
	if got := g.byController(key, pump.Secret); got.StatusCode != http.StatusOK {
		t.Errorf("by the key that it was given, %q: %s", key, got.Status)
	}
	if got := g.byController(mac, fan.Secret); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("with another adoption's secret, once it is a device: %s", got.Status)
	}
	for what, name := range map[string]string{"Zephyr's id": zephyr, "a key": "aaaaaaa1"} {
		if got := g.byController(name, pump.Secret); got.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", what, got.Status, got.body)
		}
	}
	if got := g.byController("a-fourth", pump.Secret); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the fourth of three: %s", got.Status)
	}
	if got := g.byController(mac, pump.Secret); got.StatusCode != http.StatusOK {
		t.Errorf("one that was adopted, after the last: %s", got.Status)
	}
	adopted := map[string]any{}
	for _, e := range g.events() {
		if e.Kind == "device.adopted" {
			details := detailsOf(t, e)
			adopted[e.Object.ID] = details["alias"]
			if e.Actor.Type != "device" || e.Actor.ID != e.Object.ID || details["model"] != "pump" {
				t.Errorf("%+v", e)
			}
		}
	}
	if len(adopted) != 3 || adopted[key] != mac || adopted[g.keyCalled(zephyr)] != zephyr || adopted["aaaaaaa1"] != nil {
		t.Errorf("%v", adopted)
	}
}

func TestAStrangerOfHawkbitsProtocolTakesNothingOverAndIsNotLetBackIn(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	there, revoked := g.addDevice("pump"), g.addDevice("pump")
	g.cli("device", "set", there.Key, "--alias", "board-one")
	g.cli("device", "set", revoked.Key, "--alias", "board-two", "--revoked")
	var a api.OpenedAdoption
	g.cliJSON(&a, "device", "adopt", "--model", "pump", "--at-most", "1000")
	for what, name := range map[string]string{
		"an alias that is there": "board-one", "its key": there.Key, "one that is revoked": "board-two", "no alias": "board%2Fthree", "a long one": strings.Repeat("x", 129),
	} {
		if got := g.byController(name, a.Secret); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", what, got.Status)
		}
	}
	if got := g.ask(http.MethodGet, "/DEFAULT/controller/v1/board-four", "", nil, "Authorization", "GatewayToken "+a.Secret); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("as a GatewayToken: %s", got.Status)
	}
	if got := g.byController("board-five", a.Secret); got.StatusCode != http.StatusOK {
		t.Fatalf("a stranger: %s", got.Status)
	}
	key := g.keyCalled("board-five")
	g.cli("device", "set", key, "--alias", "board-six")
	if got := g.byController("board-five", a.Secret); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("one that is called otherwise by now: %s", got.Status)
	}
	g.within(testPatience, "the journal says why", func() bool {
		return strings.Contains(g.log.String(), "the key of this name is that of device "+key)
	})
	g.cli("device", "rm", key, "--yes")
	if got := g.byController("board-six", a.Secret); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("by the name of one that was removed: %s", got.Status)
	}
	if got := g.byController("board-five", a.Secret); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("one that was removed: %s", got.Status)
	}
	if kinds := g.kindsOf(); kinds["device.adopted"] != 1 {
		t.Errorf("%v", kinds)
	}
}

func TestAStrangerWithTheSharedSecretInItsPathBecomesADevice(t *testing.T) {
	g := startGateway(t, "provisioning.required=[]", "log.level=debug")
	g.cli("model", "add", "pump")
	g.drop("pump.zip", bundleOf(t, "pump", "1.0.0"))
	known := g.addDevice("pump")
	g.within(testPatience, "the build is offered", func() bool {
		return g.byBasic(known.ID, known.Secret, "/api/iot/firmware") == http.StatusOK
	})
	var a api.OpenedAdoption
	g.cliJSON(&a, "device", "adopt", "--model", "pump", "--at-most", "3")
	first, second := "aaaaaaa1"+a.Secret, "aaaaaaa2"+a.Secret
	if got := g.byPath(first, "/pump-1.0.0.bin"); got != http.StatusOK {
		t.Fatalf("AutoConnect's file: %d", got)
	}
	if got := g.ask(http.MethodGet, "/_catalog?op=list&path=/d/"+second, "", nil); got.StatusCode != http.StatusOK || !strings.Contains(string(got.body), "pump-1.0.0.bin") {
		t.Errorf("AutoConnect's catalog: %s %s", got.Status, got.body)
	}
	for what, secret := range map[string]string{
		"a device that is there": known.Key + a.Secret, "no key": "aaaaaaa" + a.Secret, "a wrong secret": "aaaaaaa3" + a.Secret[1:], "the secret alone": a.Secret,
		"a key alone": "aaaaaaa3",
	} {
		if got := g.byPath(secret, "/api/iot/config"); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", what, got)
		}
	}
	// What is shown in one way is good in that way only: a path is written into logs.
	if got := g.byBasic("iotdevice-pump-aaaaaaa1", a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Errorf("one of a path, by Basic: %d", got)
	}
	if got := g.byBasic("iotdevice-pump-aaaaaaa3", a.Secret, "/api/iot/config"); got != http.StatusOK {
		t.Errorf("by Basic: %d", got)
	}
	if got := g.byPath("aaaaaaa3"+a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Errorf("one of Basic, by a path: %d", got)
	}
	if got := g.byPath("aaaaaaa4"+a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Errorf("the fourth of three: %d", got)
	}
	shared := func() int {
		var list api.Adoptions
		g.cliJSON(&list, "device", "adopt", "list")
		return list.Adoptions[0].Shared
	}
	if n := shared(); n != 3 {
		t.Errorf("%d of three share it", n)
	}
	var made api.PathSecret
	g.cliJSON(&made, "device", "path-secret", "aaaaaaa1")
	own := strings.TrimPrefix(made.Path, "/d/")
	if got := [2]int{g.byPath(first, "/api/iot/config"), g.byPath(own, "/api/iot/config")}; got != [2]int{http.StatusUnauthorized, http.StatusOK} {
		t.Errorf("once it has one of its own, the shared one and that: %v", got)
	}
	g.cli("device", "path-secret", "aaaaaaa2", "--revoke")
	if n := shared(); n != 1 {
		t.Errorf("%d share it, once two have their own or none", n)
	}
	for _, e := range g.events() {
		if e.Kind == "device.adopted" && (detailsOf(t, e)["path_secret"] == true) != (e.Object.ID != "aaaaaaa3") {
			t.Errorf("%+v", e)
		}
	}
	if log, events := g.log.String(), g.cli("events", "--format", "json"); strings.Contains(log+events, a.Secret) {
		t.Error("log or events have the secret")
	}
}

func TestTwoOpenAdoptionsHaveNotTheSameSecret(t *testing.T) {
	g := startGateway(t)
	open := func(model string) (string, error) {
		cmd := exec.Command("slipway", "device", "adopt", "--model", model, "--secret-stdin")
		cmd.Env = append(os.Environ(), "SLIPWAY_SOCKET="+g.socket)
		cmd.Stdin = strings.NewReader("the secret of a hundred boards")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	g.cli("model", "add", "fan")
	g.cli("model", "add", "pump")
	if out, err := open("fan"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := open("pump"); err == nil || !strings.Contains(out, "adoption of fan") {
		t.Errorf("%v %s", err, out)
	}
	g.cli("device", "adopt", "close", "fan")
	if out, err := open("pump"); err != nil {
		t.Errorf("once the other is closed: %v %s", err, out)
	}
}

func TestAFloodOfStrangersOfOtherProtocolsIsBoundedAndSlowed(t *testing.T) {
	flood(t, func(g *running, stranger int, secret string) int {
		if stranger%4 < 2 {
			return g.byController(fmt.Sprintf("board-%d", stranger/4), secret).StatusCode
		}
		return g.byPath(fmt.Sprintf("b%07d%s", stranger/4, secret), "/api/iot/config")
	})
}
