package operator

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// events is what the door needs of the stream.
type events interface {
	Events(event.Filter) (event.Page, error)
	ExportEvents(begin func(anchor event.Link) error, yield func(raw []byte) error) error
	// Record leaves an event of what was done outside the catalog.
	Record(ctx context.Context, kind fleet.EventKind, object fleet.Object, details any) error
	Feed() *event.Feed
}

func (d *door) registerEvents(rs *endpoint.Routes) {
	d.handle(rs, auth.Viewer, http.MethodGet, "/api/events", d.listEvents, listed("before", "kind", "object")...)
}

// record leaves an event of what was done to the gateway itself. It is done: whoever has stopped waiting has done it, too.
func (d *door) record(r *http.Request, kind fleet.EventKind, details any) error {
	return d.Events.Record(context.WithoutCancel(r.Context()), kind, fleet.Object{Type: "gateway"}, details)
}

// listEvents answers a page as JSON, all as lines of JSON, or what comes as a stream, whatever the caller accepts.
func (d *door) listEvents(w http.ResponseWriter, r *http.Request) error {
	f, err := d.eventFilter(r)
	if err != nil {
		return err
	}
	switch accept := r.Header.Get("Accept"); {
	case strings.Contains(accept, "text/event-stream"):
		return d.streamEvents(w, r, f)
	case strings.Contains(accept, "application/x-ndjson"):
		return d.exportEvents(w)
	}
	page, err := d.Events.Events(f)
	if err != nil {
		return err
	}
	answer := api.Events{Events: make([]json.RawMessage, len(page.Events))}
	for i, s := range page.Events {
		answer.Events[i] = s.Raw
	}
	if page.Next > 0 {
		answer.Next = api.Optional(strconv.FormatUint(page.Next, 10))
	}
	return endpoint.WriteJSON(w, http.StatusOK, answer)
}

func (d *door) eventFilter(r *http.Request) (f event.Filter, err error) {
	q := r.URL.Query()
	page, err := d.listQuery(r)
	if err != nil {
		return f, err
	}
	f.At, f.Limit = page.span, page.limit
	for name, to := range map[string]*uint64{"after": &f.After, "before": &f.Before} {
		given := q.Get(name)
		if *to, err = strconv.ParseUint(given, 10, 53); given != "" && err != nil {
			return f, fleet.Refused("%s %q: want the number of an event", name, given)
		}
	}
	if q.Has("after") && q.Has("before") {
		return f, fleet.Refused("after and before: want one of them")
	}
	for kind := range strings.SplitSeq(q.Get("kind"), ",") {
		if kind != "" && !event.Known(kind) {
			return f, near(fleet.Refused("kind %q: there is no such kind of event", kind), kind, event.Names())
		}
		if kind != "" {
			f.Kinds = append(f.Kinds, kind)
		}
	}
	if object := q.Get("object"); object != "" {
		var named bool
		if f.Object.Type, f.Object.ID, named = strings.Cut(object, "/"); !named {
			return f, fleet.Refused("object %q: want a type and a name, such as device/a1b2c3d4, model/pump or build/pump/1.0.0", object)
		}
	}
	return f, nil
}

// exportEvents answers the whole stream, as `slipway audit verify` reads it.
func (d *door) exportEvents(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return d.Events.ExportEvents(func(anchor event.Link) error {
		return json.NewEncoder(w).Encode(event.Anchor{Anchor: &anchor})
	}, func(raw []byte) error {
		if _, err := w.Write(raw); err != nil {
			return err
		}
		_, err := w.Write([]byte("\n"))
		return err
	})
}
