package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/fleet"

	"github.com/slipway-gateway/slipway/testdata/described"
)

// What the page promises of a plant with 10,000 devices and 100,000 crashes.
const (
	firstPage  = 150 << 10             // bytes over the wire: HTML, styles and scripts, packed as they are served
	serverTime = 50 * time.Millisecond // of each view, at the median
	openPages  = 200
	openMemory = 40 << 20 // bytes of the gateway for them
)

// viewsOfPage are addresses of lists and views; GROUP is the crash that half of the devices have had.
var viewsOfPage = []string{
	"/", "/devices", "/devices?state=live&version=1.1", "/devices?q=dev0", "/devices?line=hall-7&state=silent", "/devices?crash=GROUP&version=1.2", "/devices/dev00001", "/models", "/models/pump", "/crashes", "/crashes?text=main&sort=count",
	"/crashes/GROUP", "/events", "/events?who=nobody", "/gateway", "/drop",
}

const mostOnes = "0000000000000000" // the group of half of the devices

// pagePlant is a gateway with such a plant behind it, and a token that may read.
type pagePlant struct {
	t     testing.TB
	g     *Gateway
	token string
}

func newPagePlant(t testing.TB) *pagePlant {
	t.Helper()
	devices, first := manyDevices, onFirst
	t.Cleanup(func() { manyDevices, onFirst = devices, first })
	manyDevices = min(manyDevices, 10_000)
	onFirst = manyDevices / 2
	cfg := settings(t)
	large(t, cfg.CatalogDir, func(b *backupOf) {
		now := time.Now().UTC()
		for n := range 40 { // versions
			v := fleet.Version(fmt.Sprintf("1.%d", n))
			b.put("b/pump/"+string(v), fleet.Build{Model: "pump", Version: v, AcceptedAt: now, ELFSHA256: fmt.Sprintf("%064x", n), ImageSize: 1 << 20})
			counted := crash.Series{Hours: map[int64]crash.Count{}, Days: map[int64]crash.Count{}}
			for h := range int64(crash.KeptHours) {
				counted.Hours[now.Unix()/3600-h] = crash.Count{Crashes: n, Devices: 1}
			}
			for d := range int64(crash.KeptDays) {
				counted.Days[now.Unix()/86400-d] = crash.Count{Crashes: n, Devices: 1}
			}
			b.put("nv/pump/"+string(v), counted)
		}
		for n := range manyDevices {
			b.put("ds/"+string(manyDevice(n)), auth.DeviceSecrets{})
			if n%4 == 0 { // crashed in two of the versions
				for _, v := range []int{n % 40, (n + 1) % 40} {
					b.put(fmt.Sprintf("nx/pump/1.%d/%s", v, manyDevice(n)), crash.Series{Days: map[int64]crash.Count{now.Unix() / 86400: {Crashes: 1 + v}}})
				}
			}
		}
		for n := range onFirst {
			b.put("gd/"+mostOnes+"/"+string(manyDevice(n)), crash.DeviceCount{Count: 1 + n%7, LastSeen: now})
		}
	})
	g, err := New(cfg, Binary{Version: "1.2.3"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	close(g.recovery.over) // it would look for the dumps' files
	now := time.Now()
	for n := range manyDevices {
		g.book.Seen(fleet.Seen{Device: manyDevice(n), At: now, By: fleet.HeardConfig, Said: fleet.Said{Version: fmt.Sprintf("1.%d", n%40)}})
	}
	p := &pagePlant{t: t, g: g}
	for n := range 500 {
		if err := g.store.Record(context.Background(), "model.changed", fleet.ModelCode("pump").ObjectOf(), facts{"n": n}); err != nil {
			t.Fatal(err)
		}
	}
	if p.token, _, err = (&auth.Operators{Store: g.store, Now: time.Now}).Create(context.Background(), "Ana", auth.Viewer); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pagePlant) request(path string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, strings.ReplaceAll(path, "GROUP", mostOnes), nil)
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Accept-Encoding", "gzip")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// read is a view as it goes over the wire, and what is in it.
func (p *pagePlant) read(path string, headers ...string) (wire int, text string) {
	p.t.Helper()
	w := httptest.NewRecorder()
	p.g.allDoors.ServeHTTP(w, p.request(path, headers...))
	if w.Code != http.StatusOK {
		p.t.Fatalf("%s: %d %.500s", path, w.Code, w.Body)
	}
	wire = w.Body.Len()
	var body io.Reader = bytes.NewReader(w.Body.Bytes())
	if w.Header().Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			p.t.Fatal(err)
		}
	}
	b, err := io.ReadAll(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return wire, string(b)
}

var assets = regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)

// first is what a browser fetches that has never been here: the view with its styles, scripts and icon.
func (p *pagePlant) first(path string) (bytes int) {
	p.t.Helper()
	bytes, text := p.read(path)
	for _, m := range assets.FindAllStringSubmatch(text, -1) {
		n, _ := p.read(m[1])
		bytes += n
	}
	return bytes
}

// TestThePageOfALargePlantIsLight counts: bytes over the wire, records that are read, and what is allocated.
func TestThePageOfALargePlantIsLight(t *testing.T) {
	described.Unwatched(t)
	const (
		mostRead        = 400    // records and keys of a view
		mostAllocations = 85_000 // of a view
	)
	p := newPagePlant(t)
	for _, path := range viewsOfPage {
		if path == "/drop" && !p.has(path) {
			continue
		}
		bytes := p.first(path)
		before := catalog.Reads()
		p.read(path)
		read := catalog.Reads() - before
		r := p.request(path)
		w := &unread{header: http.Header{}}
		allocations := math.Inf(1)
		for range 5 { // the least: what the gateway does beside it is counted, too
			allocations = min(allocations, testing.AllocsPerRun(1, func() {
				clear(w.header)
				p.g.allDoors.ServeHTTP(w, r)
			}))
		}
		t.Logf("%-36s %6d bytes, %4d records and keys, %6.0f allocations", path, bytes, read, allocations)
		if bytes > firstPage {
			t.Errorf("%s: %d bytes over the wire, want %d at most", path, bytes, firstPage)
		}
		if read > mostRead {
			t.Errorf("%s: %d records and keys are read, want %d at most", path, read, mostRead)
		}
		if allocations > mostAllocations {
			t.Errorf("%s: %.0f allocations, want %d at most", path, allocations, mostAllocations)
		}
	}
}

func (p *pagePlant) has(path string) bool {
	w := httptest.NewRecorder()
	p.g.allDoors.ServeHTTP(w, p.request(path))
	return w.Code == http.StatusOK
}

// TestOneChangeHasAViewMadeOnceForAllWhoHaveItOpen counts what two hundred pages read that are told of the same change.
func TestOneChangeHasAViewMadeOnceForAllWhoHaveItOpen(t *testing.T) {
	described.Unwatched(t)
	p := newPagePlant(t)
	for _, path := range []string{"/", "/crashes", "/devices"} {
		before := catalog.Reads()
		p.read(path, "Slipway-Live", "yes")
		once := catalog.Reads() - before
		if err := p.g.store.Record(context.Background(), "model.changed", fleet.ModelCode("pump").ObjectOf(), nil); err != nil {
			t.Fatal(err)
		}
		before = catalog.Reads()
		began := time.Now()
		var all sync.WaitGroup
		for range openPages {
			all.Go(func() { p.read(path, "Slipway-Live", "yes") })
		}
		all.Wait()
		seconds := int64(time.Since(began)/time.Second) + 2
		read := catalog.Reads() - before
		const whoAsks = 4 // records, of each: the token, and when it was used
		t.Logf("%s: %d pages read %d records and keys, one reads %d", path, openPages, read, once)
		if most := seconds*2*once + openPages*whoAsks; read > most { // a view is made twice a second at most
			t.Errorf("%s: %d pages read %d records and keys in %d s, want %d at most", path, openPages, read, seconds, most)
		}
	}
}

// BenchmarkPage measures the server's time for each view, from the request to the last byte, at the median, and fails when one
// takes too long.
func BenchmarkPage(b *testing.B) {
	described.Unwatched(b)
	p := newPagePlant(b)
	const turns = 51
	for b.Loop() {
		for _, path := range viewsOfPage {
			if !p.has(path) {
				continue
			}
			r := p.request(path)
			w := &unread{header: http.Header{}}
			times, busy := make([]time.Duration, turns), make([]time.Duration, turns)
			runtime.LockOSThread()
			for i := range times {
				clear(w.header)
				began, used := time.Now(), processorTime(b)
				p.g.allDoors.ServeHTTP(w, r)
				times[i], busy[i] = time.Since(began), processorTime(b)-used
			}
			runtime.UnlockOSThread()
			slices.Sort(times)
			slices.Sort(busy)
			median := times[turns/2]
			bytes := p.first(path)
			b.Logf("%-36s %8.2f ms at the median, %8.2f at most, %8.2f of the processor; %6.1f KB the first time",
				path, 1000*median.Seconds(), 1000*times[turns-1].Seconds(), 1000*busy[turns/2].Seconds(), float64(bytes)/1000)
			if median > serverTime {
				b.Errorf("%s takes %v at the median, want %v at most", path, median, serverTime)
			}
			if path == "/" {
				b.ReportMetric(1000*median.Seconds(), "ms/first-page")
				b.ReportMetric(float64(bytes), "B/first-page")
			}
		}
	}
}

// processorTime is what this thread has used.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	const thisThread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thisThread, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkPageStreams opens two hundred pages' streams, plain and over TLS, and measures what they cost the gateway. What the
// client's side costs, which is in this process too, is in the figure.
func BenchmarkPageStreams(b *testing.B) {
	described.Unwatched(b)
	p := newPagePlant(b)
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	identity := certificate.TLS.Certificates
	certificate.Close()
	for _, encrypted := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "TLS"}[encrypted]
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			listener := endpoint.Listener{Listener: l, Handler: p.g.allDoors, MaxConnections: 1000, Gate: endpoint.NewGate()}
			if encrypted {
				listener.TLS = &tls.Config{Certificates: identity, MinVersion: tls.VersionTLS12}
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- endpoint.Serve(ctx, slog.New(slog.DiscardHandler), listener) }()
			defer func() {
				cancel()
				if err := <-ended; err != nil {
					b.Error(err)
				}
			}()
			for b.Loop() {
				before := inUse()
				var open []net.Conn
				for range openPages {
					c, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						b.Fatal(err)
					}
					if encrypted {
						c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its certificate is the test's
					}
					open = append(open, c)
					fmt.Fprintf(c, "GET /changes?since=%s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\n\r\n", p.g.store.Hints().Mark(), p.token)
					if line, err := bufio.NewReaderSize(c, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
						b.Fatalf("%q, %v", line, err)
					}
				}
				took := inUse() - before
				for _, c := range open {
					c.Close()
				}
				b.ReportMetric(float64(took)/(1<<20), "MiB")
				if took > openMemory {
					b.Errorf("%d open pages cost %d bytes, want %d at most", openPages, took, openMemory)
				}
			}
		})
	}
}

// inUse is the memory of heap and stacks that is in use.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
