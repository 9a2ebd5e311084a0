package operator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// lists are the routes that answer a list, and the member that has its rows.
var lists = map[string]string{
	"/api/device-models": "models", "/api/device-models/pump/builds": "builds", "/api/builds": "builds", "/api/devices": "devices",
	"/api/coredumps": "coredumps", "/api/devices/aaaaaaaa/coredumps": "coredumps", "/api/crashes": "crashes",
	"/api/crashes/0000000000000000/devices": "devices", "/api/tokens": "tokens", "/api/events": "events",
	"/api/adoptions": "adoptions", "/api/drops": "drops", "/api/wanted": "wanted", "/api/webhooks": "webhooks",
	"/api/rollouts": "rollouts", "/api/device-models/pump/rollouts/1/devices": "devices",
}

// ago is the time of the i-th row of many: each list has its rows in another order than that of their times.
func ago(i int) time.Time { return noon.Add(-time.Duration(i*37%103) * time.Minute) }

// many fills every list with more than a page of a hundred.
func (d *desk) many() {
	d.t.Helper()
	d.crashes(103, "abort()", "main.c:1")
	for i := range 103 {
		d.passed.Add(int64(time.Minute))
		key := fleet.DeviceKey(fmt.Sprintf("bbbbb%03d", i))
		code := fleet.ModelCode(fmt.Sprintf("valve%03d", i))
		if err := d.store.AddModel(d.t.Context(), fleet.Model{Code: code, UpdatedAt: ago(i)}); err != nil {
			d.t.Fatal(err)
		}
		if err := d.store.AddDevice(d.t.Context(), fleet.Device{Key: key, Model: "pump"}, auth.DeviceSecrets{}); err != nil {
			d.t.Fatal(err)
		}
		d.book.Seen(fleet.Seen{Device: key, At: ago(i), By: fleet.HeardConfig})
		for _, code := range []fleet.ModelCode{"pump", code} {
			b := fleet.Build{Model: code, Version: fleet.Version(fmt.Sprintf("1.%d", i)), ELFSHA256: fmt.Sprintf("%064x", i), AcceptedAt: ago(i)}
			if _, _, err := d.store.RecordBuild(d.t.Context(), b, true); err != nil {
				d.t.Fatal(err)
			}
		}
		if err := d.store.OpenAdoption(d.t.Context(), auth.Adoption{Model: code, Hash: auth.HashSecret(string(code)), OpenedAt: ago(i), Until: noon.Add(time.Hour), AtMost: 1}); err != nil {
			d.t.Fatal(err)
		}
		dump := fleet.Dump{Device: key, Model: "pump", FirmwareVersion: "1.0", UploadedAt: ago(i)}
		if err := d.store.RecordDumps(d.t.Context(), []fleet.Dump{dump}); err != nil {
			d.t.Fatal(err)
		}
		if _, err := d.store.RecordCrash(d.t.Context(), crash.Crash{
			Device: key, Model: "pump", Name: dump.Name(), Uploaded: ago(i), State: crash.Reported, Version: "1.0", Fingerprint: "0000000000000000",
		}, 0); err != nil {
			d.t.Fatal(err)
		}
		waits := fleet.Dump{Device: key, Model: "pump", UploadedAt: ago(i).Add(time.Second)}
		if err := d.store.RecordDumps(d.t.Context(), []fleet.Dump{waits}); err != nil {
			d.t.Fatal(err)
		}
		if _, err := d.store.RecordCrash(d.t.Context(), crash.Crash{
			Device: key, Model: "pump", Name: waits.Name(), Uploaded: waits.UploadedAt, State: crash.Missing, ELFHash: fmt.Sprintf("%016x", i),
		}, 0); err != nil {
			d.t.Fatal(err)
		}
		if err := d.store.AddOperatorToken(d.t.Context(), auth.OperatorToken{ID: fmt.Sprintf("tok%03d", i), Role: auth.Viewer, CreatedAt: ago(i)}); err != nil {
			d.t.Fatal(err)
		}
	}
	d.manyRollouts()
}

// manyWebhooks are more than a gateway has.
type manyWebhooks struct{ webhooks }

func (manyWebhooks) List() ([]fleet.WebhookState, error) {
	all := make([]fleet.WebhookState, 103)
	for i := range all {
		all[i].ID, all[i].Kinds, all[i].UpdatedAt = fmt.Sprintf("aaaaa%03d", i), []string{}, ago(i)
	}
	return all, nil
}

// page asks for a page as an admin.
func (d *desk) page(list, path string, q url.Values) (rows []string, next string) {
	d.t.Helper()
	a := d.ask(http.MethodGet, path+"?"+q.Encode(), "", d.bearer(auth.Admin)...)
	var page map[string]json.RawMessage
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.StatusCode != http.StatusOK {
		d.t.Fatalf("%s %v: %s, %v\n%s", path, q, a.Status, err, a.body)
	}
	if err := json.Unmarshal(page[list], &raw); err != nil {
		d.t.Fatal(err)
	}
	if err := json.Unmarshal(page["next"], &next); err != nil {
		d.t.Fatalf("%s: next is %s", path, page["next"])
	}
	for _, row := range raw {
		rows = append(rows, string(row))
	}
	return rows, next
}

func TestEveryListAnswersAHundredRowsUnlessItIsAskedAndAThousandAtMost(t *testing.T) {
	d := open(t, func(o *Options) {
		o.Gateway = &calm{trusted: true} // adoptions are for the socket only
		o.Webhooks = manyWebhooks{}
	})
	d.many()
	for path, member := range lists {
		first, next := d.page(member, path, url.Values{})
		if len(first) != 100 || next == "" {
			t.Errorf("%s: %d rows without a limit, next %q", path, len(first), next)
		}
		whole, end := d.page(member, path, url.Values{"limit": {"1000"}})
		if len(whole) <= 100 || end != "" {
			t.Errorf("%s: %d rows, next %q", path, len(whole), end)
		}
		var paged []string
		for after := ""; ; {
			rows, next := d.page(member, path, url.Values{"limit": {"17"}, "after": {after}})
			if paged = append(paged, rows...); next == "" {
				break
			}
			after = next
		}
		if !slices.Equal(paged, whole) {
			t.Errorf("%s: %d rows in pages, %d at once, or others", path, len(paged), len(whole))
		}
		for _, limit := range []string{"0", "-1", "1001", "all"} {
			if a := d.ask(http.MethodGet, path+"?limit="+limit, "", d.bearer(auth.Admin)...); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "from 1 to 1000") {
				t.Errorf("%s, limit %s: %s %s", path, limit, a.Status, a.body)
			}
		}
	}
}

// TestNoListIsLeftWithoutPages finds lists by what they answer: whoever adds one adds it here.
func TestNoListIsLeftWithoutPages(t *testing.T) {
	paged := 0
	for line := range strings.Lines(Description()) {
		if strings.Contains(line, "name: limit") {
			paged++
		}
	}
	if paged != len(lists) {
		t.Errorf("%d routes take a limit, %d are tested", paged, len(lists))
	}
}

func TestAGroupThatChangesOrGoesBetweenPagesTakesNoOtherAlong(t *testing.T) {
	for _, sort := range []string{"last_seen", "first_seen", "count", "devices"} {
		d := open(t, nil)
		d.crashes(12, "abort()", "main.c:1") // the last is seen last
		first, next := d.page("crashes", "/api/crashes", url.Values{"limit": {"4"}, "sort": {sort}})
		seen := fingerprints(first)
		last := seen[3] // where the cursor stands: it becomes part of another group, and its row goes
		if a := d.ask(http.MethodPost, "/api/crashes/"+last+"/merge", `{"fingerprint":"`+seen[0]+`"}`, d.bearer(auth.Operator)...); a.StatusCode != http.StatusOK {
			t.Fatal(a.body)
		}
		var stood []string // what nobody touches
		for i := range 12 {
			if fp := fmt.Sprintf("%016x", i); !slices.Contains(seen, fp) {
				stood = append(stood, fp)
			}
		}
		moved := stood[3] // seen again: it goes to the head of the list
		stood = slices.DeleteFunc(stood, func(fp string) bool { return fp == moved })
		d.crashAgain(moved)
		var rest []string
		for next != "" {
			var rows []string
			rows, next = d.page("crashes", "/api/crashes", url.Values{"limit": {"4"}, "sort": {sort}, "after": {next}})
			rest = append(rest, fingerprints(rows)...)
		}
		got := slices.DeleteFunc(slices.Clone(rest), func(fp string) bool { return fp == moved || fp == seen[0] || fp == last })
		slices.Sort(got)
		if !slices.Equal(got, stood) {
			t.Errorf("%s: of those that stood still\n got %v\nwant %v", sort, got, stood)
		}
	}
}

// crashAgain counts one more crash of a group, seen later than all others.
func (d *desk) crashAgain(fingerprint string) {
	d.t.Helper()
	dump := fleet.Dump{Device: "aaaaaaaa", Model: "pump", FirmwareVersion: "1.0", UploadedAt: noon.AddDate(0, 1, 0)}
	if err := d.store.RecordDumps(d.t.Context(), []fleet.Dump{dump}); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.store.RecordCrash(d.t.Context(), crash.Crash{
		Device: dump.Device, Model: dump.Model, Name: dump.Name(), Uploaded: dump.UploadedAt, State: crash.Reported, Version: "1.0", Fingerprint: fingerprint,
	}, 0); err != nil {
		d.t.Fatal(err)
	}
}

func fingerprints(rows []string) []string {
	all := make([]string, len(rows))
	for i, row := range rows {
		var g struct{ Fingerprint string }
		if err := json.Unmarshal([]byte(row), &g); err != nil {
			panic(err)
		}
		all[i] = g.Fingerprint
	}
	return all
}

func TestTheLastPageOfWhatIsGoneIsEmptyAndTheFirstIsAnError(t *testing.T) {
	d := open(t, nil)
	d.crashes(1, "abort()", "main.c:1")
	d.models("fan")
	for _, test := range []struct{ path, member, after string }{
		{"/api/devices?model=gone", "devices", "aaaaaaaa"},
		{"/api/coredumps?device=zzzzzzzz", "coredumps", "zzzzzzzz/coredump_20260504T120000_000000Z"},
		{"/api/devices/zzzzzzzz/coredumps?state=failed", "coredumps", "zzzzzzzz/coredump_20260504T120000_000000Z"},
		{"/api/coredumps?model=gone", "coredumps", "aaaaaaaa/coredump_20260504T120000_000000Z"},
		{"/api/crashes?model=gone", "crashes", "bGFzdF9zZWVuIDE3Nzc4OTYwMDAwMDAwMDAgMDAwMDAwMDAwMDAwMDAwMA"},
		{"/api/crashes?version=9.9", "crashes", "bGFzdF9zZWVuIDE3Nzc4OTYwMDAwMDAwMDAgMDAwMDAwMDAwMDAwMDAwMA"},
	} {
		if a := d.ask(http.MethodGet, test.path, "", d.bearer(auth.Viewer)...); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s %s", test.path, a.Status, a.body)
		}
		a := d.ask(http.MethodGet, test.path+"&after="+url.QueryEscape(test.after), "", d.bearer(auth.Viewer)...)
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"`+test.member+`":[],"next":null`) {
			t.Errorf("%s after %s: %s %s", test.path, test.after, a.Status, a.body)
		}
	}
}

func TestACursorThatNoListHasGivenOutIsRefused(t *testing.T) {
	d := open(t, nil)
	d.crashes(3, "abort()", "main.c:1")
	_, counted := d.page("crashes", "/api/crashes", url.Values{"limit": {"1"}, "sort": {"count"}})
	for path, after := range map[string]string{
		"/api/devices": "../x", "/api/coredumps": "aaaaaaaa", "/api/crashes": "0000000000000000", "/api/crashes/0000000000000000/devices": "x",
		"/api/crashes?sort=devices": counted,
	} {
		join := "?"
		if strings.Contains(path, "?") {
			join = "&"
		}
		if a := d.ask(http.MethodGet, path+join+"after="+url.QueryEscape(after), "", d.bearer(auth.Viewer)...); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "begin without it") {
			t.Errorf("%s after %s: %s %s", path, after, a.Status, a.body)
		}
	}
}
