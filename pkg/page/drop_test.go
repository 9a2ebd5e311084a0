package page

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// inbox is a drop folder whose files are only names.
type inbox struct {
	store *catalog.Catalog
	all   []fleet.Drop
}

func (i *inbox) refused(name, reason string) {
	helps, lacks := fleet.Mending(reason)
	i.all = append(i.all, fleet.Drop{Name: name, Size: 2080, RejectedAt: noon, Reason: reason, Mend: helps, Lacks: lacks})
}

func (i *inbox) Rejected() ([]fleet.Drop, error) { return i.all, nil }

func (i *inbox) Retry(ctx context.Context, name string) error {
	return i.take(ctx, name, event.DropRetried)
}

func (i *inbox) Dismiss(ctx context.Context, name string) error {
	return i.take(ctx, name, event.DropDismissed)
}

func (i *inbox) take(ctx context.Context, name string, kind fleet.EventKind) error {
	at := slices.IndexFunc(i.all, func(d fleet.Drop) bool { return d.Name == name })
	if at < 0 {
		return fleet.Unknown("no rejected file is named %q", name)
	}
	if err := i.store.Record(ctx, kind, i.all[at].ObjectOf(), nil); err != nil {
		return err
	}
	i.all = slices.Delete(i.all, at, at+1)
	return nil
}

func TestTheInboxSaysWhatCameWhatWasRefusedAndWhatHelps(t *testing.T) {
	d := acting(t)
	d.gateway.status.DropFolder = "/var/lib/slipway/drop"
	d.must(d.store.Record(t.Context(), event.DropRejected, fleet.Object{Type: "drop", ID: "valve.zip"}, map[string]string{"reason": "no model"}))
	dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "0.9", UploadedAt: noon, Size: 2080}
	d.must(d.store.RecordDumps(t.Context(), []fleet.Dump{dump}))
	_, err := d.store.RecordCrash(t.Context(), crash.Crash{
		Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: noon, State: crash.Missing, ELFHash: "7d946a8e8", DeclaredVersion: "0.9",
	}, 0)
	d.must(err)
	a := d.ask(http.MethodGet, "/drop", "", "Cookie", d.signIn(auth.Operator))
	for _, want := range []string{
		"Files in <code>/var/lib/slipway/drop</code>", "<h3>pump-1.5.0.zip</h3>", "It did not arrive whole: copy it again.", "Make model valve and take it again",
		`action="/drop/a%20b%3F.txt/retry"`, `<code>7d946a8e8…</code></th><td data-label="model"><a href="/models/pump#upload">pump</a></td><td data-label="versions">0.9</td>`,
		"drop rejected: no model", "build accepted", `<a href="/models/pump">pump/1.4.2</a>`,
	} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s without %q\n%s", a.Status, want, a.body)
		}
	}
	if a := d.read("/drop"); strings.Contains(a.body, `action="/drop/`) || !strings.Contains(a.body, "valve.zip") {
		t.Errorf("a viewer sees:\n%s", a.body)
	}
}

func TestTheInboxRunsNothingOfWhatItShows(t *testing.T) {
	const evil = `<script>alert(1)</script>`
	d := open(t)
	d.inbox.refused(evil, evil)
	d.must(d.store.Record(t.Context(), event.DropRejected, fleet.Object{Type: "drop", ID: evil}, map[string]string{"reason": evil}))
	a := d.ask(http.MethodGet, "/drop", "", "Cookie", d.signIn(auth.Operator))
	if a.StatusCode != http.StatusOK || strings.Contains(a.body, "<script>") || strings.Count(a.body, "&lt;script&gt;alert") != 4 {
		t.Errorf("%s\n%s", a.Status, a.body)
	}
}

func TestTheInboxTakesAFirmwareOfWhicheverModelItNames(t *testing.T) {
	d, cookie := winch(t, 2)
	d.must(d.store.AddModel(t.Context(), fleet.Model{Code: "crane", Name: "Crane <b>7"}))
	contains(t, "the inbox", d.see(cookie, "/drop"), `<form class="upload" method="post" action="/drop/upload"`, "(firmware.publish: automatic)", `<option value="">the one that the bundle names</option>`,
		`<option value="crane">crane, Crane &lt;b&gt;7</option>`, `<option value="winch">winch</option>`, "upload.js", "<code>slipway firmware add FILE</code>")
	for form, want := range map[string]string{
		uploaded("w.zip", built("1.2.0", ""), "to", "/drop"):            "winch 1.2.0 is accepted and published: 2 devices are offered it now.",
		uploaded("c.zip", builtOf("crane", "2.0.0", ""), "to", "/drop"): "crane 2.0.0 is accepted and published: 0 devices are offered it now.",
	} {
		a := d.act(cookie, "/drop/upload", form)
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/drop" {
			t.Fatalf("%s %s\n%s", a.Status, a.Header.Get("Location"), a.body)
		}
		contains(t, "the verdict", d.see(cookie+"; "+cookieIn(a, saidCookie), "/drop"), want, "build accepted")
	}
}

func TestTheInboxSaysOfARefusedUploadWhatHelps(t *testing.T) {
	d, cookie := winch(t, 0)
	image := "\xe9" + strings.Repeat("x", 100)
	for _, one := range []struct {
		form  string
		wants []string
	}{
		{uploaded("crane.zip", builtOf("crane", "1.0.0", "")), []string{
			"400", "crane.zip was refused:</strong> the bundle is for model &#34;crane&#34;, which does not exist; the nearest one is &#34;winch&#34;.", "Make the model and upload the file there",
			`action="/models/add"><input type="hidden" name="code" value="crane"><button class="main">Make model crane</button>`,
		}},
		{uploaded("x.bin", image), []string{"400", "a plain image does not name its model", "Nothing was stored. Upload it on the page, and choose its model there."}},
		{uploaded("x.bin", image, "model", "winch"), []string{"400", "x.bin was refused:", "Taken are bundles"}},
		{uploaded("w.zip", built("1.1.0", "1.0.0")), []string{"409", "is stored with another image or ELF", "tick “Replace the build of the same version”"}},
		{uploaded("\u202e<b>.zip", "PK\x03\x04"), []string{"400", "&lt;b&gt;.zip was refused:", "Nothing was stored."}},
		{uploaded("x.zip", "x", "model", "No Model"), []string{"400", "Nothing was uploaded:"}},
		{uploaded("", ""), []string{"400", "Nothing was uploaded:", "choose a file"}},
	} {
		a := d.act(cookie, "/drop/upload", one.form)
		contains(t, "a refusal", a.Status+a.body, append(one.wants, `role="alert"`, `<form class="upload"`, "<h1>Inbox</h1>")...)
	}
	// What was refused without a model stands under the name of its file, where that is one that people give.
	page, err := d.store.Events(event.Filter{Kinds: []string{string(event.BuildRejected)}})
	d.must(err)
	var told []string
	for _, e := range page.Events {
		told = append(told, e.Object.Type+" "+e.Object.ID)
	}
	if want := []string{"drop crane.zip", "drop x.bin", "model winch", "drop w.zip", "drop FILE"}; !slices.Equal(told, want) {
		t.Errorf("told is %q, want %q", told, want)
	}
	if a := d.act(cookie, "/models/add", "code=crane"); a.Header.Get("Location") != "/models/crane" {
		t.Errorf("making the model leads to %s", a.Header.Get("Location"))
	}
	contains(t, "the model", d.see(cookie, "/models/crane"), `<details class="act" open><summary>Upload a build</summary>`)
}
