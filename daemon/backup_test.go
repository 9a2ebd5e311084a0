package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-gateway/slipway/pkg/config"
)

func TestTheGatewayIsBackedUpOnceADay(t *testing.T) {
	g := startGateway(t)
	backups := func() []string { return filesIn(t, filepath.Join(g.state, "backup"), ".age") }
	g.within(5*time.Second, "a first backup", func() bool { return len(backups()) == 1 })
	g.restart()
	g.stop() // it ends after its first look
	if n := len(backups()); n != 1 {
		t.Errorf("%d backups after a restart on the same day", n)
	}
	g.start()
	// It opens with the key that the operator has written down, where the gateway is not.
	here := []string{"--set", "state_dir=" + g.state}
	keyFile := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(keyFile, []byte(g.cli(append([]string{"backup", "key"}, here...)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	newest := filepath.Join(g.state, "backup", backups()[0])
	elsewhere := []string{"--set", "state_dir=" + t.TempDir()}
	for _, args := range [][]string{append([]string{"--key", keyFile}, elsewhere...), here} {
		if out := g.cli(append([]string{"backup", "check", newest}, args...)...); !strings.Contains(out, "every hash in it compared") {
			t.Errorf("check %v:\n%s", args, out)
		}
	}
	if out, err := g.tryCLI(append([]string{"backup", "check", newest}, elsewhere...)...); exitOf(err) != exitUsage || !strings.Contains(out, "--key") {
		t.Errorf("without its key: %v\n%s", err, out)
	}
}

// TestAnAdminElsewhereHasABackupMadeNow: nothing leaves the gateway, so that a token is enough, and only an admin's.
func TestAnAdminElsewhereHasABackupMadeNow(t *testing.T) {
	g := startGateway(t)
	dir := filepath.Join(g.state, "backup")
	g.within(5*time.Second, "a first backup", func() bool { return len(filesIn(t, dir, ".age")) == 1 })
	if a := g.ask(http.MethodPost, "/api/backups", g.operatorToken("operator"), nil); a.StatusCode != http.StatusForbidden {
		t.Errorf("an operator: %s %s", a.Status, a.body)
	}
	out := g.cli("backup", "now", "--url", g.url, "--token", g.operatorToken("admin"))
	left := filesIn(t, dir, ".age")
	if len(left) != 1 || !strings.Contains(out, filepath.Join(dir, left[0])) || !strings.Contains(out, "every hash in it compared") {
		t.Errorf("there is %v, and it said\n%s", left, out)
	}
	if out := g.cli("backup", "check", filepath.Join(dir, left[0]), "--set", "state_dir="+g.state); !strings.Contains(out, "every hash in it compared") {
		t.Errorf("check:\n%s", out)
	}
	if a := g.ask(http.MethodGet, "/api/events?kind=backup", g.operatorToken("viewer"), nil); strings.Count(string(a.body), `"kind":"backup.created"`) != 2 || !strings.Contains(string(a.body), `"type":"person"`) {
		t.Errorf("%s", a.body)
	}
	none := startGateway(t, "catalog.backup=off")
	if out, err := none.tryCLI("backup", "now"); exitOf(err) != exitFailed || !strings.Contains(out, "catalog.backup is off") {
		t.Errorf("%v\n%s", err, out)
	}
}

func exitOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

func TestABackupComesThroughTheSocketAlone(t *testing.T) {
	g := startGateway(t)
	for _, token := range []string{"", g.operatorToken("admin")} {
		if a := g.ask(http.MethodGet, "/api/backup", token, nil); a.StatusCode != http.StatusUnauthorized || strings.Contains(string(a.body), "PRIVATE KEY") {
			t.Errorf("%s\n%s", a.Status, a.body)
		}
	}
}

// passphraseIn is a file with a passphrase.
func passphraseIn(t *testing.T, passphrase string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestADiskDiesAndNoDeviceNotices plays the day for which backups are made.
func TestADiskDiesAndNoDeviceNotices(t *testing.T) {
	t.Parallel()
	old := startGateway(t, "listen.https=127.0.0.1:0")
	old.cli("model", "add", "pump")
	device := old.addDevice("pump")
	gone := old.addDevice("pump")
	token, revoked := old.deviceToken(device.Key), old.deviceToken(gone.Key)
	old.cli("device", "set", gone.Key, "--revoked")
	admin := old.operatorToken("admin")
	old.cli("webhook", "add", "https://tickets.invalid/", "--name", "tickets")
	zip := bundleOf(t, "pump", "1.0.0")
	old.drop("pump.zip", zip)
	version := func(g *running) int { return g.ask(http.MethodGet, "/api/iot/firmware", token, nil).StatusCode }
	old.within(5*time.Second, "firmware", func() bool { return version(old) == http.StatusOK })
	ca, err := os.ReadFile(filepath.Join(old.state, "keys", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(t.TempDir(), "gateway.age")
	passphrase := passphraseIn(t, "correct horse battery staple")
	var made struct{ Models, Devices, Records, Keys int }
	old.cliJSON(&made, "backup", "create", file, "--passphrase-file", passphrase)
	if made.Models != 1 || made.Devices != 2 || made.Keys < 3 {
		t.Errorf("made: %+v", made)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if out, err := old.tryCLI("backup", "create", file, "--passphrase-file", passphrase); exitOf(err) != exitFailed || !strings.Contains(out, "--force") {
		t.Errorf("over an older one: %v\n%s", err, out)
	}
	old.cli("backup", "create", file, "--passphrase-file", passphrase, "--force")
	restore := []string{"backup", "restore", file, "--set", "state_dir=" + old.state, "--set", "socket=" + old.socket}
	if out, err := old.tryCLI(append(restore, "--passphrase-file", passphrase, "--replace")...); exitOf(err) != exitFailed || !strings.Contains(out, "systemctl stop") {
		t.Errorf("while it runs: %v\n%s", err, out)
	}
	old.stop()

	// A new machine, on which a gateway was installed and started.
	fresh := startGateway(t, "listen.https=127.0.0.1:0")
	restore = []string{"backup", "restore", file, "--set", "state_dir=" + fresh.state, "--set", "socket=" + fresh.socket}
	fresh.stop()
	if out, err := fresh.tryCLI(append(restore, "--passphrase-file", passphraseIn(t, "another one, as long"))...); exitOf(err) != exitFailed || !strings.Contains(out, "opens the backup") {
		t.Errorf("with another passphrase: %v\n%s", err, out)
	}
	began := time.Now()
	out := fresh.cli(append(restore, "--passphrase-file", passphrase)...)
	t.Logf("restored in %.2f s:\n%s", time.Since(began).Seconds(), out)
	fresh.start()

	if now, err := os.ReadFile(filepath.Join(fresh.state, "keys", "ca.crt")); string(now) != string(ca) || err != nil {
		t.Errorf("the CA is another one: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	resp, err := client.PostForm(fresh.urls["https"]+"/api/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {device.ID}, "client_secret": {device.Secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a token for the secret that the device has: %s", resp.Status)
	}
	if out := fresh.cli("webhook", "list"); !strings.Contains(out, "paused by the restore of a backup") || !strings.Contains(out, "--active, and it is sent what happens from then on") {
		t.Errorf("the receiver of events hears a second gateway:\n%s", out)
	}
	if code := version(fresh); code != http.StatusNotFound {
		t.Errorf("with the token of before, and no firmware on the disk yet: %d", code)
	}
	if a := fresh.ask(http.MethodGet, "/api/iot/config", revoked, nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a revoked device: %s", a.Status)
	}
	if a := fresh.ask(http.MethodGet, "/api/tokens", admin, nil); a.StatusCode != http.StatusOK {
		t.Errorf("an operator's token: %s", a.Status)
	}
	fresh.drop("pump.zip", zip)
	fresh.within(5*time.Second, "firmware again", func() bool { return version(fresh) == http.StatusOK })
	fresh.stop()
	if out, err := fresh.tryCLI(append(restore, "--passphrase-file", passphrase)...); exitOf(err) != exitFailed || !strings.Contains(out, "--replace") {
		t.Errorf("over a gateway that is in use: %v\n%s", err, out)
	}
}

func TestTheSettingsOfABackupReplaceNoneThatSomebodyHasMade(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	g.stop()
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const settings = "# ours\ndumps:\n  burst: 7\nprovisioning:\n  base_url: https://gateway.example\nlisten:\n  device_http: off\n"
	g.config = write("slipway.yaml", settings)
	g.start()
	file, passphrase := filepath.Join(t.TempDir(), "b.age"), passphraseIn(t, "correct horse battery staple")
	if out, err := g.tryCLI("backup", "create", file, "--passphrase-file", passphraseIn(t, "too short")); exitOf(err) != exitFailed || !strings.Contains(out, "fewer than 12") {
		t.Errorf("%v\n%s", err, out)
	}
	g.cli("backup", "create", file, "--passphrase-file", passphrase)
	for name, test := range map[string]struct {
		there   string
		refusal string // "": it is replaced
	}{
		"commented alone": {"#dumps:\n", ""},
		"the same":        {settings, ""},
		"others":          {"log:\n  format: json\n", "sets log.format"},
		"wrong ones":      {"no.such: 1\n", "no.such"},
	} {
		t.Run(name, func(t *testing.T) {
			there := write("slipway.yaml", test.there)
			args := []string{
				"backup", "restore", file, "--passphrase-file", passphrase, "--config", there,
				"--set", "state_dir=" + t.TempDir(), "--set", "socket=" + filepath.Join(t.TempDir(), "s"),
			}
			out, err := g.tryCLI(args...)
			if test.refusal != "" {
				if exitOf(err) == exitDone || !strings.Contains(out, test.refusal) || !strings.Contains(out, "--replace") {
					t.Errorf("%v\n%s", err, out)
				}
				g.cli(append(args, "--replace")...)
			} else if err != nil || !strings.Contains(out, "warning: provisioning.base_url is https://gateway.example") {
				t.Fatalf("%v\n%s", err, out)
			}
			if b, err := os.ReadFile(there); string(b) != settings || err != nil {
				t.Errorf("the settings are %q, %v", b, err)
			}
		})
	}
}

func TestARestoreWarnsOfWhatThisMachineHasNot(t *testing.T) {
	cfg, err := config.Load(config.Options{File: "../configs/slipway.yaml", Sets: []string{
		"listen.https=198.51.100.7:8443,127.0.0.1:8444,:8445", "tls.cert=/nowhere/tls.crt", "tls.key=/nowhere/tls.key",
	}})
	if err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(notHere(cfg), "\n")
	for _, want := range []string{"198.51.100.7:8443", "/nowhere/tls.crt", "/nowhere/tls.key"} {
		if strings.Count(warnings, want) != 1 {
			t.Errorf("%q is not warned of once:\n%s", want, warnings)
		}
	}
	if n := strings.Count(warnings, "\n") + 1; n != 3 {
		t.Errorf("%d warnings:\n%s", n, warnings)
	}
}

func TestAGatewayDoesNotStartOnAHalfRestoredState(t *testing.T) {
	g := startGateway(t)
	g.stop()
	if err := os.WriteFile(filepath.Join(g.state, "restore-unfinished"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := g.tryCLI(g.arguments()...)
	if exitOf(err) != exitFailed || !strings.Contains(out, "backup restore") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAPassphraseIsAskedForTwiceAndNotShown(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	for name, test := range map[string]struct {
		first, second string
		want          int
		says          string
	}{
		"the same":   {"correct horse battery", "correct horse battery", exitDone, "compared"},
		"another":    {"correct horse battery", "correct horse batterz", exitFailed, "differ"},
		"a short on": {"horse", "", exitFailed, "fewer than 12"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "b.age")
			out, code := onTerminal(t, g, []string{"backup", "create", file}, "passphrase for the backup: ", test.first, "the same again: ", test.second)
			if code != test.want || !strings.Contains(out, test.says) || strings.Contains(out, test.first) {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			if _, err := os.Stat(file); (err == nil) != (test.want == exitDone) {
				t.Errorf("the file: %v", err)
			}
			if test.want != exitDone {
				return
			}
			if out, code := onTerminal(t, g, []string{"backup", "check", file}, "passphrase of the backup: ", test.first); code != exitDone {
				t.Errorf("exit code %d:\n%s", code, out)
			}
		})
	}
	if out, err := g.tryCLI("backup", "create", filepath.Join(t.TempDir(), "b.age")); exitOf(err) != exitUsage || !strings.Contains(out, "--passphrase-file") {
		t.Errorf("without a terminal: %v\n%s", err, out)
	}
}

// onTerminal runs a command on a terminal and types an answer after each prompt.
func onTerminal(t *testing.T, g *running, args []string, promptsAndAnswers ...string) (string, int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	said := &lockedBuffer{}
	cmd := exec.Command("slipway", args...)
	cmd.Env = append(os.Environ(), "SLIPWAY_SOCKET="+g.socket)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for i := 0; i+1 < len(promptsAndAnswers); i += 2 {
		for began := time.Now(); !strings.Contains(said.String(), promptsAndAnswers[i]) || echoes(t, slave); time.Sleep(5 * time.Millisecond) {
			select {
			case err := <-ended:
				return said.String(), exitOf(err)
			default:
			}
			if time.Since(began) > testPatience {
				t.Fatalf("it does not ask %q:\n%s", promptsAndAnswers[i], said)
			}
		}
		if _, err := master.WriteString(promptsAndAnswers[i+1] + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		return said.String(), exitOf(err)
	case <-time.After(testPatience):
		t.Fatalf("it does not end:\n%s", said)
	}
	return "", 0
}

// echoes reports that a terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func TestABackupIsCheckedAsJSON(t *testing.T) {
	g := startGateway(t)
	g.within(5*time.Second, "a key", func() bool { return g.exists("keys", "backup.key") })
	var k struct{ Recipient, Key string }
	g.cliJSON(&k, "backup", "key", "--set", "state_dir="+g.state)
	file := filepath.Join(t.TempDir(), "b.age")
	g.cli("backup", "create", file, "--recipient", k.Recipient)
	var found map[string]any
	g.cliJSON(&found, "backup", "check", file, "--set", "state_dir="+g.state)
	text, err := json.Marshal(found)
	if err != nil || found["file"] != "b.age" || found["models"] != 0.0 || found["made_at"] == "" || strings.Contains(string(text), k.Key) {
		t.Errorf("%s, %v", text, err)
	}
	if out, err := g.tryCLI("backup", "create", file, "--force", "--recipient", "age1nonsense"); exitOf(err) != exitUsage || !strings.Contains(out, "not an age recipient") {
		t.Errorf("%v\n%s", err, out)
	}
}
