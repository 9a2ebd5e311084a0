package operator

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/rollout"
	"github.com/slipway-gateway/slipway/pkg/sighting"
	sample "github.com/slipway-gateway/slipway/testdata/firmware"
)

// told are the kinds that the table says a cause leaves.
func told(cause string) []string {
	var kinds []string
	for _, row := range event.Table {
		if slices.Contains(row.Left, cause) {
			kinds = append(kinds, string(row.Kind))
		}
	}
	return kinds
}

// recorded is a store of dumps of which only the records are there.
type recorded struct {
	noFiles
	store *catalog.Catalog
}

func (r recorded) Remove(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	return r.store.RemoveDump(ctx, key, name)
}

// DecodeGroupAgain likewise finds what was found before.
func (r recorded) DecodeGroupAgain(ctx context.Context, address string, after crash.Ref) (crash.AskedAgain, error) {
	asked, err := r.store.AskGroupAgain(ctx, address, after, 500)
	if err != nil {
		return asked, err
	}
	some, err := r.store.AskedCrashes(500)
	for _, one := range some {
		if _, err := r.store.RecordCrash(event.ByItself(ctx), one, 0); err != nil {
			return asked, err
		}
	}
	return asked, err
}

// DecodeAgain finds what was found before.
func (r recorded) DecodeAgain(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	if err := r.store.AskAgain(ctx, key, name); err != nil {
		return err
	}
	l, err := r.store.Dump(key, name)
	if err == nil {
		_, err = r.store.RecordCrash(event.ByItself(ctx), l.Crash, 0) // as triage does
	}
	return err
}

type noWaker struct{}

func (noWaker) BuildArrived(context.Context, fleet.Build) error { return nil }

type nudged struct{ store *catalog.Catalog }

func (n nudged) Nudge(ctx context.Context, d fleet.Device, _ string) error {
	return n.store.Record(ctx, event.DeviceNudged, d.Key.ObjectOf(), nil) // as the gateway's does
}

// droppedFiles are rejected files in memory.
type droppedFiles struct {
	store *catalog.Catalog
	names []string
}

func (f *droppedFiles) Rejected() (all []fleet.Drop, err error) {
	for i, name := range f.names {
		all = append(all, fleet.Drop{Name: name, Size: 2, RejectedAt: ago(i), Reason: "there is no model \"pump\""})
	}
	return all, nil
}

func (f *droppedFiles) Retry(ctx context.Context, name string) error {
	return f.take(ctx, name, event.DropRetried)
}

func (f *droppedFiles) Dismiss(ctx context.Context, name string) error {
	return f.take(ctx, name, event.DropDismissed)
}

func (f *droppedFiles) take(ctx context.Context, name string, kind fleet.EventKind) error {
	at := slices.Index(f.names, name)
	if at < 0 {
		return fleet.Unknown("no rejected file is named %q", name)
	}
	f.names = slices.Delete(f.names, at, at+1)
	return f.store.Record(ctx, kind, fleet.Drop{Name: name}.ObjectOf(), nil) // as the gateway's do
}

type turned struct{}

func (turned) Rotate() error { return nil }

// act is a request that changes something, and what it is to leave.
type act struct {
	route, path, body string
	status            int
	leaves            string // kinds, separated by blanks
}

// realRollouts are those that a gateway has.
func realRollouts(t *testing.T, store *catalog.Catalog, book *sighting.Book, firmware *depot.Depot) *rollout.Rollouts {
	t.Helper()
	rs, err := rollout.Open(rollout.Options{
		Store: store, Book: book, Firmware: firmware, Rate: func(fleet.ModelCode, fleet.Version) float64 { return 0 }, Hold: func() string { return "" },
		Plan: "standard", Alpha: 0.0001, Beta: 0.01, Tolerated: 0.01, UpWithin: 15 * time.Minute, DecideWithin: 14 * 24 * time.Hour,
		Beat: func() {}, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// TestEveryChangingRouteLeavesTheEventsThatTheTableNames plays all of them, from the routes' own list: a route that is not
// in the table, or that nobody plays here, fails.
func TestEveryChangingRouteLeavesTheEventsThatTheTableNames(t *testing.T) {
	var store *catalog.Catalog
	var brought *rollout.Rollouts
	d := open(t, func(o *Options) {
		store = o.Events.(*catalog.Catalog)
		o.Keys, o.Dumps = turned{}, recorded{store: store}
		o.Nudges = nudged{store}
		o.Drops = &droppedFiles{store: store, names: []string{"pump 1.zip", "fan.zip"}}
		o.Gateway = &calm{trusted: true, wrong: []fleet.Wrong{{Kind: "disk", Text: "full"}}, backup: func(io.Writer) error { return nil }}
		o.Issuer = &auth.Issuer{Devices: store, Now: func() time.Time { return noon }}
		o.Counter = endpoint.NewMetrics(prometheus.NewRegistry())
		firmware := depot.New(depot.Options{
			Dir: t.TempDir(), Recorder: store, Waker: noWaker{}, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
			MaxBytes: 1 << 30, KeepVersions: 10, ELFCache: 1 << 20, Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
		})
		o.Firmware = firmware
		brought = realRollouts(t, store, o.Sightings.(*sighting.Book), firmware)
		o.Rollouts = brought
	})
	d.crashes(3, "abort()", "main.c:1") // of the model pump
	if err := store.AddWebhook(t.Context(), fleet.Webhook{ID: "aaaa0001", URL: "http://127.0.0.1:1/", Active: true}, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 20); err != nil {
		t.Fatal(err)
	}
	build := func(version, base string) string {
		zip, err := sample.Build{Code: "valve", Version: version, Base: base}.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		return string(zip)
	}
	const (
		models, devices, crash = "/api/device-models", "/api/devices", "/api/crashes/0000000000000000"
		upload                 = "POST /api/pipeline/models/{code}/firmware"
		pipeline               = "/api/pipeline/models/valve/firmware"
		patch                  = "PATCH /api/devices/{key}"
		start                  = "POST " + models + "/{code}/rollouts"
		rollouts               = "POST " + models + "/{code}/rollouts/{number}/"
		second, third, fourth  = models + "/valve/rollouts/2/", models + "/valve/rollouts/3/", models + "/valve/rollouts/4/"
	)
	disk := "/api/trouble/" + fleet.TroubleID("disk", "full") + "/seen"
	acts := []act{
		{"POST /api/trouble/{id}/seen", disk, "", 200, "trouble.noted"},
		{"POST /api/trouble/{id}/seen", disk, "", 200, ""},
		{"POST /api/trouble/{id}/seen", "/api/trouble/none/seen", "", 404, ""},
		{"DELETE /api/trouble/{id}/seen", disk, "", 204, "trouble.noted"},
		{"DELETE /api/trouble/{id}/seen", disk, "", 404, ""},
		{"POST " + models, models, `{"code":"valve"}`, 201, "model.added"},
		{"PATCH " + models + "/{code}", models + "/valve", `{"name":"Valve","config":{"a":1},"provisioning":{"b":"c"}}`, 200, "model.changed config.changed provisioning.changed"},
		{"PATCH " + models + "/{code}", models + "/valve", `{"name":"Valve"}`, 200, ""},
		{"PATCH " + models + "/{code}", models + "/none", `{"name":"Valve"}`, 404, ""},
		{upload, pipeline, build("1.0.0", ""), 200, "build.accepted model.changed build.published"},
		{upload, pipeline, build("1.0.0", ""), 200, ""},
		{upload, pipeline, build("1.1.0", "1.1.0"), 200, "build.accepted build.published"},
		{upload, pipeline, build("1.1.0", "1.0.0"), 409, "build.rejected"},
		{upload, pipeline, "no firmware", 400, "build.rejected"},
		{upload, pipeline + "?replace=true", build("1.1.0", "1.0.0"), 200, "build.replaced"},
		{"POST " + models + "/{code}/builds/{version}/publish", models + "/valve/builds/1.0.0/publish", "", 200, "build.published"},
		{"POST " + models + "/{code}/builds/{version}/publish", models + "/valve/builds/1.0.0/publish", "", 200, ""},
		{"POST " + devices, devices, `{"model_code":"valve","device_key":"a1b2c3d4"}`, 201, "device.added"},
		{start, models + "/valve/rollouts", `{"version":"1.1.0","dry_run":true}`, 200, ""},
		{start, models + "/valve/rollouts", `{"version":"1.1.0","draft":true}`, 201, "rollout.drafted"},
		{rollouts + "resume", models + "/valve/rollouts/1/resume", "", 200, "rollout.started"},
		{start, models + "/valve/rollouts", `{"version":"1.1.0"}`, 409, ""},
		{start, models + "/valve/rollouts", `{"version":"1.1.0","halt_first":true}`, 201, "rollout.halted rollout.started"},
		{rollouts + "pause", second + "pause", "", 200, "rollout.paused"},
		{rollouts + "resume", second + "resume", "", 200, "rollout.resumed"},
		{rollouts + "advance", second + "advance", `{"reason":"x"}`, 200, "rollout.advanced"},
		{rollouts + "excuse", second + "excuse", `{"reason":"x","devices":["a1b2c3d4"]}`, 409, ""}, // it holds no slot
		{rollouts + "excuse", second + "excuse", `{"reason":"x","devices":["a1b2c3d4"]}`, 200, "rollout.excused"},
		{"POST " + models + "/{code}/builds/{version}/publish", models + "/valve/builds/1.0.0/publish", `{"halt_first":true}`, 200, "rollout.halted"},
		{rollouts + "retreat", second + "retreat", `{"reason":"x"}`, 400, ""},
		{rollouts + "retreat", second + "retreat", `{"reason":"x","untested":true}`, 200, "rollout.retreating rollout.wave_opened"},
		{rollouts + "finish", second + "finish", "", 200, "rollout.retreated"},
		{rollouts + "halt", second + "halt", `{"reason":"x"}`, 409, ""},
		{start, models + "/valve/rollouts", `{"version":"1.1.0"}`, 201, "rollout.started"},
		{rollouts + "retreat", third + "retreat", `{"reason":"x","untested":true}`, 200, "rollout.halted rollout.retreating rollout.wave_opened"},
		{rollouts + "halt", third + "halt", "", 400, ""},
		{rollouts + "halt", third + "halt", `{"reason":"x"}`, 200, "rollout.halted"},
		{rollouts + "resume", third + "resume", `{"reason":"x"}`, 409, ""}, // it was being taken back
		{rollouts + "finish", third + "finish", "", 200, "rollout.retreated"},
		{start, models + "/valve/rollouts", `{"version":"1.1.0"}`, 201, "rollout.started"},
		{rollouts + "halt", fourth + "halt", `{"reason":"x"}`, 200, "rollout.halted"},
		{rollouts + "resume", fourth + "resume", "", 400, ""},
		{rollouts + "resume", fourth + "resume", `{"reason":"x"}`, 200, "rollout.resumed"},
		{rollouts + "finish", fourth + "finish", `{"reason":"known"}`, 200, "build.published rollout.finished"},
		{rollouts + "finish", fourth + "finish", "", 409, ""},
		{"POST " + models + "/{code}/builds/{version}/publish", models + "/valve/builds/1.0.0/publish", "", 200, "build.published"},
		{"PUT " + models + "/{code}/rollout-plan", models + "/valve/rollout-plan", `"urgent"`, 200, "rollout.plan_changed"},
		{"PUT " + models + "/{code}/builds/{version}/note", models + "/valve/builds/1.1.0/note", `{"note":"for hall 3"}`, 200, "build.noted"},
		{"PUT " + models + "/{code}/builds/{version}/note", models + "/valve/builds/1.1.0/note", `{"note":" for hall 3 "}`, 200, ""},
		{"PUT " + models + "/{code}/builds/{version}/note", models + "/valve/builds/9.9.9/note", `{"note":"x"}`, 404, ""},
		{"PUT " + models + "/{code}/builds/{version}/note", models + "/valve/builds/1.1.0/note", `{"note":"` + strings.Repeat("x", 2049) + `"}`, 400, ""},
		{"DELETE " + models + "/{code}/builds/{version}", models + "/valve/builds/1.1.0", "", 204, "build.removed"},
		{"POST " + devices + "/import", devices + "/import", "model_code,device_key,name\nvalve,b1b2c3d4,x\nvalve,a1b2c3d4,y\n", 201, "device.imported device.changed"},
		{patch, devices + "/a1b2c3d4", `{"name":"press 7","line":"hall_3","labels":["hot"]}`, 200, "device.changed"},
		{patch, devices + "/a1b2c3d4", `{"aliases":["board-1"]}`, 200, "device.changed"},
		{patch, devices + "/a1b2c3d4", `{"aliases":["board-1"]}`, 200, ""},
		{patch, devices + "/b1b2c3d4", `{"aliases":["board-1"]}`, 409, ""},
		{patch, devices + "/a1b2c3d4", `{"pin":"1.0.0"}`, 200, "device.pinned"},
		{patch, devices + "/a1b2c3d4", `{"pin":""}`, 200, "device.unpinned"},
		{"POST " + devices + "/{key}/path-secret", devices + "/a1b2c3d4/path-secret", "", 200, "device.path_secret_made"},
		{patch, devices + "/a1b2c3d4", `{"revoked":true}`, 200, "device.revoked device.path_secret_revoked"},
		{"POST " + devices + "/{key}/path-secret", devices + "/a1b2c3d4/path-secret", "", 409, ""},
		{patch, devices + "/a1b2c3d4", `{"revoked":false}`, 200, "device.welcomed"},
		{patch, devices + "/a1b2c3d4", `{"config":{"a":2},"provisioning":{"b":"d"}}`, 200, "config.changed provisioning.changed"},
		{"PUT " + devices + "/{key}/config", devices + "/a1b2c3d4/config", `{"a":3}`, 200, "config.changed"},
		{"DELETE " + devices + "/{key}/config", devices + "/a1b2c3d4/config", "", 200, "config.changed"},
		{"POST " + devices + "/{key}/secret", devices + "/a1b2c3d4/secret", "", 200, "device.secret_replaced"},
		{"POST " + devices + "/{key}/path-secret", devices + "/a1b2c3d4/path-secret", "", 200, "device.path_secret_made"},
		{"DELETE " + devices + "/{key}/path-secret", devices + "/a1b2c3d4/path-secret", "", 204, "device.path_secret_revoked"},
		{"DELETE " + devices + "/{key}/path-secret", devices + "/a1b2c3d4/path-secret", "", 204, ""},
		{"POST /api/adoptions", "/api/adoptions", `{"model_code":"valve","at_most":2,"for":"1h"}`, 201, "adoption.opened"},
		{"POST /api/adoptions", "/api/adoptions", `{"model_code":"valve","at_most":2,"for":"1h"}`, 409, ""},
		{"DELETE /api/adoptions/{code}", "/api/adoptions/valve", "", 200, "adoption.closed"},
		{"DELETE /api/adoptions/{code}", "/api/adoptions/valve", "", 404, ""},
		{"POST " + devices + "/{key}/nudge", devices + "/a1b2c3d4/nudge", `{"for":"config"}`, 202, "device.nudged"},
		{"DELETE " + devices + "/{key}", devices + "/a1b2c3d4", "", 204, "device.removed"},
		{"DELETE " + devices + "/{key}", devices + "/a1b2c3d4", "", 404, ""},
		{"POST /api/crashes/{fingerprint}/resolve", crash + "/resolve", `{"firmware_version":"2.0.0"}`, 200, "crash.resolved"},
		{"POST /api/crashes/{fingerprint}/ignore", crash + "/ignore", "", 200, "crash.ignored"},
		{"POST /api/crashes/{fingerprint}/reopen", crash + "/reopen", "", 200, "crash.reopened"},
		{"POST /api/crashes/{fingerprint}/reopen", crash + "/reopen", "", 200, ""},
		{"POST /api/crashes/{fingerprint}/note", crash + "/note", `{"note":"hall 3"}`, 200, "crash.noted"},
		{"POST /api/crashes/{fingerprint}/merge", crash + "/merge", `{"fingerprint":"0000000000000001"}`, 200, "crash.merged"},
		{"POST /api/crashes/{fingerprint}/split", crash + "/split", `{"chains":["0000000000000001"]}`, 200, "crash.split"},
		{"POST /api/crashes/{fingerprint}/decode", crash + "/decode", "", 202, "dump.decoded_again"},
		{"POST /api/crashes/{fingerprint}/decode", crash + "/decode?after=x", "", 400, ""},
		{"POST /api/crashes/{fingerprint}/decode", "/api/crashes/00000000000000ff/decode", "", 404, ""},
		{"POST /api/coredumps/{key}/{name}/decode", "/api/coredumps/aaaaaaaa/coredump_20260504T120000_000000Z.dmp/decode", "", 202, "dump.decoded_again"},
		{"POST /api/coredumps/{key}/{name}/decode", "/api/coredumps/aaaaaaaa/coredump_20260504T120001_000000Z/decode", "", 404, ""},
		{"POST /api/coredumps/{key}/{name}/decode", "/api/coredumps/aaaaaaaa/..%2Fx/decode", "", 404, ""},
		{"DELETE /api/coredumps/{key}/{name}", "/api/coredumps/aaaaaaaa/coredump_20260504T120000_000000Z", "", 204, "dump.removed"},
		{"POST /api/drops/{name}/retry", "/api/drops/pump%201.zip/retry", "", 202, "drop.retried"},
		{"POST /api/drops/{name}/retry", "/api/drops/pump%201.zip/retry", "", 404, ""},
		{"DELETE /api/drops/{name}", "/api/drops/fan.zip", "", 204, "drop.dismissed"},
		{"DELETE /api/drops/{name}", "/api/drops/..%2Ffan.zip", "", 404, ""},
		{"POST /api/tokens", "/api/tokens", `{"role":"viewer","name":"Ana"}`, 201, "token.created"},
		{"DELETE /api/tokens/{id}", "/api/tokens/" + strings.Split(d.tokens[auth.Viewer], "_")[1], "", 204, "token.revoked"},
		{"POST /api/clock/accept", "/api/clock/accept", "", 200, "gateway.clock_accepted"},
		{"POST /api/keys/rotate", "/api/keys/rotate", "", 204, "keys.rotated"},
		{"POST /api/catalog/rebuild", "/api/catalog/rebuild", "", 200, "catalog.rebuilt"},
		{"POST /api/webhooks", "/api/webhooks", `{"url":"http://127.0.0.1:1/in?key=k","name":"tickets","kinds":["crash"]}`, 201, "webhook.added"},
		{"POST /api/webhooks", "/api/webhooks", `{"url":"ftp:x"}`, 400, ""},
		{"POST /api/webhooks/{id}/test", "/api/webhooks/aaaa0001/test", "", 200, ""},
		{"PATCH /api/webhooks/{id}", "/api/webhooks/aaaa0001", `{"active":false}`, 200, "webhook.changed"},
		{"PATCH /api/webhooks/{id}", "/api/webhooks/aaaa0001", `{"name":""}`, 200, ""},
		{"PATCH /api/webhooks/{id}", "/api/webhooks/none", `{"name":"x"}`, 404, ""},
		{"POST /api/webhooks/{id}/secret", "/api/webhooks/aaaa0001/secret", "", 200, "webhook.changed"},
		{"DELETE /api/webhooks/{id}", "/api/webhooks/aaaa0001", "", 204, "webhook.removed"},
		{"GET /api/backup", "/api/backup", "", 200, "backup.created"},
		{"POST /api/backups", "/api/backups", "", 201, "backup.created"},
		{"DELETE " + models + "/{code}", models + "/valve", "", 409, ""},
	}
	// The model goes last, with its device and its build.
	acts = append(acts,
		act{"DELETE " + devices + "/{key}", devices + "/b1b2c3d4", "", 204, "device.removed"},
		act{"POST " + models, models, `{"code":"empty","config":{"a":1},"provisioning":{"b":"c"}}`, 201, "model.added config.changed provisioning.changed"},
		act{"DELETE " + models + "/{code}", models + "/empty", "", 204, "model.removed"},
	)
	left := map[string][]string{}
	for _, one := range acts {
		before := d.head()
		if one.leaves == "rollout.excused" { // the device takes the build by itself, and so has a slot
			if err := brought.Strays(t.Context(), fleet.Device{Key: "a1b2c3d4", Model: "valve"}, "1.1.0"); err != nil {
				t.Fatal(err)
			}
		}
		method, _, _ := strings.Cut(one.route, " ")
		a := d.ask(method, one.path, one.body)
		if a.StatusCode != one.status {
			t.Errorf("%s: %s %s", one.route, a.Status, a.body)
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		page, err := store.Events(event.Filter{After: before})
		must(err)
		var kinds []string
		for _, s := range page.Events {
			kinds = append(kinds, string(s.Kind))
			if s.Actor.Type != fleet.Person || s.Actor.ID != "uid:0" {
				t.Errorf("%s: %s was done by %+v", one.route, s.Kind, s.Actor)
			}
		}
		if strings.Join(kinds, " ") != one.leaves {
			t.Errorf("%s %s leaves %v, want %s", one.route, one.body[:min(len(one.body), 40)], kinds, one.leaves)
		}
		left[one.route] = append(left[one.route], kinds...)
	}
	for route, kinds := range left {
		if want := told(route); !slices.Equal(slices.Compact(slices.Sorted(slices.Values(kinds))), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s leaves %v, and the table says %v", route, kinds, want)
		}
	}
	rs := endpoint.NewRoutes(slog.New(slog.DiscardHandler), endpoint.NewMetrics(prometheus.NewRegistry()))
	Register(rs, Options{})
	for _, r := range rs.List() {
		name := r.Method + " " + r.Pattern
		if r.Method == http.MethodGet || r.Method == http.MethodHead || event.Silent[name] != "" {
			continue
		}
		if left[name] == nil {
			t.Errorf("%s: which event does it leave? Put it into event.Table, or with the reason into event.Silent, and play it here", name)
		}
	}
}
