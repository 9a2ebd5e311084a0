package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// clock is moved by whoever waits: a day of waiting takes no time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	fired := make(chan time.Time, 1)
	fired <- c.now
	return fired
}

// post is a courier over a real catalog.
type post struct {
	t *testing.T
	*Courier
	store *catalog.Catalog
	clock *clock
	log   *lockedBuffer
	stop  func()
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func open(t *testing.T, change func(*catalog.Options)) *post {
	t.Helper()
	p := &post{t: t, clock: &clock{now: noon}, log: &lockedBuffer{}}
	logger := slog.New(slog.NewTextHandler(p.log, nil))
	o := catalog.Options{
		Dir: t.TempDir(), Logger: logger, Now: p.clock.Now, Beat: func() {}, Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	}
	if change != nil {
		change(&o)
	}
	var err error
	p.store, err = catalog.Open(o)
	p.must(err)
	t.Cleanup(func() { p.must(p.store.Close()) })
	p.start(nil)
	t.Cleanup(func() { p.stop() })
	return p
}

// start begins to carry, as a gateway that starts does.
func (p *post) start(change func(*Options)) {
	o := Options{
		Store: p.store, Agent: "slipway/test", Loopback: true, Patience: 2 * time.Second, Counted: func(bool) {},
		Logger: slog.New(slog.NewTextHandler(p.log, nil)), Now: p.clock.Now, After: p.clock.After,
	}
	if change != nil {
		change(&o)
	}
	p.Courier = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() { over <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		p.must(<-over)
	})
}

func (p *post) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// until waits for a state.
func (p *post) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within two minutes: %s\n%s", what, p.log)
		}
	}
}

// happen leaves so many events.
func (p *post) happen(n int) {
	p.t.Helper()
	for range n {
		p.must(p.store.Record(context.Background(), event.ConfigChanged, fleet.Object{Type: "device", ID: "a1b2c3d4"}, map[string]string{"before": strings.Repeat("<x>", 40)}))
	}
}

func (p *post) head() uint64 {
	p.t.Helper()
	head, err := p.store.LastEvent()
	p.must(err)
	return head.Seq
}

func (p *post) add(w fleet.Webhook) (fleet.Webhook, string) {
	p.t.Helper()
	added, secret, err := p.Add(context.Background(), w, "")
	p.must(err)
	return added, secret
}

func (p *post) state(id string) fleet.WebhookState {
	p.t.Helper()
	s, err := p.Find(id)
	p.must(err)
	return s
}

// got is a delivery that a receiver has seen.
type got struct {
	id, stamp, signature string
	header               http.Header
	body                 []byte
}

// seq is the number of the event, 0 of a message that is none.
func (g got) seq() uint64 {
	var e struct{ Seq uint64 }
	_ = json.Unmarshal(g.body, &e)
	return e.Seq
}

// receiver is somebody who takes deliveries, and answers as the test says.
type receiver struct {
	*httptest.Server
	answer func(n int, w http.ResponseWriter, r *http.Request) // of the nth request; nil: 204

	mu  sync.Mutex
	all []got
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.all = append(r.all, got{req.Header.Get(headerID), req.Header.Get(headerTimestamp), req.Header.Get(headerSignature), req.Header, body})
	n := len(r.all)
	r.mu.Unlock()
	if r.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.answer(n, w, req)
}

func (r *receiver) got() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// events are the numbers of what came, in the order in which it came.
func (r *receiver) events() (all []uint64) {
	for _, g := range r.got() {
		all = append(all, g.seq())
	}
	return all
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// upTo are the numbers from..to.
func upTo(from, to uint64) (all []uint64) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

func TestAReceiverGetsEachEventOnceInOrderSignedAsTheReadmeSays(t *testing.T) {
	p := open(t, nil)
	r := &receiver{}
	r.Server = httptest.NewTLSServer(r)
	t.Cleanup(r.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}))
	p.happen(3) // before it was added: not for it
	w, secret := p.add(fleet.Webhook{Name: "tickets", URL: r.URL + "/hook?key=in-the-address", CA: ca})
	first := p.head()
	p.happen(50)
	p.until("all of them", func() bool { return len(r.got()) >= 51 })
	if !slices.Equal(r.events(), upTo(first, first+50)) {
		t.Errorf("it got %v", r.events())
	}
	page, err := p.store.Events(event.Filter{After: first - 1})
	p.must(err)
	ids := map[string]bool{}
	for i, g := range r.got() {
		if !verified(secret, g.id, g.stamp, g.signature, g.body, noon) || verified(secret, g.id+"x", g.stamp, g.signature, g.body, noon) {
			t.Fatalf("%s is not signed: %q", g.id, g.signature)
		}
		if !bytes.Equal(g.body, page.Events[i].Raw) || g.header.Get("Content-Type") != "application/json" || g.header.Get("User-Agent") != "slipway/test" {
			t.Errorf("%s: %v %s", g.id, g.header, g.body)
		}
		ids[g.id] = true
	}
	if len(ids) != 51 {
		t.Errorf("%d ids", len(ids))
	}
	p.until("its state", func() bool { return p.state(w.ID).Delivery.Delivered == 51 })
	if s := p.state(w.ID); s.Waiting != 0 || s.Delivery.Failures != 0 || !s.Active {
		t.Errorf("%+v", s)
	}
	p.stop()
	p.start(nil) // a restart sends nothing again
	p.happen(1)
	p.until("one more", func() bool { return len(r.got()) >= 52 })
	if !slices.Equal(r.events(), upTo(first, first+51)) {
		t.Errorf("after a restart it got %v", r.events())
	}
	export := p.log.String()
	p.must(p.store.ExportEvents(func(event.Link) error { return nil }, func(raw []byte) error { export += string(raw); return nil }))
	for _, hidden := range []string{secret, strings.TrimPrefix(secret, secretPrefix), "in-the-address"} {
		if strings.Contains(export, hidden) {
			t.Errorf("%q is in the events or in the journal", hidden)
		}
	}
	listed, err := json.Marshal(p.state(w.ID))
	p.must(err)
	if strings.Contains(string(listed), secret) {
		t.Error("the secret is shown again")
	}
}

func TestWhatIsNotAcknowledgedComesAgainAndNothingOvertakesIt(t *testing.T) {
	p := open(t, nil)
	elsewhere := receive(t, nil)
	over := make(chan struct{})
	r := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2: // hangs
			select {
			case <-over:
			case <-r.Context().Done():
			}
		case 3: // cut before an answer
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		case 4:
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case 5:
			w.Header().Set("Retry-After", "1800")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 6: // acknowledged, and cut behind that
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}
	})
	t.Cleanup(func() { close(over) })
	w, secret := p.add(fleet.Webhook{URL: r.URL})
	first := p.head()
	p.happen(2)
	p.until("eight requests", func() bool { return len(r.got()) >= 8 })
	if want := []uint64{first, first, first, first, first, first, first + 1, first + 2}; !slices.Equal(r.events(), want) {
		t.Errorf("it got %v, want %v", r.events(), want)
	}
	all := r.got()
	for i, g := range all[:6] {
		if g.id != all[0].id || !verified(secret, g.id, g.stamp, g.signature, g.body, p.clock.Now()) && i == 5 {
			t.Errorf("try %d has the id %s", i, g.id)
		}
	}
	if len(elsewhere.got()) > 0 {
		t.Error("a redirect was followed")
	}
	if waited := p.clock.Now().Sub(noon); waited < 1800*time.Second {
		t.Errorf("it asked for half an hour, and was left alone for %s", waited)
	}
	p.until("all acknowledged", func() bool { return p.state(w.ID).Delivery.Delivered == 3 })
	if d := p.state(w.ID).Delivery; d.Failures != 0 || !d.FailingSince.IsZero() || d.Failure != "it answered 503 Service Unavailable" {
		t.Errorf("%+v", d)
	}
}

func TestAnEventWhoseAcknowledgementARestartHasCutComesAgainAndNoOther(t *testing.T) {
	p := open(t, nil)
	came := make(chan struct{})
	r := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 3 {
			close(came)
			<-r.Context().Done() // taken, and the gateway ends before it hears so
		}
	})
	w, _ := p.add(fleet.Webhook{URL: r.URL})
	first := p.head()
	p.happen(3)
	<-came
	p.stop()
	if d := p.state(w.ID).Delivery; d.Failures != 0 || d.Cursor != first+1 {
		t.Errorf("a stop is a failure of the receiver's: %+v", d)
	}
	p.start(nil)
	p.until("the rest", func() bool { return len(r.got()) >= 5 })
	if want := []uint64{first, first + 1, first + 2, first + 2, first + 3}; !slices.Equal(r.events(), want) {
		t.Errorf("it got %v, want %v", r.events(), want)
	}
	if all := r.got(); all[2].id != all[3].id {
		t.Errorf("the same event has the ids %s and %s", all[2].id, all[3].id)
	}
}

func TestAReceiverThatFailsForADayIsDisabledWithAnEventAndGoesOnWhereItWas(t *testing.T) {
	p := open(t, nil)
	var well sync.Map
	r := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if _, ok := well.Load("well"); !ok {
			http.Error(w, "no room for \x1b[31m<b>you</b>", http.StatusInternalServerError)
		}
	})
	w, _ := p.add(fleet.Webhook{Name: "tickets", URL: r.URL})
	first := p.head()
	p.happen(2)
	p.until("it is disabled", func() bool { return !p.state(w.ID).Active })
	tries, s := len(r.got()), p.state(w.ID)
	if took := s.DisabledAt.Sub(noon); took < patience || took > patience+2*longest || tries < leastTries || tries > 60 {
		t.Errorf("given up after %s and %d tries", took, tries)
	}
	if s.Delivery.Failures != tries || s.Delivery.Failure != `it answered 500 Internal Server Error: no room for [31m<b>you</b>` || strings.Contains(s.Disabled, "no room") {
		t.Errorf("%+v", s)
	}
	page, err := p.store.Events(event.Filter{Kinds: []string{"webhook.disabled"}})
	p.must(err)
	if len(page.Events) != 1 || page.Events[0].Actor.Type != fleet.Itself || !strings.Contains(string(page.Events[0].Details), `"name":"tickets"`) {
		t.Errorf("%+v", page.Events)
	}
	if trouble := p.Trouble(); len(trouble) != 1 || !strings.Contains(trouble[0], "tickets ("+w.ID+") is disabled") {
		t.Errorf("trouble %q", trouble)
	}
	p.happen(1)
	well.Store("well", true)
	if t2, err := p.Test(t.Context(), w.ID); err != nil || !t2.Delivered || t2.Status != http.StatusOK {
		t.Errorf("a test of a webhook that is disabled: %+v, %v", t2, err)
	}
	if s := p.state(w.ID); s.Active || s.Delivery.Cursor != first-1 {
		t.Errorf("a test has moved it: %+v", s)
	}
	before := len(r.got())
	_, err = p.Set(t.Context(), w.ID, false, func(w *fleet.Webhook) error { w.Active = true; return nil })
	p.must(err)
	p.until("all of it", func() bool { return len(r.got()) >= before+6 })
	if got := r.events()[before:]; !slices.Equal(got, upTo(first, p.head())) {
		t.Errorf("it got %v, want %v", got, upTo(first, p.head()))
	}
	if trouble := p.Trouble(); len(trouble) != 0 {
		t.Errorf("trouble %q", trouble)
	}
}

// TestAClockThatJumpsADayAheadDisablesNothing: one failure before the jump and one behind it are no day of failures.
func TestAClockThatJumpsADayAheadDisablesNothing(t *testing.T) {
	p := open(t, nil)
	r := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n <= 3 {
			p.clock.After(20 * time.Hour)
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	w, _ := p.add(fleet.Webhook{URL: r.URL})
	p.until("it is delivered", func() bool { return p.state(w.ID).Delivery.Delivered == 1 })
	if !p.state(w.ID).Active {
		t.Error("it is disabled")
	}
	long := failed(fleet.WebhookDelivery{}, noon, "x")
	for range leastTries {
		long = failed(long, noon.Add(patience), "x")
	}
	if !hopeless(long, noon.Add(patience)) || hopeless(long, noon.Add(patience-1)) {
		t.Error("a day of failures is none")
	}
	if back := failed(long, noon.Add(-time.Hour), "x"); !back.FailingSince.Equal(noon.Add(-time.Hour)) {
		t.Errorf("with a clock that went back it fails since %s", back.FailingSince)
	}
}

func TestEventsThatAreGoneAreSaidInADeliveryOfTheirOwn(t *testing.T) {
	p := open(t, func(o *catalog.Options) { o.MostEvents = 20_000 })
	r := receive(t, nil)
	w, _ := p.add(fleet.Webhook{URL: r.URL})
	p.until("the first", func() bool { return p.state(w.ID).Waiting == 0 })
	_, err := p.Set(t.Context(), w.ID, false, func(w *fleet.Webhook) error { w.Active = false; return nil })
	p.must(err)
	cursor := p.state(w.ID).Delivery.Cursor
	p.happen(200)
	before := len(r.got())
	_, err = p.Set(t.Context(), w.ID, false, func(w *fleet.Webhook) error { w.Active = true; return nil })
	p.must(err)
	p.until("it has caught up", func() bool { return p.state(w.ID).Waiting == 0 })
	page, err := p.store.Events(event.Filter{Limit: 1})
	p.must(err)
	all := r.got()[before:]
	var said gapped
	p.must(json.Unmarshal(all[0].body, &said))
	if said.Kind != "gap" || said.Missed == 0 || said.Anchor.Seq != cursor+said.Missed || !strings.HasPrefix(all[0].id, "gap_") {
		t.Errorf("it begins with %s", all[0].body)
	}
	if got := r.events()[before+1:]; !slices.Equal(got, upTo(said.Anchor.Seq+1, page.Head.Seq)) {
		t.Errorf("behind %d it got %v", said.Anchor.Seq, got)
	}
	if _, err := event.Check(said.Anchor, all[1].body); err != nil {
		t.Errorf("what comes next does not follow from the anchor: %v", err)
	}
	p.stop()
	_, err = p.Set(t.Context(), w.ID, true, func(*fleet.Webhook) error { return nil })
	p.must(err)
	p.start(nil)
	p.until("its own change", func() bool { return p.state(w.ID).Waiting == 0 })
	if got := r.got(); got[len(got)-1].seq() != p.head() {
		t.Errorf("from now on: %s", got[len(got)-1].body)
	}
}

func TestASlowReceiverHoldsUpNoOther(t *testing.T) {
	p := open(t, nil)
	p.stop()
	p.start(func(o *Options) { o.Patience = 10 * time.Minute })
	came := make(chan struct{}, 100)
	slow := receive(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-r.Context().Done()
	})
	quick := receive(t, nil)
	p.add(fleet.Webhook{URL: slow.URL})
	<-came
	p.add(fleet.Webhook{URL: quick.URL})
	p.happen(30)
	p.until("the quick one has all", func() bool { return len(quick.got()) == 31 })
	if n := len(slow.got()); n != 1 {
		t.Errorf("the slow one was sent %d", n)
	}
	p.stop() // and it holds up no end
}

func TestAWebhookTakesTheKindsThatItNames(t *testing.T) {
	p := open(t, nil)
	r := receive(t, nil)
	w, _ := p.add(fleet.Webhook{URL: r.URL, Kinds: []string{"crash", "line.dark"}})
	p.happen(passedMost + 5)
	for _, kind := range []fleet.EventKind{event.CrashNew, event.LineLit, event.LineDark, event.CrashNoted} {
		p.must(p.store.Record(t.Context(), kind, fleet.Object{Type: "x"}, nil))
	}
	p.until("three of them", func() bool { return len(r.got()) >= 3 && p.state(w.ID).Waiting == 0 })
	if want := []uint64{p.head() - 3, p.head() - 1, p.head()}; !slices.Equal(r.events(), want) {
		t.Errorf("it got %v, want %v", r.events(), want)
	}
	p.happen(passedMost + 5)
	p.until("it has passed them over", func() bool { return p.state(w.ID).Waiting == 0 })
	if d, err := p.store.WebhookDelivery(w.ID); err != nil || d.Cursor < p.head()-passedMost-20 {
		t.Errorf("of the passed ones %d are on record, and the last is %d", d.Cursor, p.head())
	}
}

// full is a catalog that takes nothing more.
type full struct {
	*catalog.Catalog
	why error
}

func (f full) SaveWebhookDelivery(context.Context, string, fleet.WebhookDelivery) error { return f.why }

func TestOnAFullDiskEventsGoOutOnceAllTheSame(t *testing.T) {
	p := open(t, nil)
	r := receive(t, nil)
	for _, why := range []error{fleet.Full("the disk"), errors.New("the disk burns")} {
		p.stop()
		p.start(func(o *Options) { o.Store = full{p.store, why} })
		w, _ := p.add(fleet.Webhook{URL: r.URL})
		before := len(r.got())
		p.happen(20)
		p.until("all", func() bool { return p.state(w.ID).Waiting == 0 })
		got := r.events()[min(before, len(r.got())):]
		if slices.Sort(got); len(slices.Compact(got)) < 20 {
			t.Errorf("%v: it got %v", why, r.events())
		}
		p.must(p.Remove(t.Context(), w.ID))
	}
	counts := map[uint64]int{}
	for _, seq := range r.events() {
		counts[seq]++
	}
	for seq, n := range counts {
		if n != 1 {
			t.Errorf("event %d came %d times", seq, n)
		}
	}
	if !strings.Contains(p.log.String(), "the disk burns") {
		t.Error("nobody is told")
	}
}

func TestHostileAnswersTakeLittleAndHoldUpNothing(t *testing.T) {
	p := open(t, nil)
	var sent sync.Map
	endless := func(n int, w io.Writer) {
		for i := 0; ; i += 4096 {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 4096)); err != nil || i > 512<<20 {
				sent.Store(n, i)
				return
			}
		}
	}
	r := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
		conn := func() io.Writer {
			c, _, _ := w.(http.Hijacker).Hijack()
			t.Cleanup(func() { c.Close() })
			return c
		}
		switch n {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
			endless(n, w)
		case 2:
			c := conn()
			io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ") //nolint:errcheck // who reads it gives up
			endless(n, c)
		case 3:
			c := conn()
			for i := 0; ; i++ {
				if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"); err != nil || i > 1<<20 {
					sent.Store(n, i*64)
					return
				}
			}
		case 4:
			io.WriteString(conn(), "\x00\xff nonsense\r\n\r\n") //nolint:errcheck // likewise
		case 5:
			io.WriteString(conn(), "HTTP/1.1 418 \x1b]0;owned\x07 <script>\r\nContent-Length: 9\r\n\r\n\x1b[2J\u202eevil") //nolint:errcheck // likewise
		case 6:
			io.WriteString(conn(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n") //nolint:errcheck // likewise
		case 7:
			w.WriteHeader(http.StatusOK)
			endless(n, w)
		}
	})
	w, _ := p.add(fleet.Webhook{URL: r.URL})
	first := p.head()
	p.happen(1)
	p.until("the second event", func() bool { return len(r.got()) >= 8 })
	if want := append(slices.Repeat([]uint64{first}, 7), first+1); !slices.Equal(r.events(), want) {
		t.Errorf("it got %v, want %v", r.events(), want)
	}
	p.until("the ends", func() bool { _, ok := sent.Load(7); return ok })
	for n := range 8 {
		if bytes, ok := sent.Load(n); ok && bytes.(int) > 64<<20 { // what the kernel takes before anybody reads
			t.Errorf("answer %d was read for %d bytes", n, bytes)
		}
	}
	for _, bad := range []string{"\x1b", "\u202e", "<script>", "owned"} {
		if s := fmt.Sprintf("%+v", p.state(w.ID)); strings.Contains(s, bad) || strings.Contains(p.log.String(), "owned") {
			t.Errorf("%q: %s", bad, s)
		}
	}
}

func TestNothingIsReachedThatOnlyThisMachineCanReach(t *testing.T) {
	p := open(t, nil)
	r := receive(t, nil)
	w, _ := p.add(fleet.Webhook{URL: r.URL})
	p.until("it is there", func() bool { return len(r.got()) == 1 })
	p.stop()
	p.start(func(o *Options) { o.Loopback = false })
	for url, says := range map[string]string{
		"http://127.0.0.1:1":                        "webhooks.loopback",
		"https://localhost/x":                       "webhooks.loopback",
		"http://[::1]":                              "webhooks.loopback",
		"http://0.0.0.0:8443/":                      "webhooks.loopback",
		"http://[::]/":                              "webhooks.loopback",
		"http://[::ffff:127.0.0.1]/":                "webhooks.loopback",
		"http://169.254.169.254/latest":             "link-local",
		"http://[fe80::1%25eth0]/":                  "link-local",
		"http://224.0.0.1/":                         "no host",
		"ftp://hooks.example/":                      "want an address",
		"//hooks.example/":                          "want an address",
		"http:///x":                                 "want an address",
		"http:hooks":                                "want an address",
		"https://user:pass@hooks/":                  "a user or a password",
		"https://hooks/#x":                          "fragment",
		"https://hooks:99999/":                      "port",
		"https://h/" + strings.Repeat("x", mostURL): "bytes",
	} {
		_, _, err := p.Add(t.Context(), fleet.Webhook{URL: url}, "")
		if !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "pass") && !strings.Contains(says, "pass") {
			t.Errorf("%s: %v", url, err)
		}
	}
	// One that is on record, as a name that has come to mean this machine would be.
	tried, err := p.Test(t.Context(), w.ID)
	if err != nil || tried.Delivered || !strings.Contains(tried.Failure, "webhooks.loopback") || len(r.got()) != 1 {
		t.Errorf("%+v, %v", tried, err)
	}
	for _, lan := range []string{"https://192.168.7.4/x", "http://10.0.0.9:1880/slipway", "https://[fd00::7]/", "https://tickets.plant.example/"} {
		if _, _, err := p.Add(t.Context(), fleet.Webhook{URL: lan, Kinds: []string{"line.lit"}}, ""); err != nil {
			t.Errorf("%s: %v", lan, err)
		}
	}
	client, err := p.client(fleet.Webhook{})
	p.must(err)
	if client.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy of the environment is asked")
	}
}

func TestWhatAnAdminSaysOfAWebhookIsChecked(t *testing.T) {
	p := open(t, nil)
	for says, w := range map[string]fleet.Webhook{
		`the nearest known one is "crash.new"`: {URL: "https://h/", Kinds: []string{"crash.nex"}},
		"want a certificate in PEM":            {URL: "https://h/", CA: "nonsense"},
		"in one line":                          {URL: "https://h/", Name: "a\nb"},
		"at most 64 bytes":                     {URL: "https://h/", Name: strings.Repeat("x", 65)},
		"kinds: want at most":                  {URL: "https://h/", Kinds: slices.Repeat([]string{"crash"}, mostKinds+1)},
		"a ca of":                              {URL: "https://h/", CA: strings.Repeat("x", mostCA+1)},
	} {
		if _, _, err := p.Add(t.Context(), w, ""); !errors.Is(err, fleet.ErrRefused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for _, secret := range []string{"x", "whsec_", "whsec_c2hvcnQ=", "whsec_!!", strings.TrimPrefix(newSecret(), secretPrefix), newSecret() + "\n"} {
		if _, _, err := p.Add(t.Context(), fleet.Webhook{URL: "https://h/"}, secret); !errors.Is(err, fleet.ErrRefused) || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("secret %q: %v", secret, err)
		}
	}
	given := newSecret()
	w, secret, err := p.Add(t.Context(), fleet.Webhook{URL: "https://h.invalid/", Kinds: []string{"line", "crash", "line"}}, given)
	if err != nil || secret != given || !slices.Equal(w.Kinds, []string{"crash", "line"}) {
		t.Errorf("%+v, %v", w, err)
	}
	if other, err := p.NewSecret(t.Context(), w.ID); err != nil || other == given {
		t.Errorf("%v", err)
	}
	for range most - 1 {
		p.add(fleet.Webhook{URL: "https://h.invalid/", Kinds: []string{"line.lit"}})
	}
	if _, _, err := p.Add(t.Context(), fleet.Webhook{URL: "https://h/"}, ""); !errors.Is(err, fleet.ErrRefused) {
		t.Errorf("one too many: %v", err)
	}
	all, err := p.List()
	if err != nil || len(all) != most {
		t.Errorf("%d, %v", len(all), err)
	}
	for _, one := range all {
		p.must(p.Remove(t.Context(), one.ID))
	}
	for what, err := range map[string]error{"find": second(p.Find(w.ID)), "remove": p.Remove(t.Context(), w.ID), "test": second(p.Test(t.Context(), w.ID)), "secret": second(p.NewSecret(t.Context(), w.ID))} {
		if !errors.Is(err, fleet.ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if secret, err := p.store.WebhookSecret(w.ID); secret != "" || !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("its secret is left: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheWaitDoublesUpToAnHourAndIsNeverTheSameForAll(t *testing.T) {
	for n, full := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 10: 2560 * time.Second, 11: time.Hour, 1000: time.Hour} {
		seen := map[time.Duration]bool{}
		for range 200 {
			d := wait(n, 0)
			if d < full/2 || d > full {
				t.Fatalf("after %d failures: %s, want between %s and %s", n, d, full/2, full)
			}
			seen[d] = true
		}
		if len(seen) < 100 {
			t.Errorf("after %d failures there are %d waits", n, len(seen))
		}
	}
	if d := wait(1, 10*time.Minute); d != 10*time.Minute {
		t.Errorf("asked for ten minutes: %s", d)
	}
	if d := wait(1, 100*time.Hour); d != time.Hour {
		t.Errorf("asked for days: %s", d)
	}
}
