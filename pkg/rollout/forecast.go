package rollout

import (
	"context"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A forecast plays 200 times at most, each row as often as the others: with more devices fewer times, and of more than mostPlayed
// devices so many.
const (
	mostRounds  = 200 / 6
	leastRounds = 10
	mostPlayed  = 20_000
	playedAtAll = 270_000 // devices in all rounds of one row
	playedDays  = 60      // after which a rollout is not waited for any more
)

// sureShare is the share of rounds in which a bad build must halt. Below it the forecast says so.
const sureShare = 0.95

// goodBuild is the name of the row of a build that is no worse.
const goodBuild = "good"

// forecastRow is a kind of build that is played.
type forecastRow struct {
	name  string
	build playedBuild
}

// forecastRows are a good build, and the bad ones, added to what the base does.
func forecastRows(rate float64) []forecastRow {
	good := playedBuild{brick: 0.001, rate: rate, boots: 1}
	with := func(change func(*playedBuild)) playedBuild {
		b := good
		change(&b)
		return b
	}
	return []forecastRow{
		{goodBuild, good},
		{"silent at once", with(func(b *playedBuild) { b.brick = 1 })},
		{"30 % silent", with(func(b *playedBuild) { b.brick = 0.3 })},
		{"silent after 6 h", with(func(b *playedBuild) { b.late = 6 * time.Hour })},
		{fleet.BootsText(0.05), with(func(b *playedBuild) { b.bootCrash = 0.05 })},
		{fleet.DailyText(0.005), with(func(b *playedBuild) { b.rate += 0.005 })},
	}
}

// Forecast plays a rollout many times on a plant with the model's lines and its own rate, before anything is done.
func (rs *Rollouts) Forecast(ctx context.Context, o fleet.RolloutOrder) (fleet.Forecast, error) {
	x, err := rs.check(o)
	if err != nil {
		return fleet.Forecast{}, err
	}
	f := fleet.Forecast{Plan: x.Plan, Devices: len(x.devices), Rate: x.rate, Builds: []fleet.ForecastRow{}, Warnings: append([]string{}, x.blind...)}
	select { // one at a time: it takes all processors
	case rs.playing <- struct{}{}:
		defer func() { <-rs.playing }()
	case <-ctx.Done():
		return fleet.Forecast{}, ctx.Err()
	}
	k, rounds, heard := x.plant()
	k.tolerated = rs.options.Tolerated
	if heard == 0 {
		f.Warnings = append(f.Warnings, "no device is heard: there is nothing to play with")
		return f, nil
	}
	f.Warnings = append(f.Warnings, x.notPlayed(k, heard)...)
	s := settings{alpha: rs.options.Alpha, beta: rs.options.Beta, upWithin: max(rs.options.UpWithin, u), decideWithin: 14 * day}
	plan := x.Plan
	if plan.UpWithin.Of() < u { // the plant's devices ask every five minutes
		plan.UpWithin = 0
	}
	for _, row := range forecastRows(x.rate) {
		all, err := playRounds(ctx, rounds, func(seed int) outcome { return newPlant(k, row.build, plan, s, uint64(seed)).play() })
		if err != nil {
			return fleet.Forecast{}, err
		}
		take(&f, row.name, all)
	}
	return f, nil
}

// plant has the lines of the devices that are heard, and says how many rounds are played on it.
func (x *order) plant() (k plantKind, rounds, heard int) {
	lines := map[string]int{}
	for _, d := range x.devices {
		if d.Barred == "" && d.State != fleet.Silent && d.State != fleet.Never {
			lines[d.Line]++
			heard++
		}
	}
	k = plantKind{rate: x.rate, days: playedDays}
	left := mostPlayed
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		if n := min(lines[name], left); n > 0 {
			k.lines = append(k.lines, n)
			left -= n
		}
	}
	return k, min(mostRounds, max(leastRounds, playedAtAll/max(mostPlayed-left, 1))), heard
}

// notPlayed says what of the rollout is otherwise than on the plant.
func (x *order) notPlayed(k plantKind, heard int) (warnings []string) {
	played := 0
	for _, n := range k.lines {
		played += n
	}
	if played < heard {
		warnings = append(warnings, fmt.Sprintf("played with %d of %d devices: a wave that is a share of all has more", played, heard))
	}
	if x.Window != "" {
		warnings = append(warnings, "the window is not played: the time that it is closed comes on top")
	}
	if slices.ContainsFunc(x.devices, func(d fleet.Placed) bool { return d.State == fleet.BootsOnly }) {
		warnings = append(warnings, "played as if all devices asked every 5 minutes: those that ask at their boots only take as long as they run")
	}
	return warnings
}

// playRounds plays on all processors, each round with its own seed.
func playRounds(ctx context.Context, rounds int, play func(seed int) outcome) ([]outcome, error) {
	all := make([]outcome, rounds)
	var next atomic.Int64
	var players sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), rounds) {
		players.Go(func() {
			for seed := int(next.Add(1)) - 1; seed < rounds && ctx.Err() == nil; seed = int(next.Add(1)) - 1 {
				all[seed] = play(seed)
			}
		})
	}
	players.Wait()
	return all, ctx.Err()
}

// take adds a row to a forecast, and says what the plan does not keep.
func take(f *fleet.Forecast, name string, all []outcome) {
	row := fleet.ForecastRow{Build: name, Rounds: len(all)}
	var have []int
	var days []float64
	ended := 0
	for _, o := range all {
		have = append(have, o.have)
		if o.halted {
			row.Halted++
		}
		if o.halted != (name == goodBuild) {
			days = append(days, o.days)
		}
		if o.finished {
			ended++
		}
	}
	slices.Sort(have)
	slices.Sort(days)
	row.Have, row.HaveMost = at(have, 0.5), at(have, 0.95)
	row.Days = math.Round(1000*at(days, 0.5)) / 1000
	f.Builds = append(f.Builds, row)
	say := func(format string, args ...any) { f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...)) }
	if name != goodBuild {
		if float64(row.Halted) < sureShare*float64(len(all)) {
			say("%s: halts in %d of %d rounds only: this plan cannot be relied on to see it", name, row.Halted, len(all))
		}
		return
	}
	f.Days = row.Days
	if row.Halted > 0 {
		say("a good build is halted in %d of %d rounds", row.Halted, len(all))
	}
	if float64(ended) < sureShare*float64(len(all)) {
		say("a good build is brought to all within %d days in %d of %d rounds only: a gate asks a person, or is to be skipped", playedDays, ended, len(all))
	}
}

// at is a quantile of what is sorted, 0 of nothing.
func at[T int | float64](sorted []T, q float64) T {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
