package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"
	"github.com/slipway-gateway/slipway/testdata/lasting"
)

// startHall starts a gateway with a listener for devices alone, at an address that survives restarts, and one device of
// the model pump.
func startHall(t *testing.T, settings ...string) (*running, *espMDM) {
	t.Helper()
	address := lasting.Address(t)
	g := startGateway(t, append([]string{
		"listen.device_http=" + address,
		`provisioning.extra={"mqtt_url":"mqtts://broker.hall","wifi_ssid":"hall","wifi_password":"pass word"}`,
	}, settings...)...)
	g.cli("model", "add", "pump")
	return g, newESPMDM(t, g.addDevice("pump"), "http://"+address)
}

func newESPMDM(t *testing.T, c credentials, base string) *espMDM {
	t.Helper()
	d := &espMDM{t: t, hall: map[string]string{"hall": "pass word"}, step: func(string) {}}
	d.flash = espFlash{path: filepath.Join(t.TempDir(), "flash"), Running: sampleImage(t, "1.0.0"), Provisioned: map[string]string{
		"device_key": c.Key, "client_id": c.ID, "client_secret": c.Secret, "token_url": base + "/api/oauth/token", "base_url": base,
		"mqtt_url": "mqtts://broker.hall", "wifi_ssid": "hall", "wifi_password": "pass word",
	}}
	d.flash.save()
	return d
}

func sampleImage(t *testing.T, version string) []byte {
	t.Helper()
	c, err := firmware.Build{Code: "pump", Version: version}.Contents()
	if err != nil {
		t.Fatal(err)
	}
	return c.Image
}

// crash leaves a dump in the device's flash and returns what will be uploaded of it.
func (d *espMDM) crash() []byte {
	core := []byte("\x7fELF")
	for len(core) < 20000 {
		core = append(core, byte(rand.Uint32()))
	}
	header := make([]byte, containerHeader)
	header[4] = 2 // version 0x0002: a CRC32 behind the ELF
	d.flash.Dump = slices.Concat(header, core, []byte("CRC!"))
	d.flash.save()
	return core
}

// mustBoot boots and fails unless it ends as it should.
func (d *espMDM) mustBoot(want string) {
	d.t.Helper()
	end, why := d.boot()
	d.t.Logf("boot: %s; it %s %s", strings.Join(d.answered, ", "), end, because(why))
	if end != want {
		d.t.Errorf("the device %s %s; it should have been: %s", end, because(why), want)
	}
}

func because(why error) string {
	if why == nil {
		return ""
	}
	return "(" + why.Error() + ")"
}

func (d *espMDM) key() string { return d.flash.Provisioned["device_key"] }

// stored is the newest dump of the device on the gateway's disk.
func (g *running) stored(d *espMDM) []byte {
	names := filesIn(g.t, dumpDir(g, d.key()), ".dmp")
	if len(names) == 0 {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(dumpDir(g, d.key()), slices.Max(names)))
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

func (g *running) publish(version string) {
	g.t.Helper()
	g.drop("pump-"+version+".zip", bundleOf(g.t, "pump", version))
	g.within(10*time.Second, version+" is published", func() bool {
		out, err := g.tryCLI("model", "list", "--format", "json")
		return err == nil && strings.Contains(out, `"`+version+`"`)
	})
}

func TestESPMDMBootsWhereNothingIsConfigured(t *testing.T) {
	_, d := startHall(t)
	d.mustBoot(comesUp)
	if want := []string{"token: 200", "config: 200", "firmware: 404"}; !slices.Equal(d.answered, want) {
		t.Errorf("its requests: %v, want %v", d.answered, want)
	}
}

func TestESPMDMBootsWithADump(t *testing.T) {
	g, d := startHall(t)
	core := d.crash()
	d.mustBoot(comesUp)
	if want := []string{"token: 200", "config: 200", "dump: 201", "firmware: 404"}; !slices.Equal(d.answered, want) {
		t.Errorf("its requests: %v, want %v", d.answered, want)
	}
	if d.flash.Dump != nil || !bytes.Equal(g.stored(d), core) {
		t.Errorf("the dump is not where it belongs")
	}
	raw, err := os.ReadFile(filepath.Join(dumpDir(g, d.key()), filesIn(t, dumpDir(g, d.key()), ".json")[0]))
	var sidecar struct {
		Version string `json:"firmware_version"`
	}
	if err != nil || json.Unmarshal(raw, &sidecar) != nil || sidecar.Version != "1.0.0" {
		t.Errorf("sidecar %s, %v", raw, err)
	}
}

func TestESPMDMUpdatesAndThenChecksForTheCostOfABlock(t *testing.T) {
	t.Parallel()
	g, d := startHall(t)
	g.publish("1.1.0")
	d.mustBoot(updates)
	if !bytes.Equal(d.flash.Running, sampleImage(t, "1.1.0")) {
		t.Fatal("the image is another than the bundle's")
	}
	d.mustBoot(comesUp)
	check := d.answered[len(d.answered)-1]
	m := regexp.MustCompile(`up to date, after (\d+) bytes`).FindStringSubmatch(check)
	if m == nil {
		t.Fatalf("it said: %s", check)
	}
	if bytes, err := strconv.Atoi(m[1]); err != nil || bytes > 32<<10 {
		t.Errorf("a check took %s bytes on the wire", m[1])
	}
	g.publish("1.2.0+build") // a plus sign in a version reaches the sidecar as it is
	d.mustBoot(updates)
	d.crash()
	d.mustBoot(comesUp)
	if names := filesIn(t, dumpDir(g, d.key()), ".json"); len(names) != 1 {
		t.Errorf("sidecars %v", names)
	} else if raw, err := os.ReadFile(filepath.Join(dumpDir(g, d.key()), names[0])); err != nil || !bytes.Contains(raw, []byte(`"1.2.0+build"`)) {
		t.Errorf("sidecar %s, %v", raw, err)
	}
}

// cutAfter makes the power go at the n-th step from now; it returns the name of that step.
func (d *espMDM) cutAfter(n int) *string {
	var at string
	d.step = func(name string) {
		if n--; n == 0 {
			at = name
			panic(errPowerLost)
		}
	}
	return &at
}

func TestESPMDMKeepsItsNetworkWhereverPowerIsLostInARotation(t *testing.T) {
	t.Parallel()
	_, d := startHall(t)
	d.mustBoot(comesUp)
	first := d.flash.Provisioned["client_secret"]
	steps := 0
	for whole := false; !whole; steps++ {
		if steps > 100 {
			t.Fatal("the rotation does not end")
		}
		for range 2 { // the same misfortune twice in a row
			at := d.cutAfter(steps + 1)
			end, why := d.rotate()
			if end != powerIsLost && why == nil {
				end, why = d.boot() // the restart is part of it
			}
			d.step = func(string) {}
			if whole = end != powerIsLost; whole {
				if end != comesUp {
					t.Fatalf("after the whole rotation it %s %s", end, because(why))
				}
				break
			}
			t.Logf("power lost when %s:", *at)
			d.mustBoot(comesUp)
		}
	}
	last := d.flash.Provisioned["client_secret"]
	d.mustBoot(comesUp)
	if first == last || steps < 15 {
		t.Errorf("nothing was rotated, in %d steps", steps)
	}
	d.flash.Provisioned["client_secret"] = first
	d.flash.save()
	d.mustBoot(aborts) // the old secret is good no more
}
