//go:build boot

package packaging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a site at work: devices that poll, download and upload until they are told to stop.
type load struct {
	site    *site
	done    chan struct{}
	workers sync.WaitGroup

	mu       sync.Mutex
	answered map[string]int
	longest  time.Duration
	lost     []string
	dumps    []string // DEVICE/NAME of those that were acknowledged
}

const loadDevices = 15

func (s *site) load(t *testing.T) *load {
	t.Helper()
	var fleet strings.Builder
	devices := make([]*device, loadDevices)
	for i := range devices {
		d := &device{box: s.box, key: fmt.Sprintf("load%04d", i), secret: fmt.Sprintf("secret-of-load-%04d-0123456789", i), http: s.client(s.ca(), false)}
		d.id = "iotdevice-valve-" + d.key
		fmt.Fprintf(&fleet, "valve,%s,%s\n", d.key, d.secret)
		devices[i] = d
	}
	s.put("load.csv", []byte(fleet.String()))
	s.run("slipway device import load.csv")
	for _, d := range devices {
		d.newToken()
	}
	l := &load{site: s, done: make(chan struct{}), answered: map[string]int{}}
	keep := s.client(s.ca(), true)
	l.every(10*time.Millisecond, "poll", func(int) (*answer, error) {
		return ask(keep, http.MethodGet, s.url("/api/iot/firmware-version"), devices[0].token, nil)
	})
	l.every(10*time.Millisecond, "poll on a connection of its own", func(n int) (*answer, error) {
		d := devices[n%loadDevices]
		return ask(d.http, http.MethodGet, s.url("/api/iot/firmware-version"), d.token, nil)
	})
	l.every(20*time.Millisecond, "download", func(n int) (*answer, error) {
		d := devices[n%loadDevices]
		a, err := ask(d.http, http.MethodGet, s.url("/api/iot/firmware"), d.token, nil)
		if err == nil && !bytes.Equal(a.body, s.build.image) {
			err = fmt.Errorf("%d bytes of firmware, want %d", len(a.body), len(s.build.image))
		}
		return a, err
	})
	l.every(250*time.Millisecond, "upload", func(n int) (*answer, error) {
		d := devices[n%loadDevices]
		if n >= loadDevices*18 { // below what one device may send at once
			return nil, nil
		}
		core := make([]byte, 20_000) // no dump at all, so that no rule but the device's own limit removes it
		for i := range core {
			core[i] = byte(rand.Uint32())
		}
		a, err := ask(d.http, http.MethodPost, s.url("/api/iot/coredump?chip=esp32c3&firmware_version=1"), d.token, bytes.NewReader(core))
		if err == nil && a.StatusCode == http.StatusCreated {
			var stored struct{ Filename string }
			err = json.Unmarshal(a.body, &stored)
			l.mu.Lock()
			l.dumps = append(l.dumps, d.key+"/"+stored.Filename)
			l.mu.Unlock()
		}
		return a, err
	})
	return l
}

// every makes a request again and again; nil, nil is none.
func (l *load) every(pause time.Duration, name string, request func(n int) (*answer, error)) {
	l.workers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-l.done:
				return
			case <-time.After(pause):
			}
			began := time.Now()
			a, err := request(n)
			if a == nil && err == nil {
				continue
			}
			l.mu.Lock()
			l.longest = max(l.longest, time.Since(began))
			switch {
			case err != nil:
				l.lost = append(l.lost, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), name, err))
			case a.StatusCode >= 300:
				l.lost = append(l.lost, fmt.Sprintf("%s %s: %s %s", time.Now().Format("15:04:05.000"), name, a.Status, a.body))
			default:
				l.answered[name]++
			}
			l.mu.Unlock()
		}
	})
}

// downloads are requests without a limit; of uploads a device may make so many only.
var downloads = []string{"poll", "poll on a connection of its own", "download"}

// underWay waits until each of some kinds of requests was answered ten more times.
func (l *load) underWay(t *testing.T, kinds ...string) {
	t.Helper()
	answered := func() map[string]int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return maps.Clone(l.answered)
	}
	before := answered()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		now := answered()
		if !slices.ContainsFunc(kinds, func(kind string) bool { return now[kind] < before[kind]+10 }) {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("there is no load: %v, before %v", now, before)
		}
	}
}

// stop ends the load and says what became of it.
func (l *load) stop(t *testing.T) {
	t.Helper()
	close(l.done)
	l.workers.Wait()
	t.Logf("answered: %v, the longest after %.2f s", l.answered, l.longest.Seconds())
	if len(l.lost) > 0 {
		t.Errorf("%d requests were lost:\n%s\n%s", len(l.lost), strings.Join(l.lost, "\n"), l.site.state())
	}
	for _, name := range l.dumps {
		l.site.run("test -s /var/lib/slipway/coredumps/" + name)
	}
}
