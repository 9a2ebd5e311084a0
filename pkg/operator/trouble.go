package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// noted are the troubles that somebody has seen.
type noted interface {
	NotedTroubles() ([]fleet.NotedTrouble, error)
	NoteTrouble(context.Context, fleet.NotedTrouble) error
	UnnoteTrouble(ctx context.Context, id string) error
	ForgetTroubles(ctx context.Context, ids []string) error
}

// Troubles are the things that need somebody, for the API and the page.
type Troubles struct{ d *door }

// NewTroubles is over the same records as a door with these options.
func NewTroubles(o Options) Troubles { return Troubles{&door{o}} }

func (d *door) registerTrouble(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/trouble", d.listTrouble)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/trouble/{id}/seen", d.noteTrouble)
	d.handle(rs, auth.Operator, http.MethodDelete, "/api/trouble/{id}/seen", d.unnoteTrouble)
}

func (d *door) listTrouble(w http.ResponseWriter, _ *http.Request) error {
	all, err := Troubles{d}.List()
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.Troubles{Trouble: api.List(all)})
}

func (d *door) noteTrouble(w http.ResponseWriter, r *http.Request) error {
	t, err := Troubles{d}.Note(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, t)
}

func (d *door) unnoteTrouble(w http.ResponseWriter, r *http.Request) error {
	if err := d.Noted.UnnoteTrouble(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return noContent(w)
}

// Bounds of what is looked at: it is a view and no archive.
const (
	mostTroubles = 12 // of each kind
	newestSeen   = 30 // dumps that are looked at for what loops, and for what is wanted
	loopsFrom    = 3  // dumps of a device within the hour
	fresh        = 24 * time.Hour
)

// List has them, worst first, those that somebody has seen last.
func (ts Troubles) List() ([]fleet.Trouble, error) {
	all, err := ts.all(mostTroubles)
	if err != nil {
		return nil, err
	}
	seen, err := ts.d.Noted.NotedTroubles()
	if err != nil {
		return nil, err
	}
	for i := range all {
		for _, n := range seen {
			if n.Covers(all[i]) {
				all[i].Seen = &n.SeenBy
			}
		}
	}
	rank := func(t fleet.Trouble) int {
		switch {
		case t.Seen != nil:
			return 2
		case t.Bad:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b fleet.Trouble) int { return rank(a) - rank(b) })
	return all, nil
}

// Note notes that somebody has seen one: it is set apart for all, until it is worse or begins anew.
func (ts Troubles) Note(ctx context.Context, id string) (fleet.Trouble, error) {
	all, err := ts.all(0)
	if err != nil {
		return fleet.Trouble{}, err
	}
	at := slices.IndexFunc(all, func(t fleet.Trouble) bool { return t.ID == id })
	if at < 0 {
		return fleet.Trouble{}, fleet.Unknown("there is no trouble %q any more", id)
	}
	t := all[at]
	t.Seen = &fleet.SeenBy{By: actorOf(ctx), At: ts.d.Now().UTC()}
	return t, ts.d.Noted.NoteTrouble(ctx, fleet.NotedTrouble{ID: id, Text: t.Kind + ": " + t.Text, Weight: t.Weight, SeenBy: *t.Seen})
}

// Unnote takes that back.
func (ts Troubles) Unnote(ctx context.Context, id string) error {
	return ts.d.Noted.UnnoteTrouble(ctx, id)
}

// Forget forgets who has seen what is over.
func (ts Troubles) Forget(ctx context.Context) error {
	seen, err := ts.d.Noted.NotedTroubles()
	if err != nil || len(seen) == 0 {
		return err
	}
	all, err := ts.all(0)
	if err != nil {
		return err
	}
	var over []string
	for _, n := range seen {
		if !slices.ContainsFunc(all, func(t fleet.Trouble) bool { return t.ID == n.ID }) {
			over = append(over, n.ID)
		}
	}
	if len(over) == 0 {
		return nil
	}
	return ts.d.Noted.ForgetTroubles(ctx, over)
}

// all are as many as most of each kind, 0 for no bound; those that are bad come first.
func (ts Troubles) all(most int) (all []fleet.Trouble, err error) {
	models, err := ts.d.Records.Models()
	if err != nil {
		return nil, err
	}
	for _, find := range []func() ([]fleet.Trouble, error){
		func() ([]fleet.Trouble, error) { return ts.halted(models) }, ts.newsOfCrashes, ts.missing, ts.looping, ts.wanted, ts.rejected, ts.ofGateway,
		func() ([]fleet.Trouble, error) { return withoutSymbols(models), nil },
	} {
		found, err := find()
		if err != nil {
			return nil, err
		}
		if most > 0 {
			found = found[:min(len(found), most)]
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b fleet.Trouble) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	return all, nil
}

// halted are rollouts that have stopped and wait for a person.
func (ts Troubles) halted(models []fleet.Model) (all []fleet.Trouble, err error) {
	for _, m := range models {
		r, err := ts.d.Rollouts.Rollout(m.Code, 0)
		switch {
		case errors.Is(err, fleet.ErrUnknown):
		case err != nil:
			return nil, err
		case r.State == fleet.RolloutHalted, r.State == fleet.RolloutHeld, r.State == fleet.RolloutPaused:
			all = append(all, fleet.Trouble{
				ID:  fleet.TroubleID("rollout", fmt.Sprintf("%s/%d %s %s %d", r.Model, r.Number, r.State, r.Why, r.EndedAt.Unix())),
				Bad: r.State == fleet.RolloutHalted, Kind: "rollout " + string(r.State), Text: fmt.Sprintf("%s for %s", r.Version, r.Model),
				Page: fmt.Sprintf("/models/%s/rollouts/%d", r.Model, r.Number), Detail: r.Why, Since: r.EndedAt,
			})
		}
	}
	return all, nil
}

// newsOfCrashes are regressions, what has been ignored for as long as was said, and what is new since yesterday.
func (ts Troubles) newsOfCrashes() (all []fleet.Trouble, err error) {
	groups, _, err := ts.d.Crashes.UrgentGroups(2 * mostTroubles)
	if err != nil {
		return nil, err
	}
	now := ts.d.Now()
	for _, g := range groups {
		one := fleet.Trouble{
			ID: fleet.TroubleID("crash", g.Fingerprint), Bad: true, Text: cmp.Or(g.TopFrame, g.Reason, g.Fingerprint), Page: "/crashes/" + url.PathEscape(g.Fingerprint),
			Since: g.LastSeen, Weight: g.Devices, Detail: fmt.Sprintf("%s, on %s of %s", count(g.Count, "crash", "crashes"), count(g.Devices, "device", "devices"), g.Model),
		}
		switch {
		case g.Regressed:
			one.Kind = "regression in " + string(g.RegressedIn)
			one.ID = fleet.TroubleID("regression", g.Fingerprint+" "+string(g.RegressedIn)+" "+g.ChangedAt.UTC().String())
		case g.Reopened != "":
			one.Kind, one.Bad, one.Since, one.Detail = "crash ignored no more", false, g.ChangedAt, g.Reopened+"; "+one.Detail
			one.ID = fleet.TroubleID("reopened", g.Fingerprint+" "+g.ChangedAt.UTC().String())
		case g.State == crash.Open && now.Sub(g.FirstSeen) < fresh && g.Devices > 1:
			one.Kind = "new crash that spreads"
		case g.State == crash.Open && now.Sub(g.FirstSeen) < fresh:
			one.Kind, one.Bad = "new crash", false
		default:
			continue
		}
		all = append(all, one)
	}
	return all, nil
}

// missing are lines that are dark, and such as have silent devices.
func (ts Troubles) missing() (all []fleet.Trouble, err error) {
	dark := ts.d.Sightings.DarkLines()
	for _, line := range dark {
		all = append(all, fleet.Trouble{
			ID: fleet.TroubleID("dark", line), Bad: true, Kind: "dark line", Text: line, Page: devicesAt("line", line), Detail: "its devices fell silent together",
		})
	}
	for _, line := range ts.d.Sightings.Facets(fleet.DeviceFilter{State: fleet.Silent}).Lines {
		if !slices.Contains(dark, line.Word) {
			all = append(all, fleet.Trouble{
				ID: fleet.TroubleID("silent", line.Word), Kind: "silent", Text: count(line.Count, "device", "devices") + " on " + line.Word,
				Page: devicesAt("state", string(fleet.Silent), "line", line.Word), Weight: line.Count,
			})
		}
	}
	return all, nil
}

// devicesAt is the address of the page's list with a filter: name, value, name, value.
func devicesAt(filter ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(filter); i += 2 {
		q.Set(filter[i], filter[i+1])
	}
	return "/devices?" + q.Encode()
}

// looping are devices that have crashed again and again within the hour.
func (ts Troubles) looping() (all []fleet.Trouble, err error) {
	newest, _, err := ts.d.Crashes.Dumps(crash.DumpFilter{Limit: newestSeen})
	if err != nil {
		return nil, err
	}
	now := ts.d.Now()
	dumps := map[fleet.DeviceKey]int{}
	for _, l := range newest {
		if now.Sub(l.Dump.UploadedAt) > time.Hour {
			break
		}
		if dumps[l.Dump.Device]++; dumps[l.Dump.Device] == loopsFrom {
			all = append(all, fleet.Trouble{
				ID: fleet.TroubleID("loop", string(l.Dump.Device)), Bad: true, Kind: "crash loop", Text: string(l.Dump.Device), Page: "/devices/" + string(l.Dump.Device), Since: l.Dump.UploadedAt,
			})
		}
	}
	for i := range all {
		key := fleet.DeviceKey(all[i].Text)
		all[i].Detail = count(dumps[key], "dump", "dumps") + " within the hour"
		if d, err := ts.d.Records.Device(key); err == nil && d.Name != "" {
			all[i].Text = d.Name + ", " + all[i].Text
		}
	}
	return all, nil
}

// wanted are the builds for which dumps wait.
func (ts Troubles) wanted() (all []fleet.Trouble, err error) {
	missing, _, err := ts.d.Crashes.Dumps(crash.DumpFilter{State: crash.Missing, Limit: newestSeen})
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	counts := []int{}
	for _, l := range missing {
		wants := l.Crash.Wants()
		i, known := at[wants]
		if !known {
			i = len(all)
			at[wants] = i
			counts = append(counts, 0)
			all = append(all, fleet.Trouble{
				ID: fleet.TroubleID("wanted", wants), Kind: "wanted firmware", Text: wants, Page: fmt.Sprintf("/dumps/%s/%s", l.Dump.Device, l.Dump.Name()), Since: l.Dump.UploadedAt,
			})
		}
		counts[i]++
		all[i].Detail = count(counts[i], "dump waits", "dumps wait") + " for it"
		if len(missing) == newestSeen {
			all[i].Detail = fmt.Sprintf("of the newest %d dumps that wait, %d wait for it", newestSeen, counts[i])
		}
	}
	return all, nil
}

// rejected are dropped files that were refused and are still there.
func (ts Troubles) rejected() (all []fleet.Trouble, err error) {
	drops, err := ts.d.Drops.Rejected()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(drops, func(a, b fleet.Drop) int { return b.RejectedAt.Compare(a.RejectedAt) })
	for _, d := range drops {
		all = append(all, fleet.Trouble{
			ID: fleet.TroubleID("drop", d.Name+" "+d.RejectedAt.UTC().String()), Kind: "rejected drop", Text: d.Name, Detail: d.Reason, Page: "/drop", Since: d.RejectedAt,
		})
	}
	return all, nil
}

// ofGateway is what is wrong with the gateway itself: its disk, its backups, its certificate and so on.
func (ts Troubles) ofGateway() (all []fleet.Trouble, err error) {
	for _, w := range ts.d.Gateway.Wrong() {
		all = append(all, fleet.Trouble{ID: fleet.TroubleID(w.Kind, cmp.Or(w.About, w.Text)), Bad: true, Kind: w.Kind, Text: w.Text, Page: "/gateway"})
	}
	return all, nil
}

func withoutSymbols(models []fleet.Model) (all []fleet.Trouble) {
	for _, m := range models {
		if text := m.NoSymbols(); text != "" {
			all = append(all, fleet.Trouble{ID: fleet.TroubleID("symbols", string(m.Code)), Kind: "symbols", Text: text, Page: "/models/" + string(m.Code)})
		}
	}
	return all
}

// count is "1 device" or "2 devices".
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + more
}
