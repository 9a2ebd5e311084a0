package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveFails starts a gateway that cannot start, and returns its exit code and what it says.
func serveFails(t *testing.T, args ...string) (code int, says string) {
	t.Helper()
	cmd := exec.Command("slipway", append([]string{"serve"}, args...)...)
	done := time.AfterFunc(testPatience, func() { _ = cmd.Process.Kill() })
	defer done.Stop()
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("slipway serve %v ended with 0:\n%s", args, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func sets(pairs ...string) []string {
	var args []string
	for _, p := range pairs {
		args = append(args, "--set", p)
	}
	return args
}

func TestWhatIsWrongAtTheStartIsSaidInOneLineAndDamagesNothing(t *testing.T) {
	short, err := os.MkdirTemp("", "slw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	state := filepath.Join(short, "state")
	base := []string{"state_dir=" + state, "socket=" + short + "/s", "listen.https=off", "listen.http=127.0.0.1:0"}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(short, "file")
	settings := filepath.Join(short, "slipway.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, []byte("listen:\n  htps: ':1'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"an unknown key":        {[]string{"--config", settings}, 2, []string{"listen.htps", settings, "listen.http"}},
		"a bad value":           {sets("dumps.max_use=lots"), 2, []string{"dumps.max_use", "10%"}},
		"no such file":          {[]string{"--config", filepath.Join(short, "none.yaml")}, 2, []string{"none.yaml"}},
		"a folder as the file":  {[]string{"--config", short}, 2, []string{short}},
		"a socket too long":     {sets("socket=/" + strings.Repeat("x", 120)), 2, []string{"socket", "107"}},
		"test mode on the LAN":  {sets("auth.device=none", "listen.http=:0"), 2, []string{"auth.insecure_lan"}},
		"a port that is taken":  {sets(append(base, "listen.http="+taken.Addr().String())...), 1, []string{"in use"}},
		"a state folder's file": {sets(append(base, "state_dir="+file)...), 1, []string{file}},
	} {
		code, says := serveFails(t, test.args...)
		if code != test.code || strings.Count(strings.TrimSpace(says), "\n") > 0 {
			t.Errorf("%s: exit code %d\n%s", name, code, says)
		}
		for _, want := range test.says {
			if !strings.Contains(says, want) {
				t.Errorf("%s: says nothing of %q: %s", name, want, says)
			}
		}
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("a start that failed made the state folder")
	}
}

func TestACatalogOfANewerVersionIsRefusedAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "demo")
	g.stop()
	schema := filepath.Join(g.state, "catalog", "SCHEMA")
	if err := os.WriteFile(schema, []byte("999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, says := serveFails(t, g.arguments()[1:]...)
	if code != 1 || !strings.Contains(says, "schema 999") {
		t.Errorf("exit code %d: %s", code, says)
	}
	if err := os.WriteFile(schema, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.start()
	if out := g.cli("model", "list"); !strings.Contains(out, "demo") {
		t.Errorf("models: %s", out)
	}
}

func TestTheCatalogIsRebuiltFromWhatLiesOnDisk(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.cli("model", "add", "demo")
	device := g.addDevice("demo")
	g.drop("demo.zip", bundleOf(t, "demo", "1.0.0"))
	g.within(2*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "demo.zip") })
	g.ask("POST", uploadPath("esp32c3", "1.0.0"), g.deviceToken(device.Key), strings.NewReader("core"))
	g.stop()
	if err := os.RemoveAll(filepath.Join(g.state, "catalog")); err != nil {
		t.Fatal(err)
	}
	g.cli(append([]string{"catalog", "new", "--without-backup"}, g.arguments()[1:]...)...)
	g.start()
	for _, want := range [][]string{{"model list", "demo"}, {"model list", "1.0.0"}, {"firmware list", "1.0.0"}, {"dump list", device.Key}} {
		if out := g.cli(strings.Fields(want[0])...); !strings.Contains(out, want[1]) {
			t.Errorf("slipway %s: %s", want[0], out)
		}
	}
	again := g.addDevice("demo")
	if a := g.ask("GET", "/api/iot/firmware", g.deviceToken(again.Key), nil); a.StatusCode != http.StatusOK {
		t.Errorf("firmware after the rebuild: %s", a.Status)
	}
}

func TestSIGTERMEndsTheGatewayWithIdleConnectionsOpen(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	for range 5 {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	g.ask("GET", "/api/health", "", nil)
	g.stop()
}
