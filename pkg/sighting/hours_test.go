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
	if len(got) != 2 || got[0] != (fleet.VersionRuns{Devices: 2}) || got[1] != (fleet.VersionRuns{Version: "1.0", Devices: 1, Live: 1}) {
		t.Errorf("%+v", got)
	}
}
