package operator

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// groupCursor names a place of an order to callers, who can make nothing of it.
func groupCursor(o crash.GroupOrder, p crash.GroupPlace) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d %s", o, p.Number, p.Fingerprint))
}

func readGroupCursor(o crash.GroupOrder, after string) (*crash.GroupPlace, error) {
	raw, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil {
		return nil, noCursor(after)
	}
	var of crash.GroupOrder
	var p crash.GroupPlace
	if _, err := fmt.Sscanf(string(raw), "%s %d %s", &of, &p.Number, &p.Fingerprint); err != nil || of != o {
		return nil, noCursor(after)
	}
	return &p, nil
}

// groupQuery is what ?model=, ?version=, ?state=, ?text=, ?sort= and those of every list ask for.
func (d *door) groupQuery(r *http.Request) (query crash.GroupQuery, err error) {
	q := r.URL.Query()
	query.Version, query.Text, query.Order = fleet.Version(q.Get("version")), q.Get("text"), crash.GroupOrder(cmp.Or(q.Get("sort"), "last_seen"))
	if state := q.Get("state"); state != "" {
		if query.State, err = crash.ParseGroupState(state); err != nil {
			return query, err
		}
	}
	if query.Model, err = d.modelFilter(r); err != nil {
		return query, err
	}
	if !slices.Contains(crash.GroupOrders, query.Order) {
		return query, near(fleet.Refused("sort %q: want one of count, devices, first_seen, last_seen", query.Order), string(query.Order), crash.GroupOrders)
	}
	page, err := d.listQuery(r)
	if err != nil {
		return query, err
	}
	query.Seen, query.Limit = page.span, page.limit
	if page.after != "" {
		query.After, err = readGroupCursor(query.Order, page.after)
	}
	return query, err
}

func (d *door) listGroups(w http.ResponseWriter, r *http.Request) error {
	q, err := d.groupQuery(r)
	if err != nil {
		return err
	}
	page, err := d.Crashes.ListGroups(q)
	if err == nil && page.Found == 0 && q.After == nil {
		err = errors.Join(d.knownModel(q.Model), d.knownVersion(q.Version))
	}
	if err != nil {
		return err
	}
	answer := api.Groups[crash.Group]{Groups: api.List(page.Groups), Total: page.Total}
	if page.Next != nil {
		answer.Next = api.Optional(groupCursor(q.Order, *page.Next))
	}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}
