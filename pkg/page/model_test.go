package page

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestAModelShowsItsBuildsWithWhoRunsThemAndHowOftenTheyCrash(t *testing.T) {
	d := open(t)
	d.crashes(2, "abort()", "main.c:1")
	for i, b := range []fleet.Build{
		{Model: "pump", Version: "1.0", Origin: fleet.FromDrop, ImageSize: 1 << 20, BundleSize: 2 << 20, GitCommit: "abc1234", IDFVersion: "v5.3"},
		{Model: "pump", Version: "1.1", Origin: fleet.FromAPI, ImageSize: 1 << 20, Warnings: []string{"<b>no map</b>"}},
	} {
		_, _, err := d.store.RecordBuild(t.Context(), b, i == 0)
		d.must(err)
	}
	a := d.read("/models/pump")
	for _, want := range []string{
		`<th scope="row"><a href="/models/pump/builds/1.0">1.0</a> <span class="tag">published</span></th>`, `<a href="/api/device-models/pump/firmware?format=elf&amp;version=1.0">ELF</a>`, `<code>abc1234</code>`, "ESP-IDF v5.3",
		`<a href="/crashes?model=pump&amp;version=1.0">2</a>`, `<a href="/devices?model=pump&amp;version=1.1">0</a>`,
		`<a href="/api/device-models/pump/firmware?format=zip&amp;version=1.0">ZIP</a>`, `&lt;b&gt;no map&lt;/b&gt;`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "format=zip&amp;version=1.1") || strings.Index(a.body, `builds/1.1"`) > strings.Index(a.body, `builds/1.0"`) {
		t.Errorf("a plain image has a ZIP, or the oldest build comes first:\n%s", a.body)
	}
	for _, none := range []string{"/models/fan", "/models/%21"} {
		if a := d.read(none); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", none, a.Status)
		}
	}
}

func TestTheListOfModelsCountsWhatThereIsAndEachNumberLeadsToItsList(t *testing.T) {
	d := open(t)
	d.crashes(2, "abort()", "main.c:1")
	d.must(d.store.AddDevice(t.Context(), fleet.Device{Key: "bbbbbbbb", Model: "pump"}, auth.DeviceSecrets{}))
	d.book.Seen(fleet.Seen{Device: "bbbbbbbb", At: noon, By: fleet.HeardConfig})
	d.clock = noon.Add(48 * time.Hour)
	for _, v := range []fleet.Version{"1.0", "1.1", "1.2"} {
		_, _, err := d.store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: v}, false)
		d.must(err)
	}
	for path, all := range map[string][]string{
		"/models": {
			`<a href="/devices?model=pump">2</a>`, `<a href="/devices?model=pump&amp;state=silent">1</a>`, `<a href="/models/pump#builds">3</a>`, `<a href="/crashes?model=pump">2</a>`,
		},
		"/models/pump":            {`data-label="dumps read with it"><a href="/crashes?model=pump&amp;version=1.0">2</a>`},
		"/models/pump/builds/1.0": {`<dt>Dumps read with it</dt><dd><a href="/crashes?model=pump&amp;version=1.0">2</a>`},
	} {
		a := d.read(path)
		for _, want := range all {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s: no %s in\n%s", path, want, a.body)
			}
		}
	}
	for path, want := range map[string]string{
		"/devices?model=pump&state=silent": `<a href="/devices/bbbbbbbb">`, "/crashes?model=pump&version=1.0": `<a href="/crashes/0000000000000001">`,
	} {
		if a := d.read(path); !strings.Contains(a.body, want) {
			t.Errorf("%s: no %s in\n%s", path, want, a.body)
		}
	}
}
