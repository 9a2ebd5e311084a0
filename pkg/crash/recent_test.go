package crash

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

var neverNewer Newer = func(a, b fleet.Version) bool { return false }

func TestCrashesAreCountedByTheDayForTheLastTwoWeeks(t *testing.T) {
	now := time.Date(2026, 3, 20, 23, 59, 0, 0, time.UTC)
	var tally Tally
	for _, ago := range []int{0, 0, 1, 13, 14, 40} {
		tally.Add(Crash{Uploaded: now.AddDate(0, 0, -ago)}, neverNewer)
	}
	if got, want := tally.Recent.Last(now), []int{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := tally.Recent.Last(now.Add(2*time.Minute)), []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("a day later %v, want %v", got, want)
	}
	copied := tally
	copied.Add(Crash{Uploaded: now}, neverNewer)
	if n := tally.Recent.Last(now)[13]; n != 2 {
		t.Errorf("adding to a copy makes the first %d", n)
	}
	for range 3 {
		copied.Uncount(Crash{Uploaded: now})
	}
	if n := copied.Recent.Last(now)[13]; n != 0 || copied.Count != 4 {
		t.Errorf("%d of today are left, and %d in all", n, copied.Count)
	}
	tally.Gather(copied, neverNewer)
	if got, want := tally.Recent.Last(now), []int{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("both %v, want %v", got, want)
	}
}

func TestDaysAreBoundedAndAClockThatWasAheadTakesOneDaysPlace(t *testing.T) {
	now := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	var tally Tally
	tally.Add(Crash{Uploaded: now.AddDate(10, 0, 0)}, neverNewer)
	for day := range 40 {
		tally.Add(Crash{Uploaded: now.AddDate(0, 0, day)}, neverNewer)
	}
	last := now.AddDate(0, 0, 39)
	if got, want := fmt.Sprint(tally.Recent.Last(last)), "[0 1 1 1 1 1 1 1 1 1 1 1 1 1]"; got != want || len(tally.Recent) != RecentDays {
		t.Errorf("%s of %d days, want %s", got, len(tally.Recent), want)
	}
}
