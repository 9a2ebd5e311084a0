package gateway

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	day   = 24 * time.Hour
	years = 10 * 365 * day
)

var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// simulated is a gateway's day in minutes: offset is what the clock is off by.
type simulated struct {
	noted  time.Time
	leap   leap
	uptime time.Duration
	truth  time.Time
}

func (s *simulated) run(d, offset time.Duration) {
	for end := s.uptime + d; s.uptime < end; s.uptime += time.Minute {
		now := s.truth.Add(offset)
		if !now.Before(believedFrom(s.noted, built)) && s.leap.note(now, s.noted, s.uptime) {
			s.noted = now
		}
		s.truth = s.truth.Add(time.Minute)
	}
}

func TestAClockThatWasAheadOnceLocksNobodyOut(t *testing.T) {
	for name, test := range map[string]struct {
		steps    []time.Duration // how long, and how far off, in turn
		off      time.Duration   // of the clock that is asked for a token in the end
		believed bool
	}{
		"ten years ahead for a minute":       {[]time.Duration{time.Hour, 0, 2 * time.Minute, years}, 0, true},
		"ten years ahead for 23 hours":       {[]time.Duration{time.Hour, 0, 23 * time.Hour, years}, 0, true},
		"ten years ahead, and again":         {[]time.Duration{23 * time.Hour, years, time.Hour, 0, 23 * time.Hour, years}, 0, true},
		"another jump begins the day anew":   {[]time.Duration{23 * time.Hour, years, 23 * time.Hour, 2 * years}, 0, true},
		"ten years ahead for two days":       {[]time.Duration{time.Hour, 0, 2 * day, years}, 0, false},
		"and it goes on there":               {[]time.Duration{time.Hour, 0, 2 * day, years}, years, true},
		"a step back of a minute":            {[]time.Duration{time.Hour, 0}, -2 * time.Minute, true},
		"29 days behind":                     {[]time.Duration{90 * day, 0}, -29 * day, true},
		"31 days behind":                     {[]time.Duration{90 * day, 0}, -31 * day, false},
		"before the build":                   {[]time.Duration{time.Hour, 0}, -2 * day, false},
		"1970 at the start":                  {[]time.Duration{time.Hour, -56 * 365 * day}, -56 * 365 * day, false},
		"1970 at the start, then set":        {[]time.Duration{time.Hour, -56 * 365 * day}, 0, true},
		"ahead by less than a day, then not": {[]time.Duration{time.Hour, 20 * time.Hour}, 0, true},
	} {
		s := &simulated{truth: built.Add(day)}
		s.noted = built
		for i := 0; i < len(test.steps); i += 2 {
			s.run(test.steps[i], test.steps[i+1])
		}
		now := s.truth.Add(test.off)
		if got := !now.Before(believedFrom(s.noted, built)); got != test.believed {
			t.Errorf("%s: %s is believed: %t, noted is %s", name, now, got, s.noted)
		}
	}
}

func TestTheTimeThatAPersonAcceptsIsNotedBackToo(t *testing.T) {
	store := openCatalog(t)
	c := clock{store, built}
	noted := func(want time.Time) {
		t.Helper()
		if got, err := store.LastKnownTime(); err != nil || !got.Equal(want) {
			t.Errorf("noted is %s, %v; want %s", got, err, want)
		}
	}
	ahead, now := built.AddDate(10, 0, 0), built.Add(day)
	if err := store.NoteTime(ahead); err != nil { // it stood there for a day
		t.Fatal(err)
	}
	if !now.Before(c.earliest()) || !strings.Contains(c.trouble(now), "slipway clock accept") {
		t.Errorf("believed from %s; trouble: %s", c.earliest(), c.trouble(now))
	}
	if err := c.accept(built.Add(-time.Second)); !errors.Is(err, fleet.ErrRefused) {
		t.Errorf("a clock from before the build: %v", err)
	}
	noted(ahead)
	if err := c.accept(now); err != nil {
		t.Fatal(err)
	}
	noted(now)
	if now.Before(c.earliest()) || c.trouble(now) != "" {
		t.Errorf("believed from %s; trouble: %s", c.earliest(), c.trouble(now))
	}
}

func TestAClockThatIsAheadIsTroubleUntilItIsNoted(t *testing.T) {
	s := &simulated{truth: built.Add(day), noted: built}
	s.run(2*day, 0)
	told := func() string { return clockTrouble(s.truth.Add(years), s.noted, built) }
	s.run(23*time.Hour, years)
	if !strings.Contains(told(), "slipway clock accept") {
		t.Errorf("after 23 hours: %q", told())
	}
	s.run(2*time.Hour, years)
	if told() != "" {
		t.Errorf("once it is noted: %q", told())
	}
	for name, test := range map[string]struct {
		now, noted time.Time
		told       bool
	}{
		"as it should be":                    {built.Add(5 * day), built.Add(5 * day), false},
		"a step back of minutes":             {built.Add(5 * day), built.Add(5*day + 5*time.Minute), false},
		"less than a day ahead":              {built.Add(5 * day), built.Add(4*day + time.Hour), false},
		"more than a day ahead":              {built.Add(5 * day), built.Add(3 * day), true},
		"a new gateway of an old build":      {built.Add(90 * day), time.Time{}, false},
		"a new gateway in 1970":              {time.Unix(0, 0), time.Time{}, true},
		"an upgrade after months of silence": {built.Add(time.Hour), built.Add(-90 * day), false},
		"31 days behind":                     {built.Add(5 * day), built.Add(36 * day), true},
	} {
		if got := clockTrouble(test.now, test.noted, built); (got != "") != test.told {
			t.Errorf("%s: %q", name, got)
		}
	}
}
