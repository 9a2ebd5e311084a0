package page

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/event"
)

// A page that is open listens to a stream of hints: the nouns of what has changed, and nothing else. It then asks for its
// own address again, with liveHeader, and is answered what is inside of the layout; its script puts in what is other.
const (
	changesPath = "/changes"
	liveHeader  = "Slipway-Live"
)

// hints say of what something has changed.
type hints interface {
	Mark() string
	Since(mark string) (nouns []string, now string)
	Watch() (woken <-chan struct{}, stop func())
}

var _ hints = (*event.Hints)(nil)

func (p *Page) registerLive(rs *endpoint.Routes) {
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: changesPath, Query: endpoint.Query{"since"}}, p.Access.Need(auth.Viewer), p.changes)
}

// aliveEvery is how often the stream says that it is still there. A phone that has left the radio's reach is told by nobody:
// the script goes by the silence.
const aliveEvery = 15 * time.Second

// changes answers the nouns of what has changed since a mark, and then what changes, at most twice a second, until the
// gateway stops or the session ends. It reads nothing but who asks, so that many open pages cost little.
func (p *Page) changes(w http.ResponseWriter, r *http.Request) error {
	woken, stop := p.Hints.Watch()
	defer stop()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	mark := cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("since"))
	text := "retry: 2000\n\n"
	for {
		nouns, now := p.Hints.Since(mark)
		if len(nouns) > 0 {
			text += fmt.Sprintf("id: %s\ndata: %s\n\n", now, strings.Join(nouns, " "))
		}
		mark = now
		_, err := w.Write([]byte(text))
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		if err != nil {
			return nil //nolint:nilerr // nobody listens any more
		}
		text = ""
		select {
		case <-r.Context().Done():
			return nil
		case _, open := <-woken:
			if !open {
				return nil
			}
		case <-alive.C:
			text = "event: here\ndata: .\n\n"
		}
		if c, err := p.Access.Caller(r); err != nil || !c.Is(auth.Viewer) {
			return nil //nolint:nilerr // it has ended: coming again gets the 401
		}
	}
}

// Bounds of what is made for pages that are open: of two hundred that show the same, one has it made.
const (
	betweenRenders = 500 * time.Millisecond // of one address: who asks earlier, after a change, waits
	keptRender     = time.Second            // without a hint: states of devices change by time alone
	mostRenders    = 64                     // that are kept
)

// renders are what was made of views for open pages, for as long as nothing has changed.
type renders struct {
	mu  sync.Mutex // guards what follows
	all map[renderKey]*rendered
}

type renderKey struct {
	address string
	role    auth.Role
}

type rendered struct {
	begun time.Time
	mark  string
	done  chan struct{} // closed once the rest is there
	body  []byte
	err   error
}

var errUnmade = errors.New("page: the view was not made")

// get is what make makes, or has made for somebody else since the last hint.
func (rs *renders) get(ctx context.Context, key renderKey, mark func() string, make func() ([]byte, error)) ([]byte, error) {
	for {
		rs.mu.Lock()
		one := rs.all[key]
		if one == nil || time.Since(one.begun) >= keptRender || one.mark != mark() && time.Since(one.begun) >= betweenRenders {
			one = rs.begin(key, mark())
			rs.mu.Unlock()
			defer close(one.done)
			one.body, one.err = make()
			return one.body, one.err
		}
		rs.mu.Unlock()
		wait := (<-chan time.Time)(nil)
		done := (<-chan struct{})(one.done)
		if one.mark != mark() {
			done, wait = nil, time.After(betweenRenders-time.Since(one.begun))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-wait:
		case <-done:
			return one.body, one.err
		}
	}
}

func (rs *renders) begin(key renderKey, mark string) *rendered {
	for old, r := range rs.all {
		if time.Since(r.begun) >= keptRender {
			delete(rs.all, old)
		}
	}
	if rs.all == nil {
		rs.all = map[renderKey]*rendered{}
	}
	one := &rendered{begun: time.Now(), mark: mark, done: make(chan struct{}), err: errUnmade}
	if len(rs.all) < mostRenders {
		rs.all[key] = one
	}
	return one
}

// showAgain answers a page that is open.
func (p *Page) showAgain(one view, v *visit) error {
	load := func() ([]byte, error) {
		found, err := one.Load(v)
		if err != nil {
			return nil, err
		}
		f := frame{Title: found.Title, Here: v.r.URL.RequestURI(), Caller: v.caller, In: true, View: found.View}
		t, err := templateOf(one.Name)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = t.ExecuteTemplate(&b, "main", f)
		return b.Bytes(), err
	}
	var body []byte
	var err error
	if one.Personal {
		body, err = load()
	} else {
		v.r = v.r.WithContext(context.WithoutCancel(v.r.Context())) // others wait for it, too
		body, err = p.renders.get(v.r.Context(), renderKey{v.r.URL.RequestURI(), v.caller.Role}, p.Hints.Mark, load)
	}
	if err != nil {
		return err
	}
	return sendPage(v.w, v.r, http.StatusOK, body)
}
