package gateway

import (
	"fmt"
	"time"

	"github.com/slipway-gateway/slipway/pkg/catalog"
	"github.com/slipway-gateway/slipway/pkg/fleet"
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

// believed reports that the clock is not known to be wrong.
func (c clock) believed() bool { return !time.Now().Before(c.earliest()) }

// accept notes the time that the clock says, whatever was noted, back too: a person has looked at it.
func (c clock) accept(now time.Time) error {
	if now.Before(c.built) {
		return fleet.Refused("the clock says %s, and this slipway was built on %s: set the clock first", rfc3339(now), rfc3339(c.built))
	}
	return c.store.NoteTime(now)
}

// trouble says what is wrong with the clock. A gateway that has noted no time yet has nothing to compare with.
func (c clock) trouble(now time.Time) string {
	noted, err := c.store.LastKnownTime()
	if err != nil {
		return ""
	}
	return clockTrouble(now, noted, c.built)
}

func clockTrouble(now, noted, built time.Time) string {
	switch earliest := believedFrom(noted, built); {
	case now.Before(built):
		return fmt.Sprintf("the clock is wrong: it says %s, and this slipway was built on %s; no tokens are given out: set the clock", rfc3339(now), rfc3339(built))
	case now.Before(earliest):
		return fmt.Sprintf("the clock is wrong, or was ahead for long: it says %s, which is before %s, and no tokens are given out: set it, or if it is right, slipway clock accept",
			rfc3339(now), rfc3339(earliest))
	case !noted.IsZero() && now.Sub(noted) > mostAhead && now.Sub(built) > mostAhead:
		return fmt.Sprintf("the clock says %s, more than a day after the last noted time, %s: it is noted when it has stood for a day; if it is right, slipway clock accept",
			rfc3339(now), rfc3339(noted))
	}
	return ""
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

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
