//go:build boot

package packaging

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// site is what the stages of one story hand on.
type site struct {
	*box
	build  crashed // of the model valve
	device *device // of the model valve
	name   string  // of its first dump
}

func TestBoxLivesWithTheDebianPackage(t *testing.T) {
	b := newBox(t, "10.77.0.5")
	s := &site{box: b, build: crashOf(t, "valve")}
	b.stage("the README from install to the first firmware", s.followReadme)
	b.stage("what an install leaves", s.lookAtInstall)
	b.stage("a bundle is dropped by a member and by nobody else", s.drop)
	b.stage("a device downloads over TLS", s.download)
	b.stage("a dump is a report in the journal", s.crash)
	b.stage("killed, it comes back", s.kill)
	b.stage("wedged, it comes back", s.wedge)
	b.stage("on another port", s.port)
	b.stage("upgraded under load, it loses no request", s.upgrade)
	b.stage("10,000 devices and idle", s.idle)
	b.stage("rebooted in order", func(t *testing.T) { b.powerOff(); b.boot(); s.intact(t) })
	b.stage("the plug pulled", func(t *testing.T) { b.pullThePlug(); b.boot(); s.intact(t) })
	b.stage("disabled by the admin, it stays so through a reinstall", s.disabled)
	b.stage("an older package refuses a newer catalog", s.downgrade)
	b.stage("removed, and installed again", s.reinstall)
	b.stage("purged", s.purge)
}

// followReadme types the README's section as a person would who copies line after line, three seconds each.
func (s *site) followReadme(t *testing.T) {
	const person, mostLines = 3 * time.Second, 10 // what a person types within a minute, with time for the machine
	s.putPackage("0.9.0", ".deb")
	sample, err := firmware.Bundle("demo", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	s.put("demo-1.0.0.zip", sample)
	lines := readmeLines(t, "## From install to the first firmware")
	began := time.Now()
	var typed strings.Builder // one shell: the later lines use what the earlier ones have set
	fmt.Fprintln(&typed, "set -e; cd /root")
	for _, line := range lines {
		fmt.Fprintf(&typed, "sleep %d\necho \"\\$ \"%s\n%s\n", int(person.Seconds()), quoted(line), strings.Replace(line, "apt install", "apt-get install -qq -y", 1))
	}
	s.put("typed.sh", []byte(typed.String()))
	t.Logf("typed and printed:\n%s", s.run("sh typed.sh"))
	took := time.Since(began)
	t.Logf("%d lines took %.1f s, of which %d s are the person's", len(lines), took.Seconds(), len(lines)*3)
	if len(lines) > mostLines {
		t.Errorf("from install to the first firmware it takes %d lines, want at most %d", len(lines), mostLines)
	}
	got, err := os.ReadFile(s.path("root/demo.bin"))
	if err != nil || !bytes.Equal(got, imageIn(t, sample, "demo")) {
		t.Errorf("what the device got is not the bundle's image: %d bytes, %v", len(got), err)
	}
}

func quoted(line string) string { return "'" + strings.ReplaceAll(line, "'", `'\''`) + "'" }

// readmeLines are the shell lines of a section.
func readmeLines(t *testing.T, heading string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), heading+"\n")
	if !found {
		t.Fatalf("the README has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var lines []string
	for i, part := range strings.Split(section, "```") {
		if code, ok := strings.CutPrefix(part, "sh\n"); ok && i%2 == 1 {
			lines = append(lines, strings.Split(strings.TrimSpace(code), "\n")...)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("the section %q has no shell lines", heading)
	}
	return lines
}

func (s *site) lookAtInstall(t *testing.T) {
	for line, want := range map[string]string{
		"systemctl is-active slipway.service slipway.socket":               "active\nactive",
		"systemctl is-enabled slipway.service slipway.socket":              "enabled\nenabled",
		"systemctl show -P NRestarts slipway.service":                      "0",
		"systemctl list-units --failed --plain --no-legend":                "",
		"stat -c %U:%G:%a /var/lib/slipway /var/lib/slipway/drop":          "slipway:slipway:711\nslipway:slipway-drop:3770",
		"stat -c %U:%a /var/lib/slipway/keys /var/lib/slipway/keys/ca.key": "slipway:700\nslipway:600",
		"stat -c %U:%G:%a /etc/slipway/slipway.yaml /usr/bin/slipway":      "root:root:644\nroot:root:755",
		"id -Gn slipway": "slipway slipway-drop",
		"stat -c %U:%G:%a /run/slipway/slipway.sock":                                  "slipway:slipway:660",
		"ps -o user= -p $(systemctl show -P MainPID slipway.service)":                 "slipway",
		"sed -n 's/^CapEff:\\t//p' /proc/$(systemctl show -P MainPID slipway)/status": "0000000000000000",
	} {
		if got := s.run(line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	score := s.run("systemd-analyze security slipway.service | tail -n 1")
	t.Log(score)
	exposure, err := strconv.ParseFloat(regexpFind(score, `([0-9.]+) [A-Z]+`), 64)
	if err != nil || exposure > 1.5 {
		t.Errorf("%q, want at most 1.5 (%v)", score, err)
	}
	status := s.run("slipway status")
	for _, want := range []string{"is healthy", "https://" + s.address + ":8443", "/var/lib/slipway/drop", "/var/lib/slipway/keys/ca.crt"} {
		if !strings.Contains(status, want) {
			t.Errorf("status does not tell %q:\n%s", want, status)
		}
	}
	for _, page := range []string{"slipway.8", "slipway.yaml.5"} {
		s.run("test -s /usr/share/man/man" + page[len(page)-1:] + "/" + page + ".gz")
	}
}

func (s *site) drop(t *testing.T) {
	s.run("useradd --create-home --groups slipway-drop erika && useradd --create-home mallory")
	s.put("valve.zip", s.build.bundle)
	s.run("cp valve.zip /tmp/valve.zip && slipway model add valve")
	s.refuses("runuser -u mallory -- cp /tmp/valve.zip /var/lib/slipway/drop/")
	s.refuses("runuser -u mallory -- ls /var/lib/slipway/drop")
	s.run("runuser -u erika -- cp /tmp/valve.zip /var/lib/slipway/drop/")
	s.within(20*time.Second, "slipway firmware list --format json | grep -F '"+s.build.version+"'")
	s.within(5*time.Second, "test -e /var/lib/slipway/drop/accepted/valve.zip")
	// A file that the gateway may not read stays, and its owner is told once.
	s.run("cp valve.zip /tmp/secret.zip && chown erika /tmp/secret.zip && runuser -u erika -- sh -c 'umask 077; cp /tmp/secret.zip /var/lib/slipway/drop/'")
	s.within(20*time.Second, "journalctl -u slipway --no-pager | grep secret.zip")
	s.run("runuser -u erika -- rm /var/lib/slipway/drop/secret.zip")
}

func (s *site) download(t *testing.T) {
	s.device = s.addDevice("valve")
	whole := s.device.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware", nil)
	if !bytes.Equal(whole.body, s.build.image) || whole.Header.Get("X-Firmware-Version") != s.build.version {
		t.Errorf("%d bytes of %q, want %d of %q", len(whole.body), whole.Header.Get("X-Firmware-Version"), len(s.build.image), s.build.version)
	}
	half := len(s.build.image) / 2
	rest := s.device.ask(http.StatusPartialContent, http.MethodGet, "/api/iot/firmware", nil, "Range", fmt.Sprintf("bytes=%d-", half),
		"If-Range", whole.Header.Get("ETag"))
	if !bytes.Equal(rest.body, s.build.image[half:]) {
		t.Errorf("resumed at %d: %d bytes", half, len(rest.body))
	}
	stranger := s.client(nil, false) // it trusts what the machine trusts, not the gateway's CA
	if _, err := ask(stranger, http.MethodGet, s.url("/api/health"), "", nil); err == nil {
		t.Error("the certificate is good without the gateway's CA")
	}
	metrics := s.device.ask(http.StatusOK, http.MethodGet, "/metrics", nil)
	if !strings.Contains(string(metrics.body), `slipway_operations_total{operation="iot_get_firmware",status="success"}`) {
		t.Error("/metrics does not count the download")
	}
}

// intact is what must be true of the site whatever has happened to it.
func (s *site) intact(t *testing.T) {
	t.Helper()
	s.within(30*time.Second, "slipway status --format json")
	got := s.device.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware", nil) // with the token of before
	if sha256.Sum256(got.body) != sha256.Sum256(s.build.image) {
		t.Errorf("the device gets another firmware: %d bytes", len(got.body))
	}
	if shown := s.run("slipway dump show " + s.device.key + " " + s.name); !strings.Contains(shown, strings.Fields(s.build.topFrame)[0]) {
		t.Errorf("the report has gone:\n%s", shown)
	}
	if status := s.run("slipway status"); !strings.Contains(status, "is healthy") {
		t.Error(status)
	}
	s.run("grep -q '^  keep_per_device: 21' /etc/slipway/slipway.yaml")
}
