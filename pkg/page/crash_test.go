package page

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/espcore"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// hostileReport has a script in each text that a dump or a bundle chooses.
const hostileReport = `{"reason":"<script>r</script>","warnings":["<script>w</script>"],"registers":{"<script>":"0x1"},"tasks":[
{"name":"<script>t</script>","crashed":true,"frames":[{"function":"<script>f</script>","file":"/x/<script>.c","line":1,"in_app":true,"how":"pc","args":[{"name":"<script>a","value":"<script>v"}]}]},
{"name":"<script>u</script>","frames":[{"function":"<img src=x>","file":"","in_app":false,"how":"scan","args":[]}]}]}`

func called(function, file string, own bool, how espcore.How) espcore.Frame {
	return espcore.Frame{Function: function, File: file, Line: 14, InApp: own, How: how, Args: []espcore.Argument{}}
}

func TestOwnFramesStandOutAndThoseOfTheFrameworkAreFolded(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "fail_once at test_core_dump.c:14")
	report := espcore.Report{
		Reason: "abort() was called", Registers: espcore.Registers{}, Tasks: []espcore.Task{
			{Name: "main", Crashed: true, StackUsed: 900, StackSize: 3584, LeftOut: &espcore.LeftOut{After: 4, Count: 90}, Frames: []espcore.Frame{
				called("panic_abort", "/idf/panic.c", false, espcore.HowPC), called("esp_system_abort", "/idf/system.c", false, espcore.HowCFI),
				called("fail_once", "/home/ines/main/test_core_dump.c", true, espcore.HowCFI), called("app_main", "/home/ines/main/main.c", true, espcore.HowScan),
				called("main_task", "/idf/startup.c", false, espcore.HowScan),
			}},
			{Name: "IDLE", Frames: []espcore.Frame{called("wait", "/idf/idle.c", false, espcore.HowPC)}},
		},
	}
	d.packed = packed(t, asJSON(t, report))
	a := d.read("/crashes/0000000000000000")
	for _, want := range []string{
		`<h3>Task main</h3><p class="quiet">900 of 3584 bytes of stack</p>`,
		`<summary>2 frames of the framework: panic_abort</summary>`,
		`<li class="frame own"><span class="function">fail_once</span>`,
		`<span class="place" title="/home/ines/main/test_core_dump.c">test_core_dump.c:14</span>`,
		`<span class="function">app_main</span> <span class="tag">scan</span>`,
		`<p class="quiet">90 frames left out of a long stack</p>`,
		`<dt><span class="tag">scan</span></dt>`,
		`<details class="task"><summary><b>IDLE</b> in wait</summary>`,
		`as people read it: `,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, `<dt><span class="tag">inferred</span></dt>`) {
		t.Error("the legend explains a mark that is not there")
	}
}

func TestAPersonDecidesAboutACrashByForms(t *testing.T) {
	d := open(t)
	d.crashes(3, "abort()", "main.c:1")
	for _, v := range []fleet.Version{"1.0", "1.9"} {
		_, _, err := d.store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: v}, false)
		d.must(err)
	}
	const address = "/crashes/0000000000000000"
	cookie := d.signIn(auth.Operator)
	group := func(fingerprint string) crash.Group {
		g, _, _, err := d.store.Group(fingerprint)
		d.must(err)
		return g
	}
	act := func(path string, form url.Values) answer {
		t.Helper()
		return d.ask(http.MethodPost, path, form.Encode(), "Cookie", cookie, "Origin", d.url)
	}
	for _, test := range []struct {
		path  string
		form  url.Values
		holds func() bool
		line  string
	}{
		{address + "/resolve", url.Values{"in": {"next"}}, func() bool {
			g := group("0000000000000000")
			return g.State == crash.Resolved && g.ResolvedIn == "1.10"
		}, "slipway crash resolve 0000000000000000 --in 1.10"},
		{address + "/reopen", nil, func() bool { return group("0000000000000000").State == crash.Open }, "slipway crash reopen"},
		{address + "/resolve", url.Values{"in": {"1.9"}}, func() bool { return group("0000000000000000").ResolvedIn == "1.9" }, "--in 1.9"},
		{address + "/ignore", nil, func() bool { return group("0000000000000000").State == crash.Ignored }, "slipway crash ignore"},
		{address + "/ignore", url.Values{"version": {"next"}, "crashes": {""}, "until": {""}}, func() bool {
			return group("0000000000000000").Until == crash.Bound{Version: "1.10"}
		}, "slipway crash ignore 0000000000000000 --until-version 1.10<"},
		{address + "/ignore", url.Values{"version": {""}, "crashes": {"3"}, "until": {""}}, func() bool {
			return group("0000000000000000").Until == crash.Bound{Crashes: 3, Left: 3}
		}, "It is ignored until 3 more crashes: so long"},
		{address + "/ignore", url.Values{"until": {"2026-06-01"}}, func() bool {
			return group("0000000000000000").Until.At.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
		}, `ignored until <time datetime="2026-06-01T00:00:00Z"`},
		{address + "/note", url.Values{"note": {"the valve"}, "link": {"https://tickets.example/7"}}, func() bool {
			g := group("0000000000000000")
			return g.Note == "the valve" && g.Link == "https://tickets.example/7"
		}, "slipway crash note"},
		{"/crashes/decide", url.Values{"verb": {"ignore"}, "crash": {"0000000000000001", "0000000000000002"}}, func() bool {
			return group("0000000000000001").State == crash.Ignored && group("0000000000000002").State == crash.Ignored
		}, "slipway crash ignore"},
		{"/crashes/0000000000000001/merge", url.Values{"into": {"0000000000000002"}}, func() bool { return group("0000000000000001").Fingerprint == group("0000000000000002").Fingerprint }, "slipway crash merge"},
	} {
		a := act(test.path, test.form)
		if a.StatusCode != http.StatusSeeOther || !test.holds() {
			t.Fatalf("%s %v: %s\n%s", test.path, test.form, a.Status, a.body)
		}
		said := d.ask(http.MethodGet, a.Header.Get("Location"), "", "Cookie", cookie+"; "+strings.SplitN(a.Header.Get("Set-Cookie"), ";", 2)[0])
		if !strings.Contains(said.body, test.line) || !strings.Contains(said.body, "To undo it: ") {
			t.Errorf("%s: no %q in\n%s", test.path, test.line, said.body)
		}
	}
	for _, wrong := range []struct {
		path string
		form url.Values
	}{
		{address + "/resolve", url.Values{"in": {"0.5"}}}, {address + "/resolve", url.Values{"in": {""}}}, {"/crashes/none/ignore", nil},
		{"/crashes/decide", url.Values{"verb": {"burn"}, "crash": {"0000000000000000"}}}, {"/crashes/decide", url.Values{"verb": {"ignore"}}},
		{address + "/note", url.Values{"link": {"javascript:alert(1)"}}}, {address + "/ignore", url.Values{"crashes": {"0"}}},
		{address + "/ignore", url.Values{"crashes": {"many"}}}, {address + "/ignore", url.Values{"until": {"2026-05-04"}}},
		{address + "/ignore", url.Values{"version": {"0.5"}}}, {address + "/ignore", url.Values{"version": {"1.9"}, "crashes": {"1"}}},
	} {
		if a := act(wrong.path, wrong.form); a.StatusCode < 400 || a.StatusCode >= 500 {
			t.Errorf("%s %v: %s", wrong.path, wrong.form, a.Status)
		}
	}
}

func TestAViewerSeesNoFormsOfACrashAndAnotherSiteDecidesNothing(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main.c:1")
	for _, path := range []string{"/crashes", "/crashes/0000000000000000"} {
		if a := d.read(path); strings.Contains(a.body, `method="post" action="/crashes`) {
			t.Errorf("%s shows a viewer a form", path)
		}
	}
	viewer, operator := d.signIn(auth.Viewer), d.signIn(auth.Operator)
	for _, verb := range []string{"ignore", "resolve", "reopen", "note", "merge"} {
		path := "/crashes/0000000000000000/" + verb
		if a := d.ask(http.MethodPost, path, "in=1.0", "Cookie", viewer, "Origin", d.url); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s by a viewer: %s", verb, a.Status)
		}
		if a := d.ask(http.MethodPost, path, "in=1.0", "Cookie", operator, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s by another site: %s", verb, a.Status)
		}
	}
}

func TestTheListOfCrashesIsFilteredByItsAddressAndGoesPageByPage(t *testing.T) {
	d := open(t)
	d.crashes(shownRows+2, "abort()", "main.c:1")
	first := d.read("/crashes?sort=first_seen&model=pump")
	_, next, ok := strings.Cut(first.body, `<nav class="pages" aria-label="Pages"><a href="`)
	if !ok {
		t.Fatalf("no next page: %s\n%s", first.Status, first.body)
	}
	next, _, _ = strings.Cut(next, `"`)
	second := d.read(strings.ReplaceAll(next, "&amp;", "&"))
	if n, m := strings.Count(first.body, `<a href="/crashes/0`), strings.Count(second.body, `<a href="/crashes/0`); n != shownRows || m != 2 {
		t.Errorf("%d crashes on the first page and %d on the second:\n%s", n, m, second.body)
	}
	for query, want := range map[string]int{"text=nothing": 0, "state=ignored": 0, "state=open&text=main.c": shownRows, "version=1.0": shownRows,
		"until=" + noon.Add(2*time.Hour).Format(time.RFC3339): 3, "since=" + noon.Add(time.Hour).Format(time.RFC3339) + "&until=" + noon.Add(2*time.Hour).Format(time.RFC3339): 2, "since=0s": shownRows,
	} {
		if a := d.read("/crashes?" + query); strings.Count(a.body, `<a href="/crashes/0`) != want {
			t.Errorf("%s: %s, not %d", query, a.Status, want)
		}
	}
	for _, wrong := range []string{"sort=color", "state=gone", "after=x", "model=%21", "colour=red", "since=yesterday", "since=1h&until=2h"} {
		if a := d.read("/crashes?" + wrong); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", wrong, a.Status)
		}
	}
}

func TestTheListOfCrashesDrawsTheDaysOfEach(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main.c:1")
	const today = `<svg class="spark" viewBox="0 0 70 16" role="img" aria-label="1 crash in 14 days, 1 today"><rect x="65" y="0" width="4" height="16"/></svg>`
	for _, address := range []string{"/crashes", "/crashes?sort=count"} {
		if a := d.read(address); !strings.Contains(a.body, today) {
			t.Errorf("%s has no %s in\n%s", address, today, a.body)
		}
	}
}

func TestThePlotHasALineForEachVersionThatCrashedOfLate(t *testing.T) {
	hour := noon.Unix() / 3600
	counted := []crash.VersionSeries{{Version: "1.0", Series: crash.Series{Hours: map[int64]crash.Count{hour: {Crashes: 1}, hour - 47: {Crashes: 2}, hour - 48: {Crashes: 9}}}}, {Version: "old"}}
	for i := range 9 {
		counted = append(counted, crash.VersionSeries{Version: "2." + string(rune('0'+i)), Series: crash.Series{Hours: map[int64]crash.Count{hour: {Crashes: 10 + i}}}})
	}
	text, err := plotOf(counted[:2], noon)
	var got plot
	if err := errors.Join(err, json.Unmarshal([]byte(text), &got)); err != nil {
		t.Fatal(err)
	}
	if len(got.Times) != 48 || got.Times[47] != noon.Unix() || len(got.Series) != 1 || got.Series[0].Counts[47] != 1 || got.Series[0].Counts[0] != 2 {
		t.Errorf("%s", text)
	}
	if text, err := plotOf(counted, noon); err != nil || strings.Count(text, `"name"`) != mostLines || !strings.Contains(text, `"name":"2.8"`) || strings.Contains(text, `"name":"1.0"`) {
		t.Errorf("%s, %v", text, err)
	}
	if text, err := plotOf(counted[1:2], noon); err != nil || text != "" {
		t.Errorf("of nothing: %s, %v", text, err)
	}
}

func TestTheDumpsOfACrashAreDecodedAgainPieceByPiece(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main")
	for i := 1; i < 5; i++ { // more of the same
		dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon.Add(time.Duration(i) * time.Hour)}
		d.must(d.store.RecordDumps(t.Context(), []fleet.Dump{dump}))
		_, err := d.store.RecordCrash(t.Context(), crash.Crash{
			Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: dump.UploadedAt, State: crash.Reported, Version: "1.0", Fingerprint: "0000000000000000", Reason: "abort()", TopFrame: "main",
		}, 0)
		d.must(err)
	}
	const address = "/crashes/0000000000000000"
	operator := d.signIn(auth.Operator)
	told := 0
	decode := func(form, want, goesOn string, pieces int) {
		t.Helper()
		a := d.act(operator, address+"/decode", form)
		at := a.Header.Get("Location")
		if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, address+goesOn) {
			t.Fatalf("%s to %s\n%s", a.Status, at, a.body)
		}
		contains(t, "the page", d.see(operator+"; "+cookieIn(a, saidCookie), at), want, "slipway crash decode 0000000000000000<")
		page, err := d.store.Events(event.Filter{Kinds: []string{string(event.DumpDecodedAgain)}})
		d.must(err)
		if told += pieces; len(page.Events) != told {
			t.Errorf("%s: told of %d, want %d", form, len(page.Events), told)
		}
	}
	decode("", "5 dumps of it are decoded again, one after another", "", 5)
	d.piece = 3
	decode("", "3 of its 5 dumps, newest first, are decoded again in their turn; there are more behind them: go on below.", "?decoded=aaaaaaaa%2F", 3)
	after := "aaaaaaaa/" + string(fleet.Dump{UploadedAt: noon.Add(2 * time.Hour)}.Name())
	contains(t, "the page", d.see(operator, address+"?decoded="+url.QueryEscape(after)), `name="after" value="`+after+`"`, "Decode the next of its dumps again")
	decode("after="+url.QueryEscape(after), "The last 2 of its 5 dumps are decoded again in their turn.", "", 2)
	if body := d.see(d.signIn(auth.Viewer), address); strings.Contains(body, "/decode") {
		t.Errorf("a viewer may have them decoded again:\n%s", body)
	}
}
