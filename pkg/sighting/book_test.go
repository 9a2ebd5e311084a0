package sighting

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// shelf is a store in memory, and builds of which 1.1 has an ELF and 2.0 a bootloader without rollback. Its clock stands
// still unless a test moves it.
type shelf struct {
	now     time.Time
	devices []fleet.Device
	changes []LineChange

	mu       sync.Mutex // guards what follows
	records  map[fleet.DeviceKey]Record
	contacts [][]byte
	hours    []fleet.HourCount
	lines    map[string]LineRecord
	commits  int
	fails    error
}

func (s *shelf) EachDevice(yield func(fleet.Device) error) error {
	for _, d := range s.devices {
		if err := yield(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) EachSighting(yield func(Record) error) error {
	for _, r := range s.records {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) Contacts() ([][]byte, error) { return s.contacts, nil }

func (s *shelf) SaveSightings(_ context.Context, records []Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return s.fails
	}
	s.commits++
	for _, r := range records {
		s.records[r.Device] = r
	}
	return nil
}

func (s *shelf) SaveContacts(_ context.Context, values [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contacts = values
	return s.fails
}

func (s *shelf) SaveHours(_ context.Context, hours []fleet.HourCount) error {
	if s.fails == nil {
		s.hours = append(s.hours, hours...)
	}
	return s.fails
}

func (s *shelf) EachLine(yield func(LineRecord) error) error {
	for _, r := range s.lines {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) SaveLine(_ context.Context, line LineRecord, told *LineChange) error {
	if s.fails != nil {
		return s.fails
	}
	if s.lines == nil {
		s.lines = map[string]LineRecord{}
	}
	s.lines[line.Line] = line
	if line.Since.IsZero() && len(line.Silent) == 0 {
		delete(s.lines, line.Line)
	}
	if told != nil {
		s.changes = append(s.changes, *told)
	}
	return nil
}

// look has the book look at its lines.
func (s *shelf) look(b *Book) {
	if err := b.Look(context.Background()); err != nil && s.fails == nil {
		panic(err)
	}
}

func (*shelf) ForgetCounted(context.Context) error { return nil }

func (*shelf) VersionOfELF(_ fleet.ModelCode, prefix string) fleet.Version {
	if prefix == "11111111aaaaaaaabbbb" {
		return "1.1"
	}
	return ""
}

func (*shelf) VersionOfSketch(_ fleet.ModelCode, hash string) (fleet.Version, string) {
	if hash == "feedfacefeedfacefeedfacefeedface" {
		return "1.1", "11111111aaaaaaaabbbb"
	}
	return "", ""
}

func (*shelf) Rollback(_ fleet.ModelCode, v fleet.Version) bool { return v != "2.0" }

func keyOf(n int) fleet.DeviceKey { return fleet.DeviceKey(fmt.Sprintf("dev%05d", n)) }

// shelfOf has n devices of a model, on a line unless it is "".
func shelfOf(n int, line string) *shelf {
	s := &shelf{now: noon, records: map[fleet.DeviceKey]Record{}}
	for i := range n {
		s.devices = append(s.devices, fleet.Device{Key: keyOf(i), Model: "pump", Name: fmt.Sprintf("Pump %d", i), Line: line, Labels: []string{"hall"}})
	}
	return s
}

func (s *shelf) options() Options {
	return Options{
		Store: s, Builds: s, UpWithin: 15 * time.Minute, Beat: func() {},
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now },
	}
}

func (s *shelf) open(t testing.TB) *Book {
	t.Helper()
	b, err := opened(s.options())
	if err != nil {
		t.Fatal(err)
	}
	unheard := *b.unheard
	t.Cleanup(func() {
		if !reflect.DeepEqual(*b.unheard, unheard) {
			t.Errorf("what is shared by those of whom nothing was seen was written to: %+v", *b.unheard)
		}
	})
	return b
}

var address = netip.MustParseAddr("10.1.2.3")

// hears plays one request of device 0, after the time has passed that it is given.
func (s *shelf) hears(b *Book, after time.Duration, seen fleet.Seen) {
	s.now = s.now.Add(after)
	seen.At = s.now
	if seen.Transfer != nil && seen.Transfer.Begun.IsZero() {
		seen.Transfer.Begun = s.now
	}
	if seen.Device == "" {
		seen.Device = keyOf(0)
	}
	if seen.By == "" {
		seen.By = fleet.HeardVersion
	}
	if !seen.Address.IsValid() {
		seen.Address = address
	}
	b.Seen(seen)
}

func sightingOf(b *Book, n int) fleet.Sighting {
	s, _ := b.Sighting(keyOf(n))
	return s
}

// opened is a book that was read.
func opened(o Options) (*Book, error) {
	b := Open(o)
	return b, b.Read()
}
