package operator

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// timed is the member that has a list's rows, and the members of a row that say when it was last; "" in the place of began: then
// it began, too.
type timed struct{ rows, last, began string }

// times are those that lists are picked by. A list that has none is in it without rows.
var times = map[string]timed{
	"/api/adoptions":                             {rows: "adoptions", last: "opened_at"},
	"/api/builds":                                {rows: "builds", last: "accepted_at"},
	"/api/coredumps":                             {rows: "coredumps", last: "uploaded_at"},
	"/api/crashes":                               {rows: "crashes", last: "last_seen", began: "first_seen"},
	"/api/crashes/0000000000000000/devices":      {rows: "counts", last: "last_seen"},
	"/api/device-models":                         {rows: "models", last: "updated_at"},
	"/api/device-models/pump/builds":             {rows: "builds", last: "accepted_at"},
	"/api/device-models/pump/rollouts/1/devices": {rows: "devices", last: "offered_at fetched_at up_at judged_at"},
	"/api/devices":                               {rows: "devices", last: "sighting.heard_at"},
	"/api/devices/aaaaaaaa/coredumps":            {rows: "coredumps", last: "uploaded_at"},
	"/api/drops":                                 {rows: "drops", last: "rejected_at"},
	"/api/events":                                {rows: "events", last: "at"},
	"/api/rollouts":                              {rows: "rollouts", last: "started_at"},
	"/api/tokens":                                {rows: "tokens", last: "created_at"},
	"/api/wanted":                                {rows: "wanted", last: "since"},
	"/api/webhooks":                              {rows: "webhooks", last: "updated_at"},
}

// latest is the latest time among members of a row.
func latest(t *testing.T, row, members string) (at time.Time) {
	t.Helper()
	for path := range strings.FieldsSeq(members) {
		value := json.RawMessage(row)
		for name := range strings.SplitSeq(path, ".") {
			var members map[string]json.RawMessage
			if err := json.Unmarshal(value, &members); err != nil {
				t.Fatal(err)
			}
			value = members[name]
		}
		var one time.Time
		if value != nil {
			if err := json.Unmarshal(value, &one); err != nil {
				t.Fatalf("%s of %s: %v", path, row, err)
			}
		}
		if one.After(at) {
			at = one
		}
	}
	return at
}

func TestEveryListIsPickedByTheTimeThatItNames(t *testing.T) {
	d := open(t, func(o *Options) {
		o.Gateway = &calm{trusted: true} // adoptions are for the socket only
		o.Webhooks = manyWebhooks{}
	})
	d.many()
	rs := endpoint.NewRoutes(slog.New(slog.DiscardHandler), endpoint.NewMetrics(prometheus.NewRegistry()))
	Register(rs, Options{})
	seen := 0
	for _, route := range rs.List() {
		if !slices.Contains(route.Query, "limit") {
			continue
		}
		path := strings.NewReplacer("{code}", "pump", "{number}", "1", "{key}", "aaaaaaaa", "{fingerprint}", "0000000000000000").Replace(route.Pattern)
		of, known := times[path]
		if asks := slices.Contains(route.Query, "since") && slices.Contains(route.Query, "until"); !known || asks != (of.rows != "") {
			t.Errorf("%s: is it picked by a time, and by which? It takes %v, and the table has %+v", path, route.Query, of)
			continue
		}
		seen++
		if of.rows != "" {
			d.pickedByTime(path, of)
		}
	}
	if seen != len(times) {
		t.Errorf("%d lists are there, and %d in the table", seen, len(times))
	}
}

func (d *desk) pickedByTime(path string, of timed) {
	d.t.Helper()
	whole, _ := d.page(of.rows, path, url.Values{"limit": {"1000"}})
	var all []time.Time
	for _, row := range whole {
		all = append(all, latest(d.t, row, of.last))
	}
	slices.SortFunc(all, time.Time.Compare)
	since, until := all[len(all)/3], all[len(all)*2/3]
	for _, s := range []fleet.Span{{Since: since}, {Until: until}, {Since: since, Until: until}, {Since: until, Until: until}} {
		q := url.Values{"limit": {"17"}}
		if !s.Since.IsZero() {
			q.Set("since", s.Since.Format(time.RFC3339Nano))
		}
		if !s.Until.IsZero() {
			q.Set("until", s.Until.Format(time.RFC3339Nano))
		}
		var want, got []string
		for _, row := range whole {
			last := latest(d.t, row, of.last)
			first := last
			if of.began != "" {
				first = latest(d.t, row, of.began)
			}
			if !last.IsZero() && !last.Before(s.Since) && (s.Until.IsZero() || !first.After(s.Until)) {
				want = append(want, row)
			}
		}
		for next := ""; ; {
			var rows []string
			q.Set("after", next)
			rows, next = d.page(of.rows, path, q)
			if got = append(got, rows...); next == "" {
				break
			}
		}
		if len(want) == 0 || len(want) == len(whole) || !slices.Equal(got, want) {
			d.t.Errorf("%s, %v: %d rows of %d, want %d, or others\n%.300q\n%.300q", path, q, len(got), len(whole), len(want), got, want)
		}
	}
	for query, why := range map[string]string{
		"since=yesterday": `since \"yesterday\": want how long ago, such as 2h or 7d, or a time such as`, "until=12:00": `until \"12:00\": want how long ago`,
		"since=2026-05-04": "want how long ago", "since=-2h": "want how long ago", "since=7": "want how long ago",
		"since=1h&until=2h": `until \"2h\" is before since \"1h\"`,
	} {
		if a := d.ask(http.MethodGet, path+"?"+query, "", d.bearer(auth.Admin)...); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, why) {
			d.t.Errorf("%s?%s: %s %s", path, query, a.Status, a.body)
		}
	}
}

// crowd is a group on many devices, all of which crashed at noon.
type crowd struct {
	crashes
	asked *int // devices
}

func (c crowd) GroupDevices(_ string, _ fleet.DeviceKey, limit int) (page []crash.DeviceCount, total int, err error) {
	*c.asked += limit
	for range limit {
		page = append(page, crash.DeviceCount{Device: "bbbbbbbb", LastSeen: noon})
	}
	return page, 1 << 20, nil
}

func TestAPageOfACrashsDevicesPassesOverSoManyAndGoesOnBehindThem(t *testing.T) {
	asked := 0
	d := open(t, func(o *Options) { o.Crashes = crowd{o.Crashes, &asked} })
	rows, next := d.page("counts", "/api/crashes/0000000000000000/devices", url.Values{"limit": {"50"}, "since": {"2026-05-04T12:00:01Z"}})
	if len(rows) != 0 || next != "bbbbbbbb" || asked > mostPassed+100 {
		t.Errorf("%d rows, next %q, %d devices were read", len(rows), next, asked)
	}
}
