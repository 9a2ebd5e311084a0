package sighting

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A device counts for an hour when it is heard in it, once, for the version that it runs after that contact. Between two
// contacts it counts for each hour, for the version that it ran then, where nothing says that it was off: it is heard again
// while it is live by its own rhythm, or it asks at its boots only, whose silence says nothing. So a device that asks every
// three hours counts as much as one that asks every five minutes, and one that boots once a day as much as both. A longer
// gap counts as mostBetween hours: one that lay on a shelf for a month must not make a bad version look good.
//
// The counts wait
// in memory for the contacts' hourly packing, and are stored right after these: after a kill the book goes on from the
// contacts, and counts no hour of a device twice. What was not stored by then is lost, two hours of a device at most.

const secondsOfHour = 3600

// mostBetween are counted of the hours between two contacts: those of a day.
const mostBetween = 24

// mostHours bounds what waits: models, versions and hours. Devices can make versions up.
const mostHours = 4096

type hourKey struct {
	model   fleet.ModelCode
	version string
	hour    int64 // since 1970
}

type hourCount struct{ heard, refused int }

// countHour counts the hour of a contact. A clock that was set back by a little has the hour that was counted already; one
// that was set back further counts anew, as hours do pass while it was wrong. The caller holds mu.
func (b *Book) countHour(e *entry, wall int64) {
	hour := hourOf(wall)
	if hour <= e.hour && hour+1 >= e.hour {
		return
	}
	e.hour = hour
	b.addHour(e.model, e.Runs, hour, hourCount{heard: 1})
}

// countBetween counts the hours between the last contact and one that begins now, before that one is taken in. A clock that
// went forward has no more hours than have passed. The caller holds mu.
func (b *Book) countBetween(e *entry, wall int64, now moment) {
	if e.Heard == 0 || e.hour == 0 || hourOf(wall) <= e.hour+1 {
		return
	}
	if state := e.state(now, b.floors); state != fleet.Live && state != fleet.BootsOnly {
		return
	}
	until := hourOf(wall)
	from := max(e.hour+1, until-mostBetween)
	if e.last > 0 { // else the gateway was away in between, and only the clock knows
		from = max(from, until-int64((now-e.last)/(1000*secondsOfHour)))
	}
	for hour := from; hour < until; hour++ {
		e.hour = hour
		b.addHour(e.model, e.Runs, hour, hourCount{heard: 1})
	}
}

// hourOf is the hour since 1970 that a time in milliseconds lies in.
func hourOf(wall int64) int64 { return wall / (1000 * secondsOfHour) }

func (b *Book) addHour(model fleet.ModelCode, version string, hour int64, n hourCount) {
	key := hourKey{model, version, hour}
	if _, known := b.hours[key]; !known && len(b.hours) >= mostHours {
		key.version = otherVersions
	}
	have := b.hours[key]
	b.hours[key] = hourCount{have.heard + n.heard, have.refused + n.refused}
}

// Refused counts a dump of a device that was not taken, for the version that it declared, or else that it runs.
func (b *Book) Refused(device fleet.DeviceKey, declared string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.devices[device]
	if e == nil {
		return
	}
	version := e.Runs
	if v, err := fleet.ParseVersion(declared); err == nil {
		version = b.word(strings.Clone(string(v)))
	}
	b.addHour(e.model, version, at.Unix()/secondsOfHour, hourCount{refused: 1})
}

// Hours are the counts that are not stored yet.
func (b *Book) Hours() []fleet.HourCount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waitingHours()
}

func (b *Book) waitingHours() []fleet.HourCount {
	all := make([]fleet.HourCount, 0, len(b.hours))
	for key, n := range b.hours {
		all = append(all, fleet.HourCount{
			Model: key.model, Version: key.version, Hour: time.Unix(key.hour*secondsOfHour, 0).UTC(), Heard: n.heard, Refused: n.refused,
		})
	}
	slices.SortFunc(all, func(a, b fleet.HourCount) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Version, b.Version))
	})
	return all
}

// mostSaved are stored at once: a version's counters have 6 kB at most, and a transaction of the catalog 512 KiB.
const mostSaved = 64

func (b *Book) saveHours(ctx context.Context, hours []fleet.HourCount) error {
	for some := range slices.Chunk(hours, mostSaved) {
		if err := b.options.Store.SaveHours(ctx, some); err != nil {
			return err
		}
		b.stored(some)
	}
	return b.options.Store.ForgetCounted(ctx)
}

// stored takes away what is stored. What was counted meanwhile waits on.
func (b *Book) stored(hours []fleet.HourCount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range hours {
		key := hourKey{h.Model, h.Version, h.Hour.Unix() / secondsOfHour}
		left := b.hours[key]
		left.heard, left.refused = left.heard-h.Heard, left.refused-h.Refused
		if b.hours[key] = left; left == (hourCount{}) {
			delete(b.hours, key)
		}
	}
}

// Versions counts the devices of a model by what they run, in the order of the versions' names.
func (b *Book) Versions(code fleet.ModelCode) []fleet.VersionRuns {
	counts := map[string]*fleet.VersionRuns{}
	for share, n := range b.Count() {
		if share.Model != code {
			continue
		}
		v := counts[share.Version]
		if v == nil {
			v = &fleet.VersionRuns{Version: share.Version}
			counts[share.Version] = v
		}
		v.Devices += n
		switch share.State {
		case fleet.Live:
			v.Live += n
		case fleet.Late:
			v.Late += n
		case fleet.Silent:
			v.Silent += n
		case fleet.Never:
			v.Never += n
		case fleet.BootsOnly:
			v.BootsOnly += n
		}
	}
	all := make([]fleet.VersionRuns, 0, len(counts))
	for _, v := range counts {
		all = append(all, *v)
	}
	slices.SortFunc(all, func(a, b fleet.VersionRuns) int { return cmp.Compare(a.Version, b.Version) })
	return all
}
