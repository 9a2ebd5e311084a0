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

// oneReport has the same report of every dump.
type oneReport struct{ noFiles }

func (oneReport) ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(`{"reason":"abort()"}`))
	err = errors.Join(err, z.Close())
	return b.Bytes(), err
}

func TestADumpWithoutAGroupHasAPageWithWhatIsKnownOfIt(t *testing.T) {
	d := open(t, func(o *Options) {
		o.Dumps = oneReport{}
		o.Text = func(report []byte) (string, error) { return "as people read it: " + string(report), nil }
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
