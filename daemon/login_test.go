package main

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// elsewhere is a person's machine: no socket, and a home of its own.
type elsewhere struct {
	t    *testing.T
	home string
	env  []string
}

func (e elsewhere) run(stdin string, args ...string) (out string, code int) {
	e.t.Helper()
	cmd := exec.Command("slipway", args...)
	cmd.Env = append([]string{"HOME=" + e.home, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, e.env...)
	cmd.Stdin = strings.NewReader(stdin)
	text, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		e.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func (g *running) newToken(role string, more ...string) string {
	g.t.Helper()
	var made struct {
		Token string `json:"token"`
	}
	g.cliJSON(&made, append([]string{"token", "create", "--role", role, "--name", "Ines"}, more...)...)
	return made.Token
}

func TestAGatewayElsewhereIsReachedWithAnAddressATokenAndItsCA(t *testing.T) {
	g := startGateway(t, "listen.https=127.0.0.1:0")
	g.cli("model", "add", "pump")
	viewer := g.newToken("viewer")
	url, ca := g.urls["https"], filepath.Join(g.state, "keys", "ca.crt")
	e := elsewhere{t: t, home: t.TempDir()}
	for _, test := range []struct {
		args []string
		env  []string
		code int
		says string
	}{
		{[]string{"model", "list", "--url", url, "--token", viewer, "--ca", ca}, nil, exitDone, "pump"},
		{[]string{"model", "list"}, []string{"SLIPWAY_URL=" + url, "SLIPWAY_TOKEN=" + viewer, "SLIPWAY_CA=" + ca}, exitDone, "pump"},
		{[]string{"model", "list", "--url", g.url, "--token", viewer}, nil, exitDone, "pump"}, // plain, on this machine
		{[]string{"model", "add", "fan", "--url", url, "--token", viewer, "--ca", ca}, nil, exitFailed, "this needs the role operator, and the token has viewer"},
		{[]string{"model", "show", "fan", "--url", url, "--token", viewer, "--ca", ca}, nil, exitNotFound, `no model "fan"`},
		{[]string{"model", "list", "--url", url, "--ca", ca}, nil, exitUsage, "there is no token for " + url},
		{[]string{"model", "list", "--url", url, "--token", viewer}, nil, exitFailed, "give the gateway's CA with --ca, or run 'slipway login " + url + "'"},
		{[]string{"model", "list", "--url", url, "--token", "wrong", "--ca", ca}, nil, exitFailed, "does not know the token"},
		{[]string{"model", "list", "--url", url, "--token", viewer, "--ca", filepath.Join(g.state, "keys", "none.crt")}, nil, exitNotFound, "none.crt"},
		{[]string{"model", "list", "--url", "http://203.0.113.7:8480", "--token", viewer}, nil, exitUsage, "would show the token to everybody on the network"},
		{[]string{"model", "list", "--url", "https://203.0.113.7:8443/page", "--token", viewer}, nil, exitUsage, "nothing more"},
		{[]string{"model", "list", "--url", strings.Replace(g.url, "http:", "https:", 1), "--token", viewer}, nil, exitFailed, "speaks no TLS"},
		{[]string{"model", "list", "--url", "gateway", "--token", viewer}, nil, exitUsage, "want one such as https://gateway:8443"},
		{[]string{"model", "list", "--url", "http://127.0.0.1:1", "--token", viewer}, nil, exitNoDaemon, "no gateway answers at http://127.0.0.1:1"},
		{[]string{"model", "list", "--url", url, "--socket", g.socket}, nil, exitUsage, "name two gateways"},
		{[]string{"model", "list"}, []string{"SLIPWAY_URL=" + url, "SLIPWAY_SOCKET=" + g.socket}, exitUsage, "name two gateways"},
		{[]string{"model", "list", "--socket", g.socket}, []string{"SLIPWAY_URL=" + url}, exitDone, "pump"},
		{[]string{"config", "check", "--url", url}, nil, exitUsage, "no gateway is asked"},
		{[]string{"backup", "create", "gateway.age", "--url", url, "--token", viewer, "--ca", ca}, nil, exitUsage, "not over " + url + ": slipway backup now"},
	} {
		e.env = test.env
		if out, code := e.run("", test.args...); code != test.code || !strings.Contains(out, test.says) || strings.Contains(out, viewer) {
			t.Errorf("%v %v: ended with %d, want %d and %q:\n%s", test.env, test.args, code, test.code, test.says, out)
		}
	}
	if out, _ := e.run("", "config", "check"); strings.Contains(out, "SLIPWAY_") {
		t.Errorf("a variable of the commands is taken for a setting: %s", out)
	}
}

func TestLoginNotesAGatewayForTheCommandsThatFollow(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "listen.https=127.0.0.1:0")
	g.cli("model", "add", "pump")
	operator, pipeline := g.newToken("operator"), g.newToken("pipeline", "--model", "pump")
	url := g.urls["https"]
	var status struct {
		Fingerprint string `json:"ca_fingerprint"`
	}
	g.cliJSON(&status, "status")
	e := elsewhere{t: t, home: t.TempDir()}
	file := filepath.Join(e.home, ".config", "slipway", "login.json")

	for says, args := range map[string][]string{
		"nobody can answer here":  {"login", url},
		"has another fingerprint": {"login", url, "--fingerprint", "3A:91"},
	} {
		if out, code := e.run(operator, args...); code == exitDone || !strings.Contains(out, says) {
			t.Errorf("ended with %d, want %q:\n%s", code, says, out)
		}
	}
	if out, code := e.run("not-a-token", "login", url, "--fingerprint", status.Fingerprint); code != exitFailed || !strings.Contains(out, "does not know the token") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a login that failed is noted")
	}

	out, code := e.run(operator+"\n", "login", url, "--fingerprint", strings.ToLower(strings.ReplaceAll(status.Fingerprint, ":", "")))
	if code != exitDone || !strings.Contains(out, "as Ines with the role operator") || strings.Contains(out, operator) {
		t.Fatalf("ended with %d:\n%s", code, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if out, code := e.run("", "model", "add", "fan"); code != exitDone {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	if out := g.cli("model", "list"); !strings.Contains(out, "fan") {
		t.Errorf("it did not reach the gateway:\n%s", out)
	}
	if out, code := e.run("", "model", "list", "--url", g.url); code != exitUsage || !strings.Contains(out, "there is no token for "+g.url) {
		t.Errorf("a token goes to another address than it was noted for: %d\n%s", code, out)
	}
	if out, code := e.run("", "logout"); code != exitDone {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	if out, code := e.run("", "model", "list"); code != exitNoDaemon {
		t.Errorf("after logout: ended with %d:\n%s", code, out)
	}

	e.env = []string{"SLIPWAY_CA=" + filepath.Join(g.state, "keys", "ca.crt"), "SLIPWAY_TOKEN=" + pipeline}
	if out, code := e.run("", "login", url); code != exitDone || !strings.Contains(out, "with the role pipeline") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
}

func TestATokenFollowsNoRedirect(t *testing.T) {
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, cmp.Or(r.Header.Get("Authorization"), "nothing"))
	}))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	out, code := elsewhere{t: t, home: t.TempDir()}.run("", "status", "--url", first.URL, "--token", "secret")
	if code != exitFailed || len(got) > 0 {
		t.Errorf("ended with %d, and the other address got %v:\n%s", code, got, out)
	}
}

func TestWhoAsksIsToldWhomTheGatewayTakesItFor(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "pump")
	for token, want := range map[string]string{
		g.newToken("viewer"):                      `{"name":"Ines","role":"viewer"}`,
		g.newToken("pipeline", "--model", "pump"): `{"name":"Ines","role":"pipeline","models":["pump"]}`,
	} {
		req, _ := http.NewRequest(http.MethodGet, g.url+"/api/caller", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got json.RawMessage
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || string(got) != want {
			t.Errorf("%s, want %s: %v", got, want, err)
		}
		resp.Body.Close()
	}
}
