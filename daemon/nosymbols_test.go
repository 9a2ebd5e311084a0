package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/crash"
)

func TestAPlainImageSaysEverywhereThatItsDumpsCannotBeReadAndItsELFOrBundleMendsIt(t *testing.T) {
	t.Parallel()
	bundle, err := crash.Bundle("valve")
	must(t, err)
	other, err := crash.Rebuilt("9.9.9", "", false)
	must(t, err)
	for name, mend := range map[string]struct {
		file string
		body []byte
	}{"its ELF": {"valve.elf", crash.ELF}, "its bundle": {"valve.zip", bundle}} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t)
			g.cli("model", "add", "valve")
			viewer, device := g.operatorToken("viewer"), g.addDevice("valve")
			token, dir := g.deviceToken(device.Key), t.TempDir()
			file := func(name string, body []byte) string {
				must(t, os.WriteFile(filepath.Join(dir, name), body, 0o600))
				return filepath.Join(dir, name)
			}
			const says = "version 2.0.1 of model valve came as a plain image, without its ELF: no core dump of it can be read. " +
				"Hand in the bundle or the ELF of the same build: slipway firmware add FILE --model valve"
			if out := g.cli("firmware", "add", file("valve.bin", imageOf(t, bundle, "valve")), "--model", "valve"); !strings.Contains(out, says) {
				t.Errorf("firmware add: %s", out)
			}
			dump := g.upload(token, device.Key, crash.Version, crash.Dump)
			g.reportAt(viewer, dump, "missing")

			everywhere := func() map[string]string {
				said := map[string]string{}
				for _, args := range []string{"model list", "model show valve", "firmware list", "firmware list --model valve", "status"} {
					said["slipway "+args] = g.cli(strings.Fields(args)...)
				}
				for _, address := range []string{"/api/device-models", "/api/device-models/valve", "/api/status", "/models", "/"} {
					said[address] = string(g.ask("GET", address, viewer, nil, "Cookie", "slipway_token="+viewer).body)
				}
				return said
			}
			for where, said := range everywhere() {
				want := says
				if strings.HasPrefix(where, "slipway firmware list") {
					want = "plain image, no symbols"
				}
				if !strings.Contains(said, want) {
					t.Errorf("%s does not say so: %s", where, said)
				}
			}
			for _, address := range []string{"/api/builds", "/api/device-models/valve/builds"} {
				var answer struct {
					Plain any `json:"no_symbols"`
				}
				must(t, json.Unmarshal(g.ask("GET", address, viewer, nil).body, &answer))
				if answer.Plain == false || answer.Plain == nil {
					t.Errorf("%s: %v", address, answer.Plain)
				}
			}
			why := "its ELF is not here: hand in the bundle of this build, or the ELF where its image is here (slipway firmware add FILE --model valve)"
			if out := g.cli("dump", "show", device.Key, filepath.Base(dump)); !strings.Contains(out, why) || !strings.Contains(out, "wants:") {
				t.Errorf("dump show: %s", out)
			}

			if out, err := g.tryCLI("firmware", "add", file("other.elf", other.ELF), "--model", "valve"); err == nil ||
				!strings.Contains(out, "the image of version 2.0.1 of model valve was not made from this ELF: it names one with the SHA-256 77544ae6c5f1") {
				t.Errorf("another ELF: %v %s", err, out)
			}
			before := g.ask("GET", "/api/iot/firmware", token, nil)
			if out := g.cli("firmware", "add", file(mend.file, mend.body), "--model", "valve"); !strings.Contains(out, "devices are offered it now") {
				t.Errorf("mending: %s", out)
			}
			if r := g.reportAt(viewer, dump, "reported"); r.Grade != "exact" || r.TopFrame != crash.TopFrame {
				t.Errorf("the dump that waited: %+v", r)
			}
			after := g.ask("GET", "/api/iot/firmware", token, nil, "If-None-Match", before.Header.Get("ETag"))
			if after.StatusCode != http.StatusNotModified {
				t.Errorf("devices would fetch the same image again: %s", after.Status)
			}
			for where, said := range everywhere() {
				if strings.Contains(said, "plain image") {
					t.Errorf("%s still says so: %s", where, said)
				}
			}
			if out, err := g.tryCLI("firmware", "add", file("valve.elf", crash.ELF), "--model", "valve"); err == nil ||
				!strings.Contains(out, "an ELF is taken for a plain image only, and model valve is offered none: send the bundle") {
				t.Errorf("an ELF for a build: %v %s", err, out)
			}
			g.restart()
			if a := g.ask("GET", "/api/iot/firmware", token, nil); !bytes.Equal(a.body, before.body) {
				t.Error("after a restart another image is served")
			}
		})
	}
}

func TestAnOlderBuildIsStoredForItsDumpsAndNotPublished(t *testing.T) {
	g := startGateway(t)
	g.cli("model", "add", "valve")
	viewer, device := g.operatorToken("viewer"), g.addDevice("valve")
	token := g.deviceToken(device.Key)
	newer, err := crash.Rebuilt("2.1.0", "", false)
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "app.bin"), newer.Image, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "app.elf"), newer.ELF, 0o600))
	g.cli("firmware", "add", dir, "--model", "valve")
	dump := g.upload(token, device.Key, crash.Version, crash.Dump)
	g.reportAt(viewer, dump, "missing")
	older, err := crash.Bundle("valve")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "older.zip"), older, 0o600))
	if out := g.cli("firmware", "add", filepath.Join(dir, "older.zip"), "--store"); !strings.Contains(out, "after 'slipway firmware publish valve 2.0.1'") {
		t.Errorf("firmware add --store: %s", out)
	}
	g.reportAt(viewer, dump, "reported")
	if a := g.ask("GET", "/api/iot/firmware", token, nil); a.Header.Get("X-Firmware-Version") != "2.1.0" {
		t.Errorf("devices are offered %s", a.Header.Get("X-Firmware-Version"))
	}
	if out, err := g.tryCLI("firmware", "add", filepath.Join(dir, "app.bin"), "--model", "valve", "--store"); err == nil || !strings.Contains(out, "a plain image is offered at once") {
		t.Errorf("a plain image: %v %s", err, out)
	}
}
