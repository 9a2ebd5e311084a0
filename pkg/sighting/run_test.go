package sighting

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// running has a book run in a bubble, by the bubble's clock.
func running(t *testing.T, n int, change func(*Options), test func(s *shelf, b *Book)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := shelfOf(n, "")
		o := s.options()
		o.Now = time.Now
		if change != nil {
			change(&o)
		}
		b, err := opened(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		test(s, b)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatWouldBeMissedIsSavedWithinASecondManyInOneCommit(t *testing.T) {
	running(t, 500, nil, func(s *shelf, b *Book) {
		for i := range 500 {
			b.Seen(fleet.Seen{Device: keyOf(i), At: time.Now(), By: fleet.HeardVersion, Said: fleet.Said{Version: "1.0"}})
		}
		time.Sleep(time.Second)
		s.mu.Lock()
		if s.commits != 1 || len(s.records) != 500 {
			t.Errorf("%d records in %d commits", len(s.records), s.commits)
		}
		if got := s.records[keyOf(7)]; got.Runs != "1.0" || got.RunsBy != fleet.ProofSaid {
			t.Errorf("%+v", got)
		}
		s.mu.Unlock()
		for range 100 {
			b.Seen(fleet.Seen{Device: keyOf(3), At: time.Now(), By: fleet.HeardVersion, Said: fleet.Said{Version: "1.0"}})
			time.Sleep(time.Second)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.commits != 1 {
			t.Errorf("%d commits after polls", s.commits)
		}
	})
}

func TestContactsAreSavedOnceAnHour(t *testing.T) {
	running(t, 3, nil, func(s *shelf, b *Book) {
		b.Seen(fleet.Seen{Device: keyOf(0), At: time.Now(), By: fleet.HeardConfig})
		time.Sleep(59 * time.Minute)
		s.mu.Lock()
		if len(s.contacts) != 0 {
			t.Error("contacts were saved within the hour")
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.contacts) != 1 || len(s.contacts[0]) != packed {
			t.Errorf("after an hour: %d values", len(s.contacts))
		}
	})
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = err
}

func TestWhatCouldNotBeSavedIsTriedAgain(t *testing.T) {
	running(t, 1, nil, func(s *shelf, b *Book) {
		s.fail(errors.New("the disk is full"))
		b.Seen(fleet.Seen{Device: keyOf(0), At: time.Now(), By: fleet.HeardVersion, Said: fleet.Said{Version: "1.0"}})
		time.Sleep(time.Minute)
		s.fail(nil)
		time.Sleep(time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.records[keyOf(0)].Runs != "1.0" {
			t.Errorf("%d records", len(s.records))
		}
	})
}

// TestARestoredVersionIsMarkedUntilTheDeviceShowsIt: what was saved before the restore may be long past.
func TestARestoredVersionIsMarkedUntilTheDeviceShowsIt(t *testing.T) {
	s, b := play(t, said("1.0"))
	flushed(t, b)
	o := s.options()
	s.now = s.now.Add(time.Hour)
	o.Restored = s.now
	for range 2 { // also after a second start
		var err error
		if b, err = opened(o); err != nil {
			t.Fatal(err)
		}
		if got := sightingOf(b, 0); got.Runs != "1.0" || !got.Restored {
			t.Errorf("after the restore: %+v", got)
		}
		s.hears(b, time.Minute, bootID("x"))
		s.hears(b, time.Minute, bootID("y"))
		flushed(t, b)
	}
	s.hears(b, time.Minute, said("1.0"))
	if got := sightingOf(b, 0); got.Restored {
		t.Errorf("it says what it runs: %+v", got)
	}
	flushed(t, b)
	b, err := opened(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := sightingOf(b, 0); got.Restored {
		t.Errorf("and after a start: %+v", got)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	for _, v := range pack([]contact{{keyOf(0), noon.UnixMilli(), 300_000}, {keyOf(1), -5, 0}}) {
		f.Add(v)
		f.Add(v[:20])
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		n := 0
		for c := range unpack(value) {
			if _, err := fleet.ParseDeviceKey(string(c.device)); err != nil || c.heard < 0 {
				t.Errorf("%+v", c)
			}
			n++
		}
		if n > len(value)/packed {
			t.Errorf("%d contacts in %d bytes", n, len(value))
		}
	})
}

func TestContactsOfManyDevicesLieInFewValues(t *testing.T) {
	all := make([]contact, 10_000)
	for i := range all {
		all[i] = contact{keyOf(i), noon.Add(time.Duration(i) * time.Second).UnixMilli(), uint32(i)}
	}
	values := pack(all)
	n := 0
	for _, v := range values {
		if len(v) > mostPacked {
			t.Errorf("a value of %d bytes", len(v))
		}
		for c := range unpack(v) {
			if c != all[n] {
				t.Fatalf("contact %d is %+v", n, c)
			}
			n++
		}
	}
	if n != len(all) || len(values) != 5 {
		t.Errorf("%d contacts in %d values", n, len(values))
	}
}
