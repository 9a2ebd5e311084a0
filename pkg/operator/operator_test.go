package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/depot"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/sighting"
	"github.com/slipway-gateway/slipway/pkg/webhook"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// desk is the door over a real catalog, with a token of each role.
type desk struct {
	t        *testing.T
	store    *catalog.Catalog
	book     *sighting.Book
	url      string
	events   events
	failures *event.Tally
	passed   *atomic.Int64 // nanoseconds since noon, by the catalog's clock
	rollouts *played
	tokens   map[auth.Role]string
}

// noFiles has no report of any dump.
type noFiles struct{}

func (noFiles) OpenDump(fleet.DeviceKey, fleet.DumpName) (*os.File, error) {
	return nil, fleet.Unknown("no such dump")
}
func (noFiles) ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error) {
	return nil, fleet.Unknown("no such report")
}
func (noFiles) Remove(context.Context, fleet.DeviceKey, fleet.DumpName) error { return nil }
func (noFiles) DecodeGroupAgain(context.Context, string, crash.Ref) (crash.AskedAgain, error) {
	return crash.AskedAgain{}, nil
}
func (noFiles) DecodeAgain(context.Context, fleet.DeviceKey, fleet.DumpName) error { return nil }

// calm is a gateway in which all is well.
type calm struct {
	status  api.Status
	trusted bool // whoever asks comes through the socket
	backup  func(io.Writer) error
	store   *catalog.Catalog
	wrong   []fleet.Wrong
}

func (c *calm) Status() (api.Status, error)     { return c.status, nil }
func (c *calm) Ready() bool                     { return true }
func (c *calm) Trouble() []string               { return nil }
func (c *calm) Wrong() []fleet.Wrong            { return c.wrong }
func (c *calm) BaseURL() string                 { return "https://gateway" }
func (c *calm) CA() ([]byte, error)             { return nil, nil }
func (c *calm) Trusted(context.Context) bool    { return c.trusted }
func (c *calm) Rebuild(context.Context) error   { return nil }
func (c *calm) AcceptClock() (time.Time, error) { return noon, nil }
func (c *calm) Backup(w io.Writer) error        { return c.backup(w) }
func (c *calm) BackUpNow(ctx context.Context) (api.MadeBackup, error) {
	return api.MadeBackup{File: "backup/b.age", Records: 7}, c.store.Record(ctx, event.BackupCreated, fleet.Object{Type: "gateway"}, nil) // as the gateway's does
}
func (c *calm) Peer(context.Context) string { return "uid:0" }
func (c *calm) Text(report []byte) (string, error) {
	return "as people read it: " + string(report), nil
}

// published offers what its model has published.
type published struct{}

func (published) Offer(d fleet.Device, m fleet.Model) (fleet.Version, bool) {
	return fleet.OfferTo(d, m, fleet.Word{})
}

func open(t *testing.T, change func(*Options)) *desk {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	passed := &atomic.Int64{}
	store, err := catalog.Open(catalog.Options{
		Dir: t.TempDir(), Logger: logger, Now: func() time.Time { return noon.Add(time.Duration(passed.Load())) }, Beat: func() {},
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	book := sighting.Open(sighting.Options{
		Store: store, UpWithin: 15 * time.Minute, Logger: logger, Now: func() time.Time { return noon }, Beat: func() {},
	})
	if err := book.Read(); err != nil {
		t.Fatal(err)
	}
	store.WatchDevices(book)
	operators := &auth.Operators{Store: store, Now: func() time.Time { return noon }}
	o := Options{
		Records: store, Sightings: book, Offers: published{}, Crashes: store, Adoptions: store, Events: store, Dumps: noFiles{}, Operators: operators,
		Noted: store, Issuer: &auth.Issuer{Devices: store, Now: func() time.Time { return noon }},
		Firmware: depot.New(depot.Options{Dir: t.TempDir(), Recorder: store, Logger: logger, Now: func() time.Time { return noon }}),
		Gateway:  &calm{status: api.Status{Version: "1.2.3", Healthy: true}}, Now: func() time.Time { return noon },
	}
	o.Webhooks = webhook.New(webhook.Options{Store: store, Loopback: true, Logger: logger, Now: o.Now, After: time.After, Counted: func(bool) {}})
	rollouts := newPlayed()
	o.Rollouts = rollouts
	files := &droppedFiles{store: store}
	for i := range 103 {
		files.names = append(files.names, fmt.Sprintf("bundle%03d.zip", i))
	}
	o.Drops = files
	if change != nil {
		change(&o)
	}
	o.Gateway.(*calm).store = store
	failures := &event.Tally{}
	o.Access = access.New(access.Options{
		Tokens: operators, Sessions: store, Socket: o.Gateway.(*calm), Failures: failures, Now: func() time.Time { return noon },
	})
	routes := endpoint.NewRoutes(logger, endpoint.NewMetrics(prometheus.NewRegistry()))
	Register(routes, o)
	server := httptest.NewServer(routes)
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, store: store, book: book, url: server.URL, events: o.Events, failures: failures, passed: passed, rollouts: rollouts, tokens: map[auth.Role]string{}}
	for _, role := range auth.Roles {
		if d.tokens[role], _, err = operators.Create(t.Context(), "", role); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// fewEvents is a catalog that keeps so many bytes of events.
func fewEvents(t *testing.T, bytes int64) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(catalog.Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }, Beat: func() {}, MostEvents: bytes,
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

type answer struct {
	*http.Response
	body string
}

// ask follows no redirect. Headers are name, value, name, value.
func (d *desk) ask(method, path, body string, headers ...string) answer {
	d.t.Helper()
	req, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{resp, string(b)}
}

func (d *desk) bearer(role auth.Role) []string {
	return []string{"Authorization", "Bearer " + d.tokens[role]}
}

// crashes fills the catalog with n groups of one crash each, the n-th seen n hours after noon.
func (d *desk) crashes(n int, reason, frame string) {
	d.t.Helper()
	must := func(err error) {
		d.t.Helper()
		if err != nil {
			d.t.Fatal(err)
		}
	}
	must(d.store.AddModel(d.t.Context(), fleet.Model{Code: "pump"}))
	must(d.store.AddDevice(d.t.Context(), fleet.Device{Key: "aaaaaaaa", Model: "pump"}, auth.DeviceSecrets{}))
	for i := range n {
		dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon.Add(time.Duration(i) * time.Hour)}
		must(d.store.RecordDumps(d.t.Context(), []fleet.Dump{dump}))
		_, err := d.store.RecordCrash(d.t.Context(), crash.Crash{
			Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: dump.UploadedAt, State: crash.Reported, Version: "1.0",
			Fingerprint: fmt.Sprintf("%016x", i), Reason: reason, TopFrame: frame,
		}, 0)
		must(err)
	}
}

func TestAPipelineReadsNoLists(t *testing.T) {
	d := open(t, nil)
	if a := d.ask(http.MethodGet, "/api/devices", "", "Authorization", "bearer "+d.tokens[auth.Viewer]); a.StatusCode != http.StatusOK {
		t.Errorf("the devices, for a viewer: %s", a.Status)
	}
	if a := d.ask(http.MethodGet, "/api/devices", "", d.bearer(auth.Pipeline)...); a.StatusCode != http.StatusForbidden {
		t.Errorf("the devices: %s", a.Status)
	}
}

// pages asks a list page by page and returns what member names in each row.
func (d *desk) pages(list, query, member string) []string {
	d.t.Helper()
	var all []string
	after := ""
	for range 20 {
		a := d.ask(http.MethodGet, query+"&after="+url.QueryEscape(after), "", d.bearer(auth.Viewer)...)
		var page map[string]any
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.StatusCode != http.StatusOK {
			d.t.Fatalf("%s: %s, %v\n%s", query, a.Status, err, a.body)
		}
		for _, row := range page[list].([]any) {
			all = append(all, row.(map[string]any)[member].(string))
		}
		next, more := page["next"].(string)
		if !more {
			return all
		}
		after = next
	}
	d.t.Fatalf("%s has no end", query)
	return nil
}

func TestListsArePagedWithoutLossOrRepetition(t *testing.T) {
	d := open(t, nil)
	d.crashes(7, "abort()", "main.c:1")
	for i := range 7 {
		key := fleet.DeviceKey(fmt.Sprintf("bbbbbbb%d", i))
		if err := d.store.AddDevice(t.Context(), fleet.Device{Key: key, Model: "pump"}, auth.DeviceSecrets{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		list, query, member string
		first               string
		want                int
	}{
		{"devices", "/api/devices?limit=3", "device_key", "aaaaaaaa", 8},
		{"devices", "/api/devices?limit=4", "device_key", "aaaaaaaa", 8}, // the last page is a full one
		{"coredumps", "/api/coredumps?limit=3", "name", "coredump_20260504T180000_000000Z", 7},
		{"crashes", "/api/crashes?limit=3", "fingerprint", "0000000000000006", 7},
		{"crashes", "/api/crashes?limit=3&sort=first_seen", "fingerprint", "0000000000000006", 7},
		{"crashes", "/api/crashes?limit=2&text=MAIN.C", "fingerprint", "0000000000000006", 7},
		{"crashes", "/api/crashes?text=nothing", "fingerprint", "", 0},
	} {
		all := d.pages(test.list, test.query, test.member)
		unique := slices.Compact(slices.Sorted(slices.Values(all)))
		if len(all) != test.want || len(unique) != test.want || test.want > 0 && all[0] != test.first {
			t.Errorf("%s: %v, want %d from %s", test.query, all, test.want, test.first)
		}
	}
}

func TestRefusalsSayWhatIsWrongAndWithWhichStatus(t *testing.T) {
	d := open(t, nil)
	d.crashes(1, "abort()", "main.c:1")
	for _, test := range []struct {
		method, path, body string
		want               int
		says               string
	}{
		{http.MethodGet, "/api/devices?limit=0", "", http.StatusBadRequest, "whole number"},
		{http.MethodGet, "/api/crashes?sort=beauty", "", http.StatusBadRequest, "last_seen"},
		{http.MethodGet, "/api/crashes?state=mended", "", http.StatusBadRequest, "open, resolved or ignored"},
		{http.MethodGet, "/api/coredumps?state=open", "", http.StatusBadRequest, "waiting, missing, reported or failed"},
		{http.MethodGet, "/api/crashes/ffffffffffffffff", "", http.StatusNotFound, ""},
		{http.MethodGet, "/api/devices/zzzzzzzz", "", http.StatusNotFound, ""},
		{http.MethodGet, "/api/coredumps/aaaaaaaa/..%2f..%2fetc%2fpasswd", "", http.StatusNotFound, ""},
		{http.MethodPost, "/api/devices", `{"model_code":"none"}`, http.StatusNotFound, "none"},
		{http.MethodPost, "/api/devices", `{"model_code":"pump","device_key":"aaaaaaaa"}`, http.StatusConflict, "aaaaaaaa"},
		{http.MethodPost, "/api/devices", `{"model_code":"pump","client_secret":"short"}`, http.StatusBadRequest, "want 16"},
		{http.MethodPost, "/api/devices", `{"model_code":`, http.StatusBadRequest, ""},
		{http.MethodDelete, "/api/device-models/pump", "", http.StatusConflict, "device"},
		{http.MethodPatch, "/api/status", "", http.StatusMethodNotAllowed, ""},
		{http.MethodGet, "/api/nothing", "", http.StatusNotFound, ""},
	} {
		a := d.ask(test.method, test.path, test.body, append(d.bearer(auth.Admin), "Content-Type", "application/json")...)
		var refusal struct{ Error, Code, CorrelationID string }
		err := json.Unmarshal([]byte(a.body), &refusal)
		if err != nil || a.StatusCode != test.want || refusal.Error == "" || refusal.Code == "" || refusal.CorrelationID == "" || !strings.Contains(refusal.Error, test.says) {
			t.Errorf("%s %s: %s %s, %v; want %d with %q", test.method, test.path, a.Status, a.body, err, test.want, test.says)
		}
	}
}

func TestABackupBrokenOffIsNoWholeAnswer(t *testing.T) {
	d := open(t, func(o *Options) {
		o.Gateway = &calm{trusted: true, backup: func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				return err
			}
			return fleet.Full("the disk")
		}}
	})
	resp, err := http.Get(d.url + "/api/backup")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes look like the whole of it", n)
	}
}

// mute is a stream of events that takes none.
type mute struct {
	events
	why error
}

func (m mute) Record(context.Context, fleet.EventKind, fleet.Object, any) error { return m.why }

func TestABackupIsWholeWhereItsEventCannotBeRecorded(t *testing.T) {
	for _, why := range []error{fleet.Full("the disk"), fleet.Away("the catalog")} {
		d := open(t, func(o *Options) {
			o.Events = mute{o.Events, why}
			o.Gateway = &calm{trusted: true, backup: func(w io.Writer) error {
				_, err := w.Write(make([]byte, 100_000))
				return err
			}}
		})
		if a := d.ask(http.MethodGet, "/api/backup", ""); a.StatusCode != http.StatusOK || len(a.body) != 100_000 {
			t.Errorf("%v: %d, %d bytes", why, a.StatusCode, len(a.body))
		}
	}
}

func TestWhatTheKernelSaysOfADiskIsAStatusAndASentence(t *testing.T) {
	for errno, want := range map[syscall.Errno]struct {
		status int
		says   string
	}{
		syscall.ENOSPC: {http.StatusInsufficientStorage, "full"}, syscall.EDQUOT: {http.StatusInsufficientStorage, "full"},
		syscall.EROFS: {http.StatusInsufficientStorage, "read-only"}, syscall.EACCES: {http.StatusInternalServerError, "give it to the user"},
		syscall.EPERM: {http.StatusInternalServerError, "give it to the user"},
	} {
		d := open(t, func(o *Options) { o.Keys = stuck{&fs.PathError{Op: "open", Path: "/state/keys", Err: errno}} })
		a := d.ask(http.MethodPost, "/api/keys/rotate", "", d.bearer(auth.Admin)...)
		if a.StatusCode != want.status || !strings.Contains(a.body, want.says) || !strings.Contains(a.body, "/state/keys") {
			t.Errorf("%v: %s %s", errno, a.Status, a.body)
		}
	}
}

// stuck are keys on a disk that takes nothing.
type stuck struct{ err error }

func (s stuck) Rotate() error { return s.err }
