package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// TestTheUploadScriptMakesABundleOfABuildFolderAndPushesIt runs the script as CI does.
func TestTheUploadScriptMakesABundleOfABuildFolderAndPushesIt(t *testing.T) {
	for _, tool := range []string{"sh", "zip", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the upload script needs %s, which this machine does not have", tool)
		}
	}
	g := startGateway(t, "provisioning.base_url=http://gateway.invalid:8480")
	g.cli("model", "add", "pump")
	script := g.ask("GET", "/api/pipeline/upload.sh", "", nil, "Host", "$(reboot)")
	if !bytes.Contains(script.body, []byte("http://gateway.invalid:8480")) || bytes.Contains(script.body, []byte("@BASE_URL@")) || bytes.Contains(script.body, []byte("reboot")) {
		t.Errorf("the script calls somebody else:\n%s", script.body)
	}
	c, err := firmware.Build{Code: "app", Version: "1.0.0"}.Contents()
	if err != nil {
		t.Fatal(err)
	}
	project := t.TempDir()
	for name, body := range map[string][]byte{
		"sdkconfig":                      c.Settings,
		"build/my_app.bin":               c.Image,
		"build/my_app.elf":               c.ELF,
		"build/my_app.map":               c.Map,
		"build/project_description.json": []byte("{\n    \"version\": \"1.2\",\n    \"project_name\": \"my_app\",\n    \"project_version\": \"1.0.0\"\n}\n"),
	} {
		path := filepath.Join(project, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	push := func(token string) (string, error) {
		cmd := exec.Command("sh", "-s", "pump", project)
		cmd.Stdin = bytes.NewReader(script.body)
		cmd.Env = append(os.Environ(), "SLIPWAY_URL="+g.url, "SLIPWAY_TOKEN="+token)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := push("wrong"); err == nil || !strings.Contains(out, "did not accept") {
		t.Errorf("with a wrong token: %v\n%s", err, out)
	}
	if out, err := push(g.operatorToken("pipeline")); err != nil || !strings.Contains(out, `"firmware_version":"1.0.0"`) {
		t.Errorf("%v\n%s", err, out)
	}
	device := g.addDevice("pump")
	if a := g.ask("GET", "/api/iot/firmware", g.deviceToken(device.Key), nil); a.StatusCode != http.StatusOK {
		t.Errorf("after the push: %s", a.Status)
	}
}
