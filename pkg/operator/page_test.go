package operator

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// oneReport is the same report of every dump.
type oneReport struct {
	noFiles
	packed []byte
}

func (o *oneReport) ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error) { return o.packed, nil }

func packed(t *testing.T, report string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(report))
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestADamagedReportHidesNothingElse(t *testing.T) {
	whole := packed(t, `{"reason":"abort()"}`)
	for _, damaged := range [][]byte{nil, whole[:8], whole[:len(whole)-3]} {
		d := open(t, func(o *Options) { o.Dumps = &oneReport{packed: damaged} })
		d.crashes(1, "abort()", "main.c:1")
		for _, path := range []string{"/crashes/0000000000000000", "/dumps/aaaaaaaa/coredump_20260504T120000_000000Z", "/api/coredumps/aaaaaaaa/coredump_20260504T120000_000000Z"} {
			if a := d.ask(http.MethodGet, path, "", d.bearer(auth.Viewer)...); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "main.c:1") {
				t.Errorf("with a report of %d bytes %s: %s\n%s", len(damaged), path, a.Status, a.body)
			}
		}
	}
}

func TestADumpWithoutAGroupHasAPageWithWhatIsKnownOfIt(t *testing.T) {
	d := open(t, func(o *Options) {
		o.Dumps = &oneReport{packed: packed(t, `{"reason":"abort()"}`)}
	})
	d.crashes(0, "", "")
	dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon, Size: 2080}
	if err := d.store.RecordDumps(t.Context(), []fleet.Dump{dump}); err != nil {
		t.Fatal(err)
	}
	waits := crash.Crash{
		Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: noon, State: crash.Missing, Why: "its own firmware is not here",
		Disagreements: []string{"the device declared version 1.0, its dump is of 2.0"},
	}
	if _, err := d.store.RecordCrash(t.Context(), waits, 0); err != nil {
		t.Fatal(err)
	}
	address := "/dumps/aaaaaaaa/" + string(dump.Name())
	if a := d.ask(http.MethodGet, "/", "", d.bearer(auth.Viewer)...); !strings.Contains(a.body, `<a href="`+address+`">its own firmware is not here</a>`) {
		t.Errorf("the page does not lead to it:\n%s", a.body)
	}
	a := d.ask(http.MethodGet, address, "", d.bearer(auth.Viewer)...)
	for _, want := range []string{"missing", "its own firmware is not here", "its dump is of 2.0", "as people read it: ", "/api" + strings.Replace(address, "dumps", "coredumps", 1) + "/file"} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %s without %q\n%s", address, a.Status, want, a.body)
		}
	}
	if strings.Contains(a.body, "/crashes/") {
		t.Errorf("a group that there is not:\n%s", a.body)
	}
	if a := d.ask(http.MethodGet, address, ""); a.StatusCode != http.StatusUnauthorized || strings.Contains(a.body, "firmware") {
		t.Errorf("without a token: %s\n%s", a.Status, a.body)
	}
	if a := d.ask(http.MethodGet, address[:len(address)-1]+"x", "", d.bearer(auth.Viewer)...); a.StatusCode != http.StatusNotFound {
		t.Errorf("one that there is not: %s", a.Status)
	}
}
