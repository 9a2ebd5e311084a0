package operator

import (
	"errors"
	"net/http"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func (d *door) registerGroups(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/crashes/{fingerprint}/devices", d.groupDevices, listed()...)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/crashes/{fingerprint}/resolve", d.resolveGroup)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/crashes/{fingerprint}/ignore", d.ignoreGroup)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/crashes/{fingerprint}/reopen", d.reopenGroup)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/crashes/{fingerprint}/note", d.noteGroup)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/crashes/{fingerprint}/merge", d.mergeGroup)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/crashes/{fingerprint}/split", d.splitGroup)
	d.handle(rs, auth.Operator, http.MethodPost, "/api/crashes/{fingerprint}/decode", d.decodeGroup, "after")
}

// resolveGroup takes {"firmware_version": "…", "force": false}: gone from that version on.
func (d *door) resolveGroup(w http.ResponseWriter, r *http.Request) error {
	var in api.Resolve
	if r.ContentLength != 0 {
		if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
			return err
		}
	}
	v, err := fleet.ParseVersion(in.Version)
	if err != nil {
		return fleet.Refused("firmware_version: name the version in which it is gone: %v", err)
	}
	if !in.Force {
		if err := d.mayName("firmware_version", r.PathValue("fingerprint"), v); err != nil {
			return err
		}
	}
	return d.decide(w, r, func(g *crash.Group) error { g.Resolve(v, d.Now().UTC()); return nil })
}

// mayName refuses a version in a decision about a group that is neither a build's nor comes after all of them.
func (d *door) mayName(what, fingerprint string, v fleet.Version) error {
	g, _, _, err := d.Crashes.Group(fingerprint)
	if err != nil {
		return err
	}
	builds, err := d.Records.Builds(g.Model)
	if err != nil {
		return err
	}
	return crash.MayName(what, g.Model, builds, v)
}

// ignoreGroup takes nothing, or one of {"until_version": "…"}, {"until_crashes": 10} and {"until": "7d"}.
func (d *door) ignoreGroup(w http.ResponseWriter, r *http.Request) error {
	var in api.Ignore
	if r.ContentLength != 0 {
		if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
			return err
		}
	}
	v, crashes, at, err := in.Read(d.Now())
	if err != nil {
		return err
	}
	if v != "" && !in.Force {
		if err := d.mayName("until_version", r.PathValue("fingerprint"), v); err != nil {
			return err
		}
	}
	until := crash.Bound{Version: v, Crashes: crashes, At: at}
	return d.decide(w, r, func(g *crash.Group) error { g.Ignore(until, d.Now().UTC()); return nil })
}

func (d *door) reopenGroup(w http.ResponseWriter, r *http.Request) error {
	return d.decide(w, r, func(g *crash.Group) error { g.Reopen(d.Now().UTC()); return nil })
}

// noteGroup takes {"note": "…", "link": "https://…"}; an empty one is removed, and one that is not named stays.
func (d *door) noteGroup(w http.ResponseWriter, r *http.Request) error {
	var in api.Note
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	if in.Note == nil && in.Link == nil {
		return fleet.Refused("name a note or a link")
	}
	return d.decide(w, r, func(g *crash.Group) error {
		note, link := g.Note, g.Link
		set(&note, in.Note)
		set(&link, in.Link)
		return errors.Join(g.SetNote(note), g.SetLink(link))
	})
}

func (d *door) decide(w http.ResponseWriter, r *http.Request, change func(*crash.Group) error) error {
	g, err := d.Crashes.UpdateGroup(r.Context(), r.PathValue("fingerprint"), change)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, g)
}

// mergeGroup takes {"fingerprint": "…"}, the other group, and answers the one that they are now.
func (d *door) mergeGroup(w http.ResponseWriter, r *http.Request) error {
	var in api.Merge
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	g, err := d.Crashes.MergeGroups(r.Context(), r.PathValue("fingerprint"), in.Fingerprint)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, g)
}

// splitGroup takes {"chains": ["…"]}, fingerprints, and answers both groups.
func (d *door) splitGroup(w http.ResponseWriter, r *http.Request) error {
	var in api.Split
	if err := endpoint.ReadJSON(w, r, mostJSON, &in); err != nil {
		return err
	}
	left, split, err := d.Crashes.SplitGroup(r.Context(), r.PathValue("fingerprint"), in.Chains)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, api.SplitGroups[crash.Group]{Groups: []crash.Group{left, split}})
}

// decodeGroup has the dumps of a group decoded anew, those behind ?after= in pieces.
func (d *door) decodeGroup(w http.ResponseWriter, r *http.Request) error {
	given := r.URL.Query().Get("after")
	after, err := crash.ParseRef(given)
	if err != nil {
		return noCursor(given)
	}
	asked, err := d.Dumps.DecodeGroupAgain(r.Context(), r.PathValue("fingerprint"), after)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusAccepted, api.DecodedAgain{Dumps: asked.Dumps, Kept: asked.Kept, Next: api.Optional(asked.Next.String())})
}

// groupDevices lists all devices that a group was seen on, in the order of their keys.
func (d *door) groupDevices(w http.ResponseWriter, r *http.Request) error {
	q, err := d.listQuery(r)
	if err != nil {
		return err
	}
	after, err := afterDevice(r)
	if err != nil {
		return err
	}
	page, next, total, err := d.seenOn(r.PathValue("fingerprint"), after, q)
	if err != nil {
		return err
	}
	answer := api.GroupDevices{Devices: []fleet.DeviceKey{}, Counts: []api.GroupDevice{}, Next: api.Optional(string(next)), Total: total}
	for _, d := range page {
		answer.Devices = append(answer.Devices, d.Device)
		answer.Counts = append(answer.Counts, api.GroupDevice{Device: d.Device, Count: d.Count, LastSeen: d.LastSeen})
	}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

// mostPassed bounds the devices that a page looks at when hardly any crashed last in the time that is asked for.
const mostPassed = 2000

// seenOn is a page of a group's devices, and behind which one the next page begins; "": this is the last. A page may have
// fewer rows than its limit, or none, and a next one: it has passed over mostPassed.
func (d *door) seenOn(group string, after fleet.DeviceKey, q listQuery) (page []crash.DeviceCount, next fleet.DeviceKey, total int, err error) {
	for looked := 0; ; {
		some, total, err := d.Crashes.GroupDevices(group, after, q.limit+1)
		if err != nil {
			return nil, "", total, err
		}
		for _, one := range some {
			if q.span.Has(one.LastSeen) {
				if page = append(page, one); len(page) > q.limit {
					return page[:q.limit], page[q.limit-1].Device, total, nil
				}
			}
			after = one.Device
		}
		if looked += len(some); len(some) <= q.limit {
			return page, "", total, nil
		}
		if looked >= mostPassed {
			return page, after, total, nil
		}
	}
}
