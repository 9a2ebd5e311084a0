package crash

import (
	"maps"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Count is what was counted in one hour or on one day.
type Count struct {
	Crashes int `json:"c,omitempty"` // dumps that were taken, decoded or not
	Devices int `json:"d,omitempty"` // different ones that crashed
	Heard   int `json:"h,omitempty"` // device-hours: devices that were heard in an hour, hour by hour
	Refused int `json:"r,omitempty"` // uploads of dumps
}

// Plus is the sum of two counts.
func (c Count) Plus(other Count) Count {
	return Count{c.Crashes + other.Crashes, c.Devices + other.Devices, c.Heard + other.Heard, c.Refused + other.Refused}
}

// Series counts by the hour for 48 hours and by the day for 90 days, both of UTC. It is bounded by its number of hours and
// days, and not by their age: a clock that is wrong for a while pushes little out.
type Series struct {
	Hours map[int64]Count `json:"h,omitempty"` // by hours since 1970
	Days  map[int64]Count `json:"d,omitempty"` // by days since 1970
}

// For so long hours and days are counted.
const (
	KeptHours = 48
	KeptDays  = 90

	secondsOfHour = 3600
	secondsOfDay  = 24 * secondsOfHour
)

func hourOf(at time.Time) int64 { return at.Unix() / secondsOfHour }
func dayOf(at time.Time) int64  { return at.Unix() / secondsOfDay }

// Add counts what happened at a time, and drops what is over the bound: what lies in the future first, as only a wrong
// clock has put it there, then what is oldest.
func (s *Series) Add(at, now time.Time, hour, day Count) {
	s.Hours = add(s.Hours, hourOf(at), hour, KeptHours, hourOf(now))
	s.Days = add(s.Days, dayOf(at), day, KeptDays, dayOf(now))
}

func add(counts map[int64]Count, at int64, n Count, most int, now int64) map[int64]Count {
	if n == (Count{}) {
		return counts
	}
	if counts == nil {
		counts = map[int64]Count{}
	}
	if counts[at] = counts[at].Plus(n); counts[at] == (Count{}) {
		delete(counts, at)
	}
	for len(counts) > most {
		times := slices.Sorted(maps.Keys(counts))
		if last := times[len(times)-1]; last > now {
			delete(counts, last)
		} else {
			delete(counts, times[0])
		}
	}
	return counts
}

// Crashed counts n crashes of one device, whose series this is, and says what that adds to the counts of many. A negative n
// takes crashes back that were counted, and only such.
func (s *Series) Crashed(at, now time.Time, n int) (hour, day Count) {
	hour, day = change(s.Hours[hourOf(at)], n), change(s.Days[dayOf(at)], n)
	s.Add(at, now, Count{Crashes: hour.Crashes}, Count{Crashes: day.Crashes})
	return hour, day
}

func change(have Count, n int) Count {
	n = max(n, -have.Crashes)
	c := Count{Crashes: n}
	switch {
	case have.Crashes == 0 && n > 0:
		c.Devices = 1
	case have.Crashes > 0 && have.Crashes+n == 0:
		c.Devices = -1
	}
	return c
}

// Gather adds what was counted of one device to the counts of many.
func (s *Series) Gather(device Series, now time.Time) {
	for hour, n := range device.Hours {
		s.Hours = add(s.Hours, hour, Count{Crashes: n.Crashes, Devices: 1}, KeptHours, hourOf(now))
	}
	for day, n := range device.Days {
		s.Days = add(s.Days, day, Count{Crashes: n.Crashes, Devices: 1}, KeptDays, dayOf(now))
	}
}

// Kept is what lies within the hours and days that are shown.
func (s Series) Kept(now time.Time) Series {
	return Series{Hours: within(s.Hours, hourOf(now), KeptHours), Days: within(s.Days, dayOf(now), KeptDays)}
}

func within(counts map[int64]Count, now, most int64) map[int64]Count {
	kept := map[int64]Count{}
	for at, n := range counts {
		if at > now-most && at <= now {
			kept[at] = n
		}
	}
	return kept
}

// LastHours is the sum of so many hours, the one that goes on included. Devices are those of each hour.
func (s Series) LastHours(n int64, now time.Time) Count { return sum(within(s.Hours, hourOf(now), n)) }

// LastDays is the sum of so many days, the one that goes on included. Devices are those of each day.
func (s Series) LastDays(n int64, now time.Time) Count { return sum(within(s.Days, dayOf(now), n)) }

func sum(counts map[int64]Count) (all Count) {
	for _, n := range counts {
		all = all.Plus(n)
	}
	return all
}

// Over reports that nothing of it is from the last 90 days.
func (s Series) Over(now time.Time) bool {
	for day := range s.Days {
		if day > dayOf(now)-KeptDays {
			return false
		}
	}
	return true
}

// Bucket is an hour or a day as people are shown it.
type Bucket struct {
	At      time.Time `json:"at"` // its begin
	Crashes int       `json:"crashes"`
	Devices int       `json:"devices"`
	Heard   int       `json:"device_hours"`
	Refused int       `json:"uploads_refused"`
}

// HourBuckets are the hours in which something was counted, oldest first.
func (s Series) HourBuckets() []Bucket { return buckets(s.Hours, secondsOfHour) }

// DayBuckets are the days on which something was counted, oldest first.
func (s Series) DayBuckets() []Bucket { return buckets(s.Days, secondsOfDay) }

func buckets(counts map[int64]Count, seconds int64) []Bucket {
	all := make([]Bucket, 0, len(counts))
	for _, at := range slices.Sorted(maps.Keys(counts)) {
		n := counts[at]
		all = append(all, Bucket{time.Unix(at*seconds, 0).UTC(), n.Crashes, n.Devices, n.Heard, n.Refused})
	}
	return all
}

// VersionSeries is what was counted of one version: of a model, or of a group.
type VersionSeries struct {
	Version string
	Series
}

// ByVersion puts series in the order of their versions' names.
func ByVersion(series map[string]Series) []VersionSeries {
	all := make([]VersionSeries, 0, len(series))
	for _, v := range slices.Sorted(maps.Keys(series)) {
		all = append(all, VersionSeries{v, series[v]})
	}
	return all
}

// DeviceCount is what a group, or one of its chains, has counted of one device.
type DeviceCount struct {
	Device   fleet.DeviceKey          `json:"-"`         // in its key
	Count    int                      `json:"count"`     // since it is counted; 0: not known
	LastSeen time.Time                `json:"last_seen"` // zero: not known
	Versions map[fleet.Version]Series `json:"versions,omitempty"`
}

// mostOfDevice are the versions in which a device's crashes are counted apart: those that crashed last.
const mostOfDevice = 8

// Add counts a crash.
func (d *DeviceCount) Add(c Crash, now time.Time) {
	d.Count++
	if c.Uploaded.After(d.LastSeen) {
		d.LastSeen = c.Uploaded
	}
	if d.Versions == nil {
		d.Versions = map[fleet.Version]Series{}
	}
	s := d.Versions[c.Version]
	s.Crashed(c.Uploaded, now, 1)
	d.Versions[c.Version] = s
	for len(d.Versions) > mostOfDevice {
		delete(d.Versions, d.oldest())
	}
}

func (d *DeviceCount) oldest() (version fleet.Version) {
	least := int64(-1)
	for v, s := range d.Versions {
		last := int64(0)
		for day := range s.Days {
			last = max(last, day)
		}
		if least < 0 || last < least || last == least && v < version {
			version, least = v, last
		}
	}
	return version
}

// Remove takes a crash back that is counted elsewhere now.
func (d *DeviceCount) Remove(c Crash, now time.Time) {
	d.Count = max(d.Count-1, 0)
	s, ok := d.Versions[c.Version]
	if !ok {
		return
	}
	s.Crashed(c.Uploaded, now, -1)
	if d.Versions[c.Version] = s; len(s.Days) == 0 {
		delete(d.Versions, c.Version)
	}
}

// Plus adds what another chain of the group has counted of the same device.
func (d DeviceCount) Plus(other DeviceCount, now time.Time) DeviceCount {
	d.Count += other.Count
	if other.LastSeen.After(d.LastSeen) {
		d.LastSeen = other.LastSeen
	}
	versions := maps.Clone(d.Versions)
	if versions == nil {
		versions = map[fleet.Version]Series{}
	}
	for v, s := range other.Versions {
		both := versions[v]
		both.Hours, both.Days = maps.Clone(both.Hours), maps.Clone(both.Days)
		for hour, n := range s.Hours {
			both.Hours = add(both.Hours, hour, n, KeptHours, hourOf(now))
		}
		for day, n := range s.Days {
			both.Days = add(both.Days, day, n, KeptDays, dayOf(now))
		}
		versions[v] = both
	}
	d.Versions = versions
	return d
}

// Counted are the counters of a model's versions, with those hours added that the catalog does not have yet.
func Counted(stored []VersionSeries, waiting []fleet.HourCount, code fleet.ModelCode, now time.Time) map[string]Series {
	all := map[string]Series{}
	for _, v := range stored {
		all[v.Version] = v.Series
	}
	for _, h := range waiting {
		if h.Model != code {
			continue
		}
		s := all[h.Version]
		n := Count{Heard: h.Heard, Refused: h.Refused}
		s.Add(h.Hour, now, n, n)
		all[h.Version] = s
	}
	return all
}
