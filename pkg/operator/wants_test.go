package operator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestADumpThatWaitsSaysWhichELFItWants(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.4.0", UploadedAt: noon}
	if err := d.store.RecordDumps(t.Context(), []fleet.Dump{dump}); err != nil {
		t.Fatal(err)
	}
	missing := crash.Crash{
		Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: noon, State: crash.Missing, DeclaredVersion: "1.4.0",
		ELFHash: "7d946a8e8", Grade: crash.MissingELF,
	}
	if _, err := d.store.RecordCrash(t.Context(), missing, 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/coredumps", "/api/coredumps/aaaaaaaa/" + string(dump.Name())} {
		a := d.ask(http.MethodGet, path, "", d.bearer(auth.Viewer)...)
		if !strings.Contains(a.body, "the ELF with the SHA-256 7d946a8e8…, declared version 1.4.0 of pump") {
			t.Errorf("%s does not say what the dump waits for:\n%s", path, a.body)
		}
	}
	missing.ELFHash = ""
	if wants := missing.Wants(); !strings.Contains(wants, "the build 1.4.0 of pump") || !strings.Contains(wants, "no hash") {
		t.Errorf("without a hash: %q", wants)
	}
	missing.State = crash.Reported
	if wants := missing.Wants(); wants != "" {
		t.Errorf("a reported one waits for %q", wants)
	}
}
