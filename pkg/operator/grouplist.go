package operator

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// sorts are the orders of the list of groups, by a number: the greatest comes first.
var sorts = map[string]func(crash.Group) int64{
	"last_seen":  func(g crash.Group) int64 { return g.LastSeen.UnixMicro() },
	"first_seen": func(g crash.Group) int64 { return g.FirstSeen.UnixMicro() },
	"count":      func(g crash.Group) int64 { return int64(g.Count) },
	"devices":    func(g crash.Group) int64 { return int64(g.Devices) },
}

// groupList is what ?model=, ?version=, ?state=, ?text=, ?sort=, ?after= and ?limit= ask for.
type groupList struct {
	crash.GroupFilter
	text  string // in lower case
	sort  string
	after *groupPlace
	limit int
}

// groupPlace is where a group stands in the list: groups of one number by their fingerprints.
type groupPlace struct {
	number      int64
	fingerprint string
}

func (p groupPlace) compare(q groupPlace) int {
	return cmp.Or(cmp.Compare(q.number, p.number), strings.Compare(p.fingerprint, q.fingerprint))
}

func (l *groupList) place(g crash.Group) groupPlace {
	return groupPlace{sorts[l.sort](g), g.Fingerprint}
}

// cursor names a place of this order to callers, who can make nothing of it.
func (l *groupList) cursor(g crash.Group) string {
	p := l.place(g)
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d %s", l.sort, p.number, p.fingerprint))
}

func (l *groupList) readCursor(after string) error {
	raw, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil {
		return noCursor(after)
	}
	var sort string
	l.after = &groupPlace{}
	if _, err := fmt.Sscanf(string(raw), "%s %d %s", &sort, &l.after.number, &l.after.fingerprint); err != nil || sort != l.sort {
		return noCursor(after)
	}
	return nil
}

func (l *groupList) wants(g crash.Group) bool {
	return l.text == "" || strings.Contains(strings.ToLower(g.Fingerprint+" "+g.Kind+" "+g.Reason+" "+g.TopFrame+" "+string(g.Model)), l.text)
}

func (d *door) groupList(r *http.Request) (l groupList, err error) {
	q := r.URL.Query()
	l.Version, l.text, l.sort = fleet.Version(q.Get("version")), strings.ToLower(q.Get("text")), cmp.Or(q.Get("sort"), "last_seen")
	if state := q.Get("state"); state != "" {
		if l.State, err = crash.ParseGroupState(state); err != nil {
			return l, err
		}
	}
	if l.Model, err = d.modelFilter(r); err != nil {
		return l, err
	}
	if sorts[l.sort] == nil {
		names := slices.Sorted(maps.Keys(sorts))
		return l, near(fleet.Refused("sort %q: want one of %s", l.sort, strings.Join(names, ", ")), l.sort, names)
	}
	if l.limit, err = limitOf(r); err != nil {
		return l, err
	}
	if after := q.Get("after"); after != "" {
		err = l.readCursor(after)
	}
	return l, err
}

// listGroups looks at every group, as it says how many there are, and keeps those of the page.
func (d *door) listGroups(w http.ResponseWriter, r *http.Request) error {
	l, err := d.groupList(r)
	if err != nil {
		return err
	}
	found, total := 0, 0 // by the filter, and with the text
	page := first[crash.Group]{limit: l.limit, order: func(a, b crash.Group) int { return l.place(a).compare(l.place(b)) }}
	err = d.Crashes.EachGroup(l.GroupFilter, func(g crash.Group) {
		found++
		if !l.wants(g) {
			return
		}
		total++
		if l.after == nil || l.place(g).compare(*l.after) > 0 {
			page.add(g)
		}
	})
	if err == nil && found == 0 && l.after == nil {
		err = errors.Join(d.knownModel(l.Model), d.knownVersion(l.Version))
	}
	if err != nil {
		return err
	}
	groups, next := cut(page.rows, l.limit, l.cursor)
	return endpoint.WriteJSON(w, http.StatusOK, api.Groups[crash.Group]{Groups: api.List(groups), Next: next, Total: total})
}
