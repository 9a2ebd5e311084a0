package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rounds is how often the gateway is killed; SLIPWAY_KILL_ROUNDS=200 is the long run.
func rounds(t *testing.T) int {
	t.Helper()
	s := os.Getenv("SLIPWAY_KILL_ROUNDS")
	if s == "" {
		return 10
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// acknowledged is what the gateway has said that it has.
type acknowledged struct {
	mu       sync.Mutex
	dumps    map[string]string // path below coredumps/ to content
	versions []string
}

func TestAGatewayThatIsKilledAtRandomMomentsLosesNothingThatItAcknowledged(t *testing.T) {
	g := startGateway(t, "dumps.burst=100000", "dumps.per_minute=100000", "dumps.keep_per_device=100000", "dumps.keep_per_crash=off", "firmware.keep_versions=100000")
	g.cli("model", "add", "demo")
	pipeline := g.operatorToken("pipeline")
	var tokens, keys []string
	for range 4 {
		d := g.addDevice("demo")
		keys, tokens = append(keys, d.Key), append(tokens, g.deviceToken(d.Key))
	}
	ack := &acknowledged{dumps: map[string]string{}}
	for round := range rounds(t) {
		var wait sync.WaitGroup
		stop := make(chan struct{})
		for i, token := range tokens {
			wait.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					body := fmt.Sprintf("round %d, device %d, dump %d", round, i, n)
					a, err := g.tryAsk("POST", uploadPath("esp32c3", "1.0.0"), token, strings.NewReader(body))
					if err != nil || a.StatusCode != http.StatusCreated {
						continue // the gateway is gone
					}
					name, _ := a.json(t)["filename"].(string)
					ack.mu.Lock()
					ack.dumps[filepath.Join(keys[i], name)] = body
					ack.mu.Unlock()
				}
			})
		}
		wait.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				version := fmt.Sprintf("1.%d.%d", round, n)
				a, err := g.tryAsk("POST", "/api/pipeline/models/demo/firmware", pipeline, bytes.NewReader(bundleOf(t, "demo", version)))
				if err == nil && a.StatusCode == http.StatusOK {
					ack.mu.Lock()
					ack.versions = append(ack.versions, version)
					ack.mu.Unlock()
				}
			}
		})
		g.drop(fmt.Sprintf("round%d.zip", round), bundleOf(t, "demo", fmt.Sprintf("2.%d.0", round)))
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		g.kill()
		close(stop)
		wait.Wait()
		g.start()
		ack.check(t, g)
		if t.Failed() {
			t.Fatalf("after round %d\n%s", round, g.log)
		}
	}
	t.Logf("%d dumps and %d builds were acknowledged over %d kills", len(ack.dumps), len(ack.versions), rounds(t))
}

func (ack *acknowledged) check(t *testing.T, g *running) {
	t.Helper()
	for path, want := range ack.dumps {
		got, err := os.ReadFile(filepath.Join(g.state, "coredumps", path))
		if err != nil || string(got) != want {
			t.Errorf("dump %s: %q, %v", path, got, err)
		}
	}
	pairs := map[string]int{}
	for _, suffix := range []string{".dmp", ".json"} {
		all, err := filepath.Glob(filepath.Join(g.state, "coredumps", "????????", "*"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			pairs[strings.TrimSuffix(path, suffix)]++
		}
	}
	for base, n := range pairs {
		if n != 2 {
			t.Errorf("%s is half a pair", base)
		}
	}
	var builds struct {
		Builds []struct {
			Version string `json:"firmware_version"`
		}
	}
	g.cliJSON(&builds, "firmware", "list", "--model", "demo")
	listed := map[string]bool{}
	for _, b := range builds.Builds {
		listed[b.Version] = true
	}
	for _, v := range ack.versions {
		if !listed[v] || !g.exists("assets", "demo", "firmware-"+v+".zip") || !g.exists("assets", "demo", "firmware-"+v+".bin") {
			t.Errorf("build %s is lost", v)
		}
	}
	// A bundle that the kill left in the drop folder is taken now; then nothing is in flight.
	g.within(10*time.Second, "the drop folder empty", func() bool { return len(filesIn(t, filepath.Join(g.state, "drop"), ".zip")) == 0 })
	for _, dir := range []string{"assets", "assets/demo", "keys"} {
		for _, name := range filesIn(t, filepath.Join(g.state, dir), "") {
			if strings.HasPrefix(name, ".") {
				t.Errorf("a temporary name is left: %s/%s", dir, name)
			}
		}
	}
}
