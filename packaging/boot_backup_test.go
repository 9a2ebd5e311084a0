//go:build boot

package packaging

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

const fleetSize = 8_000

// TestBoxDiesAndAnotherTakesItsPlace plays the day for which backups are made: a gateway's disk dies, another machine
// with another address gets the backup, and no device is touched.
func TestBoxDiesAndAnotherTakesItsPlace(t *testing.T) {
	const passphrase = "five words in an envelope"
	old := newBox(t, "10.77.0.5")
	build := crashOf(t, "valve")
	s := &site{box: old, build: build}
	var backup, daily []byte
	var key string
	old.stage("a gateway with its fleet", func(t *testing.T) {
		old.run("dpkg -i " + old.putPackage("0.9.0", ".deb"))
		s.drop(t)
		s.device = s.addDevice("valve")
		s.importFleet(t)
		old.run("sed -i 's/^  #keep_per_device: 20/  keep_per_device: 21/' /etc/slipway/slipway.yaml && systemctl restart slipway.service")
		s.device.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware", nil)
	})
	old.stage("backed up by hand and by itself", func(t *testing.T) {
		began := time.Now()
		old.run("echo '" + passphrase + "' >passphrase && slipway backup create gateway.age --passphrase-file passphrase")
		t.Logf("slipway backup create took %.2f s", time.Since(began).Seconds())
		backup = s.get(t, "root/gateway.age")
		t.Logf("a backup of %d devices has %d KiB", fleetSize, len(backup)>>10)
		// The first copy of a day is made at its first start, so this one knows nothing of the fleet: the next day is called.
		old.run("rm /var/lib/slipway/backup/*.age && systemctl restart slipway.service")
		name := old.within(10*time.Second, "ls /var/lib/slipway/backup/*.age")
		daily = s.get(t, strings.TrimPrefix(name, "/"))
		key = old.run("slipway backup key")
	})
	ca, token, machine := old.ca(), s.device.token, *s.device
	old.pullThePlug()
	if err := os.RemoveAll(old.root); err != nil { // the disk is gone
		t.Fatal(err)
	}

	b := newBox(t, "10.77.0.7")
	s.box = b
	b.stage("another machine, installed and restored", func(t *testing.T) {
		b.run("dpkg -i " + b.putPackage("0.9.1", ".deb"))
		b.put("gateway.age", backup)
		b.run("echo '" + passphrase + "' >passphrase")
		if out := b.refuses("slipway backup restore gateway.age --passphrase-file passphrase"); !strings.Contains(out, "systemctl stop slipway.socket slipway.service") {
			t.Errorf("while the gateway runs:\n%s", out)
		}
		began := time.Now()
		b.run("systemctl stop slipway.socket slipway.service")
		t.Logf("%s\n", b.run("slipway backup restore gateway.age --passphrase-file passphrase"))
		b.run("systemctl start slipway.socket slipway.service")
		t.Logf("stopped, restored and started in %.2f s", time.Since(began).Seconds())
	})
	b.stage("its devices need nothing", func(t *testing.T) {
		s.device = &machine
		s.device.box, s.device.http = b, b.client(ca, false) // the CA that its firmware carries
		s.device.ask(http.StatusNotFound, http.MethodGet, "/api/iot/firmware", nil)
		b.put("valve.zip", build.bundle)
		b.run("cp valve.zip /var/lib/slipway/drop/")
		b.within(20*time.Second, "test -e /var/lib/slipway/drop/accepted/valve.zip")
		if a := s.device.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware", nil); !bytes.Equal(a.body, build.image) {
			t.Errorf("it gets %d bytes", len(a.body))
		}
		s.device.newToken() // by the secret that it has
		s.device.token = token
		s.askFleet(t)
		for line, want := range map[string]string{
			"stat -c %U:%G:%a /var/lib/slipway/keys/ca.key /var/lib/slipway/catalog": "slipway:slipway:600\nslipway:slipway:700",
			"stat -c %U:%G:%a /etc/slipway/slipway.yaml":                             "root:root:644",
			"find /var/lib/slipway/keys /var/lib/slipway/catalog ! -user slipway":    "",
			"grep -c '^  keep_per_device: 21' /etc/slipway/slipway.yaml":             "1",
		} {
			if got := b.run(line); got != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		}
		if status := b.run("slipway status"); !strings.Contains(status, "is healthy") || !strings.Contains(status, "https://10.77.0.7:8443") {
			t.Error(status)
		}
	})
	b.stage("and again, by the daily backup and its key", func(t *testing.T) {
		b.put("daily.age", daily)
		b.put("key.txt", []byte(key))
		b.run("systemctl stop slipway.socket slipway.service")
		if out := b.refuses("slipway backup restore daily.age --key key.txt"); !strings.Contains(out, "--replace") {
			t.Errorf("over a gateway in use:\n%s", out)
		}
		b.run("slipway backup restore daily.age --key key.txt --replace && systemctl start slipway.socket slipway.service")
		s.device.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware", nil)
		s.askFleet(t)
		s.device.upload("1", build.dump)
	})
}

// importFleet brings a fleet in with the secrets that it has.
func (s *site) importFleet(t *testing.T) {
	var fleet strings.Builder
	for i := range fleetSize {
		fmt.Fprintf(&fleet, "valve,f%07d,secret-of-device-%07d-of-the-fleet\n", i, i)
	}
	s.put("fleet.csv", []byte(fleet.String()))
	t.Log(s.run("slipway device import fleet.csv"))
}

// askFleet lets every hundredth device fetch a token with its secret and then its version.
func (s *site) askFleet(t *testing.T) {
	began := time.Now()
	for i := 0; i < fleetSize; i += 100 {
		d := &device{box: s.box, key: fmt.Sprintf("f%07d", i), secret: fmt.Sprintf("secret-of-device-%07d-of-the-fleet", i), http: s.device.http}
		d.id = "iotdevice-valve-" + d.key
		d.newToken()
		d.ask(http.StatusOK, http.MethodGet, "/api/iot/firmware-version", nil)
	}
	t.Logf("%d devices of the fleet were asked in %.1f s", fleetSize/100, time.Since(began).Seconds())
}

func (s *site) get(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
