package main

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// trouble is something that goes wrong between a gateway and a device that boots with a dump.
type trouble struct {
	name     string
	settings []string
	before   func(*running, *espMDM) // the boot
	at       string                  // or at this step of it
	mend     func(*running, *espMDM)
	end      string
	dump     string // stored, kept or lost
}

func TestWhatESPMDMDoesInTrouble(t *testing.T) {
	t.Parallel()
	configure := func(config string) func(*running, *espMDM) {
		return func(g *running, d *espMDM) {
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			g.cli("device", "set", d.key(), "--config", path)
		}
	}
	revoke := func(g *running, d *espMDM) { g.cli("device", "set", d.key(), "--revoked") }
	welcome := func(g *running, d *espMDM) { g.cli("device", "set", d.key(), "--revoked=false") }
	secret := ""
	for _, c := range []trouble{
		{name: "no firmware yet", end: comesUp, dump: "stored"},
		{name: "no firmware yet, an old release", before: func(_ *running, d *espMDM) { d.old = true },
			mend: func(g *running, _ *espMDM) { g.publish("1.0.0") }, end: aborts, dump: "stored"},
		{name: "its secret is wrong", end: aborts, dump: "kept",
			before: func(_ *running, d *espMDM) {
				secret = d.flash.Provisioned["client_secret"]
				d.flash.Provisioned["client_secret"] = "wrong"
				d.flash.save()
			}, mend: func(_ *running, d *espMDM) { d.flash.Provisioned["client_secret"] = secret; d.flash.save() }},
		{name: "it is revoked", before: revoke, mend: welcome, end: aborts, dump: "kept"},
		{name: "it is revoked after its token", at: "token is answered", before: revoke, mend: welcome, end: aborts, dump: "kept"},
		{name: "it is revoked after its configuration", at: "config is answered", before: revoke, mend: welcome, end: comesUp, dump: "lost"},
		{name: "it is removed", end: aborts, dump: "kept",
			before: func(g *running, d *espMDM) { g.cli("device", "rm", d.key(), "--yes") },
			mend: func(g *running, d *espMDM) {
				p := d.flash.Provisioned
				a := g.ask("POST", "/api/devices", g.operatorToken("admin"), strings.NewReader(
					`{"model_code":"pump","device_key":"`+p["device_key"]+`","client_secret":"`+p["client_secret"]+`"}`))
				if a.StatusCode != http.StatusCreated {
					t.Fatalf("%s %s", a.Status, a.body)
				}
			}},
		{name: "the gateway is off", before: func(g *running, _ *espMDM) { g.stop() }, mend: func(g *running, _ *espMDM) { g.start() },
			end: aborts, dump: "kept"},
		{name: "the gateway was killed", before: func(g *running, _ *espMDM) { g.kill() }, mend: func(g *running, _ *espMDM) { g.start() },
			end: aborts, dump: "kept"},
		{name: "an empty configuration", before: configure("{}"), end: aborts, dump: "kept",
			mend: func(g *running, d *espMDM) { g.cli("device", "set", d.key(), "--default-config") }},
		{name: "a configuration with a text as enableOTA", end: aborts, dump: "kept",
			before: configure(`{"deviceName":"a","deviceEntityId":"b","enableOTA":"yes"}`),
			mend:   configure(`{"deviceName":"a","deviceEntityId":"b"}`)},
		{name: "a configuration without updates", before: configure(`{"deviceName":"a","deviceEntityId":"b","enableOTA":false}`),
			end: comesUp, dump: "stored"},
		{name: "dumps are off", settings: []string{"coredumps_dir=off"}, end: comesUp, dump: "lost"},
		{name: "its dump is too large", settings: []string{"dumps.max_bytes=10KiB"}, end: comesUp, dump: "lost"},
		{name: "it crashes in a loop", settings: []string{"dumps.burst=1", "dumps.per_minute=1"}, end: comesUp, dump: "lost",
			before: func(_ *running, d *espMDM) { d.mustBoot(comesUp); d.crash() }},
		{name: "the disk is full", settings: []string{"coredumps_dir=" + smallDisk(t)}, end: comesUp, dump: "lost"},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.happen(t) })
	}
}

// lossy are the answers for which a dump may be lost; 507 is a disk that rotation cannot empty.
var lossy = regexp.MustCompile(`^dump: (400|401|429|507)$`)

func (c trouble) happen(t *testing.T) {
	if len(c.settings) > 0 && strings.HasSuffix(c.settings[0], "coredumps_dir=") {
		t.Skip("no small disk: mounting one is not permitted here")
	}
	g, d := startHall(t, c.settings...)
	d.crash()
	if c.at == "" && c.before != nil {
		c.before(g, d)
	}
	core := d.flash.Dump[containerHeader : len(d.flash.Dump)-len("CRC!")]
	d.step = func(name string) {
		if name == c.at {
			c.before(g, d)
		}
	}
	d.mustBoot(c.end)
	d.step = func(string) {}
	dump := "lost"
	if d.flash.Dump != nil {
		dump = "kept"
	} else if g.cmd != nil && bytes.Equal(g.stored(d), core) {
		dump = "stored"
	}
	t.Logf("its dump is %s", dump)
	if dump != c.dump {
		t.Errorf("its dump is %s, and should be %s", dump, c.dump)
	}
	if dump == "lost" && !slices.ContainsFunc(d.answered, lossy.MatchString) {
		t.Errorf("its dump is lost to something else than 400, 401, 429 or a full disk: %v", d.answered)
	}
	if c.mend != nil {
		c.mend(g, d)
	}
	// A token is good from the second after a revocation on; until then the device boots and aborts again.
	g.within(5*time.Second, "the device is up again", func() bool { end, _ := d.boot(); return end == comesUp })
	if dump == "kept" && !bytes.Equal(g.stored(d), core) {
		t.Error("the dump that it kept did not arrive afterwards")
	}
}

func TestARefusedRotationLeavesTheDeviceAsItWas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings []string
		before   func(*running, *espMDM)
		answer   string
	}{
		"a required value is missing": {[]string{`provisioning.required=["client_secret","topic"]`}, nil, "provisioning: 409"},
		"the device is revoked":       {nil, func(g *running, d *espMDM) { g.cli("device", "set", d.key(), "--revoked") }, "provisioning: 401"},
		"the device is removed":       {nil, func(g *running, d *espMDM) { g.cli("device", "rm", d.key(), "--yes") }, "provisioning: 401"},
		"the gateway is off":          {nil, func(g *running, _ *espMDM) { g.stop() }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			g, d := startHall(t, c.settings...)
			d.mustBoot(comesUp)
			had := maps.Clone(d.flash.Provisioned)
			if c.before != nil {
				c.before(g, d)
			}
			end, why := d.rotate()
			t.Logf("%v: it %s %s", d.answered, end, because(why))
			if why == nil || errors.Is(why, errPowerLost) || !strings.Contains(d.answered[len(d.answered)-1], c.answer) {
				t.Errorf("%v: it %s %s", d.answered, end, because(why))
			}
			d.flash.load()
			if !maps.Equal(d.flash.Provisioned, had) {
				t.Errorf("it has %v, and had %v", d.flash.Provisioned, had)
			}
		})
	}
}
