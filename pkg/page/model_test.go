package page

import (
	"net/http"
	"strings"
	"testing"

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
