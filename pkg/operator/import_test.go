package operator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAFleetIsImportedAsASpreadsheetSavesIt(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	if err := d.store.AddModel(t.Context(), fleet.Model{Code: "other"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		csv  string
		want int
		says string
	}{
		{"\xef\xbb\xbfmodel_code,device_key,client_secret,name\r\npump,bbbbbbb1,sixteen-secret-x,\"Press 1, left\"\r\n\r\npump, bbbbbbb2,sixteen-secret-x\r\n", http.StatusCreated, `"added":2`},
		{"model_code,device_key,client_secret\n\n\npump,bbbbbbb3,sixteen-secret-x\npump,bbbbbbb3,sixteen-secret-x\n", http.StatusBadRequest, "line 5: device bbbbbbb3 is on line 4 already"},
		{"pump;bbbbbbb4;sixteen-secret-x\n", http.StatusCreated, `"added":1,"changed":0,"unchanged":0,"made":[]`},
		{"pump;bbbbbbb4\n", http.StatusOK, `"added":0,"changed":0,"unchanged":1`},
		{"sep=;\r\ndevice_key;name;model_code\r\nbbbbbbb4;\"Press; 4\";pump\r\n;;\r\n", http.StatusOK, `"added":0,"changed":1,"unchanged":0`},
		{"NAME\tSecret\tModel\tKey\nPress 6\t\tpump\tbbbbbbb6\n", http.StatusCreated, `"made":[{"device_key":"bbbbbbb6","model_code":"pump","client_id":"iotdevice-pump-bbbbbbb6","client_secret":"`},
		{utf16le("model\tkey\npump\tbbbbbbb7\n"), http.StatusCreated, `"added":1`},
		{"model,key,colour\npump,bbbbbbb8,red\n", http.StatusBadRequest, "line 1: there is no column"},
		{"model,key,key\npump,bbbbbbb8,x\n", http.StatusBadRequest, "is there twice"},
		{"name,key\npump,bbbbbbb8\n", http.StatusBadRequest, "model_code and device_key have to be there"},
		{"pump,bbbbbbb8,sixteen-secret-x,name,line3,board-9,more\n", http.StatusBadRequest, "line 1: 7 columns, want 6"},
		{"pump,bbbbbbb8,,\"J\xfcrgen\"\n", http.StatusBadRequest, "not UTF-8"},
		{"model,key\npump,bbbbbbb9\npmup,bbbbbbb8\n", http.StatusBadRequest, `line 3: there is no model \"pmup\"; the nearest known one is \"pump\"`},
		{"pump,bbbbbbb9,fifteen-bytes-x\n", http.StatusBadRequest, "line 1: client secret of 15 bytes: want 16 to 256"},
		{"pump,bbbbbbb8,sixteen-secret-x\npump,bbbbbbb9,fifteen-bytes-x\n", http.StatusBadRequest, "line 2: client secret of 15 bytes"},
		{"pump,bbbbbbc1,nineteen-byte-secre\n", http.StatusCreated, `"warnings":["line 1: client secret of 19 bytes: it is short`},
		{"pump,bbbbbbc2,twenty-bytes-of-them\n", http.StatusCreated, `"made":[]}`},
		{shortSecrets(12), http.StatusCreated, `line 5: client secret of 16 bytes: it is short, 20 or more are better","7 more client secrets are as short"]}`},
		{"pump,bbbbbbb1,another\n", http.StatusOK, `"unchanged":1`},
		{"model;key;alias\npump;bbbbbbd1;24:6f:28:aa:00:01 board-1\n", http.StatusCreated, `"added":1`},
		{"model;key;alias\npump;bbbbbbd1;board-1 24:6f:28:aa:00:01\n", http.StatusOK, `"unchanged":1`},
		{"model;key;alias\npump;bbbbbbd1;board-2\n", http.StatusOK, `"changed":1`},
		{"model;key;alias\npump;bbbbbbd1;\n", http.StatusOK, `"unchanged":1`},
		{"model;key;alias\npump;bbbbbbd2;a/b\n", http.StatusBadRequest, `line 2: alias \"a/b\"`},
		{"model;key;alias\npump;bbbbbbd2;board-2\n", http.StatusConflict, `alias \"board-2\" is device bbbbbbd1's already`},
		{"other,bbbbbbb1,sixteen-secret-x\n", http.StatusConflict, "line 1: device bbbbbbb1 is there already, of model pump"},
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
	for _, key := range []fleet.DeviceKey{"bbbbbbb3", "bbbbbbb8", "bbbbbbb9"} {
		if _, err := d.store.Device(key); err == nil {
			t.Error("a part of a refused file was taken")
		}
	}
	if device, err := d.store.Device("bbbbbbb4"); err != nil || device.Name != "Press; 4" {
		t.Errorf("%+v, %v", device, err)
	}
	if secrets, err := d.store.DeviceSecrets("bbbbbbb1"); err != nil || !secrets.Current.Matches("sixteen-secret-x") {
		t.Error("a second run has changed a secret")
	}
}

// shortSecrets is a list of devices whose secrets are taken with a warning.
func shortSecrets(n int) string {
	list := ""
	for i := range n {
		list += fmt.Sprintf("pump,bbbbbd%02d,sixteen-secret-x\n", i)
	}
	return list
}

func TestADeviceIsAddedWithASecretOfSixteenBytesOrMore(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	for n, want := range map[int]int{8: http.StatusBadRequest, 15: http.StatusBadRequest, 16: http.StatusCreated, 19: http.StatusCreated, 20: http.StatusCreated, 256: http.StatusCreated, 257: http.StatusBadRequest} {
		a := d.ask(http.MethodPost, "/api/devices", `{"model_code":"pump","client_secret":"`+strings.Repeat("x", n)+`"}`, d.bearer(auth.Operator)...)
		if warned := strings.Contains(a.body, `"warnings":["client secret of `); a.StatusCode != want || warned != (n == 16 || n == 19) {
			t.Errorf("%d bytes: %s %s", n, a.Status, a.body)
		}
	}
	if a := d.ask(http.MethodPost, "/api/devices", `{"model_code":"pump"}`, d.bearer(auth.Operator)...); a.StatusCode != http.StatusCreated || strings.Contains(a.body, "warnings") {
		t.Errorf("one that the gateway makes: %s %s", a.Status, a.body)
	}
}

// utf16le is what a spreadsheet calls Unicode text.
func utf16le(s string) string {
	out := "\xff\xfe"
	for _, b := range []byte(s) {
		out += string([]byte{b, 0})
	}
	return out
}

func FuzzReadRows(f *testing.F) {
	for _, seed := range []string{
		"model_code,device_key,client_secret,name\npump,bbbbbbb1,secret,\"a, b\"\n", "sep=;\npump;bbbbbbb1\n", "\xff\xfem\x00", "\xfe\xff\x00m", "\"", "a\tb\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, err := readRows(raw)
		if err != nil && rows != nil {
			t.Error("rows and an error")
		}
		for _, r := range rows {
			if r.line < 1 || r.fields[columnModel] == "" || r.fields[columnKey] == "" {
				t.Errorf("a row without what it needs: %+v", r)
			}
		}
	})
}
