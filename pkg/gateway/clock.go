package gateway

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
)

// clock knows which times cannot be right.
type clock struct {
	store *catalog.Catalog
	built time.Time
}

// earliest is the first time that is believed.
func (c clock) earliest() time.Time {
	known, err := c.store.LastKnownTime()
	if err != nil {
		return c.built
	}
	return believedFrom(known, c.built)
}

const (
	mostBehind = 30 * 24 * time.Hour // behind the noted time: the noted one may have been a little ahead
	mostAhead  = 24 * time.Hour      // of the noted time, to be noted at once
	mustStand  = 24 * time.Hour      // a clock that is farther ahead, until it is noted
)

// believedFrom is the first time that is believed: not before the build, and not far behind what was noted.
func believedFrom(noted, built time.Time) time.Time {
	if from := noted.Add(-mostBehind); from.After(built) {
		return from
	}
	return built
}

// leap is a clock that has jumped ahead, watched until it has stood for a day of the monotonic clock. A restart forgets it,
// and the day begins again.
type leap struct {
	first time.Time     // what the clock said
	since time.Duration // when it did, by the monotonic clock
	seen  bool
}

// note says whether a believed time is to be noted. uptime is the monotonic clock's.
func (l *leap) note(now, noted time.Time, uptime time.Duration) bool {
	now = now.Round(0) // the wall clock is in question: it is not compared by the monotonic one
	if now.Sub(noted) <= mostAhead {
		l.seen = false
		return now.After(noted)
	}
	stood := uptime - l.since
	if off := now.Sub(l.first) - stood; !l.seen || off.Abs() > mostAhead {
		*l = leap{first: now, since: uptime, seen: true} // a new jump, or another one
		return false
	}
	return stood >= mustStand
}
