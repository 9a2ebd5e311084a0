package operator

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// aliveEvery is how often a stream says that it is still there where nothing happens.
const aliveEvery = 15 * time.Second

// breath is the time between two looks of a stream: two hundred of them must not read the catalog after each of many
// changes. What happens after a silence goes out at once.
const breath = 200 * time.Millisecond

// streamEvents answers what happens as text/event-stream, from the event behind Last-Event-ID on, or from now on. Where
// that one is no longer there, nor not there yet as after a restore, the stream begins with the event "gap". It ends when
// the gateway stops, and when the caller's token is revoked.
func (d *door) streamEvents(w http.ResponseWriter, r *http.Request, f event.Filter) error {
	if f.Before > 0 || !f.At.Until.IsZero() {
		return fleet.Refused("before and until: a stream goes forwards and has no end")
	}
	woken, stop := d.Events.Feed().Watch()
	defer stop()
	s, err := d.openStream(r, f)
	if err != nil {
		return err
	}
	s.w = w
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		if err := s.catchUp(r, d.Events); err != nil {
			return nil //nolint:nilerr // the stream ends: who reads it comes again, and what is wrong with the store others say
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-time.After(breath):
		}
		select {
		case <-r.Context().Done():
			return nil
		case _, open := <-woken:
			if !open {
				return nil
			}
		case <-alive.C:
			s.write(": still here\n\n")
		}
		if c, err := d.Access.Caller(r); err != nil || !c.Is(auth.Viewer) { // not Allowed: it would wrap the request once more
			return nil //nolint:nilerr // revoked, which is an event: coming again gets the 401
		}
	}
}

// stream is one reader.
type stream struct {
	w      http.ResponseWriter
	filter event.Filter // After is where the reader is
	failed error
}

// openStream finds where a stream begins. A reader that names no event begins now, and is told where that is, so that it
// can come again before anything has happened.
func (d *door) openStream(r *http.Request, f event.Filter) (*stream, error) {
	s := &stream{filter: f}
	s.filter.Limit = 0
	from := r.Header.Get("Last-Event-ID")
	switch {
	case from != "":
		var err error
		if s.filter.After, err = strconv.ParseUint(from, 10, 53); err != nil {
			return nil, fleet.Refused("Last-Event-ID %q: want the number of an event", from)
		}
	case r.URL.Query().Has("after") || !f.At.Since.IsZero():
	default:
		page, err := d.Events.Events(event.Filter{Limit: 1})
		if err != nil {
			return nil, err
		}
		s.filter.After = page.Head.Seq
	}
	return s, nil
}

// catchUp writes what has happened since the reader was here last.
func (s *stream) catchUp(r *http.Request, events events) error {
	first := true
	for {
		page, err := events.Events(s.filter)
		if err != nil {
			return err
		}
		if at := s.filter.After; s.filter.At.IsZero() && (at < page.Anchor.Seq || at > page.Head.Seq) {
			s.filter.After = page.Anchor.Seq
			s.write("id: %d\nevent: gap\ndata: {\"anchor\":{\"seq\":%d,\"hash\":\"%s\"}}\n\n", page.Anchor.Seq, page.Anchor.Seq, page.Anchor.Hash)
			continue
		}
		if first && len(page.Events) == 0 {
			s.write("id: %d\n\n", s.filter.After)
		}
		first = false
		for _, e := range page.Events {
			s.write("id: %d\ndata: %s\n\n", e.Seq, e.Raw)
		}
		s.filter.At = fleet.Span{}
		s.filter.After = page.Head.Seq
		if page.Next > 0 {
			s.filter.After = page.Next
		}
		if err := http.NewResponseController(s.w).Flush(); s.failed == nil {
			s.failed = err
		}
		if s.failed != nil || page.Next == 0 || r.Context().Err() != nil {
			return s.failed
		}
	}
}

func (s *stream) write(format string, args ...any) {
	if s.failed == nil {
		_, s.failed = fmt.Fprintf(s.w, format, args...)
	}
}
