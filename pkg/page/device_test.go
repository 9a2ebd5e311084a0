package page

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestTheViewOfADeviceSaysWhereEachMemberOfItsConfigurationComesFrom(t *testing.T) {
	d := acting(t)
	_, err := d.store.UpdateModel(t.Context(), "pump", func(m *fleet.Model) error {
		m.Config = []byte(`{"interval":5,"deviceName":"{device_name}"}`)
		return nil
	})
	d.must(err)
	a := d.read("/devices/aaaaaaaa")
	for _, want := range []string{
		`interval</th><td data-label="value"><code>5</code></td><td data-label="from">the default of pump`,
		`deviceName</th><td data-label="value"><code>&#34;pump-aaaaaaaa&#34;</code></td><td data-label="from">the default of pump`,
		`enableOTA</th><td data-label="value"><code>true</code></td><td data-label="from">Slipway`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("without %q\n%s", want, a.body)
		}
	}
	_, err = d.store.UpdateDevice(t.Context(), "aaaaaaaa", func(one *fleet.Device) error {
		one.Config = []byte(`{"interval":1}`)
		return nil
	})
	d.must(err)
	if a := d.read("/devices/aaaaaaaa"); !strings.Contains(a.body, `<code>1</code></td><td data-label="from">this device`) || strings.Contains(a.body, "enableOTA</th>") {
		t.Errorf("with one of its own:\n%s", a.body)
	}
}

func TestAConfigurationIsCheckedAndShownBeforeItIsSaved(t *testing.T) {
	d := acting(t)
	cookie := d.signIn(auth.Operator)
	post := func(do, config string) answer {
		return d.ask(http.MethodPost, "/devices/aaaaaaaa/config", url.Values{"do": {do}, "config": {config}}.Encode(), "Cookie", cookie)
	}
	for config, want := range map[string]string{
		"{\n\"a\": 1,\n\"b\": x}": "in line 3",
		`[1]`:                     "want a JSON object",
		`{"a":"` + strings.Repeat("x", 4096) + `"}`:      "devices take less than 4096",
		`{"deviceName":"p","deviceEntityId":"<script>"}`: "&#43;  &#34;deviceEntityId&#34;: &#34;&lt;script&gt;&#34;",
		`{"interval":5}`: "esp-mdm firmware aborts without it",
	} {
		a := post("check", config)
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%.40q: %s without %q\n%s", config, a.Status, want, a.body)
		}
		if one, err := d.store.Device("aaaaaaaa"); err != nil || one.Config != nil {
			t.Errorf("%.40q: checking has saved %s, %v", config, one.Config, err)
		}
	}
	// What is written with many blanks is measured as the device gets it.
	blanks := "{\"a\":\"b\"" + strings.Repeat(" ", 5000) + "}"
	if a := post("save", blanks); a.StatusCode != http.StatusSeeOther {
		t.Errorf("with blanks: %s\n%s", a.Status, a.body)
	}
	if one, err := d.store.Device("aaaaaaaa"); err != nil || string(one.Config) != `{"a":"b"}` {
		t.Errorf("saved %s, %v", one.Config, err)
	}
	if a := post("save", `{"a":`); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `{&#34;a&#34;:</textarea>`) || !strings.Contains(a.body, `class="bad" role="alert"`) {
		t.Errorf("what is refused does not stay in the form: %s\n%s", a.Status, a.body)
	}
}

func TestANewSecretIsShownOnceAndIsTheDevicesOwn(t *testing.T) {
	d := acting(t)
	cookie := d.signIn(auth.Operator)
	a := d.ask(http.MethodPost, "/devices/aaaaaaaa/secret", "typed=aaaaaaaa", "Cookie", cookie)
	_, rest, _ := strings.Cut(a.body, "shown this once: <code>")
	secret, _, found := strings.Cut(rest, "</code>")
	stored, err := d.store.DeviceSecrets("aaaaaaaa")
	if !found || err != nil || !stored.Current.Matches(secret) || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q is not its secret, %v, %s", secret, err, a.Header)
	}
	for _, path := range []string{"/devices/aaaaaaaa", "/devices", "/"} {
		if a := d.ask(http.MethodGet, path, "", "Cookie", cookie); strings.Contains(a.body, secret) {
			t.Errorf("%s shows it again", path)
		}
	}
}

func TestTheListOfDevicesIsItsAddress(t *testing.T) {
	d := open(t)
	d.crashes(0, "", "")
	for i, one := range []fleet.Device{
		{Key: "bbbbbbb1", Model: "pump", Name: "Press One", Line: "hall-1", Labels: []string{"hot"}},
		{Key: "bbbbbbb2", Model: "pump", Name: "Press Two", Line: "hall-1", Revoked: true},
		{Key: "bbbbbbb3", Model: "pump", Name: "Oven", Line: "hall-2"},
	} {
		d.must(d.store.AddDevice(t.Context(), one, auth.DeviceSecrets{}))
		d.book.Seen(fleet.Seen{Device: one.Key, At: noon.Add(time.Duration(i) * time.Second), By: fleet.HeardConfig, Said: fleet.Said{Version: []string{"1.0", "1.0", ""}[i]}})
	}
	for query, want := range map[string]string{
		"": "aaaaaaaa bbbbbbb1 bbbbbbb2 bbbbbbb3", "?q=press": "bbbbbbb1 bbbbbbb2", "?line=hall-1&revoked=true": "bbbbbbb2", "?label=hot": "bbbbbbb1",
		"?version=1.0": "bbbbbbb1 bbbbbbb2", "?version=unknown": "aaaaaaaa bbbbbbb3", "?state=never": "aaaaaaaa", "?state=live&line=hall-2": "bbbbbbb3",
		"?limit=2": "aaaaaaaa bbbbbbb1", "?limit=2&after=bbbbbbb1": "bbbbbbb2 bbbbbbb3", "?q=nobody": "",
	} {
		a := d.read("/devices" + query)
		var got []string
		for _, key := range []string{"aaaaaaaa", "bbbbbbb1", "bbbbbbb2", "bbbbbbb3"} {
			if strings.Contains(a.body, `<a href="/devices/`+key+`">`) {
				got = append(got, key)
			}
		}
		if a.StatusCode != http.StatusOK || strings.Join(got, " ") != want {
			t.Errorf("%q: %s %v, want %s", query, a.Status, got, want)
		}
	}
	// A facet counts what choosing it would show, beside what is chosen already.
	if a := d.read("/devices?line=hall-1"); !strings.Contains(a.body, `<a href="/devices?line=hall-2">hall-2</a> <span class="count">1</span>`) ||
		!strings.Contains(a.body, `<a href="/devices" aria-current="true">hall-1</a> <span class="count">2</span>`) ||
		!strings.Contains(a.body, `<a href="/devices?line=hall-1&amp;revoked=true">yes</a> <span class="count">1</span>`) {
		t.Errorf("facets:\n%s", a.body)
	}
	if a := d.read("/devices?limit=2"); !strings.Contains(a.body, `<a href="/devices?after=bbbbbbb1&amp;limit=2">Next page</a>`) {
		t.Errorf("no next page:\n%s", a.body)
	}
	for _, bad := range []string{"?state=alive", "?limit=0", "?limit=501", "?after=x", "?model=No+Model", "?colour=red"} {
		if a := d.read("/devices" + bad); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", bad, a.Status)
		}
	}
}

func TestACrashLeadsToTheListOfItsDevicesWhichTakesEveryOtherFilterToo(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main.c:1")
	const group = "0000000000000000"
	for i, line := range []string{"hall-1", "hall-1", "hall-2", "hall-2"} {
		one := fleet.Device{Key: fleet.DeviceKey(fmt.Sprint("bbbbbbb", i)), Model: "pump", Line: line}
		d.must(d.store.AddDevice(t.Context(), one, auth.DeviceSecrets{}))
		if i == 3 {
			continue // it has not crashed
		}
		dump := fleet.Dump{Device: one.Key, Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon}
		d.must(d.store.RecordDumps(t.Context(), []fleet.Dump{dump}))
		_, err := d.store.RecordCrash(t.Context(), crash.Crash{
			Device: one.Key, Model: "pump", Name: dump.Name(), Uploaded: noon, State: crash.Reported, Version: "1.0", Fingerprint: group, TopFrame: "main.c:1",
		}, 0)
		d.must(err)
	}
	for path, want := range map[string]string{
		"/crashes/" + group:                   `<a href="/devices?crash=` + group + `">4 devices</a>`,
		"/crashes":                            `<a href="/devices?crash=` + group + `">4</a>`,
		"/crashes/" + group + "?":             `<a href="/devices?crash=` + group + `&amp;line=hall-1">2</a>`,
		"/devices?crash=" + group:             `4 devices · <a href="/devices.csv?crash=` + group + `"`,
		"/devices?line=hall-1&crash=" + group: `<a class="tag" href="/devices?line=hall-1">Crashed in: main.c:1 `,
		"/devices?line=hall-2&crash=" + group: `<input type="hidden" name="crash" value="` + group + `">`,
		"/devices?q=bbb&crash=" + group:       `data-live="device sighting crash"`,
		"/devices?limit=2&crash=" + group:     `<a href="/devices?after=bbbbbbb0&amp;crash=` + group + `&amp;limit=2">Next page</a>`,
	} {
		if a := d.read(path); !strings.Contains(a.body, want) {
			t.Errorf("%s: no %s in\n%s", path, want, a.body)
		}
	}
	for query, want := range map[string]string{
		"": "aaaaaaaa bbbbbbb0 bbbbbbb1 bbbbbbb2", "&line=hall-1": "bbbbbbb0 bbbbbbb1", "&line=hall-2": "bbbbbbb2", "&q=bbb&limit=2": "bbbbbbb0 bbbbbbb1",
		"&limit=2&after=bbbbbbb0": "bbbbbbb1 bbbbbbb2", "&state=live": "",
	} {
		var got []string
		a := d.read("/devices?crash=" + group + query)
		for _, key := range []string{"aaaaaaaa", "bbbbbbb0", "bbbbbbb1", "bbbbbbb2", "bbbbbbb3"} {
			if strings.Contains(a.body, `<a href="/devices/`+key+`">`) {
				got = append(got, key)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %s %v, want %s", query, a.Status, got, want)
		}
	}
	if a := d.read("/devices.csv?line=hall-1&crash=" + group); strings.Count(a.body, "\n") != 1+2 || strings.Contains(a.body, "bbbbbbb2") {
		t.Errorf("as CSV:\n%s", a.body)
	}
	if a := d.read("/devices?crash=nobodys"); a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, "nobodys") {
		t.Errorf("of no group: %s\n%s", a.Status, a.body)
	}
}
