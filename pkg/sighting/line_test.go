package sighting

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// standing is a device of a line at minute 0: when it was heard last, its rhythm in minutes, and whether it was not heard
// although it was due.
type standing struct {
	last, rhythm float64
	due          bool
}

func TestALineIsDarkWhenHalfOfItsLiveDevicesAndThreeFellSilentTogether(t *testing.T) {
	silent := func(last float64) standing { return standing{last, 5, true} }
	heard := func(last float64) standing { return standing{last, 5, false} }
	for name, c := range map[string]struct {
		devices []standing
		from    float64 // minute, 0 for not dark
	}{
		"nobody":                           {nil, 0},
		"all within five minutes":          {[]standing{silent(-12), silent(-10), silent(-8)}, -8},
		"two are no line":                  {[]standing{silent(-10), silent(-9)}, 0},
		"three of six":                     {[]standing{silent(-12), silent(-10), silent(-9), heard(-1), heard(-2), heard(-3)}, -9},
		"three of seven":                   {[]standing{silent(-12), silent(-10), silent(-9), heard(-1), heard(-2), heard(-3), heard(-4)}, 0},
		"one a day is no cut":              {[]standing{silent(-2880), silent(-1440), silent(-10)}, 0},
		"old absentees beside a cut":       {[]standing{silent(-5000), silent(-4000), silent(-12), silent(-11), silent(-10)}, -10},
		"old absentees do not count":       {[]standing{silent(-5000), silent(-4000), silent(-12), silent(-11), heard(-1)}, 0},
		"half an hour apart":               {[]standing{silent(-100), silent(-70), silent(-40)}, 0},
		"a slow one is still live":         {[]standing{{-300, 180, true}, silent(-12), silent(-10)}, -10},
		"the others were heard after that": {[]standing{silent(-20), silent(-19), silent(-18), heard(-1)}, -18},
		"the most, and then the latest":    {[]standing{silent(-20), silent(-19), silent(-18), silent(-8), silent(-9)}, -8},
	} {
		var all []presence
		for _, d := range c.devices {
			last := moment(d.last * 60_000)
			until := last + max(moment(3*d.rhythm*60_000), 15*60_000)
			all = append(all, presence{last: last, until: until, due: d.due})
		}
		from, dark := darkFrom(all)
		if dark != (c.from != 0) || dark && from != moment(c.from*60_000) {
			t.Errorf("%s: dark %t from minute %.1f, want %.1f", name, dark, float64(from)/60_000, c.from)
		}
	}
}

func TestAPowerCutMakesALineDarkUntilHalfOfItIsBack(t *testing.T) {
	s := shelfOf(40, "hall3")
	b := s.open(t)
	nobody := func(int) bool { return false }
	s.pollers(b, 40, 2*time.Hour, nobody)
	if len(s.changes) != 0 {
		t.Fatalf("a line that works: %+v", s.changes)
	}
	cut := s.now
	s.pollers(b, 40, 6*time.Minute, func(int) bool { return true })
	if len(s.changes) != 1 || !s.changes[0].Dark || s.changes[0].Line != "hall3" {
		t.Fatalf("six minutes after the cut: %+v", s.changes)
	}
	if since := s.changes[0].Since; since.After(cut) || cut.Sub(since) > 5*time.Minute {
		t.Errorf("cut at %s, dark since %s", cut, since)
	}
	s.pollers(b, 40, time.Hour, func(int) bool { return true })
	if lines := b.Lines(); lines["hall3"].IsZero() || len(s.changes) != 1 {
		t.Errorf("an hour later: %v, %+v", lines, s.changes)
	}
	s.pollers(b, 40, 6*time.Minute, func(i int) bool { return i >= 19 })
	if len(s.changes) != 1 {
		t.Errorf("19 of 40 are back: %+v", s.changes)
	}
	s.pollers(b, 40, 6*time.Minute, func(i int) bool { return i >= 20 })
	if len(s.changes) != 2 || s.changes[1].Dark || s.changes[1].Devices != 40 {
		t.Errorf("20 of 40 are back: %+v", s.changes)
	}
	if lines := b.Lines(); !lines["hall3"].IsZero() {
		t.Errorf("lit: %v", lines)
	}
}

// TestAFleetThatFailsOneByOneIsNoDarkLine: one device falls silent every two hours until none is left.
func TestAFleetThatFailsOneByOneIsNoDarkLine(t *testing.T) {
	s := shelfOf(12, "hall3")
	b := s.open(t)
	for gone := range 12 {
		s.pollers(b, 12, 2*time.Hour, func(i int) bool { return i < gone })
	}
	if len(s.changes) != 0 {
		t.Errorf("%+v", s.changes)
	}
}

// TestNobodyIsMissedWhileTheGatewayWasAway: devices that asked while it was off have a whole rhythm after the start.
func TestNobodyIsMissedWhileTheGatewayWasAway(t *testing.T) {
	s := shelfOf(40, "hall3")
	b := s.open(t)
	nobody := func(int) bool { return false }
	s.pollers(b, 40, time.Hour, nobody)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	stopped := s.now
	s.now = s.now.Add(24 * time.Hour)
	o := s.options()
	o.Stopped = stopped
	b, err := opened(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := sightingOf(b, 0); got.State != fleet.Live || got.Rhythm != 300 {
		t.Errorf("after the start: %s, rhythm %d", got.State, got.Rhythm)
	}
	s.pollers(b, 40, 20*time.Minute, nobody)
	if len(s.changes) != 0 {
		t.Errorf("%+v", s.changes)
	}
	if got := sightingOf(b, 0).Rhythm; got != 300 {
		t.Errorf("the day without the gateway counts as a gap: rhythm %d", got)
	}
}

// TestAStartGivesEachDeviceItsWholeRhythm: four minutes of it had passed at the stop, and it asked in vain since.
func TestAStartGivesEachDeviceItsWholeRhythm(t *testing.T) {
	s := shelfOf(3, "hall3")
	b := s.open(t)
	all := func(after time.Duration) {
		s.now = s.now.Add(after)
		for i := range 3 {
			s.hears(b, 0, fleet.Seen{Device: keyOf(i)})
		}
	}
	all(time.Second)
	all(5 * time.Minute)
	s.now = s.now.Add(4 * time.Minute)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	o := s.options()
	o.Stopped = s.now
	s.now = s.now.Add(24 * time.Hour)
	b, err := opened(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 18 {
		s.now = s.now.Add(15 * time.Second)
		s.look(b)
	}
	all(0)
	if len(s.changes) != 0 {
		t.Errorf("four and a half minutes after the start: %+v", s.changes)
	}
	if got := sightingOf(b, 0); got.Rhythm != 300 {
		t.Errorf("rhythm %d: the time before the stop and after the start is no gap", got.Rhythm)
	}
}

func TestADeviceWithoutALineStandsOnItsNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"10.1.2.3": "10.1.2.0/24", "::ffff:10.1.2.3": "10.1.2.0/24", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		s := shelfOf(1, "")
		b := s.open(t)
		s.hears(b, 0, fleet.Seen{Address: netip.MustParseAddr(address)})
		if _, line := b.Sighting(keyOf(0)); line != want {
			t.Errorf("%s stands on %q, want %q", address, line, want)
		}
		named := s.devices[0]
		named.Line = "hall3"
		b.DeviceChanged(named)
		if _, line := b.Sighting(keyOf(0)); line != "hall3" {
			t.Errorf("named, it stands on %q", line)
		}
	}
}

func heard(b *Book, i int) time.Time { return sightingOf(b, i).HeardAt }

func TestAFilterIsAnsweredInTheOrderOfKeysAndInPages(t *testing.T) {
	s := shelfOf(2000, "")
	for i := range s.devices {
		s.devices[i].Line = fmt.Sprintf("line%d", i%4)
		if i%2 == 0 {
			s.devices[i].Model, s.devices[i].Labels, s.devices[i].Aliases = "fan", nil, []fleet.Alias{"MAC", fleet.Alias(fmt.Sprintf("24:6F:%04d", i))}
		}
	}
	b := s.open(t)
	for i := range 1000 {
		s.hears(b, time.Millisecond, fleet.Seen{Device: keyOf(i), Said: fleet.Said{Version: fmt.Sprintf("1.%d", i%10)}})
	}
	for name, c := range map[string]struct {
		f    fleet.DeviceFilter
		want int
	}{
		"all":             {fleet.DeviceFilter{}, 2000},
		"a model":         {fleet.DeviceFilter{Model: "fan"}, 1000},
		"a state":         {fleet.DeviceFilter{State: fleet.Live}, 1000},
		"a version":       {fleet.DeviceFilter{Version: "1.3"}, 100},
		"a line":          {fleet.DeviceFilter{Line: "line1"}, 500},
		"a label":         {fleet.DeviceFilter{Label: "hall"}, 1000},
		"a part of a key": {fleet.DeviceFilter{Search: "v0012"}, 10},
		"in any case":     {fleet.DeviceFilter{Search: "PUMP 77"}, 11},
		"an alias":        {fleet.DeviceFilter{Search: "6f:00"}, 50},
		"heard since":     {fleet.DeviceFilter{Heard: fleet.Span{Since: heard(b, 900)}}, 100},
		"heard until":     {fleet.DeviceFilter{Heard: fleet.Span{Until: heard(b, 900)}, Model: "fan"}, 451},
		"all at once":     {fleet.DeviceFilter{Model: "pump", State: fleet.Live, Version: "1.3", Line: "line3", Label: "hall", Search: "pump"}, 50},
		"a foreign one":   {fleet.DeviceFilter{Model: "lamp"}, 0},
		"some":            {fleet.DeviceFilter{Among: []fleet.DeviceKey{keyOf(3), keyOf(4), keyOf(7), "gone"}}, 3},
		"some on a line":  {fleet.DeviceFilter{Among: []fleet.DeviceKey{keyOf(3), keyOf(4), keyOf(7), "gone"}, Line: "line3"}, 2},
		"none":            {fleet.DeviceFilter{Among: []fleet.DeviceKey{}}, 0},
	} {
		if total := b.Facets(c.f).Total; total != c.want {
			t.Errorf("%s: %d in all, want %d", name, total, c.want)
		}
		all := b.Devices(c.f)
		if len(all) != c.want {
			t.Errorf("%s: %d devices, want %d", name, len(all), c.want)
		}
		var paged []fleet.DeviceKey
		for f := c.f; ; f.After = paged[len(paged)-1] {
			f.Limit = 7
			page := b.Devices(f)
			if paged = append(paged, page...); len(page) < 7 {
				break
			}
		}
		if fmt.Sprint(paged) != fmt.Sprint(all) {
			t.Errorf("%s: in pages they are others", name)
		}
	}
	b.DeviceRemoved(keyOf(1))
	if all := b.Devices(fleet.DeviceFilter{}); len(all) != 1999 || all[1] != keyOf(2) {
		t.Errorf("after one was removed: %d", len(all))
	}
}

func TestVersionsThatDevicesMakeUpAreCountedAsOne(t *testing.T) {
	s := shelfOf(500, "")
	b := s.open(t)
	for i := range 500 {
		s.hears(b, 0, fleet.Seen{Device: keyOf(i), Said: fleet.Said{Version: fmt.Sprintf("x%d", i)}})
	}
	all, other := 0, 0
	counts := b.Count()
	for share, n := range counts {
		all += n
		if share.Version == otherVersions {
			other += n
		}
	}
	if all != 500 || other != 500-mostVersions || len(counts) != mostVersions+1 {
		t.Errorf("%d devices, %d of them others, in %d series", all, other, len(counts))
	}
}
