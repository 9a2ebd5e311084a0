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
		{"name,key\npump,bbbbbbb8\n", http.StatusBadRequest, "line 2: want a model for it"},
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
		hawkbitExport, thingsboardExport, "[{}]", `{"data":[1,{"credentials":null}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, read := range []func([]byte) ([]row, error){readRows, readForeign} {
			rows, err := read(raw)
			if err != nil && rows != nil {
				t.Error("rows and an error")
			}
			for _, r := range rows {
				if r.at == "" {
					t.Errorf("a row that is nowhere: %+v", r)
				}
			}
		}
	})
}

const (
	hawkbitExport = `{"content": [
		{"controllerId": "24:6f:28:aa:00:01", "name": "Press 1", "securityToken": "0123456789abcdef0123456789abcdef", "updateStatus": "in_sync", "attributes": {"hw": "3"}, "_links": {}},
		{"controllerId": "24:6f:28:aa:00:02", "name": "Press 2"}], "total": 2, "size": 2}`
	thingsboardExport = `{"data": [
		{"id": {"entityType": "DEVICE", "id": "x"}, "name": "Valve-7", "type": "Pump", "label": null, "credentials": {"credentialsType": "ACCESS_TOKEN", "credentialsId": "Aq3dGh78sLm20PqRtUvW"}},
		{"name": "Valve-8", "type": "pump", "accessToken": "Bq3dGh78sLm20PqRtUvW"},
		{"name": "Valve-9", "type": "pump", "credentials": {"credentialsType": "X509_CERTIFICATE", "credentialsId": "0123456789abcdef0123456789abcdef"}}], "totalPages": 1}`
)

func TestTheDevicesOfAnotherSystemComeWithWhatTheyAreCalledAndTheirTokens(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	post := func(query, body string) answer {
		return d.ask(http.MethodPost, "/api/devices/import"+query, body, d.bearer(auth.Operator)...)
	}
	for _, c := range []struct {
		name, query, body string
		want              int
		says              string
		made              int
		called            map[string]string // alias to secret, "" for one that was made
	}{
		{"hawkBit", "?model=pump", hawkbitExport, 201, `"added":2`, 1, map[string]string{"24:6f:28:aa:00:01": "0123456789abcdef0123456789abcdef", "24:6f:28:aa:00:02": ""}},
		{"ThingsBoard", "", thingsboardExport, 201, `"added":3`, 1, map[string]string{"Valve-7": "Aq3dGh78sLm20PqRtUvW", "Valve-8": "Bq3dGh78sLm20PqRtUvW", "Valve-9": ""}},
		{"its CSV", "", "\xef\xbb\xbfName;Type;Label;Access Token;Is gateway\r\nValve-10;Pump;;Cq3dGh78sLm20PqRtUvW;false\r\n", 201, `"added":1`, 0, map[string]string{"Valve-10": "Cq3dGh78sLm20PqRtUvW"}},
	} {
		before := len(d.devices(t))
		if a := post(c.query+amp(c.query)+"dry_run=true", c.body); a.StatusCode != http.StatusOK || !strings.Contains(a.body, c.says) || !strings.Contains(a.body, `"dry_run":true`) || len(d.devices(t)) != before {
			t.Errorf("%s, dry: %s %s; %d devices", c.name, a.Status, a.body, len(d.devices(t)))
		}
		a := post(c.query, c.body)
		if a.StatusCode != c.want || !strings.Contains(a.body, c.says) || strings.Count(a.body, `"client_secret"`) != c.made {
			t.Errorf("%s: %s %s", c.name, a.Status, a.body)
		}
		for alias, secret := range c.called {
			device, err := d.store.DeviceByAlias(alias)
			if err != nil || device.Model != "pump" {
				t.Errorf("%s: %s is %+v, %v", c.name, alias, device, err)
				continue
			}
			stored, err := d.store.DeviceSecrets(device.Key)
			if err != nil || secret != "" && !stored.Current.Matches(secret) {
				t.Errorf("%s: the secret of %s is another, %v", c.name, alias, err)
			}
		}
		if again := post(c.query, c.body); again.StatusCode != http.StatusOK || !strings.Contains(again.body, fmt.Sprintf(`"added":0,"changed":0,"unchanged":%d,"made":[]`, len(c.called))) {
			t.Errorf("%s, once more: %s %s", c.name, again.Status, again.body)
		}
	}
	for body, says := range map[string]string{
		`{"content": 7}`: "no list of devices", `{"x": []}`: "no list of devices", `[1]`: "device 1: it is no device", `[{}]`: "want a model", `{`: "cannot be read", `[]`: "no devices",
		`[{"controllerId":"a b"}]`: "device 1: alias", `[{"controllerId":"x1"},{"controllerId":"x1"}]`: "is on device 1 already",
	} {
		query := "?model=pump"
		if says == "want a model" {
			query = ""
		}
		if a := post(query, body); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, says) {
			t.Errorf("%s: %s %s", body, a.Status, a.body)
		}
	}
}

func amp(query string) string {
	if query == "" {
		return "?"
	}
	return "&"
}

// devices are the keys of all.
func (d *desk) devices(t *testing.T) (keys []fleet.DeviceKey) {
	t.Helper()
	err := d.store.EachDevice(func(device fleet.Device) error {
		keys = append(keys, device.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestWrongRowsAreNamedAndNothingIsTakenUnlessTheyAreSkipped(t *testing.T) {
	d := open(t, nil)
	d.crashes(0, "", "")
	before := len(d.devices(t))
	const list = "model,key,secret\npump,bbbbbbb1,sixteen-secret-x\npump,short,sixteen-secret-x\npmup,bbbbbbb3,sixteen-secret-x\npump,bbbbbbb4,tiny\npump,bbbbbbb5,,,,,x\npump,bbbbbbb6,sixteen-secret-y\n"
	post := func(query string) answer {
		return d.ask(http.MethodPost, "/api/devices/import"+query, list, d.bearer(auth.Operator)...)
	}
	if a := post(""); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, `line 3: device key \"short\"`) || !strings.Contains(a.body, "3 more are wrong, too") || len(d.devices(t)) != before {
		t.Errorf("%s %s", a.Status, a.body)
	}
	for _, query := range []string{"?dry_run=true", "?skip_wrong=true"} { // in this order: the second one adds them
		a, want := post(query), map[string]int{"?dry_run=true": http.StatusOK, "?skip_wrong=true": http.StatusCreated}[query]
		for _, says := range []string{`"added":2`, `"wrong_rows":4`, "line 3: ", "line 4: there is no model", "line 5: client secret of 4 bytes", "line 6: 7 columns"} {
			if a.StatusCode != want || !strings.Contains(a.body, says) {
				t.Errorf("%s: %s %s; want %q", query, a.Status, a.body, says)
			}
		}
		if added := len(d.devices(t)) - before; (added == 2) != (want == http.StatusCreated) {
			t.Errorf("%s: %d devices more", query, added)
		}
	}
}
