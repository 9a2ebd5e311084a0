package rollout

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	minutes = fleet.Duration(time.Minute)
	hours   = fleet.Duration(time.Hour)
)

// leastUnproven is how many devices may have a build that has not shown anything yet: one that is dead at once costs so many.
const leastUnproven = 3

// plans are those that come with the gateway.
func plans() map[string]fleet.Plan {
	return map[string]fleet.Plan{
		"standard": {Name: "standard", Unproven: leastUnproven, Waves: []fleet.Wave{
			{Devices: 3, Rest: 30 * minutes}, {Devices: 10, Rest: 2 * hours}, {Devices: 40, Rest: 12 * hours, BootCrash: 0.05},
			{Share: 0.05, Rest: 24 * hours, Daily: 0.005}, {Share: 0.25, Rest: 12 * hours}, {Share: 1},
		}},
		"urgent": {Name: "urgent", Unproven: leastUnproven, Waves: []fleet.Wave{
			{Devices: 3, Rest: 30 * minutes}, {Devices: 10, Rest: 30 * minutes}, {Devices: 40, Rest: 30 * minutes}, {Share: 1},
		}},
		"small": {Name: "small", Unproven: leastUnproven, Waves: []fleet.Wave{
			{Devices: 1, Rest: 30 * minutes}, {Devices: 3, Rest: 2 * hours}, {Devices: 10, Rest: 12 * hours}, {Share: 1},
		}},
	}
}

// PlanNames are the plans that come with the gateway.
func PlanNames() []string { return slices.Sorted(maps.Keys(plans())) }

// NamedPlan finds one of them.
func NamedPlan(name string) (fleet.Plan, error) {
	p, ok := plans()[name]
	if !ok {
		return p, fleet.Refused("there is no plan %q: want %s, or a plan's waves", name, wordsOf(PlanNames()))
	}
	return p, nil
}

// Bounds of a plan that a person writes.
const (
	mostWaves = 32
	mostRest  = 90 * 24 * hours
	mostUp    = 7 * 24 * hours
)

// planName is how a plan may be called: it stands in addresses, on the page and in the journal.
func planName() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_.-]{1,32}$`) }

// differs reports that a plan has the name of one that comes with the gateway, and other waves.
func differs(p fleet.Plan) bool {
	named, is := plans()[p.Name]
	return is && !slices.Equal(named.Waves, p.Waves)
}

// CheckPlan completes a plan, and refuses one that makes no sense.
func CheckPlan(p fleet.Plan) (fleet.Plan, error) {
	if len(p.Waves) == 0 {
		named, err := NamedPlan(p.Name)
		if err != nil || p.Unproven == 0 && p.UpWithin == 0 {
			return named, err
		}
		p.Waves = named.Waves
	}
	if p.Name == "" {
		p.Name = "own"
	}
	if p.Unproven == 0 {
		p.Unproven = leastUnproven
	}
	switch {
	case !planName().MatchString(p.Name):
		return p, fleet.Refused("a plan's name %q: want 1 to 32 of a-z, 0-9, _, . and -", p.Name[:min(len(p.Name), 40)])
	case differs(p):
		return p, fleet.Refused("the plan %s has other waves: give these another name", p.Name)
	case len(p.Waves) > mostWaves:
		return p, fleet.Refused("%d waves: a plan has at most %d", len(p.Waves), mostWaves)
	case p.Unproven < 1 || p.Unproven > 1000:
		return p, fleet.Refused("unproven %d: want 1 to 1000", p.Unproven)
	case p.UpWithin < 0 || p.UpWithin > mostUp:
		return p, fleet.Refused("up_within %s: want at most %s", p.UpWithin, mostUp)
	}
	for i, w := range p.Waves {
		if err := checkWave(p.Waves, i, w); err != nil {
			return p, err
		}
	}
	if last := p.Waves[len(p.Waves)-1]; last.Share != 1 {
		return p, fleet.Refused("the last wave is not all devices: want a share of 1")
	}
	return p, nil
}

func checkWave(waves []fleet.Wave, i int, w fleet.Wave) error {
	n := i + 1
	switch {
	case (w.Devices > 0) == (w.Share > 0):
		return fleet.Refused("wave %d: want either devices or a share", n)
	case w.Devices < 0, w.Share < 0, w.Share > 1, math.IsNaN(w.Share):
		return fleet.Refused("wave %d: want devices above 0 or a share from 0 to 1", n)
	case w.Rest < 0 || w.Rest > mostRest:
		return fleet.Refused("wave %d: rest %s: want at most %s", n, w.Rest, mostRest)
	case w.BootCrash < 0, w.BootCrash >= 1, w.BootCrash > 0 && w.BootCrash <= bootNoise:
		return fleet.Refused("wave %d: rule_out_boot_crash %v: want above %v and below 1", n, w.BootCrash, bootNoise)
	case w.Daily < 0, w.Daily >= 1:
		return fleet.Refused("wave %d: rule_out_daily %v: want 0 to 1", n, w.Daily)
	}
	if i == 0 {
		return nil
	}
	before := waves[i-1]
	if w.Devices > 0 && (before.Share > 0 || before.Devices >= w.Devices) || w.Share > 0 && before.Share >= w.Share {
		return fleet.Refused("wave %d is no larger than the one before", n)
	}
	return nil
}

// sizeOf is how many devices may have the build in a wave, of all that are on.
func sizeOf(w fleet.Wave, on int) int {
	if w.Devices > 0 {
		return w.Devices
	}
	return int(math.Ceil(w.Share*float64(on) - 1e-9))
}

// ruledOutDaily is the smallest difference that a plan rules out, 0 for none.
func ruledOutDaily(p fleet.Plan) float64 {
	least := 0.0
	for _, w := range p.Waves {
		if w.Daily > 0 && (least == 0 || w.Daily < least) {
			least = w.Daily
		}
	}
	return least
}
