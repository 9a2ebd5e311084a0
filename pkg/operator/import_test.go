package operator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

func TestAFleetIsImportedAsASpreadsheetSavesIt(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	for _, test := range []struct {
		csv  string
		want int
		says string
	}{
		{"\xef\xbb\xbfmodel_code,device_key,client_secret,name\r\npump,bbbbbbb1,secret-of-it,\"Press 1, left\"\r\n\r\npump, bbbbbbb2,secret-of-it\r\n", http.StatusCreated, `"devices":2`},
		{"model_code,device_key,client_secret\n\n\npump,bbbbbbb3,secret-of-it\npump,bbbbbbb3,secret-of-it\n", http.StatusBadRequest, "line 5: device bbbbbbb3 is on line 4 already"},
		{"pump;bbbbbbb4;secret-of-it\n", http.StatusBadRequest, "line 1: want model_code,device_key,client_secret[,name]"},
		{"pump,bbbbbbb5,short\n", http.StatusBadRequest, "line 1: client secret of 5 bytes"},
		{"pump,bbbbbbb1,secret-of-it\n", http.StatusConflict, "bbbbbbb1"},
		{"\xef\xbb\xbf", http.StatusBadRequest, "no devices"},
	} {
		a := d.ask(http.MethodPost, "/api/devices/import", test.csv, d.bearer(auth.Operator)...)
		if a.StatusCode != test.want || !strings.Contains(a.body, test.says) {
			t.Errorf("%q: %s %s; want %d with %q", test.csv, a.Status, a.body, test.want, test.says)
		}
	}
	if device, err := d.store.Device("bbbbbbb1"); err != nil || device.Name != "Press 1, left" {
		t.Errorf("%+v, %v", device, err)
	}
	if _, err := d.store.Device("bbbbbbb3"); err == nil {
		t.Error("a part of a refused file was taken")
	}
}
