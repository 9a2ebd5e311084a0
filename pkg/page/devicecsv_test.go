package page

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestTheCSVHasAllThatTheFilterPicksAndNoFormula(t *testing.T) {
	d := open(t)
	d.must(d.store.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	d.must(d.store.AddModel(t.Context(), fleet.Model{Code: "valve"}))
	var all []auth.NewDevice
	for i := range csvRows + 3 {
		all = append(all, auth.NewDevice{Device: fleet.Device{Key: fleet.DeviceKey(fmt.Sprintf("pump%04d", i)), Model: "pump", Name: `=HYPERLINK("http://evil","x")`}})
	}
	d.must(d.store.AddDevices(t.Context(), all))
	d.must(d.store.AddDevice(t.Context(), fleet.Device{Key: "valve001", Model: "valve"}, auth.DeviceSecrets{}))
	a := d.read("/devices.csv?model=pump")
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || a.StatusCode != http.StatusOK || len(rows) != csvRows+4 || strings.Contains(a.body, "valve001") || !strings.Contains(a.Header.Get("Content-Disposition"), "devices.csv") {
		t.Fatalf("%s, %v: %d rows", a.Status, err, len(rows))
	}
	for _, row := range rows[1:] {
		if len(row) != len(csvHeads) || row[1] != `'=HYPERLINK("http://evil","x")` {
			t.Fatalf("%q", row)
		}
	}
	for _, field := range []string{"=1", "+1", "-1", "@x", "\tx"} {
		if inert(field) != "'"+field {
			t.Errorf("%q stays a formula", field)
		}
	}
	if a := d.ask(http.MethodGet, "/devices.csv", ""); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("for nobody: %s", a.Status)
	}
	if a := d.read("/devices?model=pump"); !strings.Contains(a.body, `href="/devices.csv?model=pump"`) {
		t.Errorf("the list does not lead to it")
	}
}
