package sighting

import (
	"errors"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// halting is a shelf that gives out its first device, and waits; it may fail then.
type halting struct {
	*shelf
	first, more chan struct{}
	fails       int
}

func newHalting(s *shelf, fails int) *halting {
	return &halting{shelf: s, first: make(chan struct{}), more: make(chan struct{}), fails: fails}
}

func (h *halting) EachDevice(yield func(fleet.Device) error) error {
	return h.shelf.EachDevice(func(d fleet.Device) error {
		if err := yield(d); err != nil || d.Key != h.devices[0].Key {
			return err
		}
		if h.first != nil {
			close(h.first)
			h.first = nil
			<-h.more
		}
		if h.fails > 0 {
			h.fails--
			return errors.New("not now")
		}
		return nil
	})
}

func TestWhoAsksWhileABookIsReadWaitsForAllOfIt(t *testing.T) {
	h := newHalting(shelfOf(3, ""), 0)
	first := h.first
	o := h.options()
	o.Store = h
	b := Open(o)
	<-first
	asks, told := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		close(asks)
		b.EachDevice("pump", func(fleet.Placed) { n++ })
		told <- n
	}()
	<-asks
	close(h.more)
	if n := <-told; n != 3 {
		t.Errorf("told of %d devices of 3", n)
	}
	if err := b.Read(); err != nil {
		t.Error(err)
	}
}

// TestABookThatCouldNotBeReadForgetsNothing: it is read once more when it is asked how that ended, and while it was not read whole
// its end leaves alone what is saved.
func TestABookThatCouldNotBeReadForgetsNothing(t *testing.T) {
	s := shelfOf(3, "")
	b := s.open(t)
	for range 2 { // what is the same the second time has no record of its own
		s.now = s.now.Add(time.Minute)
		for n := range 3 {
			b.Seen(fleet.Seen{Device: keyOf(n), At: s.now, By: fleet.HeardVersion, Address: address})
		}
		if err := b.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	heard := s.now
	h := newHalting(s, 2)
	close(h.more)
	o := h.options()
	o.Store = h
	b = Open(o)
	if err := b.Read(); err == nil {
		t.Error("two failures, and it was read")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Read(); err != nil {
		t.Error(err)
	}
	for n := range 3 {
		if got := sightingOf(b, n); !got.HeardAt.Equal(heard) {
			t.Errorf("device %d was heard at %s, want %s", n, got.HeardAt, heard)
		}
	}
	if got := sightingOf(s.open(t), 2); !got.HeardAt.Equal(heard) {
		t.Errorf("after the next start it was heard at %s, want %s", got.HeardAt, heard)
	}
}

func TestABookIsWatchedBeforeItWasRead(t *testing.T) {
	h := newHalting(shelfOf(3, ""), 0)
	first := h.first
	o := h.options()
	o.Store = h
	b := Open(o)
	<-first
	w := told{book: b}
	watched := make(chan struct{})
	go func() {
		b.Watch(&w)
		close(watched)
	}()
	select {
	case <-watched:
	case <-time.After(time.Minute):
		t.Error("who watches waits until the book is read")
	}
	close(h.more)
	if err := b.Read(); err != nil {
		t.Fatal(err)
	}
	// What was read is no news.
	b.DeviceRemoved(h.devices[0].Key)
	if got := w.all; len(got) != 1 || got[0] != string(h.devices[0].Key)+" removed" {
		t.Errorf("told %q", got)
	}
}
