package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mailbox is somebody who takes events over TLS, and refuses what is not signed.
type mailbox struct {
	*httptest.Server
	hold chan struct{} // while it is not nil, what comes is kept and not answered

	mu     sync.Mutex
	secret string
	ids    []string
	seqs   []uint64
	forged int
}

func openMailbox(t *testing.T) (m *mailbox, ca string) {
	t.Helper()
	m = &mailbox{}
	m.Server = httptest.NewTLSServer(m)
	t.Cleanup(m.Close)
	ca = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return m, ca
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	m.mu.Lock()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "." + string(body)))
	at, bad := strconv.ParseInt(stamp, 10, 64)
	right := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if err != nil || bad != nil || r.Header.Get("webhook-signature") != right || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		m.forged++
		m.mu.Unlock()
		http.Error(w, "the signature is wrong", http.StatusUnauthorized)
		return
	}
	var e struct{ Seq uint64 }
	_ = json.Unmarshal(body, &e)
	if e.Seq > 0 {
		m.ids, m.seqs = append(m.ids, id), append(m.seqs, e.Seq)
	}
	hold := m.hold
	m.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}
}

func (m *mailbox) got() []uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.seqs)
}

func (m *mailbox) holdOn(hold chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold = hold
}

// TestAGatewayThatIsKilledBetweenDeliveryAndAcknowledgementSendsAgainAndLosesNothing adds a webhook on the command line, has it
// sent the events of a life with kills in it, and compares them with the stream.
func TestAGatewayThatIsKilledBetweenDeliveryAndAcknowledgementSendsAgainAndLosesNothing(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "webhooks.loopback=true")
	box, ca := openMailbox(t)
	var added struct{ ID, Secret string }
	out := g.cli("webhook", "add", box.URL+"/in?key=in-the-address", "--name", "tickets", "--ca", ca, "--format", "json")
	if err := json.Unmarshal([]byte(out), &added); err != nil {
		t.Fatal(err)
	}
	box.mu.Lock()
	box.secret = added.Secret // until now it took none, and they come again
	box.mu.Unlock()
	if out := g.cli("webhook", "test", added.ID); !strings.Contains(out, "delivered: it answered 200") {
		t.Errorf("test: %s", out)
	}
	reader := g.operatorToken("viewer")
	head := func() uint64 {
		var page struct{ Events []fleet.Event }
		if err := json.Unmarshal(g.ask(http.MethodGet, "/api/events?limit=1000", reader, nil).body, &page); err != nil {
			t.Fatal(err)
		}
		return page.Events[len(page.Events)-1].Seq
	}
	g.within(time.Minute, "the first event", func() bool { return len(box.got()) > 0 })
	for i := range 3 {
		hold := make(chan struct{})
		before := len(box.got())
		box.holdOn(hold)
		g.cli("model", "add", fmt.Sprintf("demo%d", i))
		g.within(time.Minute, "it is on its way", func() bool { return len(box.got()) > before })
		g.kill()
		box.holdOn(nil)
		close(hold)
		g.start()
		g.within(time.Minute, "it has caught up", func() bool { got := box.got(); return got[len(got)-1] >= head() })
	}
	g.restart()
	g.cli("model", "add", "last")
	g.within(time.Minute, "the last", func() bool { got := box.got(); return got[len(got)-1] >= head() })

	seqs, again := box.got(), 0
	for i, seq := range seqs[1:] {
		switch seq {
		case seqs[i]: // the same again
			again++
			if box.ids[i] != box.ids[i+1] {
				t.Errorf("event %d came as %s and %s", seq, box.ids[i], box.ids[i+1])
			}
		case seqs[i] + 1:
		default:
			t.Errorf("behind event %d came %d", seqs[i], seq)
		}
	}
	if again < 3 || again > 6 { // once a kill; and the answer of the one before may not have been on record
		t.Errorf("%d came again after three kills: %v", again, seqs)
	}
	var list struct{ Webhooks []fleet.WebhookState }
	if err := json.Unmarshal([]byte(g.cli("webhook", "list", "--format", "json")), &list); err != nil || len(list.Webhooks) != 1 || list.Webhooks[0].Name != "tickets" {
		t.Fatalf("%v %+v", err, list)
	}
	if out := g.cli("webhook", "list"); !strings.Contains(out, strings.TrimPrefix(box.URL, "https://")) || strings.Contains(out, "in-the-address") {
		t.Errorf("list:\n%s", out)
	}
	metrics := string(g.ask(http.MethodGet, "/metrics", "", nil).body)
	for _, want := range []string{`slipway_webhook_active{webhook="` + added.ID + `"} 1`, `slipway_webhook_waiting_events{webhook="` + added.ID + `"} `, `slipway_webhook_failing_seconds{webhook="` + added.ID + `"} `, `slipway_webhook_deliveries_total{outcome="delivered"} `} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no metric %s", want)
		}
	}
	told := string(g.ask(http.MethodGet, "/api/events?limit=1000", reader, nil).body) + g.log.String()
	for _, hidden := range []string{strings.TrimPrefix(added.Secret, "whsec_"), "in-the-address"} {
		if strings.Contains(told, hidden) {
			t.Errorf("%q is in the events or in the journal", hidden)
		}
	}
	if a := g.ask(http.MethodGet, "/api/webhooks", g.operatorToken("operator"), nil); a.StatusCode != http.StatusForbidden {
		t.Errorf("an operator: %s", a.Status)
	}
}

func TestAWebhookIsChangedAndTriedAndRemovedOnTheCommandLine(t *testing.T) {
	g := startGateway(t)
	box, ca := openMailbox(t)
	if out, err := g.tryCLI("webhook", "add", box.URL, "--ca", ca); exitOf(err) != exitFailed || !strings.Contains(out, "webhooks.loopback") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := g.tryCLI("webhook", "add", "https://tickets.invalid/", "--kind", "crash.nex"); exitOf(err) != exitFailed || !strings.Contains(out, `"crash.new"`) {
		t.Errorf("%v %s", err, out)
	}
	var added struct{ ID string }
	g.cliJSON(&added, "webhook", "add", "https://tickets.invalid/", "--kind", "crash", "--name", "tickets")
	id := added.ID
	if out, err := g.tryCLI("webhook", "test", id); exitOf(err) != exitFailed || !strings.Contains(out, "not delivered: ") {
		t.Errorf("%v %s", err, out)
	}
	if out := g.cli("webhook", "set", id, "--active=false", "--kind", "line", "--kind", "rollout.halted"); !strings.Contains(out, "off") || !strings.Contains(out, "line,rollout.halted") {
		t.Errorf("%s", out)
	}
	if out := g.cli("webhook", "set", id, "--kind", "", "--active", "--from-now"); !strings.Contains(out, "all") {
		t.Errorf("%s", out)
	}
	if out := g.cli("webhook", "secret", id); !strings.Contains(out, "whsec_") {
		t.Errorf("%s", out)
	}
	if out, err := g.tryCLI("webhook", "set", "tickets", "--active"); exitOf(err) != exitNotFound || !strings.Contains(out, "slipway webhook list has their ids") {
		t.Errorf("a name: %v %s", err, out)
	}
	if out, err := g.tryCLI("webhook", "set", id); exitOf(err) != exitUsage {
		t.Errorf("%v %s", err, out)
	}
	if out, err := g.tryCLI("webhook", "rm", id); exitOf(err) != exitUsage || !strings.Contains(out, "--yes") {
		t.Errorf("%v %s", err, out)
	}
	g.cli("webhook", "rm", id, "--yes")
	if out, err := g.tryCLI("webhook", "test", id); exitOf(err) != exitNotFound {
		t.Errorf("%v %s", err, out)
	}
}
