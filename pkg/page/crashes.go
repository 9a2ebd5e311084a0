package page

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// crashQuery is what the address of the list may say.
var crashQuery = []string{"model", "version", "state", "text", "since", "until", "sort", "after"}

// crashesView is a page of groups, and the newest dumps.
type crashesView struct {
	Text     string
	Model    string
	Version  string
	State    string
	Since    string
	Until    string
	Sort     string
	Models   []fleet.Model
	States   []crash.GroupState
	Orders   []order
	Filtered bool
	Groups   []listedGroup
	Total    int
	Next     string // the address of the next page, "" on the last
	Dumps    []crash.Listed
}

// listedGroup is a row.
type listedGroup struct {
	crash.Group
	Spark spark
}

func (p *Page) listed(groups []crash.Group) []listedGroup {
	rows := make([]listedGroup, len(groups))
	for i, g := range groups {
		rows[i] = listedGroup{g, sparkOf(g.Recent, p.Now())}
	}
	return rows
}

type order struct{ Name, Title string }

var orders = []order{{"last_seen", "seen last"}, {"first_seen", "first seen last"}, {"count", "most crashes"}, {"devices", "most devices"}}

func (p *Page) crashes(v *visit) (shown, error) {
	q := v.r.URL.Query()
	view := crashesView{
		Text: q.Get("text"), Model: q.Get("model"), Version: q.Get("version"), State: q.Get("state"), Sort: q.Get("sort"),
		Since: q.Get("since"), Until: q.Get("until"),
		States: []crash.GroupState{crash.Open, crash.Resolved, crash.Ignored}, Orders: orders,
	}
	view.Filtered = cmp.Or(view.Text, view.Model, view.Version, view.State, view.Since, view.Until, view.Sort, q.Get("after")) != ""
	var err error
	if view.Models, err = p.Records.Models(); err != nil {
		return shown{}, err
	}
	var groups []crash.Group
	if view.Filtered {
		err = p.filteredGroups(q, &view)
	} else if groups, view.Total, err = p.Crashes.UrgentGroups(shownRows); err == nil {
		view.Groups = p.listed(groups)
		if view.Dumps, _, err = p.Crashes.Dumps(crash.DumpFilter{Limit: shownRows}); err == nil && view.Total > len(view.Groups) {
			view.Next = "/crashes?sort=last_seen"
		}
	}
	return shown{"Crashes", view}, err
}

// filteredGroups are those that the address picks, page by page.
func (p *Page) filteredGroups(q url.Values, view *crashesView) (err error) {
	query := crash.GroupQuery{Text: view.Text, Order: crash.GroupOrder(cmp.Or(view.Sort, "last_seen")), Limit: shownRows}
	query.Version = fleet.Version(view.Version)
	if query.Seen, err = api.ParseSpan("", view.Since, view.Until, p.Now()); err != nil {
		return err
	}
	if view.Model != "" {
		if query.Model, err = fleet.ParseModelCode(view.Model); err != nil {
			return err
		}
	}
	if view.State != "" {
		if query.State, err = crash.ParseGroupState(view.State); err != nil {
			return err
		}
	}
	if !slices.Contains(crash.GroupOrders, query.Order) {
		return fleet.Refused("sort %q: want count, devices, first_seen or last_seen", view.Sort)
	}
	if after := q.Get("after"); after != "" {
		if query.After, err = groupPlace(after); err != nil {
			return err
		}
	}
	page, err := p.Crashes.ListGroups(query)
	view.Groups, view.Total = p.listed(page.Groups), page.Total
	if page.Next != nil {
		next := url.Values{}
		for _, name := range crashQuery {
			if given := q.Get(name); given != "" {
				next.Set(name, given)
			}
		}
		next.Set("after", base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", page.Next.Number, page.Next.Fingerprint)))
		view.Next = "/crashes?" + next.Encode()
	}
	return err
}

// groupPlace reads what an address of the next page says.
func groupPlace(after string) (*crash.GroupPlace, error) {
	raw, err := base64.RawURLEncoding.DecodeString(after)
	var place crash.GroupPlace
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%d %s", &place.Number, &place.Fingerprint)
	}
	if err != nil {
		return nil, fleet.Refused("after %q: take the address of the list's last link", after)
	}
	return &place, nil
}
