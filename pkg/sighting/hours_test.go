package sighting

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func hoursText(hours []fleet.HourCount) string {
	var lines []string
	for _, h := range hours {
		lines = append(lines, fmt.Sprintf("%s %s %d/%d", h.Hour.Format("15:04"), h.Version, h.Heard, h.Refused))
	}
	return strings.Join(lines, ", ")
}

func saying(version string) fleet.Seen { return fleet.Seen{Said: fleet.Said{Version: version}} }

func TestADeviceCountsOnceForEachHourInWhichItIsHeard(t *testing.T) {
	s := shelfOf(2, "")
	b := s.open(t)
	for range 25 { // five minutes each: 12:05 to 14:05
		s.hears(b, 5*time.Minute, saying("1.0"))
	}
	other := saying("1.1")
	other.Device = keyOf(1)
	s.hears(b, 0, other)
	if got, want := hoursText(b.Hours()), "12:00 1.0 1/0, 13:00 1.0 1/0, 14:00 1.0 1/0, 14:00 1.1 1/0"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func TestAClockThatSteppedBackCountsNoHourTwiceAndGoesOn(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	for _, step := range []time.Duration{50 * time.Minute, 20 * time.Minute, -20 * time.Minute, 20 * time.Minute, time.Hour} {
		s.hears(b, step, saying("1.0")) // 12:50, 13:10, 12:50, 13:10, 14:10
	}
	if got, want := hoursText(b.Hours()), "12:00 1.0 1/0, 13:00 1.0 1/0, 14:00 1.0 1/0"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	s.hears(b, -5*time.Hour, saying("1.0")) // it was five hours ahead
	s.hears(b, time.Hour, saying("1.0"))
	if got, want := hoursText(b.Hours()), "09:00 1.0 1/0, 10:00 1.0 1/0, 12:00 1.0 1/0, 13:00 1.0 1/0, 14:00 1.0 1/0"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func TestHoursAreStoredWithTheContactsOnceAndAKillCountsNoneTwice(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	s.hears(b, 5*time.Minute, saying("1.0"))
	s.fails = errors.New("the disk is full")
	if err := b.Pack(t.Context()); err == nil || len(b.Hours()) != 1 {
		t.Errorf("what could not be stored does not wait: %v, %v", b.Hours(), err)
	}
	s.fails = nil
	for range 2 {
		if err := b.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.hears(b, 5*time.Minute, saying("1.0"))
	if got := hoursText(s.hours); got != "12:00 1.0 1/0" || len(b.Hours()) != 0 {
		t.Errorf("stored %s, and %v wait", got, b.Hours())
	}

	again := s.open(t) // as after a kill: nobody has closed the book
	s.hears(again, 5*time.Minute, saying("1.0"))
	if got := again.Hours(); len(got) != 0 {
		t.Errorf("counted twice: %s", hoursText(got))
	}
	s.hears(again, time.Hour, saying("1.0"))
	s.hears(again, 0, saying("1.0"))
	if err := again.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	third := s.open(t) // and that hour was not stored
	s.hears(third, time.Minute, saying("1.0"))
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := hoursText(s.hours), "12:00 1.0 1/0, 13:00 1.0 1/0"; got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
}

func TestARefusedDumpCountsForTheVersionThatItDeclares(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	s.hears(b, time.Minute, saying("1.0"))
	b.Refused(keyOf(0), "1.1", s.now)
	b.Refused(keyOf(0), "no/version", s.now)
	b.Refused(keyOf(7), "1.1", s.now) // nobody knows it
	if got, want := hoursText(b.Hours()), "12:00 1.0 1/1, 12:00 1.1 0/1"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func TestVersionsThatDevicesMakeUpAreBounded(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	for n := range 2 * mostHours {
		b.Refused(keyOf(0), fmt.Sprint(n), s.now)
	}
	refused := 0
	for _, h := range b.Hours() {
		refused += h.Refused
	}
	if len(b.Hours()) > mostHours+1 || refused != 2*mostHours {
		t.Errorf("%d wait with %d", len(b.Hours()), refused)
	}
}

func TestTheDevicesOfAModelAreCountedByVersion(t *testing.T) {
	s := shelfOf(3, "")
	b := s.open(t)
	s.hears(b, time.Minute, saying("1.0"))
	got := b.Versions("pump")
	if len(got) != 2 || got[0] != (fleet.VersionRuns{Devices: 2, Never: 2}) || got[1] != (fleet.VersionRuns{Version: "1.0", Devices: 1, Live: 1}) {
		t.Errorf("%+v", got)
	}
}

// boots is a device of the kind that asks at its boots only: a token, and the configuration a few seconds later.
func (s *shelf) boots(b *Book, after time.Duration, version string) {
	s.hears(b, after, fleet.Seen{By: fleet.HeardToken})
	s.hears(b, 3*time.Second, fleet.Seen{By: fleet.HeardConfig, Said: fleet.Said{Version: version}})
}

// heardHours is how many device-hours are counted, by version.
func heardHours(b *Book) string {
	counts := map[string]int{}
	for _, h := range b.Hours() {
		counts[h.Version] += h.Heard
	}
	return fmt.Sprint(counts) // in the order of the versions
}

func TestADeviceThatIsHeardRarelyCountsForTheHoursInWhichItRan(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for name, c := range map[string]struct {
		play func(s *shelf, b *Book)
		want string
	}{
		"it boots once a day": {func(s *shelf, b *Book) {
			for range 5 {
				s.boots(b, day, "1.0")
			}
		}, "map[:1 1.0:73]"}, // 3 days, and two hours of when nobody knew its rhythm
		"it boots once a day, and is updated": {func(s *shelf, b *Book) {
			for range 4 {
				s.boots(b, day, "1.0")
			}
			s.boots(b, day, "1.1") // until now it ran 1.0
			s.boots(b, day, "1.1")
		}, "map[:1 1.0:73 1.1:24]"},
		"it boots after a month in a drawer": {func(s *shelf, b *Book) {
			for range 4 {
				s.boots(b, hour, "1.0")
			}
			s.boots(b, 30*day, "1.0")
		}, "map[:1 1.0:28]"},
		"it asks every three hours": {func(s *shelf, b *Book) {
			for range 9 {
				s.hears(b, 3*hour, saying("1.0"))
			}
		}, "map[1.0:23]"},
		"it asks every five minutes, and is off for the night": {func(s *shelf, b *Book) {
			for range 24 {
				s.hears(b, 5*time.Minute, saying("1.0"))
			}
			s.hears(b, 12*hour, saying("1.0"))
		}, "map[1.0:4]"}, // 12:05 to 14:00, and 02:00
		"its clock goes forward, and it asks at boots only": {func(s *shelf, b *Book) {
			for range 4 {
				s.boots(b, time.Minute, "1.0")
			}
			b.epoch = b.epoch.Add(10 * hour) // the clock went forward, and no hour has passed
			s.boots(b, 10*hour, "1.0")
		}, "map[:1 1.0:1]"},
		"its broker says when it goes": {func(s *shelf, b *Book) {
			for range 4 {
				s.boots(b, hour, "1.0")
			}
			s.hears(b, 5*hour, fleet.Seen{By: fleet.HeardMQTT, Said: fleet.Said{Offline: true}})
			s.boots(b, 10*hour, "1.0")
		}, "map[:1 1.0:8]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shelfOf(1, "")
			b := s.open(t)
			c.play(s, b)
			if got := heardHours(b); got != c.want {
				t.Errorf("counted are %s, want %s", got, c.want)
			}
		})
	}
}

func TestARareDeviceCountsForTheHoursOverARestart(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	for range 4 {
		s.boots(b, 24*time.Hour, "1.0")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	counted := len(s.hours)
	s.now = s.now.Add(10 * time.Hour)
	b = s.open(t)
	s.boots(b, 14*time.Hour, "1.0")
	if got := heardHours(b); got != "map[1.0:24]" {
		t.Errorf("after %d that are stored: %s", counted, got)
	}
}
