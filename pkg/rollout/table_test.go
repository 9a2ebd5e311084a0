package rollout

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var usual = plantKind{lines: slices.Repeat([]int{100}, 80), rate: 0.002, days: 60, tolerated: 0.01}

var product = settings{alpha: 1e-4, beta: 0.01, upWithin: u, decideWithin: 14 * day}

// row is one of the table of ROLLOUTS.md section 11: a build, and what the reference reached with it.
type row struct {
	name      string
	build     playedBuild
	reference string
	unproven  int        // 0: the plan's
	letBy     int        // of 100, that the gate may let through: it rules out at β = 1 %
	have      [3]int     // devices that have it at the halt: median, 95th, most
	days      [2]float64 // to the halt: median, 95th
}

var table = []row{
	{"good", playedBuild{brick: 0.001, rate: 0.002, boots: 1}, "0 halted, 8.3 days", 0, 0, [3]int{}, [2]float64{}},
	{"silent at once", playedBuild{brick: 1, rate: 0.002, boots: 1}, "3 3 3, 0.015 0.34 days", 0, 0, [3]int{3, 3, 3}, [2]float64{0.015, 0.34}},
	{"30 % silent", playedBuild{brick: 0.3, rate: 0.002, boots: 1}, "40 40 385, 0.12 0.45 days", 0, 0, [3]int{40, 40, 385}, [2]float64{0.12, 0.45}},
	// Whole waves, as the reference opens them: what the budget of the unproven costs in time, and spares in devices.
	{"30 % silent, whole waves", playedBuild{brick: 0.3, rate: 0.002, boots: 1}, "40 40 385, 0.12 0.45 days", 40, 0, [3]int{40, 40, 385}, [2]float64{0.12, 0.45}},
	{"30 % went back", playedBuild{back: 0.3, rate: 0.002, boots: 1}, "not played", 0, 0, [3]int{40, 40, 385}, [2]float64{0.12, 0.45}},
	{
		"silent after 6 h", playedBuild{brick: 0.001, rate: 0.002, boots: 1, late: 6 * time.Hour},
		"40 40 40, 0.30 0.63 days", 0, 0, [3]int{40, 40, 40}, [2]float64{0.30, 0.63},
	},
	{
		"5 % of boots crash, 1 a day", playedBuild{brick: 0.001, bootCrash: 0.05, rate: 0.002, boots: 1},
		"40 40 393, 0.92 4.5 days", 0, 0, [3]int{40, 40, 400}, [2]float64{0.92, 4.5},
	},
	{
		"5 % of boots crash, 4 a day", playedBuild{brick: 0.001, bootCrash: 0.05, rate: 0.002, boots: 4},
		"40 40 40, 0.38 0.98 days", 0, 0, [3]int{40, 40, 400}, [2]float64{0.38, 0.98},
	},
	{
		"+0.5 points, many bugs", playedBuild{brick: 0.001, rate: 0.007, boots: 1},
		"390 396 398, 13.1 23 days", 0, 3, [3]int{400, 400, 8000}, [2]float64{13.1, 23},
	},
	{
		"+0.5 points, one bug", playedBuild{brick: 0.001, rate: 0.007, boots: 1, ownSignature: true},
		"390 396 398, 5.6 9.9 days", 0, 3, [3]int{400, 400, 8000}, [2]float64{5.6, 9.9},
	},
}

// longTable has as many rounds as the reference: SLIPWAY_ROLLOUTS=long, or make test-rollouts.
func longTable() bool { return os.Getenv("SLIPWAY_ROLLOUTS") == "long" }

// TestTheTableOfWhatHaltsAtHowManyDevices plays the standard plan on 8,000 devices in 80 lines, each round with its own seed.
//
// Days may be more than the reference's by what sampling makes: each median of 100 rounds has a standard error of some 12 %,
// each 95th percentile of some 25 %, and two are compared; so 35 % and 70 % more are let pass. And by 0.03 days: here it is
// inferred which lines are dark (2.5 minutes), and lost devices hold slots that the reference does not know of: of 100 rounds of
// "30 % silent" the median is 0.13 to 0.14 days with them, and 0.12 with the reference's whole waves.
func TestTheTableOfWhatHaltsAtHowManyDevices(t *testing.T) {
	good, bad := 24, 5
	if longTable() {
		good, bad = 1000, 100
	}
	plan, _ := NamedPlan("standard")
	var lines []string
	for _, r := range table {
		n, plan := bad, plan
		plan.Unproven = cmp.Or(r.unproven, plan.Unproven)
		if r.name == goodBuild {
			n = good
		}
		all, err := playRounds(t.Context(), n, func(seed int) outcome { return newPlant(usual, r.build, plan, product, uint64(seed)).play() })
		if err != nil {
			t.Fatal(err)
		}
		s := summaryOf(all)
		lines = append(lines, fmt.Sprintf("%-28s %s; reference: %s", r.name, s, r.reference))
		r.check(t, s)
	}
	if longTable() || testing.Verbose() {
		fmt.Println(strings.Join(lines, "\n"))
	}
}

func (r row) check(t *testing.T, s summary) {
	t.Helper()
	if r.name == goodBuild {
		if s.halted > 0 {
			t.Errorf("good: %s, want none halted", s)
		}
		return
	}
	if letBy := s.rounds - s.halted; 100*letBy > max(r.letBy*s.rounds, min(r.letBy, 1)*100) {
		t.Errorf("%s: %s", r.name, s)
	}
	for i, what := range []string{"median", "95th", "most"} {
		if s.have[i] > r.have[i] && (longTable() || i == 0) {
			t.Errorf("%s: %d devices have it at the halt (%s), want at most %d", r.name, s.have[i], what, r.have[i])
		}
	}
	if !longTable() {
		return
	}
	for i, tolerance := range []float64{1.35, 1.7} {
		if most := r.days[i]*tolerance + 0.03; s.days[i] > most {
			t.Errorf("%s: %.3f days, want at most %.3f", r.name, s.days[i], most)
		}
	}
}

// summary is what became of the rounds of a row.
type summary struct {
	rounds, halted int
	by             map[string]int
	have           [3]int
	hit            int
	days           [2]float64
}

func summaryOf(all []outcome) summary {
	s := summary{rounds: len(all), by: map[string]int{}}
	var have, hit []int
	var days []float64
	for _, o := range all {
		have, hit, days = append(have, o.have), append(hit, o.hit+o.lost), append(days, o.days)
		if o.halted {
			s.halted++
			s.by[o.stream]++
		}
	}
	slices.Sort(have)
	slices.Sort(hit)
	slices.Sort(days)
	s.have = [3]int{at(have, 0.5), at(have, 0.95), at(have, 1)}
	s.hit, s.days = at(hit, 0.5), [2]float64{at(days, 0.5), at(days, 0.95)}
	return s
}

func (s summary) String() string {
	return fmt.Sprintf("%d of %d halted %v; have it %d %d %d; crashed or lost %d; %.3f %.3f days",
		s.halted, s.rounds, s.by, s.have[0], s.have[1], s.have[2], s.hit, s.days[0], s.days[1])
}

// halted counts good rollouts that were halted under settings.
func haltedOf(t *testing.T, rounds int, k plantKind, s settings) int {
	t.Helper()
	plan, _ := NamedPlan("standard")
	all, err := playRounds(t.Context(), rounds, func(seed int) outcome { return newPlant(k, table[0].build, plan, s, uint64(seed)).play() })
	if err != nil {
		t.Fatal(err)
	}
	return summaryOf(all).halted
}

// The controls: without what keeps the promise, good rollouts halt.

func TestWithAnAlphaOfOneHalfGoodRolloutsHalt(t *testing.T) {
	s := product
	s.alpha = 0.5
	if n := haltedOf(t, 6, usual, s); n == 0 {
		t.Error("none of 6 good rollouts halted at α = 0.5")
	}
}

func TestWithoutTheRuleOfDarkLinesShiftEndsHaltGoodRollouts(t *testing.T) {
	k := usual
	k.lightRule = true
	if n := haltedOf(t, 4, k, product); n == 0 {
		t.Error("none of 4 good rollouts halted, although nobody tells a dark line from lost devices")
	}
}

// TestWithARateOfThePastASwingingPlantHaltsGoodRollouts compares the new build's crashes with what the base had in the week
// before, by an e-process just as careful, on the same plays that the real rule passes.
func TestWithARateOfThePastASwingingPlantHaltsGoodRollouts(t *testing.T) {
	k := usual
	k.swing, k.days = 0.9, 30
	k.rate = 0.02
	plan, _ := NamedPlan("standard")
	real, past := 0, 0
	for _, seed := range []int{2, 3} {
		b := playedBuild{brick: 0.001, rate: k.rate, boots: 1}
		p := newPlant(k, b, plan, product, uint64(seed))
		r := newPast(k.rate * (1 + k.swing*math.Sin(p.phase))) // as it was just before
		p.each = func() { r.see(p) }
		if p.play().halted {
			real++
		}
		if r.halts {
			past++
		}
		t.Logf("seed %d: %.1f days, wave %d, %d new crashes, evidence of the past %.3g at most", seed, p.now.Hours()/24, p.course.Wave, r.seen, r.most)
	}
	if real > 0 || past == 0 {
		t.Errorf("of 2 good rollouts the rule halted %d and a rate of the past %d: want none, and some", real, past)
	}
}

// past is an e-process of first crashes of the new build's devices against a rate that is taken for known: Poisson, over the
// same grid.
type past struct {
	rate  float64
	l     []float64
	last  time.Duration
	seen  int
	most  float64
	halts bool
}

func newPast(rate float64) *past { return &past{rate: rate, l: make([]float64, 5)} }

func (r *past) see(p *plant) {
	c := p.course
	atRisk := 0
	for _, l := range c.lines {
		atRisk += l.crash[0]
	}
	hours := (p.now - r.last).Hours()
	r.last = p.now
	news := c.evidence.crashed[0] - r.seen
	r.seen = c.evidence.crashed[0]
	for i, h := range []float64{2, 3.5, 10, 50, 500} {
		r.l[i] += float64(news)*logOf(h) - (h-1)*r.rate*float64(atRisk)*hours/24
	}
	r.most = max(r.most, meanOf(r.l))
	r.halts = r.most >= 1e4
}

func TestAForecastIsTheSameEachTimeAndEndsWithItsContext(t *testing.T) {
	calls := 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := playRounds(ctx, 1000, func(int) outcome { calls++; return outcome{} }); err == nil || calls > 2 {
		t.Errorf("%d rounds were played after the end of the context, error %v", calls, err)
	}
}
