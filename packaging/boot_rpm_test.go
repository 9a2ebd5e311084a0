//go:build boot

package packaging

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestBoxLivesWithTheRPM plays what differs from the .deb: the scriptlets. The box is a Debian with rpm in it, so that rpm
// does not know what is installed; Fedora itself and SELinux are not tried.
func TestBoxLivesWithTheRPM(t *testing.T) {
	b := newBox(t, "10.77.0.6")
	s := &site{box: b, build: crashOf(t, "valve")}
	b.stage("installed, nothing runs until the admin says so", func(t *testing.T) {
		b.run("rpm -ivh --nodeps " + b.putPackage("0.9.0", ".rpm"))
		if active, _ := b.try("systemctl is-active slipway.service slipway.socket"); active != "inactive\ninactive" {
			t.Errorf("after the install: %q", active)
		}
		if enabled := b.run("systemctl is-enabled slipway.service slipway.socket"); enabled != "enabled\nenabled" {
			t.Errorf("the preset did not enable it: %q", enabled)
		}
		b.run("rpm -V --nodeps slipway") // sizes, modes, owners and hashes of all files are what the package says
		b.run("systemctl start slipway.socket slipway.service")
		b.run("systemctl is-active slipway.service slipway.socket")
	})
	b.stage("a bundle is dropped by a member and by nobody else", s.drop)
	b.stage("a device downloads over TLS", s.download)
	b.stage("a dump is a report in the journal", s.crash)
	b.stage("upgraded under load, it loses no request", func(t *testing.T) {
		b.run("sed -i 's/^  #keep_per_device: 20/  keep_per_device: 21/' /etc/slipway/slipway.yaml")
		rpm := b.putPackage("0.9.1", ".rpm")
		load := s.load(t)
		load.underWay(t, append(downloads, "upload")...)
		began := time.Now()
		b.run("rpm -Uvh --nodeps " + rpm)
		t.Logf("rpm -U took %.1f s", time.Since(began).Seconds())
		load.underWay(t, downloads...)
		load.stop(t)
		if status := b.run("slipway status"); !strings.Contains(status, "slipway 0.9.1 is healthy") {
			t.Error(status)
		}
		s.intact(t)
	})
	b.stage("stopped by the admin, it stays so through an upgrade", func(t *testing.T) {
		b.run("systemctl stop slipway.socket slipway.service && rpm -Uvh --nodeps --force slipway-0.9.1*.rpm")
		if active, _ := b.try("systemctl is-active slipway.service slipway.socket"); active != "inactive\ninactive" {
			t.Errorf("after the upgrade: %q", active)
		}
		b.run("systemctl start slipway.socket slipway.service")
		s.intact(t)
	})
	b.stage("an older package refuses a newer catalog", func(t *testing.T) {
		const schema = "/var/lib/slipway/catalog/SCHEMA"
		had := b.run("cat " + schema)
		b.run("echo 99 >" + schema)
		if out := b.refuses("rpm -Uvh --nodeps --oldpackage slipway-0.9.0*.rpm"); !strings.Contains(out, "schema 99") {
			t.Errorf("the refusal does not say why:\n%s", out)
		}
		b.run("echo " + had + " >" + schema)
		s.intact(t)
	})
	b.stage("erased, the data stay, and installed again", func(t *testing.T) {
		b.run("rpm -e --nodeps slipway")
		for _, line := range []string{"systemctl is-active slipway.service", "systemctl is-active slipway.socket", "pgrep -x slipway", "test -e /usr/bin/slipway"} {
			b.refuses(line)
		}
		if _, err := ask(s.device.http, http.MethodGet, s.url("/api/health"), "", nil); err == nil {
			t.Error("something still answers on the port")
		}
		b.run("test -e /var/lib/slipway/keys/ca.key && test -e /var/lib/slipway/coredumps/" + s.device.key + "/" + s.name + ".dmp")
		b.run("mv /etc/slipway/slipway.yaml.rpmsave /root/edited.yaml") // as rpm keeps an edited file
		b.run("rpm -ivh --nodeps slipway-0.9.1*.rpm && cp edited.yaml /etc/slipway/slipway.yaml && systemctl start slipway.socket slipway.service")
		s.intact(t)
	})
}
