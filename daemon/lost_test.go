package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// filled is a gateway with a model, a device, a build, a dump and a daily backup, that was stopped.
func filled(t *testing.T) (g *running, device string) {
	t.Helper()
	g = startGateway(t)
	g.cli("model", "add", "demo")
	added := g.addDevice("demo")
	g.drop("demo.zip", bundleOf(t, "demo", "1.0.0"))
	g.within(5*time.Second, "the bundle", func() bool { return g.exists("drop", "accepted", "demo.zip") })
	if a := g.ask("POST", uploadPath("esp32c3", "1.0.0"), g.deviceToken(added.Key), strings.NewReader("core")); a.StatusCode != http.StatusCreated {
		t.Fatalf("upload: %s", a.Status)
	}
	g.within(5*time.Second, "a backup", func() bool { return len(filesIn(t, filepath.Join(g.state, "backup"), ".age")) == 1 })
	g.stop()
	return g, added.Key
}

// refuses asserts that the gateway does not start, in one line that names the newest backup and both commands.
func (g *running) refuses(what string) string {
	g.t.Helper()
	code, says := serveFails(g.t.(*testing.T), g.arguments()[1:]...)
	backups, err := filepath.Glob(filepath.Join(g.state, "backup", "*.age"))
	if err != nil || len(backups) == 0 {
		g.t.Fatalf("no backup: %v", err)
	}
	for _, want := range []string{"slipway backup restore " + backups[len(backups)-1] + " --replace", "slipway catalog new --without-backup"} {
		if !strings.Contains(says, want) {
			g.t.Errorf("%s: the refusal says nothing of %q: %s", what, want, says)
		}
	}
	if code != exitFailed || strings.Count(strings.TrimSpace(says), "\n") > 0 || strings.Contains(says, "goroutine") {
		g.t.Errorf("%s: exit code %d: %s", what, code, says)
	}
	return says
}

func TestAGatewayWhoseCatalogOrKeysAreLostRefusesAndMakesNoNewOnes(t *testing.T) {
	t.Parallel()
	g, device := filled(t)
	keys := func(name string) []string { return filesIn(t, filepath.Join(g.state, "keys"), name) }
	signing := keys(".pem")[0]
	for _, lost := range []string{"catalog", "catalog/MANIFEST", "keys/ca.crt", "keys/ca.key", "keys/" + signing} {
		path, aside := filepath.Join(g.state, lost), filepath.Join(t.TempDir(), "aside")
		if err := os.Rename(path, aside); err != nil {
			t.Fatal(err)
		}
		before := filesIn(t, filepath.Join(g.state, "keys"), "")
		says := g.refuses(lost)
		if !strings.Contains(says, filepath.Base(lost)) {
			t.Errorf("%s: it is not named: %s", lost, says)
		}
		if after := filesIn(t, filepath.Join(g.state, "keys"), ""); strings.Join(after, " ") != strings.Join(before, " ") {
			t.Errorf("%s: the keys were %v and are %v", lost, before, after)
		}
		if err := os.RemoveAll(path); err != nil { // an empty folder
			t.Fatal(err)
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
	}
	// Half of the leaf is made again under the same CA, and everything is as it was.
	if err := os.Remove(filepath.Join(g.state, "keys", "tls.key")); err != nil {
		t.Fatal(err)
	}
	g.start()
	g.deviceToken(device)
}

func TestANewCatalogWithoutABackupKnowsTheDiskAndNoDevice(t *testing.T) {
	t.Parallel()
	g, device := filled(t)
	ca, err := os.ReadFile(filepath.Join(g.state, "keys", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	settings := g.arguments()[1:]
	newCatalog := func(args ...string) (string, error) {
		return g.tryCLI(append(append([]string{"catalog", "new"}, args...), settings...)...)
	}
	if err := os.Remove(filepath.Join(g.state, "catalog", "MANIFEST")); err != nil {
		t.Fatal(err)
	}
	if out, err := newCatalog(); exitOf(err) != exitUsage || !strings.Contains(out, "--without-backup") {
		t.Errorf("without its flag: %v %s", err, out)
	}
	out, err := newCatalog("--without-backup")
	if err != nil || !strings.Contains(out, "catalog.before-new-") || !strings.Contains(out, "slipway-before-new-catalog-") {
		t.Fatalf("%v: %s", err, out)
	}
	g.start()
	if out, err := newCatalog("--without-backup"); exitOf(err) != exitFailed || !strings.Contains(out, "systemctl stop") {
		t.Errorf("beside a gateway: %v %s", err, out)
	}
	for args, want := range map[string]string{"firmware list": "1.0.0", "dump list": device, "model list": "demo"} {
		if out := g.cli(strings.Fields(args)...); !strings.Contains(out, want) {
			t.Errorf("slipway %s: %s", args, out)
		}
	}
	if out := g.cli("device", "list"); strings.Contains(out, device) {
		t.Errorf("devices: %s", out)
	}
	if now, err := os.ReadFile(filepath.Join(g.state, "keys", "ca.crt")); err != nil || string(now) != string(ca) {
		t.Errorf("the CA is another one: %v", err)
	}
}
