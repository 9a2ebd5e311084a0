package page

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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
	"github.com/slipway-gateway/slipway/pkg/operator"
	"github.com/slipway-gateway/slipway/pkg/rollout"
	"github.com/slipway-gateway/slipway/pkg/sighting"
	"github.com/slipway-gateway/slipway/pkg/webhook"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

const mostUpload = 1 << 20 // bytes

// desk is the page over a real catalog, with a token of each role. What lies outside the catalog is played.
type desk struct {
	t        *testing.T
	store    *catalog.Catalog
	book     *sighting.Book
	url      string
	routes   *endpoint.Routes
	clock    time.Time
	tokens   map[auth.Role]string
	gateway  *calm
	rollouts *played
	inbox    *inbox
	firmware *depot.Depot
	troubles operator.Troubles
	reports  []PolicyReport
	packed   []byte // the report of every dump
	piece    int    // dumps of a group that are asked for at once
	failures event.Tally
	held     string // why builds that come in are not published
}

// calm is a gateway in which all is well.
type calm struct {
	status   api.Status
	trusted  bool // whoever asks comes through the socket
	settings []Setting
	store    *catalog.Catalog
	wrong    []fleet.Wrong
}

func (c *calm) Status() (api.Status, error)  { return c.status, nil }
func (c *calm) Trouble() []string            { return nil }
func (c *calm) BaseURL() string              { return "https://gateway.example" }
func (c *calm) Trusted(context.Context) bool { return c.trusted }
func (c *calm) CA() ([]byte, error) {
	return []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil
}
func (c *calm) Folders() []Folder  { return []Folder{{"firmware", 3 << 20}, {"catalog", 5 << 20}} }
func (c *calm) Decoding() Decoding { return Decoding{LastAt: noon, Died: 2} }
func (c *calm) Settings() []Setting {
	return append([]Setting{{"listen.http", "off", "default"}}, c.settings...)
}
func (c *calm) NewestBackup() (string, time.Time, bool) { return "backup/a.age", noon, false }
func (c *calm) BackUpNow(ctx context.Context) (api.MadeBackup, error) {
	return api.MadeBackup{File: "backup/b.age", Records: 7}, c.store.Record(ctx, event.BackupCreated, fleet.Object{Type: "gateway"}, nil) // as the gateway's does
}
func (c *calm) Peer(context.Context) string { return "uid:0" }
func (c *calm) Text(report []byte) (string, error) {
	return "as people read it: " + string(report), nil
}

func (d *desk) OpenDump(fleet.DeviceKey, fleet.DumpName) (*os.File, error) {
	return nil, fleet.Unknown("no such dump")
}

func (d *desk) ReadReport(fleet.DeviceKey, fleet.DumpName) ([]byte, error) {
	if d.packed == nil {
		return nil, fleet.Unknown("no such report")
	}
	return d.packed, nil
}

func (d *desk) Remove(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	return d.store.RemoveDump(ctx, key, name)
}

// DecodeGroupAgain likewise finds what was found before.
func (d *desk) DecodeGroupAgain(ctx context.Context, address string, after crash.Ref) (crash.AskedAgain, error) {
	asked, err := d.store.AskGroupAgain(ctx, address, after, d.piece)
	if err != nil {
		return asked, err
	}
	some, err := d.store.AskedCrashes(500)
	for _, one := range some {
		if _, err := d.store.RecordCrash(event.ByItself(ctx), one, 0); err != nil {
			return asked, err
		}
	}
	return asked, err
}

// DecodeAgain finds what was found before.
func (d *desk) DecodeAgain(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	if err := d.store.AskAgain(ctx, key, name); err != nil {
		return err
	}
	l, err := d.store.Dump(key, name)
	if err == nil {
		_, err = d.store.RecordCrash(event.ByItself(ctx), l.Crash, 0) // as triage does
	}
	return err
}

// Offer is what the model has published.
func (d *desk) Offer(one fleet.Device, m fleet.Model) (fleet.Version, bool) {
	return fleet.OfferTo(one, m, fleet.Word{})
}

// played are rollouts that judge nothing.
type played struct {
	all     []fleet.Rollout
	members []fleet.Member
	why     fleet.Explanation
	engine  *rollout.Rollouts // of the model mixer
}

func (p *played) Rollout(code fleet.ModelCode, number int) (fleet.Rollout, error) {
	for _, r := range p.all {
		if r.Model == code && (number == 0 || r.Number == number) {
			return r, nil
		}
	}
	return p.engine.Rollout(code, number)
}

func (p *played) Members(code fleet.ModelCode, number int, f fleet.MemberFilter) (page []fleet.Member, next fleet.DeviceKey, err error) {
	if code == "mixer" {
		return p.engine.Members(code, number, f)
	}
	for _, m := range p.members {
		if f.State != "" && m.State != f.State || f.Back && !m.WentBack() {
			continue
		}
		if len(page) == f.Limit {
			return page, page[len(page)-1].Device, nil
		}
		page = append(page, m)
	}
	return page, "", nil
}

func (p *played) MemberOf(d fleet.Device) (fleet.Rollout, fleet.Member, bool) {
	for _, m := range p.members {
		if m.Device == d.Key && len(p.all) > 0 {
			return p.all[0], m, true
		}
	}
	return fleet.Rollout{}, fleet.Member{}, false
}

func (p *played) Explain(code fleet.ModelCode, number int) (fleet.Explanation, error) {
	if code == "mixer" {
		return p.engine.Explain(code, number)
	}
	return p.why, nil
}

// standing is the played rollouts as publishing asks for them.
type standing struct {
	*rollout.Rollouts
	played *played
}

func (s standing) ForPublish(ctx context.Context, code fleet.ModelCode, by string, haltFirst bool) error {
	if r, err := s.played.Rollout(code, 0); err == nil && r.State.Unfinished() && !haltFirst {
		return fleet.Taken("rollout %d of %s is %s", r.Number, r.Version, r.State)
	}
	if code == "mixer" {
		return s.Rollouts.ForPublish(ctx, code, by, haltFirst)
	}
	return nil
}

func open(t *testing.T) *desk {
	t.Helper()
	return openWith(t, nil)
}

// openWith has an issuer that people may sign in at.
func openWith(t *testing.T, issuer func(now func() time.Time) *access.Issuer) *desk {
	t.Helper()
	d := &desk{t: t, clock: noon, piece: 500, tokens: map[auth.Role]string{}, rollouts: &played{}, gateway: &calm{status: api.Status{Version: "1.2.3", Healthy: true}}}
	now := func() time.Time { return d.clock }
	logger := slog.New(slog.DiscardHandler)
	var err error
	d.store, err = catalog.Open(catalog.Options{
		Dir: t.TempDir(), Logger: logger, Now: now, Beat: func() {}, Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	})
	d.must(err)
	d.book = sighting.Open(sighting.Options{Store: d.store, UpWithin: 15 * time.Minute, Logger: logger, Now: now, Beat: func() {}})
	d.must(d.book.Read())
	d.store.WatchDevices(d.book)
	d.gateway.store = d.store
	d.inbox = &inbox{store: d.store}
	d.rollouts.engine, d.firmware = d.real()
	d.troubles = operator.NewTroubles(operator.Options{
		Records: d.store, Sightings: d.book, Rollouts: beside{d.rollouts.engine, d.rollouts}, Crashes: d.store, Drops: d.inbox, Noted: d.store, Gateway: whole{d.gateway}, Now: now,
	})
	operators := &auth.Operators{Store: d.store, Now: now}
	d.routes = endpoint.NewRoutes(logger, endpoint.NewMetrics(prometheus.NewRegistry()))
	who := access.Options{Tokens: operators, Sessions: d.store, Socket: d.gateway, Failures: &d.failures, Now: now}
	if issuer != nil {
		who.Issuer = issuer(now)
	}
	Register(d.routes, Options{
		Access:  access.New(who),
		Records: d.store, Sightings: d.book, Offers: d, Rollouts: d.rollouts, Rolling: operator.NewRolling(operator.Options{Records: d.store, Sightings: d.book, Rollouts: d.rollouts.engine}), Members: d.rollouts, Changes: d.store,
		Models: operator.NewModels(operator.Options{Records: d.store, Firmware: d.firmware, Rollouts: standing{d.rollouts.engine, d.rollouts}, Events: d.store, Now: now}), Stock: d.store,
		Troubles:  d.troubles,
		Roster:    operator.NewRoster(operator.Options{Records: d.store, Sightings: d.book, Now: now}),
		Operators: operators, Issuer: &auth.Issuer{Devices: d.store, Now: now}, Dumps: d, Drops: d.inbox, Crashes: d.store, Events: d.store, Hints: d.store.Hints(), Gateway: d.gateway,
		Webhooks: webhook.New(webhook.Options{Store: d.store, Loopback: true, Logger: logger, Now: now, After: time.After, Counted: func(bool) {}}),
		Reported: func(r PolicyReport) { d.reports = append(d.reports, r) }, Now: now,
	})
	server := httptest.NewServer(d.routes)
	d.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, role := range auth.Roles {
		d.tokens[role], _, err = operators.Create(t.Context(), "the "+string(role), role)
		d.must(err)
	}
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

type answer struct {
	*http.Response
	body string
}

// ask follows no redirect. Headers are name, value, name, value.
func (d *desk) ask(method, path, body string, headers ...string) answer {
	d.t.Helper()
	req, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	d.must(err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(body, "--"+frontier) {
			req.Header.Set("Content-Type", "multipart/form-data; boundary="+frontier)
		}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	d.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	d.must(err)
	return answer{resp, string(b)}
}

// read asks for a view as a viewer.
func (d *desk) read(path string) answer {
	d.t.Helper()
	return d.ask(http.MethodGet, path, "", "Authorization", "Bearer "+d.tokens[auth.Viewer])
}

// signIn begins a session and returns its cookie as a browser sends it.
func (d *desk) signIn(role auth.Role) string {
	d.t.Helper()
	a := d.ask(http.MethodPost, "/login", "token="+d.tokens[role])
	if a.StatusCode != http.StatusSeeOther {
		d.t.Fatalf("sign-in: %s\n%s", a.Status, a.body)
	}
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	return cookie
}

// crashes has the model pump with a device, and n groups of one crash each, the n-th seen n hours after noon.
func (d *desk) crashes(n int, reason, frame string) {
	d.t.Helper()
	d.must(d.store.AddModel(d.t.Context(), fleet.Model{Code: "pump"}))
	d.must(d.store.AddDevice(d.t.Context(), fleet.Device{Key: "aaaaaaaa", Model: "pump"}, auth.DeviceSecrets{}))
	d.crashed(n, reason, frame)
}

// crashed has the groups, of a device that is there.
func (d *desk) crashed(n int, reason, frame string) {
	d.t.Helper()
	for i := range n {
		dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon.Add(time.Duration(i) * time.Hour)}
		d.must(d.store.RecordDumps(d.t.Context(), []fleet.Dump{dump}))
		_, err := d.store.RecordCrash(d.t.Context(), crash.Crash{
			Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: dump.UploadedAt, State: crash.Reported, Version: "1.0",
			Fingerprint: fmt.Sprintf("%016x", i), Reason: reason, TopFrame: frame,
		}, 0)
		d.must(err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
