package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// readOnly are the commands that change nothing.
var readOnly = []string{
	"slipway status", "slipway version", "slipway config check", "slipway config show", "slipway model list", "slipway model show", "slipway model versions",
	"slipway device list", "slipway device adopt list", "slipway device show", "slipway firmware list", "slipway firmware show", "slipway firmware inspect",
	"slipway dump list", "slipway dump show", "slipway dump get", "slipway crash list", "slipway crash show", "slipway token list",
	"slipway events", "slipway audit export", "slipway audit verify", "slipway backup check", "slipway backup key", "slipway decode",
	"slipway worker", "slipway login", "slipway logout", "slipway drop list", "slipway wanted", "slipway webhook list",
	"slipway worker", "slipway login", "slipway logout", "slipway drop list", "slipway wanted", "slipway trouble list",
	"slipway rollout list", "slipway rollout show", "slipway rollout devices", "slipway rollout explain", "slipway rollout wait",
}

// TestEveryCommandSaysWhichEventItLeaves goes through the command tree: a new command has to be in the table of kinds, in
// event.Silent with the reason, or among those that read only.
func TestEveryCommandSaysWhichEventItLeaves(t *testing.T) {
	known := map[string]bool{}
	for _, row := range event.Table {
		for _, cause := range row.Left {
			known[cause] = true
		}
	}
	for cause := range event.Silent {
		known[cause] = true
	}
	there := map[string]bool{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if name := cmd.CommandPath(); len(cmd.Commands()) == 0 || cmd.Flags().Lookup("format") != nil { // a group prints nothing
			there[name] = true
			if known[name] == slices.Contains(readOnly, name) {
				t.Errorf("%s: in the table %t, reads only %t", name, known[name], slices.Contains(readOnly, name))
			}
		}
	}
	root, _ := newRoot()
	walk(root)
	for _, name := range readOnly {
		if !there[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for cause := range known {
		if strings.HasPrefix(cause, "slipway ") && !there[cause] {
			t.Errorf("the table of kinds has %s, which there is not", cause)
		}
	}
}

// events are all of a gateway.
func (g *running) events() []fleet.Event {
	g.t.Helper()
	a := g.ask(http.MethodGet, "/api/events?limit=1000", g.operatorToken("viewer"), nil)
	var page struct{ Events []fleet.Event }
	if err := json.Unmarshal(a.body, &page); err != nil || a.StatusCode != http.StatusOK {
		g.t.Fatalf("%s %s", a.Status, a.body)
	}
	return page.Events
}

func TestAGatewaysEventsBeginWithItsStartAndGoOnOverRestarts(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	events := g.events()
	if first := events[0]; first.Kind != event.GatewayStarted || !strings.Contains(string(first.Details), `"before":"none recorded"`) || first.Actor.Type != fleet.Itself {
		t.Errorf("the first event is %+v", first)
	}
	stream, err := http.NewRequest(http.MethodGet, g.url+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream.Header = http.Header{"Accept": {"text/event-stream"}, "Authorization": {"Bearer " + g.operatorToken("viewer")}}
	resp, err := http.DefaultClient.Do(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	g.stop() // a stream does not hold it up, and ends whole
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
	if !strings.Contains(g.log.String(), `"msg":"gateway stopped"`) || !strings.Contains(g.log.String(), `"msg":"newest event"`) {
		t.Errorf("the journal has no line of the stop, or none of the newest event:\n%s", g.log)
	}
	g.start()
	var kinds []string
	for _, e := range g.events() {
		if e.Object.Type == "gateway" {
			kinds = append(kinds, string(e.Kind))
		}
	}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool {
		return strings.HasPrefix(kind, "trouble.") || strings.HasPrefix(kind, "backup.")
	})
	if !slices.Equal(kinds, []string{"gateway.started", "gateway.stopped", "gateway.started"}) {
		t.Errorf("%v", kinds)
	}
	if out, err := exec.Command("slipway", "audit", "verify", "--socket", g.socket).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestADeviceThatRotatesItsSecretIsInTheEvents(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "provisioning.required=[]")
	g.cli("model", "add", "demo")
	token := g.deviceToken(g.addDevice("demo").Key)
	if a := g.ask(http.MethodGet, "/api/iot/provisioning", token, nil); a.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	i := slices.IndexFunc(g.events(), func(e fleet.Event) bool { return e.Kind == event.DeviceSecretRotated })
	if i < 0 {
		t.Fatal("no event tells of it")
	}
	if e := g.events()[i]; e.Actor.Type != fleet.DeviceActor || e.Object.ID != e.Actor.ID || e.From != "127.0.0.1" {
		t.Errorf("%+v", e)
	}
}
