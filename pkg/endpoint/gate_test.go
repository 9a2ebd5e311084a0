package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// guarded is a server behind a small gate: four strangers in all, two of one address. /hello takes anybody, /known is for
// who shows credentials.
func guarded(t *testing.T, settle func(*gate)) (address string, g *Gate) {
	t.Helper()
	g = NewGate()
	g.mostStrangers, g.mostOfOne, g.mostWaiting = 4, 2, 3
	if settle != nil {
		settle(&g.gate)
	}
	rs := NewRoutes(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	hello(rs)
	rs.Handle("GET", "/known", "", func(w http.ResponseWriter, _ *http.Request) error {
		ShowedCredentials(w)
		return WriteJSON(w, 200, "known")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- Serve(ctx, slog.New(slog.DiscardHandler), Listener{Listener: l, Handler: rs, MaxConnections: 1000, Gate: g})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String(), g
}

// from connects from an address of this machine's own.
func from(t *testing.T, host, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// until waits for what the other side does in its own time.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(long); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func crowded(t *testing.T, g *Gate, strangers, waiting int) {
	t.Helper()
	until(t, fmt.Sprintf("%d strangers, %d waiting (%+v)", strangers, waiting, g.Crowd()), func() bool {
		c := g.Crowd()
		return c.Strangers == strangers && c.Waiting == waiting
	})
}

const long = 2 * time.Minute // no test waits for it

func TestWhoHoldsConnectionsOpenTakesNobodyElsesRoom(t *testing.T) {
	address, g := guarded(t, func(g *gate) { g.patience = time.Hour })
	for range 5 {
		from(t, "127.0.0.2", address)
	}
	crowded(t, g, 2, 3)
	if answer, err := ask(from(t, "127.0.0.3", address), "/hello", long); err != nil || !strings.Contains(answer, "hello") {
		t.Errorf("another address: %q %v", answer, err)
	}
	if c := g.Crowd(); c.Closed != 0 || g.Trouble() != "" {
		t.Errorf("%+v, trouble %q, though there is room for whoever waits", c, g.Trouble())
	}
}

func TestWhereThereIsNoRoomTheFullestAddressGivesIt(t *testing.T) {
	address, g := guarded(t, func(g *gate) { g.patience, g.mostOfOne = time.Hour, 3 })
	var slow []net.Conn
	for range 3 {
		slow = append(slow, from(t, "127.0.0.2", address))
	}
	crowded(t, g, 3, 0)
	from(t, "127.0.0.3", address)
	crowded(t, g, 4, 0)
	if _, err := ask(slow[1], "/hello", long); err != nil { // the others have moved less
		t.Fatal(err)
	}
	if answer, err := ask(from(t, "127.0.0.4", address), "/hello", long); err != nil || !strings.Contains(answer, "hello") {
		t.Errorf("one more address: %q %v", answer, err)
	}
	crowded(t, g, 4, 0)
	if answer, err := ask(slow[1], "/hello", long); err != nil {
		t.Errorf("not the slowest was closed: %q %v", answer, err)
	}
	if g.Crowd().Closed != 1 || !strings.Contains(g.Trouble(), "127.0.0.2") {
		t.Errorf("%+v, trouble %q", g.Crowd(), g.Trouble())
	}
	g.mu.Lock()
	g.now = func() time.Time { return time.Now().Add(2 * crowdedFor) }
	g.mu.Unlock()
	if g.Trouble() != "" {
		t.Errorf("trouble that is over: %q", g.Trouble())
	}
}

func TestOfAFullAddressTheSlowestGoesOnceItHadItsTime(t *testing.T) {
	var mu sync.Mutex
	ahead := time.Duration(0)
	address, g := guarded(t, func(g *gate) {
		g.patience = time.Hour
		g.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(ahead) }
	})
	for range 3 {
		from(t, "127.0.0.2", address)
	}
	crowded(t, g, 2, 1) // they may be devices in their handshakes
	mu.Lock()
	ahead = 2 * evictAfter
	mu.Unlock()
	if answer, err := ask(from(t, "127.0.0.2", address), "/hello", 100*time.Millisecond); err == nil {
		t.Errorf("served out of turn: %q", answer)
	}
	until(t, "one is closed", func() bool { return g.Crowd() == Crowd{Strangers: 2, Waiting: 1, Closed: 1} })
}

func TestGoodCredentialsLeaveTheGateToOthers(t *testing.T) {
	address, g := guarded(t, func(g *gate) { g.patience = time.Hour })
	var devices []net.Conn
	for i := range 50 { // behind one address
		c := from(t, "127.0.0.2", address)
		if answer, err := ask(c, "/known", long); err != nil || !strings.Contains(answer, "known") {
			t.Fatalf("device %d: %q %v", i, answer, err)
		}
		devices = append(devices, c)
	}
	crowded(t, g, 0, 0)
	for i, c := range devices {
		if answer, err := ask(c, "/known", long); err != nil {
			t.Errorf("device %d again: %q %v", i, answer, err)
		}
	}
	if g.Crowd().Closed != 0 {
		t.Errorf("%+v", g.Crowd())
	}
}

func TestWhoWaitsGetsInWhenSomebodyLeaves(t *testing.T) {
	address, g := guarded(t, func(g *gate) { g.patience = time.Hour })
	first, second := from(t, "127.0.0.2", address), from(t, "127.0.0.2", address)
	crowded(t, g, 2, 0)
	waiting := from(t, "127.0.0.2", address)
	crowded(t, g, 2, 1)
	first.Close()
	crowded(t, g, 2, 0)
	if answer, err := ask(waiting, "/hello", long); err != nil {
		t.Errorf("%q %v", answer, err)
	}
	last := from(t, "127.0.0.2", address)
	crowded(t, g, 2, 1)
	if _, err := ask(second, "/known", long); err != nil {
		t.Fatal(err)
	}
	if answer, err := ask(last, "/hello", long); err != nil {
		t.Errorf("%q %v", answer, err)
	}
}

func TestTooManyWhoWaitAreClosedAndTheGateSaysSo(t *testing.T) {
	address, g := guarded(t, func(g *gate) { g.patience = time.Hour })
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}
	for range 2 + 3 + 4 {
		c, err := d.DialContext(t.Context(), "tcp", address)
		if err == nil {
			defer c.Close()
		} else if !errors.Is(err, syscall.ECONNRESET) { // closed while it was still coming
			t.Fatal(err)
		}
	}
	until(t, "the surplus is closed", func() bool { return g.Crowd() == Crowd{Strangers: 2, Waiting: 3, Closed: 4} })
	if !strings.Contains(g.Trouble(), "127.0.0.2") {
		t.Errorf("trouble %q", g.Trouble())
	}
}

func TestAStrangerIsNotWaitedForAsLong(t *testing.T) {
	address, g := guarded(t, func(g *gate) { g.patience = 2 * time.Second })
	var known net.Conn
	until(t, "one that shows credentials", func() bool { // until then it is a stranger, whom a busy machine may hold up for too long
		known = from(t, "127.0.0.3", address)
		_, err := ask(known, "/known", long)
		return err == nil
	})
	half := from(t, "127.0.0.2", address)
	fmt.Fprint(half, "GET /hello HTTP/1.1\r\nHost: ")
	silent := from(t, "127.0.0.2", address)
	for name, c := range map[string]net.Conn{"half a header": half, "nothing": silent} {
		if err := c.SetReadDeadline(time.Now().Add(long)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if answer, err := ask(known, "/known", long); err != nil {
		t.Errorf("one with credentials was closed meanwhile: %q %v", answer, err)
	}
	crowded(t, g, 0, 0)
}

func TestAnIPv6HostIsItsNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "::ffff:10.1.2.3": "10.1.2.3/32", "fd00:1:2:3:4:5:6:7": "fd00:1:2:3::/64", "fe80::1": "fe80::/64",
	} {
		if got := whose(&net.TCPAddr{IP: net.ParseIP(address), Zone: "eth0"}); got.String() != want {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
}

func TestACrowdIsOneTroubleInTheSameWordsWhileItLasts(t *testing.T) {
	now := time.Now()
	g := &NewGate().gate
	g.now = func() time.Time { return now }
	g.note(netip.MustParsePrefix("10.0.0.1/32"))
	first := g.Trouble()
	for i := range 100 {
		now = now.Add(crowdedFor / 2)
		g.note(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), 32))
		if got := g.Trouble(); got != first || !strings.Contains(got, "10.0.0.1") {
			t.Fatalf("%q, then %q", first, got)
		}
	}
	now = now.Add(crowdedFor + 1)
	if got := g.Trouble(); got != "" {
		t.Errorf("it is over: %q", got)
	}
	g.note(netip.MustParsePrefix("10.0.0.2/32"))
	if got := g.Trouble(); !strings.Contains(got, "10.0.0.2") {
		t.Errorf("another one: %q", got)
	}
}
