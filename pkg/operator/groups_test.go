package operator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestACrashIsResolvedInABuildsVersionOrOneAfterAllAndNoTypoMutesIt(t *testing.T) {
	d := open(t, nil)
	d.crashes(1, "abort()", "main main.c:1")
	for _, v := range []fleet.Version{"1.4.0", "1.5.0", "1.5.0-rc1"} {
		if _, _, err := d.store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: v, ELFSHA256: string(v)}, false); err != nil {
			t.Fatal(err)
		}
	}
	const address = "/api/crashes/0000000000000000/"
	for _, test := range []struct {
		version, force string
		status         int
	}{
		{"1.5.l", "false", http.StatusBadRequest}, {"nonsense", "false", http.StatusBadRequest}, {"1,5,0", "true", http.StatusBadRequest},
		{"v.1.5", "false", http.StatusBadRequest}, {"1.4.7", "false", http.StatusBadRequest}, {"", "true", http.StatusBadRequest},
		{"1.5.0", "false", http.StatusOK}, {"1.5.0-rc1", "false", http.StatusOK}, {"2.0.0", "false", http.StatusOK},
		{"v1.5.0-3-gabcdef0", "false", http.StatusOK}, {"nonsense", "true", http.StatusOK}, {"1.4.7", "true", http.StatusOK},
	} {
		a := d.ask(http.MethodPost, address+"resolve", `{"firmware_version":"`+test.version+`","force":`+test.force+`}`, d.bearer(auth.Operator)...)
		g, _, _, err := d.store.Group("0000000000000000")
		if err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != test.status || (g.State == crash.Resolved) != (test.status == http.StatusOK) {
			t.Errorf("%s, force %s: %s %s, and the group is %s", test.version, test.force, a.Status, a.body, g.State)
		}
		if test.version == "1.5.l" && (!strings.Contains(a.body, `\"1.5.l\"`) || !strings.Contains(a.body, "--force")) {
			t.Errorf("a typo is answered %s", a.body)
		}
		d.ask(http.MethodPost, address+"reopen", "", d.bearer(auth.Operator)...)
	}
}

func TestACrashIsIgnoredUntilOneThingThatCanCome(t *testing.T) {
	d := open(t, nil)
	d.crashes(1, "abort()", "main main.c:1")
	for _, v := range []fleet.Version{"1.4.0", "1.5.0"} {
		if _, _, err := d.store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: v, ELFSHA256: string(v)}, false); err != nil {
			t.Fatal(err)
		}
	}
	const address = "/api/crashes/0000000000000000"
	for body, want := range map[string]string{
		"":                                            `"state":"ignored","changed_at":"2026-05-04T12:00:00Z"`,
		"{}":                                          `"state":"ignored","changed_at":"2026-05-04T12:00:00Z"`,
		`{"until_version":"1.5.0"}`:                   `"state":"ignored","ignored_until":{"version":"1.5.0"}`,
		`{"until_version":"2.0.0"}`:                   `"ignored_until":{"version":"2.0.0"}`,
		`{"until_crashes":10}`:                        `"ignored_until":{"crashes":10,"crashes_left":10}`,
		`{"until":"2h"}`:                              `"ignored_until":{"at":"2026-05-04T14:00:00Z"}`,
		`{"until":"7d"}`:                              `"ignored_until":{"at":"2026-05-11T12:00:00Z"}`,
		`{"until":"2026-06-01"}`:                      `"ignored_until":{"at":"2026-06-01T00:00:00Z"}`,
		`{"until":"2026-05-04T13:00:00-01:00"}`:       `"ignored_until":{"at":"2026-05-04T14:00:00Z"}`,
		`{"until_version":"1.4.7","force":true}`:      `"ignored_until":{"version":"1.4.7"}`,
		`{"until_version":"1.4.7"}`:                   `until_version`,
		`{"until_version":"1,5"}`:                     `until_version`,
		`{"until_crashes":0}`:                         `until_crashes 0: want how many crashes more`,
		`{"until_crashes":-3}`:                        `until_crashes -3`,
		`{"until":"2026-05-04"}`:                      `that has passed: it is 2026-05-04T12:00:00Z now`,
		`{"until":"2026-05-04T12:00:00Z"}`:            `that has passed`,
		`{"until":"0d"}`:                              `that has passed`,
		`{"until":"tomorrow"}`:                        `want how long, such as 2h or 7d, a day such as 2026-05-04, or a time`,
		`{"until":"-2h"}`:                             `want how long`,
		`{"until":"7d","until_crashes":1}`:            `name one of them`,
		`{"until_version":"1.5.0","until_crashes":1}`: `name one of them`,
	} {
		good := strings.Contains(want, `"`)
		a := d.ask(http.MethodPost, address+"/ignore", body, d.bearer(auth.Operator)...)
		g, _, _, err := d.store.Group("0000000000000000")
		if err != nil {
			t.Fatal(err)
		}
		if (a.StatusCode == http.StatusOK) != good || !good && a.StatusCode != http.StatusBadRequest || (g.State == crash.Ignored) != good || !strings.Contains(a.body, want) {
			t.Errorf("%s: %s %s, and the group is %s", body, a.Status, a.body, g.State)
		}
		d.ask(http.MethodPost, address+"/reopen", "", d.bearer(auth.Operator)...)
	}
	if a := d.ask(http.MethodPost, "/api/crashes/nobody/ignore", `{"until_version":"1.5.0"}`, d.bearer(auth.Operator)...); a.StatusCode != http.StatusNotFound {
		t.Errorf("of no group: %s %s", a.Status, a.body)
	}
}

func TestWhatIsIgnoredNoMoreNeedsSomebodyUntilTheyDecide(t *testing.T) {
	d := open(t, nil)
	d.crashes(2, "abort()", "main main.c:1")
	_, err := d.store.UpdateGroup(t.Context(), "0000000000000000", func(g *crash.Group) error {
		g.Ignore(crash.Bound{At: noon}, noon)
		g.FirstSeen = noon.Add(-9 * fresh)
		g.EndIgnoring(noon)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	trouble := func() string { return d.ask(http.MethodGet, "/api/trouble", "", d.bearer(auth.Operator)...).body }
	if a := trouble(); !strings.Contains(a, `"kind":"crash ignored no more"`) || !strings.Contains(a, "it was ignored until 2026-05-04T12:00:00Z") {
		t.Errorf("trouble is %s", a)
	}
	d.ask(http.MethodPost, "/api/crashes/0000000000000000/reopen", "", d.bearer(auth.Operator)...)
	if a := trouble(); strings.Contains(a, "ignored") {
		t.Errorf("after somebody has decided trouble is %s", a)
	}
}

func TestGroupsAreMergedSplitAndNotedThroughTheDoor(t *testing.T) {
	d := open(t, nil)
	d.crashes(2, "abort()", "main main.c:1")
	const first, second = "/api/crashes/0000000000000000", "/api/crashes/0000000000000001"
	ask := func(method, address, body, part string) {
		t.Helper()
		if a := d.ask(method, address, body, d.bearer(auth.Operator)...); a.StatusCode != http.StatusOK || !strings.Contains(a.body, part) {
			t.Errorf("%s %s: %s %s", method, address, a.Status, a.body)
		}
	}
	ask(http.MethodPost, second+"/note", `{"note":"hall 3"}`, `"note":"hall 3"`)
	ask(http.MethodPost, second+"/note", `{"link":"https://tickets.example/4711"}`, `"note":"hall 3","link":"https://tickets.example/4711"`)
	for _, body := range []string{`{"link":"javascript:alert(1)"}`, `{"link":"tickets.example/4711"}`, `{}`} {
		if a := d.ask(http.MethodPost, second+"/note", body, d.bearer(auth.Operator)...); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s %s", body, a.Status, a.body)
		}
	}
	ask(http.MethodGet, second, "", `"kind":"crash.noted"`)
	ask(http.MethodPost, second+"/merge", `{"fingerprint":"0000000000000000"}`, `"count":2`)
	ask(http.MethodGet, second, "", `"fingerprint":"0000000000000000"`)
	ask(http.MethodGet, second, "", `"note":"hall 3"`)
	ask(http.MethodGet, second+"/devices?limit=1", "",
		`{"devices":["aaaaaaaa"],"counts":[{"device_key":"aaaaaaaa","count":2,"last_seen":"2026-05-04T13:00:00Z"}],"next":null,"total":1}`)
	ask(http.MethodGet, first+"/devices?after=aaaaaaaa", "", `{"devices":[],"counts":[],"next":null,"total":1}`)
	ask(http.MethodPost, first+"/split", `{"chains":["0000000000000001"]}`, `"fingerprint":"0000000000000001"`)
	ask(http.MethodGet, second, "", `"count":1`)
	for address, status := range map[string]int{
		first + "/split": http.StatusBadRequest, "/api/crashes/nobody/split": http.StatusNotFound, "/api/crashes/nobody/merge": http.StatusNotFound,
	} {
		if a := d.ask(http.MethodPost, address, `{}`, d.bearer(auth.Operator)...); a.StatusCode != status {
			t.Errorf("%s: %s %s", address, a.Status, a.body)
		}
	}
	for _, verb := range []string{"merge", "split", "note"} {
		if a := d.ask(http.MethodPost, first+"/"+verb, `{}`, d.bearer(auth.Viewer)...); a.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer may %s: %s", verb, a.Status)
		}
	}
}
