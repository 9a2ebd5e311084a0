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
