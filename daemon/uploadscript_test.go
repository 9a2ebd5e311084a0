package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/espimage"
	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// ci is a gateway with the default TLS, and a folder in which a job works.
type ci struct {
	*running
	folder string
	bin    string // goes before the machine's own programs
	token  string
}

func startCI(t *testing.T, settings ...string) *ci {
	t.Helper()
	for _, tool := range []string{"sh", "zip", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the upload script needs %s, which this machine does not have", tool)
		}
	}
	c := &ci{running: startGateway(t, append(settings, "listen.https=127.0.0.1:0")...), folder: t.TempDir(), bin: t.TempDir()}
	c.cli("model", "add", "pump")
	c.token = c.operatorToken("pipeline")
	return c
}

// status is what slipway status says.
func (c *ci) status() (s struct {
	BaseURL     string   `json:"base_url"`
	Fingerprint string   `json:"ca_fingerprint"`
	CI          []string `json:"ci_lines"`
}) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.cli("status", "--format", "json")), &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// build lays an ESP-IDF build; files are name, text, name, text beside its four.
func (c *ci) build(version, bin, elf, mapFile, settings string, files ...string) {
	c.t.Helper()
	contents, err := firmware.Build{Code: "app", Version: version}.Contents()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.RemoveAll(c.folder); err != nil {
		c.t.Fatal(err)
	}
	all := map[string][]byte{bin: contents.Image, elf: contents.ELF, mapFile: contents.Map, settings: contents.Settings}
	for i := 0; i+1 < len(files); i += 2 {
		all[files[i]] = []byte(files[i+1])
	}
	for name, body := range all {
		path := filepath.Join(c.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// plain lays one as most people have it.
func (c *ci) plain(version string) {
	c.t.Helper()
	c.build(version, "build/app.bin", "build/app.elf", "build/app.map", "sdkconfig",
		"build/project_description.json", describes("project_name", "app", "project_version", version, "app_bin", "app.bin", "app_elf", "app.elf"))
}

func describes(members ...string) string {
	var lines []string
	for i := 0; i+1 < len(members); i += 2 {
		lines = append(lines, fmt.Sprintf("    %q: %q", members[i], members[i+1]))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}\n"
}

// job runs lines as a CI job does, and returns its exit status and what it printed.
func (c *ci) job(lines []string, env ...string) (status int, stdout, stderr string) {
	c.t.Helper()
	text := strings.NewReplacer("MODEL_CODE", "pump", " [PROJECT_FOLDER]", "", "SLIPWAY_TOKEN=… ", "").Replace(strings.Join(lines, "\n"))
	cmd := exec.Command("sh", "-ec", text)
	cmd.Dir = c.folder
	cmd.Env = append([]string{"PATH=" + c.bin + ":" + os.Getenv("PATH"), "HOME=" + c.folder, "SLIPWAY_TOKEN=" + c.token}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		c.t.Fatal(err)
	}
	return status, out.String(), errs.String()
}

// fetchCA does what the head of the script asks for, once.
func (c *ci) fetchCA() {
	c.t.Helper()
	if status, _, errs := c.job([]string{"curl -fsSk " + c.status().BaseURL + "/ca.crt -o ca.crt"}); status != 0 {
		c.t.Fatal(errs)
	}
}

// builds are the versions that the gateway has.
func (c *ci) builds() string { return c.cli("firmware", "list", "--model", "pump") }

func TestTheDocumentedLinesPushWithTheCAAndFailWithoutAnythingPushed(t *testing.T) {
	t.Parallel()
	c := startCI(t)
	s := c.status()
	script := c.askAt("https", "/api/pipeline/upload.sh")
	for _, line := range s.CI {
		if !strings.Contains(script, "\n#   "+line+"\n") {
			t.Errorf("slipway status says %q, the head of the script does not", line)
		}
	}
	c.plain("1.0.0")
	down := make([]string, len(s.CI))
	typo := make([]string, len(s.CI))
	for i, line := range s.CI {
		down[i] = strings.ReplaceAll(line, s.BaseURL, "https://127.0.0.1:1")
		typo[i] = strings.ReplaceAll(line, "pipeline/upload.sh", "pipeline/uplaod.sh")
	}
	fail := func(why string, lines []string, env ...string) {
		t.Helper()
		if status, out, errs := c.job(lines, env...); status == 0 || strings.Contains(c.builds(), "1.0.0") {
			t.Errorf("%s: exit %d\n%s%s", why, status, out, errs)
		}
	}
	fail("without the CA", s.CI)
	fail("without the CA, no -e", append([]string{"set +e"}, s.CI...))
	c.fetchCA()
	fail("the gateway is down", down)
	fail("the gateway is down, no -e", append([]string{"set +e"}, down...))
	fail("a typo", typo)
	fail("a wrong token", s.CI, "SLIPWAY_TOKEN=wrong")
	fail("no token", s.CI, "SLIPWAY_TOKEN=")
	fail("another gateway, which is down", s.CI, "SLIPWAY_URL=https://127.0.0.1:1")
	status, out, errs := c.job(s.CI)
	if status != 0 || out != "pump 1.0.0 pushed, devices are offered it now\n" || errs != "" || !strings.Contains(c.builds(), "1.0.0") {
		t.Errorf("with the CA: exit %d\n%s%s", status, out, errs)
	}
	if status, out, errs = c.job(s.CI, "SLIPWAY_TOKEN="+c.token+"\n"); status != 0 || out != "pump 1.0.0 is there already, nothing changed\n" || errs != "" {
		t.Errorf("again: exit %d\n%s%s", status, out, errs)
	}
}

func (c *ci) askAt(door, path string) string {
	c.t.Helper()
	status, out, errs := c.job([]string{"curl -fsSk " + c.urls[door] + path})
	if status != 0 {
		c.t.Fatal(errs)
	}
	return out
}

func TestTheCAThatIsFetchedHasTheFingerprintThatStatusPrints(t *testing.T) {
	c := startCI(t)
	block, _ := pem.Decode([]byte(c.askAt("https", "/ca.crt")))
	if block == nil {
		t.Fatal("no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !cert.IsCA {
		t.Fatalf("%v, a CA: %v", err, cert != nil && cert.IsCA)
	}
	want := strings.ReplaceAll(fmt.Sprintf("% X", sha256.Sum256(block.Bytes)), " ", ":")
	if s := c.status(); s.Fingerprint != want || len(want) != 95 || !strings.Contains(c.cli("status"), want) {
		t.Errorf("status says %q, the CA has %q", s.Fingerprint, want)
	}
}

func TestTheUploadScriptEndsWithTheStatusThatItsHeadPromises(t *testing.T) {
	t.Parallel()
	c := startCI(t)
	c.plain("1.0.0")
	c.fetchCA()
	script := c.askAt("https", "/api/pipeline/upload.sh")
	if err := os.WriteFile(filepath.Join(c.folder, "upload.sh"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	// What cannot be compressed does not fit into what lies between the script and the gateway: it is not all sent when the answer comes.
	large := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	must(t, os.Mkdir(filepath.Join(c.folder, "large"), 0o750))
	for name, body := range map[string][]byte{"firmware.bin": large[:4096], "firmware.elf": large} {
		must(t, os.WriteFile(filepath.Join(c.folder, "large", name), body, 0o600))
	}
	c.cli("model", "add", "valve")
	bound := c.operatorToken("pipeline", "--model", "valve")
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<html>Please log in to the guest network</html>")
	}))
	defer stranger.Close()
	windows := c.windows()
	for _, test := range []struct {
		line    string
		env     string
		status  int
		says    string
		windows string // the same for upload.ps1, "" where it has no such thing
	}{
		{"sh upload.sh", "", 2, "name the model", " "},
		{"sh upload.sh pump . x", "", 2, "no more", ""},
		{"sh upload.sh pump", "SLIPWAY_TOKEN=", 2, "set SLIPWAY_TOKEN", "-Model pump"},
		{"sh upload.sh pump", "SLIPWAY_TOKEN=a\"\nurl=\"http://x", 2, "not valid in a token", "-Model pump"},
		{"sh upload.sh pump", "SLIPWAY_REPLACE=yes", 2, "want true or false", ""},
		{"sh upload.sh pump", "SLIPWAY_VERSION=1/0", 2, "want letters, digits and", "-Model pump -Version 1/0"},
		{"sh upload.sh pump", "SLIPWAY_CA=nowhere.crt", 2, "nowhere.crt", ""},
		{"sh upload.sh pump /dev", "SLIPWAY_CA=ca.crt", 1, "has no build: run idf.py build, pio run, esphome compile", "-Model pump -Project /dev"},
		{"sh upload.sh pump", "", 1, "was not reached: nothing is pushed", "-Model pump"},
		{"sh upload.sh pmup", "SLIPWAY_CA=ca.crt", 1, `(404): there is no model "pmup"; the nearest known one is "pump"`, "-Model pmup"},
		{"sh upload.sh pump", "SLIPWAY_CA=ca.crt SLIPWAY_TOKEN=" + bound, 1, "(403): this token pushes firmware of valve only, not of \"pump\": an admin makes one with slipway token create --role pipeline --model pump", "-Model pump"},
		{"sh upload.sh pump", "SLIPWAY_CA=ca.crt SLIPWAY_TOKEN=slw_00000000_x", 1, "(401): this needs a token that the gateway knows", "-Model pump"},
		{"sh upload.sh pump large", "SLIPWAY_CA=ca.crt SLIPWAY_TOKEN=slw_00000000_x", 1, "(401): this needs a token that the gateway knows", "-Model pump -Project large"},
		{"sh upload.sh pump", "SLIPWAY_CA=ca.crt SLIPWAY_REPLACE=true", 1, "(403): a pipeline's token replaces no build: raise the version", "-Model pump -Replace"},
		{"sh upload.sh pump", "SLIPWAY_URL=" + stranger.URL, 1, "not as a Slipway gateway does: nothing is pushed", "-Model pump -Url " + stranger.URL},
		{"head -c -2 upload.sh >half.sh && sh half.sh pump", "SLIPWAY_CA=ca.crt", 2, "", ""},
	} {
		status, out, errs := c.job([]string{test.line}, strings.Split(test.env, " ")...)
		if status != test.status || out != "" || !strings.Contains(errs, test.says) {
			t.Errorf("%s %s: exit %d, want %d with %q\n%s%s", test.env, test.line, status, test.status, test.says, out, errs)
		}
		if windows == "" || test.windows == "" {
			continue
		}
		line := windows + test.windows
		status, out, errs = c.job([]string{line}, strings.Split(strings.ReplaceAll(test.env, "SLIPWAY_CA=", "SSL_CERT_FILE="), " ")...)
		if reason, _, _ := strings.Cut(errs, "\n"); status != 1 || out != "" || !strings.HasPrefix(reason, "upload: ") || !strings.Contains(reason, test.says) {
			t.Errorf("%s %s: exit %d, want 1 with %q\n%s%s", test.env, line, status, test.says, out, errs)
		}
	}
	if builds := c.builds(); strings.Contains(builds, "1.0.0") {
		t.Errorf("something was pushed:\n%s", builds)
	}
	if windows == "" {
		return
	}
	// A runner ends a step with what a program has left, and the last one that the script ran is git, of a folder that is not in git.
	step := strings.Replace(windows, "-File upload.ps1", "-Command './upload.ps1 -Model pump; exit $LASTEXITCODE'", 1)
	if status, out, errs := c.job([]string{step}, "SSL_CERT_FILE=ca.crt"); status != 0 || out != "pump 1.0.0 pushed, devices are offered it now\n" || errs != "" {
		t.Errorf("exit %d\n%s%s", status, out, errs)
	}
}

// windows lays upload.ps1 beside the build and returns how it is called, "" where no PowerShell is.
func (c *ci) windows() string {
	c.t.Helper()
	if _, err := exec.LookPath("pwsh"); err != nil {
		c.t.Log("upload.ps1 is not run: there is no PowerShell here")
		return ""
	}
	if err := os.WriteFile(filepath.Join(c.folder, "upload.ps1"), []byte(c.askAt("https", "/api/pipeline/upload.ps1")), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return "pwsh -NoProfile -File upload.ps1 "
}

// TestTheUploadScriptShowsTheTokenToNobodyAndCallsAnOldCurl puts a curl in front that knows what curl 7.58 knew.
func TestTheUploadScriptShowsTheTokenToNobodyAndCallsAnOldCurl(t *testing.T) {
	c := startCI(t)
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal(err)
	}
	seen := filepath.Join(t.TempDir(), "arguments")
	old := "#!/bin/sh\nprintf '%s\\n' \"$@\" >>" + seen + "\nfor a; do case $a in --fail-with-body|--json|--retry-all-errors|--no-progress-meter|--output-dir|--fail-early) " +
		"echo \"curl: option $a: is unknown\" >&2; exit 2;; esac; done\nexec " + curl + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(c.bin, "curl"), []byte(old), 0o700); err != nil {
		t.Fatal(err)
	}
	c.plain("1.0.0")
	c.fetchCA()
	if status, out, errs := c.job(c.status().CI); status != 0 {
		t.Errorf("exit %d\n%s%s", status, out, errs)
	}
	arguments, err := os.ReadFile(seen)
	if err != nil || bytes.Contains(arguments, []byte(c.token)) || !bytes.Contains(arguments, []byte("/api/pipeline/models/pump/firmware")) {
		t.Errorf("%v; the process list shows\n%s", err, arguments)
	}
}

func TestTheUploadScriptFindsTheBuildThatItsDescriptionNames(t *testing.T) {
	t.Parallel()
	c := startCI(t)
	c.fetchCA()
	script := c.askAt("https", "/api/pipeline/upload.sh")
	ca := c.askAt("https", "/ca.crt")
	for i, test := range []struct {
		name             string
		bin, elf, mapped string
		settings         string
		about            string // where the description lies
		members          []string
		argument         string
		compact          bool
	}{
		{name: "another name than the project's", bin: "build/fw-app.bin", elf: "build/fw.elf", mapped: "build/app.map", settings: "sdkconfig", about: "build",
			members: []string{"project_name", "app", "app_bin", "fw-app.bin", "app_elf", "fw.elf"}},
		{name: "made in a container", bin: "build/app.bin", elf: "build/app.elf", mapped: "build/app.map", settings: "sdkconfig.prod", about: "build",
			members: []string{"project_name", "app", "project_path", "/project", "build_dir", "/project/build", "config_file", "/project/sdkconfig.prod", "app_bin", "app.bin", "app_elf", "app.elf"}},
		{name: "another build folder, alone", bin: "build_prod/app.bin", elf: "build_prod/app.elf", mapped: "build_prod/app.map", settings: "sdkconfig", about: "build_prod",
			members: []string{"project_name", "app", "app_bin", "app.bin", "app_elf", "app.elf"}},
		{name: "the build folder itself", bin: "out/esp/app.bin", elf: "out/esp/app.elf", mapped: "out/esp/app.map", settings: "out/sdkconfig", about: "out/esp",
			members: []string{"project_name", "app", "app_bin", "app.bin", "app_elf", "app.elf"}, argument: "out/esp"},
		{name: "PlatformIO", bin: ".pio/build/c3/firmware.bin", elf: ".pio/build/c3/firmware.elf", mapped: ".pio/build/c3/firmware.map", settings: "sdkconfig.c3", about: ".pio/build/c3",
			members: []string{"project_name", "app", "project_path", "/home/me/app", "config_file", "/home/me/app/sdkconfig.c3", "app_bin", "firmware.bin", "app_elf", "firmware.elf"}},
		{name: "compact JSON, only a name", bin: "build/app.bin", elf: "build/app.elf", mapped: "build/app.map", settings: "sdkconfig", about: "build",
			members: []string{"project_name", "app"}, compact: true},
	} {
		version := fmt.Sprintf("1.0.%d", i)
		members := test.members
		if !test.compact {
			members = append(members, "project_version", version)
		}
		text := describes(members...)
		if test.compact {
			text = strings.NewReplacer("\n", "", "    ", "", ": ", ":").Replace(text)
		}
		c.build(version, test.bin, test.elf, test.mapped, test.settings, test.about+"/project_description.json", text, "upload.sh", script, "ca.crt", ca)
		status, out, errs := c.job([]string{"SLIPWAY_CA=ca.crt sh upload.sh pump " + test.argument})
		if status != 0 || out != "pump "+version+" pushed, devices are offered it now\n" || errs != "" {
			t.Errorf("%s: exit %d, out %q, err %q", test.name, status, out, errs)
		}
	}
}

// TestTheWindowsScriptLooksWhereTheOtherDoes holds what can be held where no PowerShell is: both scripts have the same places,
// names, chips and refusals, and the Windows one is closed and says nothing that Windows PowerShell 5 does not know. Where pwsh
// is, TestTheBuildInEachFolderIsPushedOfferedFetchedAndItsDumpDecoded and TestTheUploadScriptEndsWithTheStatusThatItsHeadPromises run it.
func TestTheWindowsScriptLooksWhereTheOtherDoes(t *testing.T) {
	c := startCI(t)
	sh, ps1 := c.askAt("https", "/api/pipeline/upload.sh"), c.askAt("https", "/api/pipeline/upload.ps1")
	both := []string{
		c.status().BaseURL, "project_description.json", "flasher_args.json", "build.options.json", "sketchLocation", "fqbn",
		"app_bin", "app_elf", "config_file", "git_revision", "build_dir", "project_version", "project_path",
		".pio/build", ".pioenvs", ".esphome/build", "arduino/sketches", "arduino_build_", "firmware.bin", "firmware.elf", "*.ino.bin", "*.elf",
		"arduino-lib-builder", "esp-idf: ", "esp32-arduino-libs", "-libs", "tools/sdk", "framework-arduinoespressif32", "sdkconfig.",
		"describe", "--dirty", "rev-parse", "nothing is pushed", "the build kept no map", "# The build kept no sdkconfig: this is what its image says.",
		"has no build: run idf.py build, pio run, esphome compile or arduino-cli compile --export-binaries first", "has several builds (there are ",
		"without it no core dump of this build can be read: build it again and keep the .elf", "has several images with their ELF",
		"the image is built with the Arduino core, which gives every sketch the version ",
	}
	for chip := range espimage.Chip(64) {
		if target := chip.Target(); target != "" {
			both = append(both, target)
			if want := fmt.Sprintf("%d = '%s'", chip, target); !strings.Contains(ps1, want) {
				t.Errorf("upload.ps1 lacks %s", want)
			}
			if want := fmt.Sprintf("' %d 0'*) chip=%s ;;", chip, target); !strings.Contains(sh, want) {
				t.Errorf("upload.sh lacks %s", want)
			}
		}
	}
	for _, part := range both {
		for name, script := range map[string]string{"upload.sh": sh, "upload.ps1": ps1} {
			if !strings.Contains(script, part) {
				t.Errorf("%s lacks %s", name, part)
			}
		}
	}
	for part, why := range map[string]string{
		"$ErrorActionPreference = 'Stop'":                            "an error ends it",
		"[CmdletBinding()]":                                          "a parameter that it does not have is refused",
		"[Console]::Error.WriteLine(\"upload: $Why\")\n  throw $Why": "the reason of an error is a line that can be searched for, and what calls the script stops",
		"$ErrorActionPreference = 'SilentlyContinue'":                "a warning of git's is no error",
		"$global:LASTEXITCODE = 0":                                   "a folder without git fails no step of a job that has pushed",
		"$headers.Expect = '100-continue'":                           "the reason of a refusal that comes before the whole build is sent is not lost",
		"-LiteralPath $work -ErrorAction SilentlyContinue":           "a temporary file that cannot be removed fails nothing",
		"[Security.Cryptography.SHA256]::Create().ComputeHash":       "the CA can be compared with every .NET Framework that Windows PowerShell 5 has",
	} {
		if !strings.Contains(ps1, part) {
			t.Errorf("upload.ps1 lacks %s: %s", part, why)
		}
	}
	for _, newer := range []string{"??", "&&", "||", "?.", "?[", " ? ", "SkipCertificateCheck", "AsHashtable", "GetCertHashString"} {
		if strings.Contains(ps1, newer) {
			t.Errorf("upload.ps1 has %s, which Windows PowerShell 5 does not have", newer)
		}
	}
	if i := strings.IndexFunc(ps1, func(r rune) bool { return r > '~' }); i >= 0 {
		t.Errorf("upload.ps1 has %q, which Windows PowerShell 5 reads as the machine's old code page has it", []rune(ps1[i:])[0])
	}
	if thrown := len(regexp.MustCompile(`(?m)^[^#\n]*\bthrow\b`).FindAllString(ps1, -1)); thrown != 1 {
		t.Errorf("upload.ps1 throws at %d places: errors go through Stop-Push", thrown)
	}
	for _, pair := range []string{"{}", "()", "[]"} {
		if strings.Count(ps1, pair[:1]) != strings.Count(ps1, pair[1:]) {
			t.Errorf("upload.ps1: not every %s is closed", pair)
		}
	}
	if strings.Contains(ps1, "@BASE_URL@") || strings.Contains(ps1, "@ABOUT_CA@") {
		t.Error("a name is not filled in")
	}
}

func TestAForeignHeaderNeverGetsIntoTheScript(t *testing.T) {
	g := startGateway(t, "provisioning.base_url=http://gateway.invalid:8480")
	script := string(g.ask("GET", "/api/pipeline/upload.sh", "", nil, "Host", "$(reboot)").body)
	if !strings.Contains(script, "http://gateway.invalid:8480") || strings.Contains(script, "@BASE_URL@") || strings.Contains(script, "reboot") || strings.Contains(script, "--cacert ca.crt") {
		t.Errorf("the script calls somebody else, or wants a CA where there is no TLS:\n%s", script)
	}
}
