package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/decoding"
	"github.com/slipway-gateway/slipway/pkg/espcore"
)

// fixturePath writes a fixture's file where a process of its own can read it.
func fixturePath(b *testing.B, chip, name string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), name)
	if err := os.WriteFile(path, fixture(b, chip, name), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkDecodeCold is the command as a whole process, on the worst of ten runs: the machine is shared.
func BenchmarkDecodeCold(b *testing.B) {
	asInstalled(b)
	peak := build(b, "../testdata/peak")
	for _, chip := range realBuilds {
		b.Run(chip, func(b *testing.B) {
			core, elf := fixturePath(b, chip, "core.b64"), fixturePath(b, chip, "app.elf")
			for b.Loop() {
				var took []time.Duration
				var most int64
				for range 10 {
					out, err := exec.Command(peak, "slipway", "decode", core, elf).Output()
					var one time.Duration
					var size int64
					if _, scanned := fmt.Sscan(string(out), &one, &size); err != nil || scanned != nil {
						b.Fatalf("%v, %v\n%s", err, scanned, out)
					}
					took, most = append(took, one), max(most, size)
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[5].Microseconds())/1000, "ms-median")
				b.ReportMetric(float64(most)/1e6, "MB-peak")
				if took[5] > 50*time.Millisecond || most > 40e6 {
					b.Errorf("%s and %.1f MB, promised are 50 ms and 40 MB", took[5], float64(most)/1e6)
				}
			}
		})
	}
}

// BenchmarkDecodeBatch is the worker: what a batch of 101 dumps of one build costs more than a batch of one.
func BenchmarkDecodeBatch(b *testing.B) {
	asInstalled(b)
	slipway, err := exec.LookPath("slipway")
	if err != nil {
		b.Fatal(err)
	}
	d := decoding.Decoder{Command: []string{slipway, "worker"}}
	for _, chip := range realBuilds {
		b.Run(chip, func(b *testing.B) {
			core, elf := fixturePath(b, chip, "core.b64"), fixturePath(b, chip, "app.elf")
			batch := func(n int) time.Duration {
				start := time.Now()
				err := d.Decode(b.Context(), elf, "pump", slices.Repeat([]string{core}, n), func(_ int, r *espcore.Report, failure string) {
					if r == nil {
						b.Error(failure)
					}
				})
				if err != nil {
					b.Fatal(err)
				}
				return time.Since(start)
			}
			for b.Loop() {
				var further []time.Duration
				for range 5 {
					one := batch(1)
					further = append(further, (batch(101)-one)/100)
				}
				slices.Sort(further)
				b.ReportMetric(float64(further[2].Microseconds())/1000, "ms/further-dump")
				if further[2] > 2*time.Millisecond {
					b.Errorf("%s for each further dump, promised are 2 ms", further[2])
				}
			}
		})
	}
}

// BenchmarkBurst is a fleet that crashes: 500 dumps of 50 devices at once, while others download.
func BenchmarkBurst(b *testing.B) {
	asInstalled(b)
	const devices, each, most = 50, 10, 20 * time.Second
	g := startGateway(b, "dumps.burst=100", "dumps.keep_per_crash=off", "dumps.keep_per_device=1000")
	g.cli("model", "add", "pump")
	g.drop("pump.zip", fixtureBundle(b, "pump", "esp32c3"))
	g.within(5*time.Second, "accepted", func() bool { return g.exists("drop", "accepted", "pump.zip") })
	core := fixtureDump(b, "esp32c3")
	var tokens []string
	for range devices {
		tokens = append(tokens, g.deviceToken(g.addDevice("pump").Key))
	}
	for b.Loop() {
		var downloads, refused atomic.Int64
		stop := make(chan struct{})
		var loading, wait sync.WaitGroup
		for range 4 {
			loading.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if a, err := g.tryAsk("GET", "/api/iot/firmware", tokens[0], nil); err == nil && a.StatusCode == http.StatusOK {
						downloads.Add(1)
					}
				}
			})
		}
		start := time.Now()
		for _, token := range tokens {
			wait.Go(func() {
				for range each {
					a, err := g.tryAsk("POST", uploadPath("esp32c3", "1"), token, bytes.NewReader(crashedAgain(core)))
					if err != nil || a.StatusCode != http.StatusCreated {
						refused.Add(1)
					}
				}
			})
		}
		wait.Wait()
		metric := []byte(fmt.Sprintf("slipway_coredumps{state=\"reported\"} %d\n", devices*each))
		g.within(2*most, "all reported", func() bool { return bytes.Contains(g.ask("GET", "/metrics", "", nil).body, metric) })
		took := time.Since(start)
		close(stop)
		loading.Wait()
		b.ReportMetric(took.Seconds(), "s/500-reports")
		b.ReportMetric(float64(downloads.Load()), "downloads")
		if took > most || refused.Load() > 0 || downloads.Load() == 0 {
			b.Errorf("%s, %d refused, %d downloads", took, refused.Load(), downloads.Load())
		}
	}
}
