//go:build boot

package packaging

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// regexpFind is the first group of a pattern, or "".
func regexpFind(text, pattern string) string {
	if found := regexp.MustCompile(pattern).FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}

func (s *site) crash(t *testing.T) {
	began := time.Now()
	s.name = s.device.upload("9.9.9", s.build.dump)
	const query = "journalctl -u slipway -o json --no-pager SLIPWAY_EVENT='%s' SLIPWAY_DEVICE=%s | tail -n 1"
	line := s.within(20*time.Second, fmt.Sprintf(query+" | grep .", "crash reported", s.device.key))
	t.Logf("the report was in the journal %.2f s after the upload", time.Since(began).Seconds())
	var reported struct{ SLIPWAY_MODEL, SLIPWAY_BUILD, SLIPWAY_FRAME, SLIPWAY_NEWS, SLIPWAY_FINGERPRINT, PRIORITY string } //nolint:revive // journald's names
	if err := json.Unmarshal([]byte(line), &reported); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if reported.SLIPWAY_MODEL != "valve" || reported.SLIPWAY_BUILD != s.build.version || reported.SLIPWAY_FRAME != s.build.topFrame ||
		reported.SLIPWAY_NEWS != "new" || len(reported.SLIPWAY_FINGERPRINT) != 16 {
		t.Errorf("in the journal: %+v", reported)
	}
	if stored := s.run(fmt.Sprintf(query, "dump stored", s.device.key)); !strings.Contains(stored, s.name) {
		t.Errorf("in the journal: %s", stored)
	}
	for _, line := range []string{"slipway crash list", "slipway dump show " + s.device.key + " " + s.name} {
		if out := s.run(line); !strings.Contains(out, strings.Fields(s.build.topFrame)[0]) {
			t.Errorf("%s:\n%s", line, out)
		}
	}
}

func (s *site) mainPID() string { return s.run("systemctl show -P MainPID slipway.service") }

// comesBack is true once another process answers; nobody who asks meanwhile is refused, as the socket stays.
func (s *site) comesBack(t *testing.T, before string) {
	t.Helper()
	began := time.Now()
	// A connection that the old process had accepted is reset when that ends: a client asks again.
	for resets := 0; ; resets++ {
		a, err := ask(s.device.http, http.MethodGet, s.url("/api/iot/firmware-version"), s.device.token, nil)
		if err == nil && a.StatusCode == http.StatusOK {
			t.Logf("a request made at once was answered after %.2f s and %d resets", time.Since(began).Seconds(), resets)
			break
		}
		if err == nil || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || resets > 10 {
			t.Fatalf("%+v, %v\n%s", a, err, s.state())
		}
	}
	s.within(30*time.Second, "systemctl is-active slipway.service")
	if after := s.mainPID(); after == before || after == "0" {
		t.Errorf("the process is %s, and was %s", after, before)
	}
	s.within(10*time.Second, "slipway dump show "+s.device.key+" "+s.name)
}

func (s *site) kill(t *testing.T) {
	before := s.mainPID()
	s.run("kill -9 " + before)
	s.comesBack(t, before)
}

// wedge stops the process in its tracks. The watchdog's 30 s are shortened only for the test.
func (s *site) wedge(t *testing.T) {
	s.run("mkdir -p /run/systemd/system/slipway.service.d && printf '[Service]\\nWatchdogSec=6s\\nTimeoutAbortSec=30s\\n' >/run/systemd/system/slipway.service.d/test.conf" +
		" && systemctl daemon-reload && systemctl restart slipway.service")
	before := s.mainPID()
	time.Sleep(8 * time.Second) // longer than the watchdog waits: it is fed
	if s.mainPID() != before {
		t.Fatalf("a healthy gateway is not left in peace\n%s", s.state())
	}
	s.run("kill -STOP " + before)
	s.comesBack(t, before)
	journal := s.run("journalctl -u slipway.service --no-pager")
	for _, want := range []string{"Watchdog timeout", "goroutine "} {
		if !strings.Contains(journal, want) {
			t.Errorf("the journal does not tell %q", want)
		}
	}
	s.run("rm -r /run/systemd/system/slipway.service.d && systemctl daemon-reload && systemctl restart slipway.service")
}

// port gives the gateway another one as the unit says, and looks whether it knows.
func (s *site) port(t *testing.T) {
	const dropIn = "/run/systemd/system/slipway.socket.d"
	again := " && systemctl daemon-reload && systemctl stop slipway.service && systemctl restart slipway.socket && systemctl start slipway.service"
	s.run("mkdir -p " + dropIn + " && printf '[Socket]\nListenStream=\nListenStream=443\n' >" + dropIn + "/port.conf" + again)
	page := "https://" + s.address
	if status := s.run("slipway status"); !strings.Contains(status, page+"\n") {
		t.Errorf("the page is not %s:\n%s", page, status)
	}
	if a, err := ask(s.device.http, http.MethodGet, page+"/api/health", "", nil); err != nil || a.StatusCode != http.StatusOK {
		t.Errorf("%s/api/health: %v", page, err)
	}
	s.run("rm -r " + dropIn + again)
}

func (s *site) upgrade(t *testing.T) {
	s.run("sed -i 's/^  #keep_per_device: 20/  keep_per_device: 21/' /etc/slipway/slipway.yaml && grep -q '^  keep_per_device: 21' /etc/slipway/slipway.yaml")
	deb := s.putPackage("0.9.1", ".deb")
	socket := s.run("stat -L -c %i /proc/1/fd/* 2>/dev/null | sort | md5sum; systemctl show -P ActiveEnterTimestampMonotonic slipway.socket")
	load := s.load(t)
	load.underWay(t, append(downloads, "upload")...)
	began := time.Now()
	s.run("dpkg -i " + deb)
	t.Logf("dpkg -i took %.1f s", time.Since(began).Seconds())
	load.underWay(t, downloads...)
	load.stop(t)
	if entered := s.run("systemctl show -P ActiveEnterTimestampMonotonic slipway.socket"); !strings.HasSuffix(socket, entered) {
		t.Errorf("the socket was bound anew: %s, before %s", entered, socket)
	}
	if status := s.run("slipway status"); !strings.Contains(status, "slipway 0.9.1 is healthy") {
		t.Error(status)
	}
	if shown := s.run("slipway config show"); !regexp.MustCompile(`dumps\.keep_per_device\s+21`).MatchString(shown) {
		t.Errorf("the edited setting has gone:\n%s", shown)
	}
	s.intact(t)
}

// idle is measured with the fleet that a gateway may have, after a start, when it has settled.
func (s *site) idle(t *testing.T) {
	const limit = 40 << 10 // KiB
	var fleet strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&fleet, "demo,i%07d,secret-of-device-%07d-of-the-fleet\n", i, i)
	}
	s.put("fleet.csv", []byte(fleet.String()))
	began := time.Now()
	t.Logf("%s in %.1f s", s.run("slipway device import fleet.csv"), time.Since(began).Seconds())
	began = time.Now()
	s.run("systemctl restart slipway.service")
	t.Logf("restarted in %.2f s", time.Since(began).Seconds())
	s.within(patience, fmt.Sprintf("test $(sed -n 's/^RssAnon:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/%s/status) -le %d", s.mainPID(), limit))
	t.Logf("anonymous memory, idle, after %.0f s: %s", time.Since(began).Seconds(), s.run("grep RssAnon /proc/"+s.mainPID()+"/status"))
}

func (s *site) disabled(t *testing.T) {
	s.run("systemctl disable --now slipway.socket slipway.service")
	s.run("dpkg -i slipway_0.9.1*.deb")
	if enabled, _ := s.try("systemctl is-enabled slipway.service slipway.socket"); enabled != "disabled\ndisabled" {
		t.Errorf("after a reinstall: %q", enabled)
	}
	s.run("systemctl enable --now slipway.socket slipway.service")
	s.intact(t)
}

func (s *site) downgrade(t *testing.T) {
	const schema = "/var/lib/slipway/catalog/SCHEMA"
	had := s.run("cat " + schema)
	s.run("echo 99 >" + schema)
	if out := s.refuses("dpkg -i slipway_0.9.0*.deb"); !strings.Contains(out, "schema 99") || !strings.Contains(out, "newer package") {
		t.Errorf("the refusal does not say what to do:\n%s", out)
	}
	if v := s.run("dpkg-query -W -f '${Version} ${db:Status-Status}' slipway"); v != "0.9.1-1 installed" {
		t.Errorf("after the refusal the package is %s", v)
	}
	s.run("echo " + had + " >" + schema)
	s.intact(t)
	// Within one schema going back works, as it must when an upgrade turns out bad.
	s.run("dpkg -i slipway_0.9.0*.deb")
	s.intact(t)
}

func (s *site) reinstall(t *testing.T) {
	s.run("dpkg -r slipway")
	for _, line := range []string{"systemctl is-active slipway.service", "systemctl is-active slipway.socket", "test -e /usr/bin/slipway",
		"pgrep -x slipway", "test -e /usr/lib/systemd/system/slipway.service"} {
		s.refuses(line)
	}
	if _, err := ask(s.device.http, http.MethodGet, s.url("/api/health"), "", nil); err == nil {
		t.Error("something still answers on the port")
	}
	s.run("test -e /etc/slipway/slipway.yaml && test -e /var/lib/slipway/keys/ca.key && test -e /var/lib/slipway/coredumps/" + s.device.key + "/" + s.name + ".dmp")
	s.run("dpkg -i slipway_0.9.1*.deb")
	if active := s.run("systemctl is-active slipway.service slipway.socket"); active != "active\nactive" {
		t.Error(active)
	}
	s.intact(t)
}

func (s *site) purge(t *testing.T) {
	s.run("dpkg -P slipway")
	for _, path := range []string{"var/lib/slipway", "etc/slipway", "run/slipway", "usr/bin/slipway"} {
		if _, err := os.Lstat(s.path(path)); err == nil {
			t.Errorf("/%s is still there", path)
		}
	}
	if left := s.run("find /etc /usr /var/lib/systemd /run/systemd -name '*slipway*'"); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
	if user := s.run("id -un slipway"); user != "slipway" {
		t.Errorf("the user went with the package: %s", user)
	}
	if failed := s.run("systemctl list-units --failed --plain --no-legend"); failed != "" {
		t.Errorf("failed units: %s", failed)
	}
}
