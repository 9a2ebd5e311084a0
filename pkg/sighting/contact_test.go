package sighting

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestTheRhythmIsThe95thPercentileOfTheLastGaps(t *testing.T) {
	for name, c := range map[string]struct {
		gaps []time.Duration
		want int64 // seconds
	}{
		"one contact":                  {nil, 0},
		"one gap":                      {[]time.Duration{300 * time.Second}, 300},
		"five minutes":                 {repeated(20, 300*time.Second), 300},
		"one night in 24":              {append(repeated(23, 300*time.Second), 9*time.Hour), 300},
		"two nights in 24":             {append(repeated(22, 300*time.Second), 9*time.Hour, 9*time.Hour), 9 * 3600},
		"only the last 24 count":       {append(repeated(5, 9*time.Hour), repeated(24, 60*time.Second)...), 60},
		"within 5 s it is one contact": {[]time.Duration{300 * time.Second, 5 * time.Second, 4 * time.Second, 300 * time.Second}, 300},
		"many requests of one contact are no rhythm": {append([]time.Duration{300 * time.Second}, repeated(40, 2*time.Second)...), 300},
		"6 s are another":          {[]time.Duration{6 * time.Second}, 6},
		"20 gaps from 1 to 20 min": {minutes(1, 20), 19 * 60},
	} {
		s := shelfOf(1, "")
		b := s.open(t)
		s.hears(b, time.Second, fleet.Seen{})
		for _, gap := range c.gaps {
			s.hears(b, gap, fleet.Seen{})
		}
		if got := sightingOf(b, 0).Rhythm; got != c.want {
			t.Errorf("%s: rhythm %d s, want %d", name, got, c.want)
		}
	}
}

func repeated(n int, d time.Duration) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d
	}
	return all
}

func minutes(from, to int) (all []time.Duration) {
	for i := from; i <= to; i++ {
		all = append(all, time.Duration(i)*time.Minute)
	}
	return all
}

// TestADownloadIsPartOfTheContactThatBeganIt: what is told at its end has its begin.
func TestADownloadIsPartOfTheContactThatBeganIt(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	s.hears(b, time.Second, fleet.Seen{})
	s.hears(b, 5*time.Minute, fleet.Seen{By: fleet.HeardFirmware})
	end := whole("1.1")
	end.Transfer.Begun = s.now
	s.hears(b, 3*time.Minute, end)
	s.hears(b, 5*time.Minute, fleet.Seen{})
	if got := sightingOf(b, 0).Rhythm; got != 300 {
		t.Errorf("rhythm %d s", got)
	}
}

func TestADeviceIsLiveLateOrSilentByItsRhythm(t *testing.T) {
	const u = 15 * time.Minute
	for name, c := range map[string]struct {
		rhythm time.Duration // 0: heard once
		quiet  time.Duration
		want   fleet.DeviceState
	}{
		"heard once":                       {0, u, fleet.Live},
		"heard once, and longer ago":       {0, u + time.Second, fleet.Late},
		"heard once, and long ago":         {0, 2*u + time.Second, fleet.Silent},
		"fast ones have 15 min":            {10 * time.Second, u, fleet.Live},
		"and are late after":               {10 * time.Second, u + time.Second, fleet.Late},
		"for 30 min":                       {10 * time.Second, 2 * u, fleet.Late},
		"then silent":                      {10 * time.Second, 2*u + time.Second, fleet.Silent},
		"slow ones have three rhythms":     {time.Hour, 3 * time.Hour, fleet.Live},
		"slow ones are late after":         {time.Hour, 3*time.Hour + time.Second, fleet.Late},
		"slow ones are late for ten":       {time.Hour, 10 * time.Hour, fleet.Late},
		"slow ones are silent after these": {time.Hour, 10*time.Hour + time.Second, fleet.Silent},
	} {
		s := shelfOf(2, "")
		b := s.open(t)
		s.hears(b, time.Second, fleet.Seen{})
		for range 5 {
			if c.rhythm > 0 {
				s.hears(b, c.rhythm, fleet.Seen{})
			}
		}
		s.now = s.now.Add(c.quiet)
		if got := sightingOf(b, 0).State; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := sightingOf(b, 1).State; got != fleet.Never {
			t.Errorf("one that was never heard is %s", got)
		}
	}
}

// TestEveryFloorScalesWithUpWithin: a plant that is 150 times as fast, with a U that is 150 times as short, looks the same.
func TestEveryFloorScalesWithUpWithin(t *testing.T) {
	for name, c := range map[string]struct {
		gaps  []time.Duration
		quiet time.Duration
	}{
		"live":  {repeated(5, 5*time.Minute), 14 * time.Minute},
		"late":  {repeated(5, 5*time.Minute), 20 * time.Minute},
		"slow":  {repeated(5, time.Hour), 4 * time.Hour},
		"close": {[]time.Duration{4 * time.Second, 10 * time.Minute}, 31 * time.Minute},
	} {
		var states [2]fleet.DeviceState
		var rhythms [2]uint32
		for i, speed := range []time.Duration{1, 150} {
			s := shelfOf(1, "")
			o := s.options()
			o.UpWithin /= speed
			b, err := opened(o)
			if err != nil {
				t.Fatal(err)
			}
			s.hears(b, time.Second, fleet.Seen{})
			for _, gap := range c.gaps {
				s.hears(b, gap/speed, fleet.Seen{})
			}
			s.now = s.now.Add(c.quiet / speed)
			states[i], rhythms[i] = sightingOf(b, 0).State, b.devices[keyOf(0)].Rhythm
		}
		if states[0] != states[1] || rhythms[0]/150 != rhythms[1] {
			t.Errorf("%s: %s at %d ms, and %s at %d ms", name, states[0], rhythms[0], states[1], rhythms[1])
		}
	}
}

// asked is one thing that a device asks for, after a time.
type asked struct {
	after time.Duration
	seen  fleet.Seen
}

func (s *shelf) plays(b *Book, all ...asked) {
	for _, a := range all {
		s.hears(b, a.after, a.seen)
	}
}

// espMDMBoots are boots of esp-mdm: a token, the configuration, a check of the firmware.
func espMDMBoots(n int) (all []asked) {
	for range n {
		all = append(all, asked{20 * time.Hour, token()}, asked{time.Second, config()}, asked{20 * time.Second, check("1.0")})
	}
	return all
}

func TestADeviceWhoseContactsAreAllBootsHasNoRhythm(t *testing.T) {
	for name, c := range map[string]struct {
		asked []asked
		only  bool
	}{
		"two boots":                  {espMDMBoots(2), false},
		"three boots":                {espMDMBoots(3), true},
		"forty boots":                {espMDMBoots(40), true},
		"three boots and a renewal":  {append(espMDMBoots(3), asked{5 * time.Hour, token()}), false},
		"and a boot begins":          {append(espMDMBoots(4), asked{20 * time.Hour, token()}), true},
		"a poller":                   {[]asked{{0, said("1")}, {time.Hour, said("1")}, {time.Hour, said("1")}, {time.Hour, said("1")}}, false},
		"32 boots since the renewal": {append([]asked{{0, token()}}, espMDMBoots(33)...), true},
	} {
		s := shelfOf(1, "")
		b := s.open(t)
		s.plays(b, c.asked...)
		s.now = s.now.Add(100 * 24 * time.Hour)
		if name == "and a boot begins" {
			s.now = s.now.Add(-100 * 24 * time.Hour)
		}
		got := sightingOf(b, 0)
		if only := got.State == fleet.BootsOnly; only != c.only || only && got.Rhythm != 0 {
			t.Errorf("%s: %s, rhythm %d", name, got.State, got.Rhythm)
		}
	}
}

func TestABootIsSeenInItsIDInWhatIsAskedAndInAMessage(t *testing.T) {
	started := fleet.Seen{By: fleet.HeardMQTT, Said: fleet.Said{Started: true}}
	for name, c := range map[string]struct {
		asked []asked
		boots int
	}{
		"the first ID is no boot":           {[]asked{{0, bootID("a")}, {time.Minute, bootID("a")}}, 0},
		"each new ID is one":                {[]asked{{0, bootID("a")}, {time.Minute, bootID("b")}, {time.Second, bootID("c")}}, 2},
		"a token and the configuration":     {[]asked{{0, token()}, {59 * time.Second, config()}}, 1},
		"a minute later it is none":         {[]asked{{0, token()}, {61 * time.Second, config()}}, 0},
		"a token is a renewal":              {[]asked{{0, token()}, {time.Hour, token()}}, 0},
		"a configuration is a poll":         {[]asked{{0, config()}, {time.Minute, config()}}, 0},
		"one token is one boot":             {[]asked{{0, token()}, {time.Second, config()}, {time.Second, config()}}, 1},
		"one that tells of its boots":       {[]asked{{0, bootID("a")}, {time.Minute, token()}, {time.Second, config()}}, 0},
		"a message":                         {[]asked{{0, started}, {time.Hour, started}}, 2},
		"a message of the boot that it saw": {[]asked{{0, token()}, {time.Second, config()}, {20 * time.Second, started}}, 1},
		"a boot that a message told of":     {[]asked{{0, started}, {time.Second, token()}, {time.Second, config()}}, 1},
		"a crash loop":                      {[]asked{{0, token()}, {time.Second, config()}, {20 * time.Second, token()}, {time.Second, config()}}, 2},
	} {
		s := shelfOf(1, "")
		b := s.open(t)
		s.plays(b, c.asked...)
		if got := sightingOf(b, 0); got.Boots != c.boots || got.BootedAt.IsZero() != (c.boots == 0) {
			t.Errorf("%s: %d boots, the last %s, want %d", name, got.Boots, got.BootedAt, c.boots)
		}
	}
}

func TestADeviceIsGoneWhenItsBrokerSaysSo(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	s.hears(b, 0, fleet.Seen{By: fleet.HeardMQTT})
	heard := sightingOf(b, 0).HeardAt
	s.hears(b, time.Minute, fleet.Seen{By: fleet.HeardMQTT, Said: fleet.Said{Offline: true}})
	if got := sightingOf(b, 0); got.State != fleet.Silent || !got.HeardAt.Equal(heard) {
		t.Errorf("%s, heard at %s", got.State, got.HeardAt)
	}
	s.hears(b, time.Minute, fleet.Seen{By: fleet.HeardMQTT})
	if got := sightingOf(b, 0); got.State != fleet.Live {
		t.Errorf("heard again: %s", got.State)
	}
}

// pollers has n devices ask every five minutes, each at its own second, until the time is over.
func (s *shelf) pollers(b *Book, n int, over time.Duration, silent func(i int) bool) {
	phase := rand.New(rand.NewPCG(1, 2))
	next := make([]time.Time, n)
	for i := range next {
		next[i] = s.now.Add(time.Duration(phase.IntN(300)) * time.Second)
	}
	for end := s.now.Add(over); s.now.Before(end); s.now = s.now.Add(time.Second) {
		for i := range next {
			if !next[i].After(s.now) {
				next[i] = next[i].Add(5 * time.Minute)
				if !silent(i) {
					b.Seen(fleet.Seen{Device: keyOf(i), At: s.now, By: fleet.HeardVersion, Address: address})
				}
			}
		}
		if s.now.Second()%15 == 0 {
			s.look(b)
		}
	}
}

func TestFirmwareThatTellsOfNoBootAnyMoreIsSeenToBootAsItAsks(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	s.plays(b, asked{0, bootID("a")}, asked{time.Hour, bootID("b")}) // and goes back to what tells no id
	for range 2 * leastBoots {
		s.plays(b, asked{time.Hour, token()}, asked{time.Second, config()})
	}
	if got := sightingOf(b, 0); got.Boots < 1+leastBoots {
		t.Errorf("%d boots", got.Boots)
	}
	boots := sightingOf(b, 0).Boots
	s.plays(b, asked{time.Hour, bootID("c")}) // and to what does
	s.plays(b, asked{time.Hour, bootID("c")}, asked{time.Minute, token()}, asked{time.Second, config()})
	if got := sightingOf(b, 0); got.Boots != boots+1 {
		t.Errorf("%d boots, and %d before", got.Boots, boots)
	}
}

func TestTheEndOfADownloadThatIsToldLateMakesNobodyHeardLater(t *testing.T) {
	s := shelfOf(1, "")
	b := s.open(t)
	s.hears(b, 0, fleet.Seen{By: fleet.HeardFirmware})
	begun := s.now
	late := fleet.Seen{ // its last byte arrived after a minute
		Device: keyOf(0), At: begun.Add(time.Minute), By: fleet.HeardFirmware, Address: address,
		Transfer: &fleet.Transfer{Version: "1.1", Size: 1 << 20, To: 1 << 20, Arrived: 1 << 19, Begun: begun},
	}
	s.hears(b, 2*time.Minute, fleet.Seen{By: fleet.HeardMQTT})
	heard := sightingOf(b, 0).HeardAt
	s.hears(b, time.Minute, fleet.Seen{By: fleet.HeardMQTT, Said: fleet.Said{Offline: true}})
	s.now = begun.Add(12 * time.Minute)
	b.Seen(late)
	if got := sightingOf(b, 0); got.State != fleet.Silent || !got.HeardAt.Equal(heard) || got.HeardBy != fleet.HeardMQTT || got.Download == nil {
		t.Errorf("%s, heard at %s by %s, want %s; %+v", got.State, got.HeardAt, got.HeardBy, heard, got.Download)
	}
	s.hears(b, time.Minute, fleet.Seen{By: fleet.HeardMQTT})
	if got := sightingOf(b, 0); got.State != fleet.Live {
		t.Errorf("heard again: %s", got.State)
	}
}

// slow is a shelf whose builds are asked for a long time.
type slow struct {
	*shelf
	asked, goOn chan struct{}
}

func (s slow) VersionOfSketch(fleet.ModelCode, string) (fleet.Version, string) {
	return "", ""
}

func (s slow) VersionOfELF(fleet.ModelCode, string) fleet.Version {
	s.asked <- struct{}{}
	<-s.goOn
	return "1.1"
}

func (s slow) Rollback(fleet.ModelCode, fleet.Version) bool {
	s.asked <- struct{}{}
	<-s.goOn
	return false
}

func TestWhileTheBuildsAreAskedNobodyWaitsForTheBook(t *testing.T) {
	s := slow{shelfOf(2, ""), make(chan struct{}), make(chan struct{})}
	o := s.options()
	o.Builds = s
	b, err := opened(o)
	if err != nil {
		t.Fatal(err)
	}
	got := func(from int64, to int64) fleet.Seen {
		return fleet.Seen{By: fleet.HeardFirmware, Transfer: &fleet.Transfer{Version: "1.1", Size: 1 << 20, From: from, To: to, Arrived: to - from, Whole: true}}
	}
	asks := func(what string, ask func()) {
		t.Helper()
		done := make(chan struct{})
		go func() {
			ask()
			close(done)
		}()
		<-s.asked
		b.Seen(fleet.Seen{Device: keyOf(1), At: s.now, By: fleet.HeardVersion, Address: address}) // would wait for ever
		if got := sightingOf(b, 1); got.State != fleet.Live {
			t.Errorf("%s: %s", what, got.State)
		}
		s.goOn <- struct{}{}
		<-done
	}
	asks("an ELF", func() {
		s.hears(b, 0, fleet.Seen{Said: fleet.Said{ELFSHA256: "11111111aaaaaaaa", BootID: "a"}})
	})
	if got := sightingOf(b, 0); got.Runs != "1.1" {
		t.Errorf("it runs %q", got.Runs)
	}
	s.hears(b, time.Minute, got(0, 1<<20)) // whole
	s.hears(b, time.Minute, bootID("b"))
	s.hears(b, time.Minute, bootID("c"))
	s.hears(b, time.Minute, got(0, 1<<10)) // a check, once it is over
	s.now = s.now.Add(time.Minute)
	asks("a check that is over", func() { s.look(b) })
	s.hears(b, time.Minute, got(0, 1<<10))
	asks("another one", func() { s.hears(b, time.Minute, fleet.Seen{}) })
	broken := got(0, 1<<10)
	broken.Transfer.Whole = false
	asks("one that wanted no more", func() { s.hears(b, time.Minute, broken) })
}
