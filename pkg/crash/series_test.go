package crash

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var monday = time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)

// A version's record is written at each of its crashes and once an hour.
func TestASeriesStaysUnderSixKilobytesHoweverLongItCounts(t *testing.T) {
	var s Series
	n := Count{Crashes: 12, Devices: 11, Heard: 2666, Refused: 3}
	for hour := range 200 * 24 {
		at := monday.Add(time.Duration(hour) * time.Hour)
		s.Add(at, at, n, n)
	}
	b, err := json.Marshal(s)
	t.Logf("%d bytes", len(b))
	if err != nil || len(b) > 6000 || len(s.Hours) != KeptHours || len(s.Days) != KeptDays {
		t.Errorf("%d hours and %d days in %d bytes, %v", len(s.Hours), len(s.Days), len(b), err)
	}
	now := monday.Add(200*24*time.Hour - time.Second)
	if got := s.LastDays(7, now); got.Crashes != 7*24*12 || got.Heard != 7*24*2666 {
		t.Errorf("of seven days %+v", got)
	}
}

func TestWhatAWrongClockPutIntoTheFutureGoesFirst(t *testing.T) {
	var s Series
	for hour := range KeptHours {
		at := monday.Add(time.Duration(hour) * time.Hour)
		s.Add(at, at, Count{Crashes: 1}, Count{Crashes: 1})
	}
	now := monday.Add((KeptHours - 1) * time.Hour)
	delete(s.Hours, hourOf(monday))
	s.Add(now.AddDate(1, 0, 0), now.AddDate(1, 0, 0), Count{Crashes: 1}, Count{Crashes: 1})
	s.Add(monday, now, Count{Crashes: 1}, Count{Crashes: 1})
	if got := s.LastHours(KeptHours, now).Crashes; got != KeptHours {
		t.Errorf("%d hours of %d are left", got, KeptHours)
	}
}

func TestTakingBackACrashThatWasNeverCountedChangesNothing(t *testing.T) {
	var device Series
	if hour, day := device.Crashed(monday, monday, -1); hour != (Count{}) || day != (Count{}) {
		t.Errorf("%+v, %+v", hour, day)
	}
	for _, step := range []struct{ n, crashes, devices int }{{1, 1, 1}, {1, 1, 0}, {-1, -1, 0}, {-1, -1, -1}, {-1, 0, 0}} {
		hour, day := device.Crashed(monday, monday, step.n)
		if want := (Count{Crashes: step.crashes, Devices: step.devices}); hour != want || day != want {
			t.Errorf("%+d: %+v and %+v, want %+v", step.n, hour, day, want)
		}
	}
}

func TestOfADeviceTheVersionsThatCrashedLastAreKept(t *testing.T) {
	var d DeviceCount
	for n := range 3 * mostOfDevice {
		at := monday.AddDate(0, 0, n)
		d.Add(Crash{Version: fleet.Version(fmt.Sprintf("1.%d", n)), Uploaded: at}, at)
	}
	if len(d.Versions) != mostOfDevice || d.Count != 3*mostOfDevice {
		t.Errorf("%d versions, %d crashes", len(d.Versions), d.Count)
	}
	if _, kept := d.Versions["1.23"]; !kept {
		t.Error("the last is gone")
	}
}
