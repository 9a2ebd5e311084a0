package operator

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// happen leaves n events of a model.
func (d *desk) happen(n int) {
	d.t.Helper()
	for i := range n {
		if err := d.store.Record(context.Background(), event.ModelChanged, fleet.ModelCode("pump").ObjectOf(), map[string]int{"n": i}); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *desk) head() uint64 {
	d.t.Helper()
	last, err := d.store.LastEvent()
	if err != nil {
		d.t.Fatal(err)
	}
	return last.Seq
}

func TestEventsAreReadPageByPageInBothDirections(t *testing.T) {
	d := open(t, nil)
	d.happen(250)
	read := func(query string) (events []fleet.Event, next *string) {
		t.Helper()
		a := d.ask(http.MethodGet, "/api/events"+query, "", d.bearer(auth.Viewer)...)
		var page api.Events
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		for _, raw := range page.Events {
			var e fleet.Event
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		return events, page.Next
	}
	seen := 0
	for query := "?kind=model.changed"; ; {
		events, next := read(query)
		seen += len(events)
		if next == nil {
			break
		}
		query = fmt.Sprintf("?kind=model.changed&after=%s", *next)
	}
	if seen != 250 {
		t.Errorf("%d events", seen)
	}
	newest, _ := read("?before=9007199254740991&limit=2")
	if len(newest) != 2 || newest[0].Seq != d.head() || newest[1].Seq != d.head()-1 {
		t.Errorf("the newest are %+v", newest)
	}
	if tokens, _ := read("?kind=token&until=1h"); len(tokens) != 0 {
		t.Errorf("%+v", tokens)
	}
	if of, _ := read("?object=model/pump&limit=1000"); len(of) != 250 {
		t.Errorf("%d events of the model", len(of))
	}
}

func TestAQuestionAboutEventsThatCannotBeMeantIsRefused(t *testing.T) {
	d := open(t, nil)
	for query, why := range map[string]string{
		"?kind=build.publishd": `the nearest known one is \"build.published\"`, "?object=device": "want a type and a name",
		"?after=1&before=2": "want one of them", "?after=x": "want the number", "?since=yesterday": "want how long ago", "?limit=0": "from 1", "?knd=x": "kind",
	} {
		if a := d.ask(http.MethodGet, "/api/events"+query, "", d.bearer(auth.Viewer)...); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, why) {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
		}
	}
	if a := d.ask(http.MethodGet, "/api/events", "", d.bearer(auth.Pipeline)...); a.StatusCode != http.StatusForbidden {
		t.Errorf("a pipeline reads the log: %d", a.StatusCode)
	}
}

func TestAnExportIsWhatVerifyReads(t *testing.T) {
	d := open(t, nil)
	d.happen(1200)
	a := d.ask(http.MethodGet, "/api/events", "", append(d.bearer(auth.Viewer), "Accept", "application/x-ndjson")...)
	if n, end, err := event.Verify(strings.NewReader(a.body)); err != nil || uint64(n) != d.head() || end.Seq != d.head() {
		t.Errorf("%d events up to %d, %v", n, end.Seq, err)
	}
}

// reader is a stream that is read.
type reader struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
}

func (d *desk) stream(query string, headers ...string) *reader {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodGet, d.url+"/api/events"+query, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		d.t.Fatalf("%d %s", resp.StatusCode, kind)
	}
	return &reader{d.t, resp, bufio.NewReader(resp.Body)}
}

// next is the next block; ok is false at the end.
func (r *reader) next() (id, name, data string, ok bool) {
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			return id, name, data, false
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "":
			if value == "" && (id != "" || data != "") {
				return id, name, data, true
			}
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = value
		}
	}
}

// event is the next block with an event in it.
func (r *reader) event() (e fleet.Event) {
	r.t.Helper()
	for {
		id, name, data, ok := r.next()
		if !ok {
			r.t.Fatal("the stream has ended")
		}
		if data == "" {
			continue
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil || fmt.Sprint(e.Seq) != id || name != "" {
			r.t.Fatalf("id %s, event %q, data %s", id, name, data)
		}
		return e
	}
}

func TestAStreamBeginsNowAndGoesOnWhereItWas(t *testing.T) {
	d := open(t, nil)
	d.happen(3)
	head := d.head()
	r := d.stream("", d.bearer(auth.Viewer)...)
	if id, _, data, _ := r.next(); id != fmt.Sprint(head) || data != "" {
		t.Errorf("it begins with id %s and %q, want %d", id, data, head)
	}
	d.happen(2)
	if e := r.event(); e.Seq != head+1 {
		t.Errorf("event %d, want %d", e.Seq, head+1)
	}
	r.resp.Body.Close() // and event head+2 is missed
	d.happen(300)
	again := d.stream("?kind=model", append(d.bearer(auth.Viewer), "Last-Event-ID", fmt.Sprint(head+1))...)
	for seq := head + 2; seq <= head+302; seq++ {
		if e := again.event(); e.Seq != seq {
			t.Fatalf("event %d, want %d", e.Seq, seq)
		}
	}
}

func TestAStreamWhoseEventIsGoneBeginsWithAGap(t *testing.T) {
	d := open(t, func(o *Options) { o.Events = fewEvents(t, 20_000) })
	few := d.events.(*catalog.Catalog)
	for i := range 300 {
		if err := few.Record(t.Context(), event.ModelChanged, fleet.ModelCode("pump").ObjectOf(), map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := few.Events(event.Filter{})
	if err != nil || page.Anchor.Seq == 0 {
		t.Fatalf("nothing was cut off: %v", err)
	}
	for _, from := range []string{"1", fmt.Sprint(page.Head.Seq + 100)} { // gone, and of before a restore
		r := d.stream("", append(d.bearer(auth.Viewer), "Last-Event-ID", from)...)
		id, name, data, _ := r.next()
		if want := fmt.Sprintf(`{"anchor":{"seq":%d,"hash":"%s"}}`, page.Anchor.Seq, page.Anchor.Hash); id != fmt.Sprint(page.Anchor.Seq) || name != "gap" || data != want {
			t.Errorf("from %s: id %s, event %q, data %s, want %s", from, id, name, data, want)
		}
		if e := r.event(); e.Seq != page.Anchor.Seq+1 {
			t.Errorf("from %s: behind the gap comes event %d", from, e.Seq)
		}
	}
}

func TestAStreamEndsWithItsTokenAndWithTheGateway(t *testing.T) {
	d := open(t, nil)
	mine := d.stream("", d.bearer(auth.Viewer)...)
	others := d.stream("", d.bearer(auth.Operator)...)
	mine.next()
	others.next()
	id := strings.Split(d.tokens[auth.Viewer], "_")[1]
	if err := d.store.RemoveOperatorToken(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for ok := true; ok; {
		_, _, _, ok = mine.next() // until it ends
	}
	if e := others.event(); e.Kind != event.TokenRevoked || e.Object.ID != id {
		t.Errorf("%+v", e)
	}
	d.store.Feed().End()
	for ok := true; ok; {
		_, _, _, ok = others.next()
	}
}

// silent is a stream of events in which nothing happens, but for its feed.
type silent struct {
	events
	feed  event.Feed
	looks int
	look  func(looks int) // is called with each
}

func (s *silent) Feed() *event.Feed { return &s.feed }

func (s *silent) Events(event.Filter) (event.Page, error) {
	s.looks++
	s.look(s.looks)
	return event.Page{}, nil
}

func TestAStreamThatIsWokenTenThousandTimesHoldsNoMoreThanAtItsBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wakes = 10_000
		s := &silent{}
		d := &door{Options{Events: s, Access: access.New(access.Options{Socket: &calm{trusted: true}})}}
		r := httptest.NewRequest(http.MethodGet, "/api/events", nil)
		begun := r.Context()
		s.look = func(looks int) {
			if r.Context() != begun {
				t.Fatalf("after %d looks the request's context is another one", looks)
			}
			if looks < wakes {
				s.feed.Wake()
				return
			}
			s.feed.End()
		}
		if err := d.streamEvents(httptest.NewRecorder(), r, event.Filter{}); err != nil || s.looks != wakes {
			t.Errorf("%d looks, %v", s.looks, err)
		}
	})
}

func TestTwoHundredOpenStreamsAllHearOfEverything(t *testing.T) {
	const streams, happened = 200, 30
	d := open(t, nil)
	head := d.head()
	var reading sync.WaitGroup
	for range streams {
		r := d.stream("", d.bearer(auth.Viewer)...)
		r.next()
		reading.Go(func() {
			for seq := head + 1; seq <= head+happened; seq++ {
				if e := r.event(); e.Seq != seq {
					t.Errorf("event %d, want %d", e.Seq, seq)
					return
				}
			}
		})
	}
	began := time.Now()
	d.happen(happened)
	reading.Wait()
	t.Logf("%d events to %d streams in %s", happened, streams, time.Since(began))
}

func TestWhoActsIsInTheEvent(t *testing.T) {
	d := open(t, nil)
	if a := d.ask(http.MethodPost, "/api/device-models", `{"code":"valve"}`, d.bearer(auth.Operator)...); a.StatusCode != http.StatusCreated {
		t.Fatal(a.body)
	}
	page, err := d.store.Events(event.Filter{Object: fleet.ModelCode("valve").ObjectOf()})
	if err != nil || len(page.Events) != 1 {
		t.Fatalf("%+v, %v", page.Events, err)
	}
	id := strings.Split(d.tokens[auth.Operator], "_")[1]
	if e := page.Events[0]; e.Actor.Type != fleet.Person || e.Actor.ID != id || e.From != "127.0.0.1" {
		t.Errorf("%+v", e)
	}
}

func TestAnUnknownTokenIsCountedAndNoneIsNot(t *testing.T) {
	d := open(t, nil)
	d.ask(http.MethodGet, "/api/devices", "")
	d.ask(http.MethodGet, "/api/devices", "", "Authorization", "Bearer slw_00000000_x")
	d.ask(http.MethodPost, "/api/devices", "", "Authorization", "Bearer slw_00000000_y")
	n := 0
	if err := d.failures.Tell(func(source fleet.Object, failed int) error {
		n += failed
		if source.ID != "127.0.0.1" {
			t.Errorf("%+v", source)
		}
		return nil
	}); err != nil || n != 2 {
		t.Errorf("%d failures are counted, %v", n, err)
	}
}
