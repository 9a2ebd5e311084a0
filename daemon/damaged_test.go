package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/crash"
)

// TestADumpOfOurOwnFirmwareBecomesAReportAndDamagedFirmwareIsMended needs no real device: flash has forgotten a byte of
// the stored bundle, the dump waits, and the same bundle again makes everything good.
func TestADumpOfOurOwnFirmwareBecomesAReportAndDamagedFirmwareIsMended(t *testing.T) {
	t.Parallel()
	zip, err := crash.Bundle("valve")
	if err != nil {
		t.Fatal(err)
	}
	g := startGateway(t)
	g.cli("model", "add", "valve")
	device := g.addDevice("valve")
	token, viewer := g.deviceToken(device.Key), g.operatorToken("viewer")
	g.drop("valve.zip", zip)
	g.within(5*time.Second, "the bundle", func() bool { return g.exists("drop", "accepted", "valve.zip") })

	first := g.upload(token, device.Key, "9.9.9", crash.Dump)
	if r := g.reportAt(viewer, first, "reported"); r.TopFrame != crash.TopFrame || r.Grade != "exact" || r.News != "new" || len(r.Report.Tasks) == 0 {
		t.Errorf("reported %+v", r)
	}

	if out := g.cli("dump", "show", device.Key, filepath.Base(first)); !strings.Contains(out, "disagreements:    the device declared version 9.9.9, its dump is of "+crash.Version) {
		t.Errorf("dump show: %s", out)
	}

	g.stop()
	stored := filepath.Join(g.state, "assets", "valve", "firmware-"+crash.Version+".zip")
	damaged, err := os.ReadFile(stored)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(stored, damaged, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(g.state, "assets", "valve", "firmware-"+crash.Version+".elf")); err != nil {
		t.Fatal(err)
	}
	g.start()
	second := g.upload(token, device.Key, crash.Version, crashedAgain(crash.Dump))
	g.reportAt(viewer, second, "missing")
	g.reportAt(viewer, g.upload(token, device.Key, crash.Version, []byte("no core dump")), "failed")
	if out := g.cli("dump", "list", "--state", "failed"); !strings.Contains(out, "not an ESP-IDF core dump") {
		t.Errorf("dump list: %s", out)
	}
	if out, _ := g.tryCLI("status"); !strings.Contains(out, "1 waiting for their firmware, 1 not decodable") {
		t.Errorf("status: %s", out)
	}

	g.drop("again.zip", zip)
	if r := g.reportAt(viewer, second, "reported"); r.TopFrame != crash.TopFrame || r.News != "known" {
		t.Errorf("reported %+v", r)
	}
	if mended, err := os.ReadFile(stored); err != nil || !bytes.Equal(mended, zip) {
		t.Errorf("the stored bundle is not whole again: %v", err)
	}

	// A power cut soon after a report leaves an empty file: it is not synced.
	g.stop()
	report := filepath.Join(dumpDir(g, device.Key), filepath.Base(second)+".report.gz")
	if err := os.Truncate(report, 0); err != nil {
		t.Fatal(err)
	}
	g.start()
	g.within(10*time.Second, "the report, made again", func() bool { return len(g.reportAt(viewer, second, "reported").Report.Tasks) > 0 })
	if out := g.cli("crash", "list", "--format", "json"); !strings.Contains(out, `"count": 2,`) {
		t.Errorf("it was counted again: %s", out)
	}
}
