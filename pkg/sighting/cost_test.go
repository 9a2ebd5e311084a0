package sighting

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// full is a book of n devices of which as much is known as can be: all have a name and labels of their own line, an agent,
// a rhythm, a version, a download that broke off and a rollback.
func full(t testing.TB, n int) (*shelf, *Book) {
	s := shelfOf(n, "")
	for i := range s.devices {
		s.devices[i].Line = fmt.Sprintf("hall-%d.press-line-%d", i/800, i/100)
		s.devices[i].Labels = []string{"night-shift", fmt.Sprintf("cell-%d", i/20)}
	}
	b := s.open(t)
	ask := func(i int, seen fleet.Seen) {
		seen.Device, seen.At, seen.Agent = keyOf(i), s.now, "ESP32 HTTP Client/1.0 of a firmware that tells a lot of itself."
		seen.Address = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		b.Seen(seen)
	}
	for range mostGaps + 2 {
		for i := range n {
			ask(i, fleet.Seen{By: fleet.HeardVersion, Said: fleet.Said{Version: "v1.0-56-g30082bf-dirty", ELFSHA256: fmt.Sprintf("%064x", i), BootID: "a", Reset: "panic", OTAState: "valid"}})
		}
		s.now = s.now.Add(5 * time.Minute)
	}
	for i := range n {
		ask(i, dumped("v1.0-55-g30082bf", "v1.0-56-g30082bf-dirty"))
		ask(i, sent("v1.1-2-g30082bf", 0, imageSize, imageSize/2))
	}
	return s, b
}

// memoryOf makes a book, and measures what it takes in bytes.
func memoryOf(made func() (*shelf, *Book)) (s *shelf, b *Book, took int64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, b = made()
	s.devices = nil // the catalog's, not the book's
	b.dirty = nil   // they are saved
	runtime.GC()
	runtime.ReadMemStats(&after)
	return s, b, int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestTenThousandDevicesTakeEightMegabytes(t *testing.T) {
	const n, most = 10_000, 8_000_000
	s, b, took := memoryOf(func() (*shelf, *Book) { return full(t, n) })
	t.Logf("%d devices take %d bytes, %d each", n, took, took/n)
	if took > most {
		t.Errorf("%d bytes, promised are %d", took, most)
	}
	if got := sightingOf(b, n-1); got.Rhythm != 300 || got.Download == nil || got.WentBack == nil || got.RunsELF == "" || got.Reset != "panic" || got.OTAState != "valid" {
		t.Errorf("not all is known: %+v", got)
	}
	runtime.KeepAlive(s)
}

func TestADeviceThatWasNeverHeardTakesAFifthOfOneThatIs(t *testing.T) {
	const n, most = 10_000, 2_000_000
	s, b, took := memoryOf(func() (*shelf, *Book) {
		s := shelfOf(n, "hall-1.press-line-1")
		return s, s.open(t)
	})
	t.Logf("%d devices take %d bytes, %d each", n, took, took/n)
	if took > most {
		t.Errorf("%d bytes, promised are %d", took, most)
	}
	if got := sightingOf(b, n-1); got.State != fleet.Never {
		t.Errorf("it is %+v", got)
	}
	runtime.KeepAlive(s)
}

func TestAPollAllocatesAndSavesNothing(t *testing.T) {
	s, b := full(t, 100)
	flushed(t, b)
	seen := fleet.Seen{
		Device: keyOf(7), By: fleet.HeardVersion, Address: netip.AddrFrom4([4]byte{10, 0, 0, 7}),
		Agent: "ESP32 HTTP Client/1.0 of a firmware that tells a lot of itself.",
		Said:  fleet.Said{Version: "v1.0-56-g30082bf-dirty", ELFSHA256: fmt.Sprintf("%064x", 7), BootID: "a", Reset: "panic", OTAState: "valid"},
	}
	poll := func() {
		s.now = s.now.Add(5 * time.Minute)
		seen.At = s.now
		b.Seen(seen)
	}
	poll() // says again what it runs: it was said to have gone back
	flushed(t, b)
	if n := testing.AllocsPerRun(1000, poll); n != 0 {
		t.Errorf("%.1f allocations a poll", n)
	}
	if len(b.dirty) != 0 {
		t.Errorf("%d records wait to be saved after polls", len(b.dirty))
	}
}

func flushed(t testing.TB, b *Book) {
	t.Helper()
	if err := b.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkSeen(b *testing.B) {
	s, book := full(b, 10_000)
	for n := 0; b.Loop(); n++ {
		s.now = s.now.Add(30 * time.Millisecond)
		book.Seen(fleet.Seen{Device: keyOf(n % 10_000), At: s.now, By: fleet.HeardVersion, Address: address})
	}
}

func BenchmarkCount(b *testing.B) {
	_, book := full(b, 10_000)
	for b.Loop() {
		book.Count()
	}
}
