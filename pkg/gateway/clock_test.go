package gateway

import (
	"testing"
	"time"
)

const day = 24 * time.Hour

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
	const years = 10 * 365 * day
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
