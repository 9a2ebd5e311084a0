package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func packed(t *testing.T, report string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(report))
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheLibrariesAreAsTheyWerePublished(t *testing.T) {
	for _, l := range Libraries {
		for _, f := range l.Files {
			body, err := staticFiles.ReadFile("static/" + f.Name)
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s of %s %s is another one: %x", f.Name, l.Name, l.Version, sum)
			}
		}
	}
	d := open(t)
	if a := d.read("/licences"); !strings.Contains(a.body, "Permission is hereby granted") {
		t.Errorf("the licences are not shown: %s", a.Status)
	}
}

func TestThePageShowsWhatADeviceSaysAndRunsNoneOfIt(t *testing.T) {
	d := open(t)
	d.crashes(1, `<script>alert("reason")</script>`, `<img src=x onerror=alert(1)> main.c:1`)
	d.packed = packed(t, hostileReport)
	for _, path := range []string{"/", "/crashes", "/crashes/0000000000000000", "/dumps/aaaaaaaa/coredump_20260504T120000_000000Z"} {
		a := d.read(path)
		if a.StatusCode != http.StatusOK || strings.Contains(a.body, "<script>") || strings.Contains(a.body, "<img") || !strings.Contains(a.body, "&lt;img src=x") {
			t.Errorf("%s: %s\n%s", path, a.Status, a.body)
		}
		if p := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", path, p)
		}
		if strings.Contains(a.body, "style=") || strings.Contains(a.body, "onclick=") {
			t.Errorf("%s has styles or scripts that the policy stops", path)
		}
	}
}

func TestEveryViewReadsWithoutASessionNothingAndAnswersHEAD(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main.c:1")
	d.rollouts.all = []fleet.Rollout{{Number: 7, Model: "pump", Version: "1.4.2", State: fleet.RolloutRunning}}
	_, _, err := d.store.RecordBuild(t.Context(), fleet.Build{Model: "pump", Version: "1.4.2"}, false)
	d.must(err)
	at := strings.NewReplacer("{$}", "", "{code}", "pump", "{number}", "7", "{version}", "1.4.2", "{fingerprint}", "0000000000000000", "{key}", "aaaaaaaa", "{name}", "coredump_20260504T120000_000000Z")
	for _, one := range views(&Page{}) {
		path := at.Replace(one.Pattern)
		a := d.ask(http.MethodGet, path, "")
		if a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, `name="token"`) || !strings.Contains(a.body, `name="to" value="`+path+`"`) || strings.Contains(a.body, "main.c:1") {
			t.Errorf("%s without a token: %s\n%s", path, a.Status, a.body)
		}
		if a := d.ask(http.MethodGet, path, "", "Authorization", "Bearer "+d.tokens[auth.Pipeline]); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s for a pipeline: %s", path, a.Status)
		}
		whole := d.read(path)
		head := d.ask(http.MethodHead, path, "", "Authorization", "Bearer "+d.tokens[auth.Viewer])
		if whole.StatusCode != http.StatusOK || head.StatusCode != http.StatusOK || head.body != "" || head.ContentLength != int64(len(whole.body)) {
			t.Errorf("%s: %s, HEAD: %s with %d of %d bytes", path, whole.Status, head.Status, head.ContentLength, len(whole.body))
		}
		if strings.Contains(whole.body, "<form method=\"post\" action=\"/devices") {
			t.Errorf("%s shows a viewer what a viewer may not do", path)
		}
	}
}

func TestABrowserGetsAPageForAnErrorAndAProgramGetsJSON(t *testing.T) {
	d := open(t)
	cookie := d.signIn(auth.Viewer)
	for _, path := range []string{"/nothing", "/crashes/none", "/api/nothing", "/devices?stat=live"} {
		html := d.ask(http.MethodGet, path, "", "Accept", "text/html,*/*", "Cookie", cookie, "Referer", d.url+"/crashes")
		if !strings.HasPrefix(html.Header.Get("Content-Type"), "text/html") || html.StatusCode < 400 || !strings.Contains(html.body, `href="/crashes">Back to where you were`) {
			t.Errorf("%s: %s %s\n%s", path, html.Status, html.Header.Get("Content-Type"), html.body)
		}
		other := d.ask(http.MethodGet, path, "", "Accept", "*/*", "Cookie", cookie)
		if other.StatusCode != html.StatusCode || !strings.Contains(other.body, `"correlationId"`) {
			t.Errorf("%s for a program: %s\n%s", path, other.Status, other.body)
		}
	}
	for _, from := range []string{"https://evil.example/x", d.url + "//evil.example", d.url + ".evil.example/"} {
		if a := d.ask(http.MethodGet, "/nothing", "", "Accept", "text/html", "Referer", from); strings.Contains(a.body, "evil") {
			t.Errorf("%s is a way back:\n%s", from, a.body)
		}
	}
}

func TestTheScriptsAndStylesAreKeptByBrowsersUntilTheyChange(t *testing.T) {
	d := open(t)
	a := d.ask(http.MethodGet, asset("style.css"), "", "Accept-Encoding", "identity")
	if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "max-age=31536000" || !strings.Contains(a.body, "--back") {
		t.Errorf("%s %s", a.Status, a.Header)
	}
	if a := d.ask(http.MethodGet, "/static/style.css", "", "If-None-Match", a.Header.Get("Etag")); a.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %s", a.Status)
	}
	if a := d.ask(http.MethodGet, "/static/style.css?v=other", ""); a.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("another version: %s", a.Header)
	}
	for _, path := range []string{"/static/uplot.LICENSE", "/static/none", "/static/"} {
		if a := d.ask(http.MethodGet, path, ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
	if a := d.ask(http.MethodGet, "/favicon.ico", ""); a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the icon: %s %s", a.Status, a.Header)
	}
}

func TestWhatABrowserStopsIsReported(t *testing.T) {
	d := open(t)
	report := `{"csp-report":{"document-uri":"https://gateway/devices?q=x","effective-directive":"script-src-elem","blocked-uri":"inline","script-sample":"alert(1)"}}`
	if a := d.ask(http.MethodPost, reportsPath, report, "Content-Type", "application/csp-report"); a.StatusCode != http.StatusNoContent {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	if want := (PolicyReport{"/devices", "script-src-elem", "inline", "alert(1)"}); len(d.reports) != 1 || d.reports[0] != want {
		t.Errorf("%+v", d.reports)
	}
	for body, status := range map[string]int{"": 400, "{}": 400, "[]": 400, `{"csp-report":1}`: 400, strings.Repeat(" ", mostReportBody+1): 413} {
		if a := d.ask(http.MethodPost, reportsPath, body); a.StatusCode != status {
			t.Errorf("%.20q: %s", body, a.Status)
		}
	}
	for range 2 * reportsAMinute {
		d.ask(http.MethodPost, reportsPath, report)
	}
	if len(d.reports) > reportsAMinute {
		t.Errorf("%d reports within a moment are told of", len(d.reports))
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"csp-report":{"document-uri":"https://gateway/devices?q=x","violated-directive":"script-src","blocked-uri":"inline"}}`))
	f.Add([]byte(`{"csp-report":{"document-uri":"://?"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseReport(body)
		for _, s := range []string{r.Page, r.Directive, r.Blocked, r.Sample} {
			if len(s) > mostReportText || err != nil && s != "" {
				t.Errorf("%q, %v", s, err)
			}
		}
	})
}

func TestADamagedReportHidesNothingElse(t *testing.T) {
	d := open(t)
	d.crashes(1, "abort()", "main.c:1")
	whole := packed(t, `{"reason":"abort()"}`)
	for _, damaged := range [][]byte{{}, whole[:8], whole[:len(whole)-3]} {
		d.packed = damaged
		for _, path := range []string{"/crashes/0000000000000000", "/dumps/aaaaaaaa/coredump_20260504T120000_000000Z"} {
			if a := d.read(path); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "main.c:1") {
				t.Errorf("with a report of %d bytes %s: %s\n%s", len(damaged), path, a.Status, a.body)
			}
		}
	}
}

func TestADumpWithoutAGroupHasAPageWithWhatIsKnownOfIt(t *testing.T) {
	d := open(t)
	d.packed = packed(t, `{"reason":"abort()"}`)
	d.crashes(0, "", "")
	dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon, Size: 2080}
	d.must(d.store.RecordDumps(t.Context(), []fleet.Dump{dump}))
	waits := crash.Crash{
		Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: noon, State: crash.Missing, Why: "its own firmware is not here",
		ELFHash: "7d946a8e8", DeclaredVersion: "1.0", Disagreements: []string{"the device declared version 1.0, its dump is of 2.0"},
	}
	_, err := d.store.RecordCrash(t.Context(), waits, 0)
	d.must(err)
	address := "/dumps/aaaaaaaa/" + string(dump.Name())
	for _, path := range []string{"/", "/crashes"} {
		if a := d.read(path); !strings.Contains(a.body, `<a href="`+address+`">`) || !strings.Contains(a.body, "the ELF with the SHA-256 7d946a8e8…, declared version 1.0 of pump") {
			t.Errorf("%s does not lead to it:\n%s", path, a.body)
		}
	}
	a := d.read(address)
	for _, want := range []string{"missing", "its own firmware is not here", "its dump is of 2.0", "as people read it: ", "/api" + strings.Replace(address, "dumps", "coredumps", 1) + "/file"} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %s without %q\n%s", address, a.Status, want, a.body)
		}
	}
	if strings.Contains(a.body, `href="/crashes/`) {
		t.Errorf("a group that there is not:\n%s", a.body)
	}
	if a := d.read(address[:len(address)-1] + "x"); a.StatusCode != http.StatusNotFound {
		t.Errorf("one that there is not: %s", a.Status)
	}
}
