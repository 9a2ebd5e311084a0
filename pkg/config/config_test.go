package config

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// load loads with a file of this content, an environment and --set flags.
func load(t *testing.T, yaml string, environ, sets []string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slipway.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Options{File: path, Environ: environ, Sets: sets})
}

func TestTheDefaultsAreThoseOfTheDesign(t *testing.T) {
	c, err := load(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := c
	got.values, got.File = nil, ""
	want := Config{
		ListenHTTPS: Addresses{":8443"},
		StateDir:    "/var/lib/slipway", AssetsDir: "/var/lib/slipway/assets", CoredumpsDir: "/var/lib/slipway/coredumps",
		DropDir: "/var/lib/slipway/drop", CatalogDir: "/var/lib/slipway/catalog", Socket: "/run/slipway/slipway.sock",
		AuthDevice: "jwt", TokenLifetime: 24 * time.Hour, TokenAlgorithm: "EdDSA", TokenPaths: []string{}, Issuers: []Issuer{},
		OIDC:              OIDC{Scopes: []string{"profile", "email"}, Claim: "groups", Viewers: []string{}, Operators: []string{}, Admins: []string{}},
		ProvisioningExtra: map[string]string{},
		ProvisioningRequired: []string{
			"device_key", "client_id", "client_secret", "token_url", "base_url", "mqtt_url", "wifi_ssid", "wifi_password",
		},
		DumpMaxBytes: 1 << 20, DumpKeepPerDevice: 20, DumpMaxUse: Share{Percent: 10}, DumpKeepFree: Share{Percent: 15},
		DumpPerMinute: 10, DumpBurst: 20, DumpKeepPerCrash: 10,
		FirmwareKeepVersions: 10, FirmwareMaxBytes: 512 << 20, FirmwareELFCache: 512 << 20,
		EventsKeep: 400 * 24 * time.Hour, DropKeepDone: 7 * 24 * time.Hour, DropStalledAfter: time.Minute,
		HawkbitTenant: "DEFAULT", MQTTPrefix: "iot", MQTTNudges: 30, RolloutUpWithin: 15 * time.Minute, RolloutPlan: "standard", RolloutAlpha: 0.0001, RolloutBeta: 0.01, RolloutToleratedLoss: 0.01,
		RolloutDecideWithin: 14 * 24 * time.Hour, CatalogBackup: true, LogFormat: "auto",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, v := range c.Values() {
		if v.Source != "default" {
			t.Errorf("%s comes from %s", v.Key, v.Source)
		}
	}
}

func TestALaterSourceWins(t *testing.T) {
	yaml := "listen:\n  http: 127.0.0.1:1\n  https: off\n  device_http: 127.0.0.1:2\nauth.token_lifetime: 1h\n"
	environ := []string{"SLIPWAY_LISTEN__HTTP=127.0.0.1:3", "SLIPWAY_AUTH__TOKEN_LIFETIME=2h", "PATH=/bin"}
	sets := []string{"auth.token_lifetime=4h", "auth.token_lifetime=3h"}
	c, err := load(t, yaml, environ, sets)
	if err != nil {
		t.Fatal(err)
	}
	if c.ListenHTTPS != nil || c.ListenHTTP[0] != "127.0.0.1:3" || c.ListenDeviceHTTP[0] != "127.0.0.1:2" || c.TokenLifetime != 3*time.Hour {
		t.Errorf("%+v", c)
	}
	for key, want := range map[string]string{
		"listen.http": "SLIPWAY_LISTEN__HTTP", "auth.token_lifetime": "--set", "listen.device_https": "default",
	} {
		if v := value(c, key); v.Source != want {
			t.Errorf("%s comes from %s, want %s", key, v.Source, want)
		}
	}
	if v := value(c, "listen.device_http"); !strings.HasSuffix(v.Source, "slipway.yaml") {
		t.Errorf("listen.device_http comes from %s", v.Source)
	}
}

func value(c Config, key string) Value {
	for _, v := range c.Values() {
		if v.Key == key {
			return v
		}
	}
	return Value{}
}

func TestListsComeFromTheFileOrAsJSON(t *testing.T) {
	issuer := Issuer{Issuer: "https://id.example/realms/iot", JWKSURL: "https://id.example/certs", Audience: "gateway", Algorithms: []string{"RS256"}}
	yaml := "auth:\n  issuers:\n  - issuer: https://id.example/realms/iot\n    jwks_url: https://id.example/certs\n" +
		"    audience: gateway\n    algorithms: [RS256]\n  token_paths:\n  - /realms/iot/token\nprovisioning:\n  required: []\n"
	asJSON := []string{
		`SLIPWAY_AUTH__ISSUERS=[{"issuer":"https://id.example/realms/iot","jwks_url":"https://id.example/certs","audience":"gateway","algorithms":["RS256"]}]`,
		`SLIPWAY_AUTH__TOKEN_PATHS=["/realms/iot/token"]`, `SLIPWAY_PROVISIONING__REQUIRED=[]`,
	}
	for _, source := range []struct {
		yaml    string
		environ []string
	}{{yaml, nil}, {"", asJSON}} {
		c, err := load(t, source.yaml, source.environ, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.Issuers, []Issuer{issuer}) || !reflect.DeepEqual(c.TokenPaths, []string{"/realms/iot/token"}) || len(c.ProvisioningRequired) != 0 {
			t.Errorf("%+v", c)
		}
	}
}

func TestATableIsFilledFromEverySource(t *testing.T) {
	yaml := "provisioning:\n  extra:\n    mqtt_url: mqtt://10.0.0.5\n    wifi_ssid: plant\n"
	c, err := load(t, yaml, []string{"SLIPWAY_PROVISIONING__EXTRA__WIFI_PASSWORD=hunter22"}, []string{"provisioning.extra.wifi_ssid=hall"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"mqtt_url": "mqtt://10.0.0.5", "wifi_ssid": "hall", "wifi_password": "hunter22"}
	if !reflect.DeepEqual(c.ProvisioningExtra, want) {
		t.Errorf("%v", c.ProvisioningExtra)
	}
	c, err = load(t, yaml, []string{`SLIPWAY_PROVISIONING__EXTRA={"wifi_ssid":"yard"}`, "SLIPWAY_PROVISIONING__EXTRA__MQTT_URL=mqtt://10.0.0.6"}, nil)
	if want := map[string]string{"mqtt_url": "mqtt://10.0.0.6", "wifi_ssid": "yard"}; err != nil || !reflect.DeepEqual(c.ProvisioningExtra, want) {
		t.Errorf("JSON over the file's table, a value over that: %v, %v", c.ProvisioningExtra, err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	for _, sets := range [][]string{
		{"provisioning.extra.wifi_password=hunter22"},
		{`provisioning.extra={"wifi_password":"hunter22"}`},
	} {
		c, err := load(t, "", nil, sets)
		if err != nil {
			t.Fatal(err)
		}
		if v := value(c, "provisioning.extra").Value; v != `{"wifi_password":"(hidden)"}` {
			t.Errorf("shown as %s", v)
		}
	}
	_, err := load(t, "provisioning:\n  extra:\n    wifi_password: 12345678\n", nil, nil)
	if err == nil || strings.Contains(err.Error(), "12345678") || !strings.Contains(err.Error(), "quotes") {
		t.Errorf("a password that YAML takes for a number: %v", err)
	}
}

func TestAnUnknownVariableIsAWarningThatNamesTheNearest(t *testing.T) {
	c, err := load(t, "", []string{"SLIPWAY_LISTEN__HTPP=:1", "SLIPWAY_SOCKET=/tmp/s", "SLIPWAY_STATE_DIR="}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "SLIPWAY_LISTEN__HTPP") || !strings.Contains(c.Warnings[0], "SLIPWAY_LISTEN__HTTP") {
		t.Errorf("%q", c.Warnings)
	}
	if c.Socket != "/tmp/s" || c.StateDir != "/var/lib/slipway" {
		t.Errorf("socket %s, state_dir %s", c.Socket, c.StateDir)
	}
}

func TestAKeyOrASectionWithoutAValueIsNotSet(t *testing.T) {
	c, err := load(t, "listen:\ntls: {}\nsocket:\ndumps:\n  keep_per_device:\n", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Socket != "/run/slipway/slipway.sock" || c.DumpKeepPerDevice != 20 || value(c, "socket").Source != "default" {
		t.Errorf("%+v", c)
	}
}

func TestFoldersFollowStateDirAndOffTurnsTwoOfThemOff(t *testing.T) {
	c, err := load(t, "state_dir: /srv/s\ncoredumps_dir: off\ndrop_dir: false\nassets_dir: /data/fw/\n", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.CoredumpsDir != "" || c.DropDir != "" || c.AssetsDir != "/data/fw" || c.CatalogDir != "/srv/s/catalog" || c.KeysDir() != "/srv/s/keys" || c.BackupDir() != "/srv/s/backup" {
		t.Errorf("%+v", c)
	}
	if v := value(c, "catalog_dir").Value; v != "/srv/s/catalog" {
		t.Errorf("catalog_dir is shown as %q", v)
	}
	if v := value(c, "coredumps_dir").Value; v != "off" {
		t.Errorf("coredumps_dir is shown as %q", v)
	}
}

func TestAShareIsOfTheFileSystemAndASizeIsNot(t *testing.T) {
	c, err := load(t, "", nil, []string{"dumps.max_use=2.5%", "dumps.keep_free=2GiB"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.DumpMaxUse.Of(1000); got != 25 {
		t.Errorf("2.5%% of 1000 is %d", got)
	}
	if got := c.DumpKeepFree.Of(1000); got != 2<<30 {
		t.Errorf("2GiB is %d", got)
	}
}

func TestTestModeStaysOnThisMachineUnlessToldOtherwise(t *testing.T) {
	for _, test := range []struct {
		sets []string
		ok   bool
	}{
		{[]string{"auth.device=none", "listen.https=off", "listen.http=127.0.0.1:8480,[::1]:8480,localhost:8481"}, true},
		{[]string{"auth.device=none"}, false},
		{[]string{"auth.device=none", "listen.https=off", "listen.device_http=192.0.2.1:80"}, false},
		{[]string{"auth.device=none", "auth.insecure_lan=true"}, true},
	} {
		_, err := load(t, "", nil, test.sets)
		if (err == nil) != test.ok {
			t.Errorf("%v: %v", test.sets, err)
		}
		if err != nil && !strings.Contains(err.Error(), "auth.insecure_lan: true") {
			t.Errorf("%v does not say what to do", err)
		}
	}
}

func TestABadSettingIsNamedWithItsSourceAndWhatWouldBeRight(t *testing.T) {
	long := "/" + strings.Repeat("s", 107)
	for _, test := range []struct {
		yaml, set string
		key, want string
	}{
		{"listn:\n  http: x\n", "", "listn", "listen.http"},
		{"listen:\n  htp: x\n", "", "listen.htp", "listen.http"},
		{"listen: 8080\n", "", "listen", "listen.http"},
		{"dumps:\n  keep_per_devise: 3\n", "", "dumps.keep_per_devise", "dumps.keep_per_device"},
		{"socket:\n  path: x\n", "", "socket", "single value"},
		{"", "dump.max_bytes=1", "dump.max_bytes", "dumps.max_bytes"},
		{"", "listen.http=8480", "listen.http", "host:port"},
		{"", "listen.http=:99999", "listen.http", "0 to 65535"},
		{"", "listen.http=:8443", "listen.http", "listen.https already"},
		{"", "socket=" + long, "socket", "108 bytes and a unix socket's at most 107"},
		{"", "state_dir=", "state_dir", "want a folder"},
		{"", "catalog_dir=off", "catalog_dir", "cannot be off"},
		{"", "drop_dir=/var/lib/slipway/assets/drop", "assets_dir", "lie inside each other"},
		{"", "drop_dir=/var/lib/slipway/keys", "drop_dir", "lie inside each other"},
		{"", "tls.cert=/etc/c.pem", "tls.cert", "tls.key is missing"},
		{"", "tls.key=/etc/k.pem", "tls.key", "tls.cert is missing"},
		{"", "auth.device=basic", "auth.device", "jwt or none"},
		{"", "auth.insecure_lan=maybe", "auth.insecure_lan", "true or false"},
		{"", "auth.token_lifetime=7", "auth.token_lifetime", "7d"},
		{"", "auth.token_lifetime=0s", "auth.token_lifetime", "7d"},
		{"", "auth.token_algorithm=RS256", "auth.token_algorithm", "EdDSA or ES256"},
		{"", `auth.token_paths=["token"]`, "auth.token_paths", "/realms/"},
		{"", `auth.token_paths=["/api/devices"]`, "auth.token_paths", "gateway's own"},
		{"", `auth.token_paths=["/t","/t"]`, "auth.token_paths", "twice"},
		{"", `auth.token_paths=["/t"] or so`, "auth.token_paths", "JSON"},
		{"", "auth.token_paths=/t", "auth.token_paths", "JSON"},
		{"", "oidc.issuer=http://login.plant.example", "oidc.issuer", "https"},
		{"", "oidc.issuer=login.plant.example", "oidc.issuer", "https"},
		{"", "oidc.issuer=https://a:b@login.plant.example", "oidc.issuer", "https"},
		{"", "oidc.issuer=https://login.plant.example", "oidc.issuer", "client_id is missing"},
		{"", "oidc.client_id=slipway", "oidc.client_id", "oidc.issuer is missing"},
		{"oidc:\n  issuer: https://login.plant.example\n  client_id: slipway\n", "oidc.issuer=https://login.plant.example", "oidc.issuer", "nobody would have a role"},
		{"oidc:\n  issuer: https://login.plant.example\n  client_id: slipway\n  viewers: [plant]\n", "oidc.claim=", "oidc.claim", "it is empty"},
		{"", `oidc.admins=[""]`, "oidc.admins", "empty value"},
		{"", `auth.issuers=[{"issuer":"a","jwks_url":"https://a/","audience":"g","algorithms":["HS256"]}]`, "auth.issuers", "ES256"},
		{"", `auth.issuers=[{"issuer":"a","jwks_url":"https://a/"}]`, "auth.issuers", "audience is missing"},
		{"", `auth.issuers=[{"issuer":"a","jwks_url":"a"}]`, "auth.issuers", "address of its key set"},
		{"", `auth.issuers=[{"issuer":"slipway","jwks_url":"https://a/"}]`, "auth.issuers", "other than slipway"},
		{"", `auth.issuers=[{"issuer":"a","jwks":"https://a/"}]`, "auth.issuers", "jwks_url"},
		{"", "provisioning.base_url=10.0.0.5", "provisioning.base_url", "https://"},
		{"", "dumps.max_bytes=0", "dumps.max_bytes", "1MiB"},
		{"", "dumps.max_use=110%", "dumps.max_use", "100%"},
		{"", "dumps.keep_free=lots", "dumps.keep_free", "2GiB"},
		{"", "dumps.keep_per_device=0", "dumps.keep_per_device", "from 1"},
		{"", "dumps.keep_per_crash=some", "dumps.keep_per_crash", "or off"},
		{"", "firmware.publish=yes", "firmware.publish", "automatic or manual"},
		{"", "catalog.backup=hourly", "catalog.backup", "daily or off"},
		{"", "log.format=xml", "log.format", "journal"},
		{"", "log.level=trace", "log.level", "info or debug"},
	} {
		var sets []string
		source := "slipway.yaml"
		if test.set != "" {
			sets, source = []string{test.set}, "--set"
		}
		_, err := load(t, test.yaml, nil, sets)
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Errorf("%s%s: %v", test.yaml, test.set, err)
			continue
		}
		if source == "--set" && wrong.Key != test.key {
			source = wrong.Source // of the other setting of two
		}
		if wrong.Key != test.key || !strings.Contains(err.Error(), test.want) || !strings.HasSuffix(wrong.Source, source) && wrong.Source != "default" {
			t.Errorf("%s%s: %v, want key %s, source %s and %q", test.yaml, test.set, err, test.key, source, test.want)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %v", err)
		}
	}
}

func TestTheDefaultFileMayBeAbsentAndANamedOneNot(t *testing.T) {
	defer func(file string) { defaultFile = file }(defaultFile)
	defaultFile = filepath.Join(t.TempDir(), "slipway.yaml")
	c, err := Load(Options{})
	if err != nil {
		t.Error(err)
	}
	before := c.DumpKeepPerDevice
	if err := os.WriteFile(defaultFile, []byte("dumps:\n  keep_per_device: 21\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Load(Options{}); err != nil || before == 21 || c.DumpKeepPerDevice != 21 {
		t.Errorf("%d dumps a device, then %d: %v", before, c.DumpKeepPerDevice, err)
	}
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err = Load(Options{File: path})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}

func TestAFileThatCannotBeReadSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(Options{File: dir}); err == nil || !strings.Contains(err.Error(), "name a file") {
		t.Errorf("a folder: %v", err)
	}
	for _, yaml := range []string{"listen: [", "- a\n- b\n", "socket: a\nsocket: b\n", "\tx: y\n"} {
		_, err := load(t, yaml, nil, nil)
		var wrong *Error
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Reason, "YAML") || strings.Contains(wrong.Reason, "\n") {
			t.Errorf("%q: %v", yaml, err)
		}
	}
}

// Root reads every file, and whoever builds packages is often root: the test is then played once more as somebody else.
func TestAFileThatMayNotBeReadIsToldAsSuch(t *testing.T) {
	const nobody = 65534
	path := os.Getenv("SLIPWAY_TEST_UNREADABLE")
	if path == "" {
		dir, err := os.MkdirTemp("", "slw")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(dir, "secret.yaml")
		if err := os.WriteFile(path, nil, 0); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			binary := filepath.Join(dir, "config.test") // only root may enter go test's own folder
			program, err := os.ReadFile(os.Args[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(binary, program, 0o755); err != nil {
				t.Fatal(err)
			}
			again := exec.Command(binary, "-test.run=^TestAFileThatMayNotBeReadIsToldAsSuch$", "-test.v")
			again.Dir, again.Env = dir, append(os.Environ(), "SLIPWAY_TEST_UNREADABLE="+path)
			again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}}
			if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
				t.Errorf("as user %d: %v\n%s", nobody, err, out)
			}
			return
		}
	}
	if _, err := Load(Options{File: path}); err == nil || !strings.Contains(err.Error(), "may not read it") {
		t.Errorf("%v", err)
	}
}
