package sighting

import (
	"errors"
	"testing"
	"time"
)

// restart stops the book, in order or by a kill, and opens it again after some time.
func (s *shelf) restart(t *testing.T, b *Book, killed bool, away time.Duration) *Book {
	t.Helper()
	if !killed {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	o := s.options()
	o.Stopped = s.now
	s.now = s.now.Add(away)
	b, err := opened(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestADarkLineStaysDarkOverARestartAndIsLitOnce(t *testing.T) {
	for name, killed := range map[string]bool{"a stop": false, "a kill": true} {
		t.Run(name, func(t *testing.T) {
			s := shelfOf(40, "hall3")
			b := s.open(t)
			s.pollers(b, 40, 2*time.Hour, func(int) bool { return false })
			if err := b.Pack(t.Context()); err != nil { // as it is done each hour
				t.Fatal(err)
			}
			all := func(int) bool { return true }
			s.pollers(b, 40, 20*time.Minute, all)
			since := b.Lines()["hall3"]
			for range 2 {
				b = s.restart(t, b, killed, 10*time.Minute)
				if got := b.Lines()["hall3"]; len(s.changes) != 1 || since.IsZero() || !got.Equal(since) {
					t.Fatalf("dark since %s and after the start since %s, %+v", since, got, s.changes)
				}
				s.pollers(b, 40, time.Hour, all)
				if len(s.changes) != 1 {
					t.Fatalf("an hour after the start: %+v", s.changes)
				}
			}
			s.pollers(b, 40, 6*time.Minute, func(i int) bool { return i >= 19 })
			b = s.restart(t, b, killed, time.Minute) // and those who came back before it may not be heard after it
			s.pollers(b, 40, 6*time.Minute, func(i int) bool { return i < 19 || i >= 20 })
			last := s.changes[len(s.changes)-1]
			if killed { // what was heard since the last packing is lost
				s.pollers(b, 40, 6*time.Minute, func(i int) bool { return i >= 20 })
				last = s.changes[len(s.changes)-1]
			}
			if len(s.changes) != 2 || last.Dark || last.Devices != 40 || !last.Since.Equal(since) {
				t.Errorf("20 of 40 are back: %+v", s.changes)
			}
		})
	}
}

// TestWhoDidNotComeBackWithItsLineIsNoSecondDarknessAfterARestart: half of a line came back, and the other half counts no
// more until it does.
func TestWhoDidNotComeBackWithItsLineIsNoSecondDarknessAfterARestart(t *testing.T) {
	s := shelfOf(40, "hall3")
	b := s.open(t)
	half := func(i int) bool { return i >= 20 }
	s.pollers(b, 40, 2*time.Hour, func(int) bool { return false })
	s.pollers(b, 40, 20*time.Minute, func(int) bool { return true })
	s.pollers(b, 40, 20*time.Minute, half)
	if len(s.changes) != 2 {
		t.Fatalf("dark and lit: %+v", s.changes)
	}
	b = s.restart(t, b, false, time.Minute)
	s.pollers(b, 40, time.Hour, half)
	if len(s.changes) != 2 {
		t.Errorf("after the start: %+v", s.changes)
	}
	s.pollers(b, 40, 20*time.Minute, func(int) bool { return false })
	b = s.restart(t, b, false, time.Minute)
	s.look(b)
	if len(s.lines) != 0 {
		t.Errorf("all are back, and stored is %+v", s.lines)
	}
}

func TestALineThatCouldNotBeStoredIsToldLater(t *testing.T) {
	s := shelfOf(4, "hall3")
	b := s.open(t)
	s.pollers(b, 4, 2*time.Hour, func(int) bool { return false })
	s.fails = errors.New("the disk is full")
	s.pollers(b, 4, 20*time.Minute, func(int) bool { return true })
	s.pollers(b, 4, 20*time.Minute, func(int) bool { return false })
	if len(s.changes) != 0 {
		t.Fatalf("stored nowhere: %+v", s.changes)
	}
	s.fails = nil
	s.look(b)
	if len(s.changes) != 2 || !s.changes[0].Dark || s.changes[1].Dark {
		t.Errorf("told are %+v", s.changes)
	}
}
