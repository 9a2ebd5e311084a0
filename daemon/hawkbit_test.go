package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// hawkbitDevice is a client of hawkBit's protocol as its sources have it: it knows its own id and its token, takes every other
// address from what it is told, and compares no versions.
type hawkbitDevice struct {
	g      *running
	id     string
	secret string
}

func (d hawkbitDevice) ask(method, address, body string, headers ...string) answer {
	d.g.t.Helper()
	headers = append(headers, "Authorization", "TargetToken "+d.secret, "Accept", "application/hal+json", "Content-Type", "application/json")
	if _, path, absolute := strings.Cut(address, "/DEFAULT/"); absolute {
		address = "/DEFAULT/" + path
	}
	return d.g.ask(method, address, "", strings.NewReader(body), headers...)
}

// poll has the links by their names.
func (d hawkbitDevice) poll() map[string]string {
	d.g.t.Helper()
	var told struct {
		Links map[string]struct{ Href string } `json:"_links"`
	}
	a := d.ask(http.MethodGet, "/DEFAULT/controller/v1/"+d.id, "")
	if err := json.Unmarshal(a.body, &told); err != nil || a.StatusCode != http.StatusOK {
		d.g.t.Fatalf("poll: %s %s", a.Status, a.body)
	}
	links := map[string]string{}
	for name, link := range told.Links {
		links[name] = link.Href
	}
	return links
}

func (d hawkbitDevice) saysThatItRuns(version string) {
	d.g.t.Helper()
	a := d.ask(http.MethodPut, d.poll()["configData"], `{"mode":"merge","data":{"mac":"`+d.id+`","fw_version":"`+version+`"}}`)
	if a.StatusCode != http.StatusOK {
		d.g.t.Fatalf("attributes: %s %s", a.Status, a.body)
	}
}

func (d hawkbitDevice) feedback(deployment, execution, finished string) {
	d.g.t.Helper()
	a := d.ask(http.MethodPost, deployment+"/feedback", fmt.Sprintf(`{"id":"1","status":{"execution":%q,"result":{"finished":%q},"details":[]}}`, execution, finished))
	if a.StatusCode != http.StatusOK {
		d.g.t.Fatalf("feedback: %s %s", a.Status, a.body)
	}
}

func TestAHawkbitDeviceIsUpdatedThoughTheGatewayIsKilled(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "pump")
	c := g.addDevice("pump")
	g.cli("device", "set", c.Key, "--alias", "24:6f:28:aa:00:01")
	d := hawkbitDevice{g, "24:6f:28:aa:00:01", c.Secret}
	if links := d.poll(); links["deploymentBase"] != "" {
		t.Errorf("a model without firmware: %v", links)
	}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		a := g.ask(http.MethodPost, "/api/pipeline/models/pump/firmware", g.operatorToken("pipeline"), strings.NewReader(string(bundleOf(t, "pump", version))))
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", a.Status, a.body)
		}
		if version == "1.0.0" {
			d.saysThatItRuns(version)
			if links := d.poll(); len(links) != 0 {
				t.Errorf("it runs what it is offered: %v", links)
			}
		}
	}
	deployment := d.poll()["deploymentBase"]
	var told struct {
		ID         string
		Deployment struct {
			Chunks []struct {
				Part, Version string
				Artifacts     []struct {
					Size   int
					Hashes map[string]string
					Links  map[string]struct{ Href string } `json:"_links"`
				}
			}
		}
	}
	a := d.ask(http.MethodGet, deployment, "")
	if err := json.Unmarshal(a.body, &told); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("deployment: %s %s", a.Status, a.body)
	}
	artifact := told.Deployment.Chunks[0].Artifacts[0]
	d.feedback(deployment, "proceeding", "none")
	link := artifact.Links["download-http"].Href
	image := d.ask(http.MethodGet, link, "", "Range", "bytes=0-2047").body
	g.kill()
	g.start()
	image = append(image, d.ask(http.MethodGet, link, "", "Range", "bytes=2048-").body...)
	if sum := fmt.Sprintf("%x", sha256.Sum256(image)); len(image) != artifact.Size || sum != artifact.Hashes["sha256"] || artifact.Hashes["sha1"] == "" || artifact.Hashes["md5"] == "" {
		t.Fatalf("%d bytes of %+v, and not %s", len(image), artifact, sum)
	}
	d.feedback(deployment, "closed", "success")
	g.kill()
	g.start()
	if links := d.poll(); links["deploymentBase"] != "" {
		t.Errorf("it is told to install again what it has just installed: %v", links)
	}
	d.saysThatItRuns("1.1.0")
	if links := d.poll(); len(links) != 0 {
		t.Errorf("there is something to do for a device that is up: %v", links)
	}
	var shown api.Device
	g.cliJSON(&shown, "device", "show", c.Key)
	if s := shown.Sighting; s.Runs != "1.1.0" || s.RunsBy != fleet.ProofSaid || shown.Reported.Update.Finished != "success" || shown.Reported.Attributes["mac"] == "" {
		t.Errorf("shown: %+v %+v", shown.Sighting, shown.Reported)
	}
	text := g.cli("device", "show", c.Key)
	for _, line := range []string{"reported: ", "1.1.0: closed, success", "attribute fw_version: ", "aliases: "} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	named := false
	for _, e := range g.events() {
		named = named || e.Kind == event.DeviceChanged && strings.Contains(string(e.Details), `"after":{"aliases":["24:6f:28:aa:00:01"]}`)
	}
	if !named {
		t.Error("the alias left no event")
	}
}
