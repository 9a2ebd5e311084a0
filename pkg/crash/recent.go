package crash

import (
	"slices"
	"strings"
	"time"
)

// DayCount is how often something crashed on a day of UTC.
type DayCount struct {
	Day   string `json:"day"` // such as 2026-11-28
	Count int    `json:"count"`
}

// Recent is how often something crashed by the day, for the last RecentDays on which it did, in their order. It is bounded by
// their number and not by their age: a clock that was ahead once takes a day's place and not that of all.
type Recent []DayCount

// RecentDays are kept, and shown.
const RecentDays = 14

func on(at time.Time, n int) Recent { return Recent{{at.UTC().Format(time.DateOnly), n}} }

// plus is a new sum: copies of what is counted share their days. Days with none are left out.
func (r Recent) plus(other Recent) Recent {
	sum := slices.Clone(r)
	for _, o := range other {
		i, there := slices.BinarySearchFunc(sum, o.Day, func(c DayCount, day string) int { return strings.Compare(c.Day, day) })
		if there {
			sum[i].Count += o.Count
		} else {
			sum = slices.Insert(sum, i, o)
		}
	}
	sum = slices.DeleteFunc(sum, func(c DayCount) bool { return c.Count <= 0 })
	return sum[max(0, len(sum)-RecentDays):]
}

// Last are the counts of the last RecentDays up to now, the last of today.
func (r Recent) Last(now time.Time) []int {
	counts := make([]int, RecentDays)
	for i := range counts {
		day := now.UTC().AddDate(0, 0, i+1-RecentDays).Format(time.DateOnly)
		for _, c := range r {
			if c.Day == day {
				counts[i] = c.Count
			}
		}
	}
	return counts
}
