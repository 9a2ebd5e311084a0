package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// BenchmarkCommit shows what the committer's batches save: alone, each change waits for a sync of its own.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("callers=%d-a-processor", callers), func(b *testing.B) {
			c := withModel(b, "pump")
			var n atomic.Int64
			b.SetParallelism(callers) // of these on each processor
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					d := newDevice("pump", int(n.Add(1)))
					if err := c.AddDevice(context.Background(), d.Device, d.Secrets); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}

// BenchmarkDevice is the read that every request of a device makes.
func BenchmarkDevice(b *testing.B) {
	c := withModel(b, "pump")
	must(b, c.AddDevices(b.Context(), devices("pump", 10_000)))
	for n := 0; b.Loop(); n++ {
		if _, err := c.Device(keyOf(n % 10_000)); err != nil {
			b.Fatal(err)
		}
	}
}

func devices(model fleet.ModelCode, n int) []auth.NewDevice {
	all := make([]auth.NewDevice, n)
	for i := range all {
		all[i] = newDevice(model, i)
	}
	return all
}

func dumpsOf(n int) []fleet.Dump {
	all := make([]fleet.Dump, n)
	for i := range all {
		all[i] = fleet.Dump{
			Chip: "ESP32-C3", FirmwareVersion: "v1.2.3-4-gabcdef1", Device: keyOf(i % 10_000), Model: "pump",
			UploadedAt: noon.Add(time.Duration(i) * time.Second), Size: 24_000, SHA256: strings.Repeat("ab", 32),
		}
	}
	return all
}

// BenchmarkOpen opens, in a process of its own, what a fleet leaves: time until the catalog is open, and the process's
// anonymous memory while it is idle. After a kill there is a log to read, too.
func BenchmarkOpen(b *testing.B) {
	for _, fleetSize := range []struct{ devices, dumps int }{{10_000, 10_000}, {50_000, 50_000}} {
		for _, stop := range []string{"clean", "killed"} {
			b.Run(fmt.Sprintf("devices=%d/dumps=%d/%s", fleetSize.devices, fleetSize.dumps, stop), func(b *testing.B) {
				dir := b.TempDir()
				_, err := child("fill", dir, strconv.Itoa(fleetSize.devices), strconv.Itoa(fleetSize.dumps), stop).Output()
				must(b, err)
				var took, memory float64
				for b.Loop() {
					out, err := child("idle", dir).Output()
					must(b, err)
					fields := strings.Fields(string(out))
					ms, err := strconv.ParseFloat(fields[0], 64)
					must(b, err)
					mb, err := strconv.ParseFloat(fields[1], 64)
					must(b, err)
					took, memory = took+ms, memory+mb
				}
				b.ReportMetric(took/float64(b.N), "ms-to-open")
				b.ReportMetric(memory/float64(b.N), "MB-anonymous")
			})
		}
	}
}

// fillAFleet makes what BenchmarkOpen opens: so many devices and dumps, and a clean stop or none.
func fillAFleet(dir string, arguments []string) error {
	size, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	c, err := Open(unattended(dir))
	if err != nil {
		return err
	}
	ctx := context.Background()
	err = errors.Join(c.AddModel(ctx, fleet.Model{Code: "pump"}), c.AddDevices(ctx, devices("pump", size)))
	if err != nil {
		return err
	}
	if size, err = strconv.Atoi(arguments[1]); err != nil {
		return err
	}
	if err := c.RecordDumps(ctx, dumpsOf(size)); err != nil || arguments[2] != "clean" {
		return err
	}
	return c.Close()
}

// holdAFleet is the child of BenchmarkOpen: it opens, reads a little, waits until Badger has tidied its tables (which
// takes 16 MiB for each that it writes), and says how many milliseconds the first took and how many MB it keeps.
func holdAFleet(dir string, _ []string) error {
	start := time.Now()
	c, err := Open(unattended(dir))
	if err != nil {
		return err
	}
	took := time.Since(start)
	for n := range 10_000 {
		if _, err := c.Device(keyOf(n)); err != nil {
			return err
		}
	}
	time.Sleep(5 * time.Second)
	debug.FreeOSMemory() // what the runtime does by itself within minutes of idling
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		return err
	}
	fmt.Printf("%.1f %.1f\n", float64(took.Microseconds())/1000, float64(kilobytes)/1024)
	return nil // without a stop, so that the next one finds the same
}
