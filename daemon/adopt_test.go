package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
)

// byBasic asks as a device that calls itself by a client id and shows a secret.
func (g *running) byBasic(id, secret, path string) int {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.url+path, nil)
	if err != nil {
		g.t.Error(err)
		return 0
	}
	req.SetBasicAuth(id, secret)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		g.t.Error(err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// byToken asks for a token as such a device.
func (g *running) byToken(id, secret string) answer {
	g.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	return g.ask(http.MethodPost, "/api/oauth/token", "", strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
}

// kindsOf are the kinds of a gateway's events, with how often each happened.
func (g *running) kindsOf() map[string]int {
	g.t.Helper()
	kinds := map[string]int{}
	for _, e := range g.events() {
		kinds[string(e.Kind)]++
	}
	return kinds
}

func TestAStrangerWithTheSharedSecretBecomesADeviceWhileAnAdoptionIsOpen(t *testing.T) {
	g := startGateway(t, "provisioning.required=[]", "log.level=debug")
	g.cli("model", "add", "pump")
	g.drop("pump.zip", bundleOf(t, "pump", "1.0.0"))
	known := g.addDevice("pump")
	g.within(testPatience, "the build is offered", func() bool {
		return g.byBasic(known.ID, known.Secret, "/api/iot/firmware") == http.StatusOK
	})
	const secret = "the secret of a hundred boards"
	if got := g.byBasic("iotdevice-pump-aaaaaaa1", secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Fatalf("while nothing is adopted: %d", got)
	}
	var a api.OpenedAdoption
	g.cliJSON(&a, "device", "adopt", "--model", "pump", "--at-most", "3", "--for", "30m")
	if !a.Open || a.AtMost != 3 || len(a.Secret) < 40 {
		t.Fatalf("%+v", a)
	}
	if out, err := g.tryCLI("device", "adopt", "--model", "pump"); err == nil || !strings.Contains(out, "is open until") {
		t.Errorf("a second one: %v %s", err, out)
	}

	// By Basic, which goes on as any device's does; and by a token.
	if got := g.byBasic("iotdevice-pump-aaaaaaa1", a.Secret, "/api/iot/firmware"); got != http.StatusOK {
		t.Errorf("by Basic: %d", got)
	}
	if got := g.byToken("iotdevice-pump-aaaaaaa2", a.Secret); got.StatusCode != http.StatusOK {
		t.Errorf("by a token request: %s %s", got.Status, got.body)
	}
	// One that is given a secret of its own shows the shared one no more.
	provisioned := g.ask(http.MethodGet, "/api/iot/provisioning", g.deviceToken("aaaaaaa2"), nil)
	own, _ := provisioned.json(t)["client_secret"].(string)
	if got := g.byBasic("iotdevice-pump-aaaaaaa2", own, "/api/iot/config"); got != http.StatusOK {
		t.Errorf("with its own secret: %d", got)
	}
	if got := g.byBasic("iotdevice-pump-aaaaaaa2", a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Errorf("with the shared one, after its own: %d", got)
	}
	var list api.Adoptions
	g.cliJSON(&list, "device", "adopt", "list")
	if got := list.Adoptions[0]; len(got.Adopted) != 2 || got.Shared != 1 || !got.Open {
		t.Errorf("%+v", got)
	}
	// It goes on after a restart, and ends with the last that it takes.
	g.restart()
	if got := g.byBasic("iotdevice-pump-aaaaaaa3", a.Secret, "/api/iot/config"); got != http.StatusOK {
		t.Errorf("after a restart: %d", got)
	}
	if got := g.byBasic("iotdevice-pump-aaaaaaa4", a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Errorf("the fourth of three: %d", got)
	}
	if kinds := g.kindsOf(); kinds["adoption.opened"] != 1 || kinds["device.adopted"] != 3 || kinds["adoption.closed"] != 1 || kinds["device.added"] != 1 {
		t.Errorf("%v", kinds)
	}
	for _, e := range g.events() {
		if e.Kind == "device.adopted" && (e.Actor.Type != "device" || e.Actor.ID != e.Object.ID || e.From != "127.0.0.1") {
			t.Errorf("%+v", e)
		}
	}
	log, events := g.log.String(), g.cli("events", "--format", "json")
	g.stop()
	for name, text := range map[string]string{"log": log, "events": events} {
		if strings.Contains(text, a.Secret) {
			t.Errorf("the %s has the secret", name)
		}
	}
	err := filepath.WalkDir(g.state, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "ballast" {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(a.Secret)) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnAdoptionTakesNothingOverAndLetsNobodyBackIn(t *testing.T) {
	g := startGateway(t, "provisioning.required=[]")
	g.cli("model", "add", "pump")
	g.cli("model", "add", "valve")
	there, revoked, removed := g.addDevice("pump"), g.addDevice("pump"), g.addDevice("pump")
	g.cli("device", "set", there.Key, "--alias", "boardone")
	g.cli("device", "set", revoked.Key, "--revoked")
	g.cli("device", "rm", removed.Key, "--yes")
	var a api.OpenedAdoption
	g.cliJSON(&a, "device", "adopt", "--model", "pump", "--at-most", "1000")
	for what, id := range map[string]string{
		"a device that is there": there.ID, "a revoked one": revoked.ID, "a removed one": removed.ID, "an alias": "iotdevice-pump-boardone",
		"another model's": "iotdevice-valve-aaaaaaa1", "no model's": "iotdevice-fan-aaaaaaa1", "no client id": "aaaaaaa1",
	} {
		if got := g.byToken(id, a.Secret); got.StatusCode != http.StatusUnauthorized || !strings.Contains(string(got.body), "invalid_client") {
			t.Errorf("%s: %s %s", what, got.Status, got.body)
		}
		if got := g.byBasic(id, a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
			t.Errorf("%s, by Basic: %d", what, got)
		}
	}
	if got := g.byBasic(there.ID, there.Secret, "/api/iot/config"); got != http.StatusOK {
		t.Errorf("the one that is there, with its own: %d", got)
	}
	if kinds := g.kindsOf(); kinds["device.adopted"] != 0 {
		t.Errorf("%v", kinds)
	}
	// A device that was adopted and is revoked stays out, and so does one that was adopted and removed.
	for i, end := range [][]string{{"set", "aaaaaaa1", "--revoked"}, {"rm", "aaaaaaa2", "--yes"}} {
		id := fmt.Sprintf("iotdevice-pump-aaaaaaa%d", i+1)
		if got := g.byBasic(id, a.Secret, "/api/iot/config"); got != http.StatusOK {
			t.Errorf("%s: %d", id, got)
		}
		g.cli(append([]string{"device"}, end...)...)
		if got := g.byBasic(id, a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
			t.Errorf("%s, which was ended: %d", id, got)
		}
	}
	g.cli("device", "adopt", "close", "pump")
	if got := g.byBasic("iotdevice-pump-aaaaaaa3", a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Errorf("after it was closed: %d", got)
	}
	if out, err := g.tryCLI("device", "adopt", "close", "pump"); err == nil || !strings.Contains(out, "no adoption") {
		t.Errorf("closed twice: %v %s", err, out)
	}
}

func TestNoTokenOpensAnAdoption(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	admin := g.operatorToken("admin")
	for _, one := range []struct{ method, path, body string }{
		{http.MethodPost, "/api/adoptions", `{"model_code":"pump","at_most":1,"for":"1h"}`}, {http.MethodGet, "/api/adoptions", ""}, {http.MethodDelete, "/api/adoptions/pump", ""},
	} {
		for _, token := range []string{admin, ""} {
			if got := g.ask(one.method, one.path, token, strings.NewReader(one.body)); got.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s %s: %s %s", one.method, one.path, got.Status, got.body)
			}
		}
	}
	for args, want := range map[string]string{
		"--at-most 0": "want 1 to 1000", "--at-most 1001": "want 1 to 1000", "--for 25h": "for 25h: want up to 24h", "--for 0s": "up to 24h", "--model pmp": "pump",
	} {
		if out, err := g.tryCLI(append([]string{"device", "adopt", "--model", "pump"}, strings.Fields(args)...)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v %s", args, err, out)
		}
	}
}

// flood has 60 strangers come at once, with a wrong secret and then with the right one, of whom five are adopted. ask is one's
// request by its number; two and two are the same device, whose second request overtakes its first.
func flood(t *testing.T, ask func(g *running, stranger int, secret string) int) {
	t.Helper()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	var a api.OpenedAdoption
	g.cliJSON(&a, "device", "adopt", "--model", "pump", "--at-most", "5")
	answered := func(secret string) map[int]int {
		counts := map[int]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				status := ask(g, i, secret)
				mu.Lock()
				defer mu.Unlock()
				counts[status]++
			})
		}
		all.Wait()
		return counts
	}
	if wrong := answered("a-guess-of-a-secret"); wrong[http.StatusTooManyRequests] < 40 || wrong[http.StatusOK] > 0 {
		t.Errorf("wrong secrets, each of another name: %v", wrong)
	}
	if right := answered(a.Secret); right[http.StatusOK] != 10 {
		t.Errorf("the right one, of five devices: %v", right)
	}
	if kinds := g.kindsOf(); kinds["device.adopted"] != 5 || kinds["adoption.closed"] != 1 {
		t.Errorf("%v", kinds)
	}
}

func TestAFloodOfStrangersIsBoundedAndSlowed(t *testing.T) {
	flood(t, func(g *running, stranger int, secret string) int {
		return g.byBasic(fmt.Sprintf("iotdevice-pump-b%07d", stranger/2), secret, "/api/iot/config")
	})
}

func TestAnAdoptionEndsByItselfAndTellsOfIt(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	var a api.OpenedAdoption
	g.cliJSON(&a, "device", "adopt", "--model", "pump", "--for", "2s")
	g.within(testPatience, "its time is over", func() bool {
		var list api.Adoptions
		g.cliJSON(&list, "device", "adopt", "list")
		return !list.Adoptions[0].Open
	})
	if got := g.byBasic("iotdevice-pump-aaaaaaa1", a.Secret, "/api/iot/config"); got != http.StatusUnauthorized {
		t.Errorf("after its time: %d", got)
	}
	g.restart() // the gateway tells once a minute, and as it starts
	g.within(testPatience, "it is told", func() bool { return g.kindsOf()["adoption.closed"] == 1 })
}
