//go:build faults

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/testdata/firmware"
)

// mostAttackers connections are held open from one address, another one than the good device's.
const mostAttackers = 6000

// attack holds one connection open for as long as the gateway lets it.
type attack struct {
	door string // of the gateway's listeners
	play func(c net.Conn, end <-chan struct{}) error
}

// trickle sends head, then one more byte each second.
func trickle(head string) func(net.Conn, <-chan struct{}) error {
	return func(c net.Conn, end <-chan struct{}) error {
		if _, err := io.WriteString(c, head); err != nil {
			return err
		}
		for {
			select {
			case <-end:
				return nil
			case <-time.After(time.Second):
			}
			if _, err := io.WriteString(c, "x"); err != nil {
				return err
			}
		}
	}
}

var attacks = map[string]attack{
	"slow headers": {"http", trickle("GET /api/health HTTP/1.1\r\nHost: x\r\nX-Slow: ")},
	"slow forms":   {"http", trickle("POST /api/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8000\r\n\r\n")},
	"slow readers": {"http", func(c net.Conn, end <-chan struct{}) error {
		for range 20 { // more than the kernel takes for one that does not read
			if _, err := io.WriteString(c, "GET /api/docs HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return err
			}
		}
		<-end
		return nil
	}},
	"half TLS hellos": {"https", trickle("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
}

// TestFaultsSlowNeighboursDoNotReachAGoodDevice prints the percentiles of a good device's requests beside each attack. With
// SLIPWAY_BEFORE naming another build's binary it prints that one's beside them. SLIPWAY_BUSY allows ten times the time.
// The control is a gateway in which one address may take every place.
func TestFaultsSlowNeighboursDoNotReachAGoodDevice(t *testing.T) {
	t.Logf("%-16s %-8s %-9s %10s %10s %10s", "attack", "program", "request", "p50", "p99", "failed")
	var noGate string
	t.Run("control", func(t *testing.T) {
		program := without(t, "pkg/endpoint/gate.go",
			"mostOfOne       = 64 //", "mostOfOne       = mostStrangers //",
			"case own < g.mostOfOne && own+1 < len(g.inside[fullest]):", "case false:",
			"case g.evict(c.from, evictAfter):", "case false:")
		_, wrong := judge(attacked(t, program, "slow headers", "control"))
		if len(wrong) > 0 {
			noGate = wrong[0]
		}
	})
	for _, name := range []string{"slow headers", "slow forms", "slow readers", "half TLS hellos"} {
		t.Run(name, func(t *testing.T) {
			row := newFault(t, "6,000 neighbours, "+name, "loopback", 1)
			row.noticed("no share per address", noGate)
			all, wrong := judge(attacked(t, "slipway", name, "now"))
			row.found("%s", all)
			for _, request := range wrong {
				t.Error(request)
			}
			if before := os.Getenv("SLIPWAY_BEFORE"); before != "" {
				attacked(t, before, name, "before")
			}
		})
	}
}

// attacked is what a good device sees of a program beside an attack.
func attacked(t *testing.T, program, name, label string) map[string]*timings {
	a := attacks[name]
	g := newGateway(t, filepath.Join(t.TempDir(), "state"), "listen.https=127.0.0.1:0", "dumps.per_minute=1000000", "dumps.burst=1000000")
	g.program = program // from the begin: an older one reads no newer catalog
	g.start()
	g.cli("model", "add", "pump")
	device := g.addDevice("pump")
	token := g.deviceToken(device.Key)
	zip, err := firmware.Build{Code: "pump", Version: "1.0.0"}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	if got := g.ask("POST", uploadAddress, g.operatorToken("pipeline"), bytes.NewReader(zip)); got.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", got.Status, got.body)
	}
	end := make(chan struct{})
	var crowd, arrived sync.WaitGroup
	var held atomic.Int64
	target := strings.SplitN(g.urls[a.door], "://", 2)[1]
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}, Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	arrived.Add(mostAttackers)
	for i := range mostAttackers {
		crowd.Go(func() {
			time.Sleep(time.Duration(i) * 200 * time.Microsecond) // not all in one moment
			first := sync.OnceFunc(arrived.Done)
			for {
				c, err := dialer.Dial("tcp", target)
				first()
				if err == nil {
					held.Add(1)
					_ = a.play(c, end)
					held.Add(-1)
					c.Close()
				}
				select {
				case <-end:
					return
				case <-time.After(2 * time.Second): // whoever was sent away comes again
				}
			}
		})
	}
	arrived.Wait() // the attack stands
	during, control := time.Duration(times(3, 10))*time.Second, label == "control"
	if control { // until one fails
		during = time.Minute
	}
	seen := goodDevice(t, g, device, token, during, control)
	t.Logf("%d attackers connected at the end", held.Load())
	close(end)
	crowd.Wait()
	for _, request := range goodRequests {
		all := seen[request]
		slices.Sort(all.took)
		t.Logf("%-16s %-8s %-9s %10s %10s %10d", name, label, request, all.at(50), all.at(99), all.failed)
	}
	if out, _ := g.tryCLI("status"); label == "now" && !strings.Contains(out, "127.0.0.66") {
		t.Error("slipway status does not name the address")
	}
	return seen
}

// judge says the worst that a good device saw, and what it need not put up with.
func judge(seen map[string]*timings) (all string, wrong []string) {
	worst, asked := time.Duration(0), 0
	for _, request := range goodRequests {
		of := seen[request]
		most := time.Second
		if request == "health" {
			most = 100 * time.Millisecond
		}
		if os.Getenv("SLIPWAY_BUSY") != "" { // the machine may do other things; what is attacked without the gate answers nothing at all
			most = min(10*most, goodPatience)
		}
		p99 := of.at(99)
		if len(of.took) == 0 || p99 > most || of.failed > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %d answers, %s at the 99th percentile, %d failed", request, len(of.took), p99, of.failed))
		}
		worst, asked = max(worst, p99), asked+len(of.took)
	}
	return fmt.Sprintf("a good device's %d requests, p99 at most %s", asked, worst), wrong
}

// goodRequests are what a good device asks for.
var goodRequests = []string{"token", "firmware", "upload", "health"}

type timings struct {
	took   []time.Duration // sorted once all are there
	failed int
}

// at is a percentile.
func (all *timings) at(percent int) time.Duration {
	if len(all.took) == 0 {
		return 0
	}
	return all.took[len(all.took)*percent/100].Round(time.Millisecond / 10)
}

// goodPatience is how long a good device waits for an answer. It is less than the gateway waits for a stranger: whoever waits
// longer is served when the first neighbours are sent away, also where one address may take every place.
const goodPatience = 5 * time.Second

// goodDevice does what a device does, each request on a connection of its own. For a control one request that fails is enough.
func goodDevice(t *testing.T, g *running, device credentials, token string, during time.Duration, untilOneFails bool) map[string]*timings {
	t.Helper()
	client := &http.Client{Timeout: goodPatience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	seen := map[string]*timings{}
	for _, request := range goodRequests {
		seen[request] = &timings{}
	}
	dump := 0
	ask := func(name, method, path, body, authorization, kind string) (served bool) {
		req, err := http.NewRequest(method, g.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		start := time.Now()
		res, err := client.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		if err != nil || res.StatusCode >= 300 {
			seen[name].failed++
			return false
		}
		seen[name].took = append(seen[name].took, time.Since(start))
		return true
	}
	form := "grant_type=client_credentials&client_id=" + device.ID + "&client_secret=" + device.Secret
	for end := time.Now().Add(during); time.Now().Before(end); {
		dump++
		for _, request := range []func() bool{
			func() bool {
				return ask("token", "POST", "/api/oauth/token", form, "", "application/x-www-form-urlencoded")
			},
			func() bool { return ask("firmware", "GET", "/api/iot/firmware", "", "Bearer "+token, "") },
			func() bool {
				return ask("upload", "POST", uploadPath("esp32c3", "1.0.0"), fmt.Sprint("dump ", dump), "Bearer "+token, "")
			},
			func() bool { return ask("health", "GET", "/api/health", "", "", "") },
		} {
			if served := request(); !served && untilOneFails {
				return seen
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return seen
}
