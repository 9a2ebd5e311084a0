package packaging

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const rules = "../configs/prometheus/slipway.rules.yml"

// dashboards are of the gateway, and of the fleet.
var dashboards = []string{"../configs/grafana/slipway.json", "../configs/grafana/slipway-fleet.json"}

func TestPromtoolAcceptsTheScrapeAndTheAlertsAndTheirTestsPass(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here: apt-get install prometheus, as .ci/run does")
	}
	for _, args := range [][]string{
		{"check", "rules", "slipway.rules.yml"},
		{"check", "config", "--syntax-only", "slipway.yml"},
		{"test", "rules", "slipway.rules.test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = filepath.Dir(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestTheAlertsAndTheDashboardAskForMetricsThatExist(t *testing.T) {
	have := append(metricNames(t), later...)
	asked := map[string]string{}
	for _, expression := range append(dashboardExpressions(t), alertText(t)) {
		for _, name := range regexp.MustCompile(`\b(slipway|process|go)_[a-z_]+\b`).FindAllString(expression, -1) {
			asked[name] = expression
		}
	}
	if len(asked) < 10 {
		t.Errorf("only %d metrics were found in the alerts and the dashboard", len(asked))
	}
	for name, expression := range asked {
		if !slices.Contains(have, name) {
			t.Errorf("no gateway has the metric %s, which is asked for in\n%s", name, expression)
		}
	}
	for _, name := range have {
		family := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "slipway_") && asked[name] == "" && asked[family+"_bucket"] == "" {
			t.Errorf("the metric %s is neither in an alert nor on the dashboard", name)
		}
	}
}

// later are shown once there is a rollout, a crash, a backup or a webhook; tests of pkg/gateway and daemon see that they are.
var later = []string{"slipway_rollout_devices", "slipway_rollout_evidence", "slipway_rollout_state", "slipway_crashes_total", "slipway_backup_age_seconds", "slipway_webhook_waiting_events", "slipway_webhook_failing_seconds"}

// dashboardExpressions are what the panels ask.
func dashboardExpressions(t *testing.T) (all []string) {
	for _, dashboard := range dashboards {
		all = append(all, expressionsOf(t, dashboard)...)
	}
	return all
}

func expressionsOf(t *testing.T, dashboard string) (all []string) {
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("the panel %q asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

// alertText is the rules without their comments.
func alertText(t *testing.T) string {
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^ *(#|- name:).*$`).ReplaceAllString(string(text), "")
}

// metricNames are those of a gateway that has just started and has one device, which was heard.
func metricNames(t *testing.T) []string {
	g := start(t, build(t))
	for _, args := range [][]string{{"model", "add", "pump"}, {"device", "add", "--model", "pump", "--key", "abcd1234"}} {
		if out, err := g.cmd(args...).CombinedOutput(); err != nil {
			t.Fatalf("slipway %v: %v\n%s", args, err, out)
		}
	}
	token, err := g.cmd("device", "token", "abcd1234", "--format", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		Token string `json:"access_token"`
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/api/iot/config", nil)
	if err = errors.Join(err, json.Unmarshal(token, &shown)); err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+shown.Token)
	heard, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	heard.Body.Close()
	answer, err := http.Get(g.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if name := regexp.MustCompile(`^[a-z_]+`).FindString(line); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
