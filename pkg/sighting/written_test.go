package sighting_test

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// house is a real catalog with a book over it, and a clock that a test moves.
type house struct {
	t       testing.TB
	now     time.Time
	options catalog.Options
	store   *catalog.Catalog
	book    *sighting.Book
}

// builds know none: rollback may be on.
type builds struct{}

func (builds) VersionOfSketch(fleet.ModelCode, string) (fleet.Version, string) { return "", "" }

func (builds) VersionOfELF(fleet.ModelCode, string) fleet.Version { return "" }
func (builds) Rollback(fleet.ModelCode, fleet.Version) bool       { return true }
func keyOf(n int) fleet.DeviceKey                                 { return fleet.DeviceKey(fmt.Sprintf("dev%05d", n)) }
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build makes a catalog of n devices.
func build(t testing.TB, n int) *house {
	t.Helper()
	h := &house{t: t, now: noon}
	h.options = catalog.Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return h.now }, Beat: func() {},
		Space: func() (int64, int64, error) { return math.MaxInt64, math.MaxInt64, nil },
	}
	h.open()
	t.Cleanup(func() { must(t, h.store.Close()) })
	must(t, h.store.AddModel(t.Context(), fleet.Model{Code: "pump"}))
	all := make([]auth.NewDevice, n)
	for i := range all {
		all[i] = auth.NewDevice{Device: fleet.Device{Key: keyOf(i), Model: "pump", CreatedAt: h.now, UpdatedAt: h.now}}
	}
	must(t, h.store.AddDevices(t.Context(), all))
	return h
}

func (h *house) open() {
	h.t.Helper()
	var err error
	h.store, err = catalog.Open(h.options)
	must(h.t, err)
	stopped, err := h.store.LastKnownTime()
	must(h.t, err)
	restored, err := h.store.Restored()
	must(h.t, err)
	h.book = sighting.Open(sighting.Options{
		Store: h.store, Builds: builds{}, UpWithin: 15 * time.Minute, Stopped: stopped, Restored: restored,
		Beat: func() {}, Logger: h.options.Logger, Now: h.options.Now,
	})
	must(h.t, h.book.Read())
	h.store.WatchDevices(h.book)
}

func (h *house) poll(i int, seen fleet.Seen) {
	seen.Device, seen.At, seen.Agent = keyOf(i), h.now, "ESP32 HTTP Client/1.0"
	seen.Address = netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
	if seen.By == "" {
		seen.By = fleet.HeardVersion
	}
	h.book.Seen(seen)
}

// written is what this process has had written to disk, in bytes, as the kernel counts it.
func written(t testing.TB) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/io")
	if err != nil {
		t.Skipf("the kernel does not count what a process writes: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "write_bytes: "); ok {
			bytes, err := strconv.ParseInt(n, 10, 64)
			must(t, err)
			return bytes
		}
	}
	t.Fatal("no write_bytes")
	return 0
}

func TestTwentyThousandPollsOf500DevicesWriteLittle(t *testing.T) {
	const devices, polls, most = 500, 20_000, 512 << 10
	h := build(t, devices)
	before := written(t)
	for n := range polls {
		if n%devices == 0 {
			h.now = h.now.Add(5 * time.Minute)
			must(t, h.book.Flush(t.Context()))
			if h.now.Sub(noon)%time.Hour == 0 {
				must(t, h.book.Pack(t.Context()))
			}
		}
		h.poll(n%devices, fleet.Seen{Said: fleet.Said{Version: "1.0.0"}})
	}
	must(t, h.book.Close())
	took := written(t) - before
	t.Logf("%d polls of %d devices in %s of theirs: %d bytes", polls, devices, h.now.Sub(noon), took)
	if took > most {
		t.Errorf("%d bytes written, promised are %d", took, most)
	}
	if took == 0 {
		t.Error("nothing was written: the kernel does not count here")
	}
}

const (
	manyDevices = 8000
	mostDay     = 50_000_000 // bytes that a day of them may have written
)

// BenchmarkADayOf8000Devices plays a whole day.
func BenchmarkADayOf8000Devices(b *testing.B) {
	for b.Loop() {
		took := playHours(b, 24)
		b.ReportMetric(float64(took), "bytes-written/day")
		if took > mostDay {
			b.Errorf("%d bytes written, promised are %d", took, mostDay)
		}
	}
}

// A quarter, as the table that Badger writes when it is closed costs 4 MB however short the time was.
func TestThreeHoursOf8000DevicesWriteAQuarterOfADaysBytes(t *testing.T) {
	took := playHours(t, 3)
	t.Logf("%d bytes", took)
	if took > mostDay/4 {
		t.Errorf("%d bytes written, promised are %d", took, mostDay/4)
	}
}

// playHours has each of 8000 devices ask for the version and check the firmware every five minutes, and returns the bytes
// that this has written. What is noted each minute, the flush each hour, and Badger's closing of its tables are in it.
func playHours(t testing.TB, hours int) int64 {
	h := build(t, manyDevices)
	for i := range manyDevices { // as they were the day before
		h.poll(i, fleet.Seen{Said: fleet.Said{Version: "1.0.0"}})
	}
	must(t, h.book.Close())
	before := written(t)
	for minute := range hours * 60 {
		h.now = h.now.Add(time.Minute)
		must(t, h.store.NoteTime(h.now))
		for i := minute % 5; i < manyDevices; i += 5 {
			h.poll(i, fleet.Seen{Said: fleet.Said{Version: "1.0.0"}})
			h.poll(i, fleet.Seen{By: fleet.HeardFirmware, Transfer: &fleet.Transfer{Version: "1.0.0", Size: 1 << 20, To: 1 << 20, Arrived: 2048, Begun: h.now}})
		}
		must(t, h.book.Flush(t.Context()))
		must(t, h.book.Look(t.Context()))
		if minute%60 == 59 {
			must(t, h.book.Pack(t.Context()))
		}
	}
	must(t, h.book.Close())
	must(t, h.store.Close())
	took := written(t) - before
	if took == 0 {
		t.Error("nothing was written: the kernel does not count here")
	}
	return took
}

func TestWhatWasSeenIsThereAfterAStop(t *testing.T) {
	h := build(t, 3)
	h.poll(0, fleet.Seen{Said: fleet.Said{Version: "1.0.0", ELFSHA256: "0123456789abcdef01", BootID: "a"}})
	h.now = h.now.Add(5 * time.Minute)
	h.poll(0, fleet.Seen{Said: fleet.Said{BootID: "b"}})
	h.poll(0, fleet.Seen{By: fleet.HeardFirmware, Transfer: &fleet.Transfer{Version: "1.1.0", Size: 1 << 20, To: 1 << 20, Arrived: 1 << 20, Whole: true}})
	h.poll(0, fleet.Seen{By: fleet.HeardDump, Dump: &fleet.SeenDump{Declared: "1.0.0", Build: "1.1.0"}})
	h.poll(1, fleet.Seen{})
	want, _ := h.book.Sighting(keyOf(0))
	must(t, h.book.Close())
	must(t, h.store.Close())
	h.open()
	got, line := h.book.Sighting(keyOf(0))
	if fmt.Sprintf("%+v %+v %+v", got, got.Download, got.WentBack) == "" || *got.Download != *want.Download || *got.WentBack != *want.WentBack {
		t.Errorf("download %+v, went back %+v", got.Download, got.WentBack)
	}
	got.Download, got.WentBack, want.Download, want.WentBack = nil, nil, nil, nil
	if got != want || line != "10.1.0.0/24" {
		t.Errorf("after a stop on %s\n%+v, before\n%+v", line, got, want)
	}
	if one, _ := h.book.Sighting(keyOf(1)); one.State != fleet.Live || !one.HeardAt.Equal(h.now) {
		t.Errorf("one of which only the contact is known: %+v", one)
	}
	if none, _ := h.book.Sighting(keyOf(2)); none.State != fleet.Never {
		t.Errorf("one that was never heard: %+v", none)
	}
}

func TestADeviceThatIsRemovedAndAddedAgainIsNew(t *testing.T) {
	h := build(t, 2)
	h.poll(0, fleet.Seen{Said: fleet.Said{Version: "1.0.0"}})
	must(t, h.book.Flush(t.Context()))
	must(t, h.store.RemoveDevice(t.Context(), keyOf(0)))
	h.poll(0, fleet.Seen{Said: fleet.Said{Version: "1.0.0"}}) // its last request, which was in flight
	must(t, h.book.Close())
	must(t, h.store.AddDevice(t.Context(), fleet.Device{Key: keyOf(0), Model: "pump"}, auth.DeviceSecrets{}))
	if got, _ := h.book.Sighting(keyOf(0)); got.State != fleet.Never || got.Runs != "" {
		t.Errorf("%+v", got)
	}
	must(t, h.store.Close())
	h.open()
	if got, _ := h.book.Sighting(keyOf(0)); got.Runs != "" {
		t.Errorf("after a restart it runs %q", got.Runs)
	}
}

func TestWhatADeviceRunsSurvivesARestoreAndIsMarkedAsOlder(t *testing.T) {
	h := build(t, 2)
	h.poll(0, fleet.Seen{Said: fleet.Said{Version: "1.0.0"}})
	must(t, h.book.Close())
	var backup bytes.Buffer
	must(t, h.store.Backup(&backup))
	must(t, h.store.Close())
	h.now = h.now.Add(24 * time.Hour)
	h.options.Dir = t.TempDir()
	_, err := catalog.Restore(h.options, &backup)
	must(t, err)
	h.open()
	if got, _ := h.book.Sighting(keyOf(0)); got.Runs != "1.0.0" || got.RunsBy != fleet.ProofSaid || !got.Restored || !got.HeardAt.Equal(noon) {
		t.Errorf("after the restore: %+v", got)
	}
	if got, _ := h.book.Sighting(keyOf(1)); got.Restored || got.State != fleet.Never {
		t.Errorf("one that was never heard: %+v", got)
	}
	h.poll(0, fleet.Seen{Said: fleet.Said{Version: "1.1.0"}})
	if got, _ := h.book.Sighting(keyOf(0)); got.Runs != "1.1.0" || got.Restored {
		t.Errorf("once it says what it runs: %+v", got)
	}
}
