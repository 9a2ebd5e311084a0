package rollout

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

var usual = plantKind{lines: slices.Repeat([]int{100}, 80), rate: 0.002, days: 60}

var product = settings{alpha: 1e-4, beta: 0.01, upWithin: u, decideWithin: 14 * day}

type row struct {
	name  string
	build playedBuild
}

var rows = []row{
	{"good", playedBuild{brick: 0.001, rate: 0.002, boots: 1}},
	{"silent at once", playedBuild{brick: 1, rate: 0.002, boots: 1}},
	{"30 % silent", playedBuild{brick: 0.3, rate: 0.002, boots: 1}},
	{"30 % went back", playedBuild{back: 0.3, rate: 0.002, boots: 1}},
	{"silent after 6 h", playedBuild{brick: 0.001, rate: 0.002, boots: 1, late: 6 * time.Hour}},
	{"5 % of boots crash, 1 boot a day", playedBuild{brick: 0.001, bootCrash: 0.05, rate: 0.002, boots: 1}},
	{"5 % of boots crash, 4 boots a day", playedBuild{brick: 0.001, bootCrash: 0.05, rate: 0.002, boots: 4}},
	{"+0.5 points, many bugs", playedBuild{brick: 0.001, rate: 0.007, boots: 1}},
	{"+0.5 points, one bug", playedBuild{brick: 0.001, rate: 0.007, boots: 1, ownSignature: true}},
}

func TestPlay(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	n = max(n, 10)
	plan, _ := NamedPlan("standard")
	for _, r := range rows {
		if only := os.Getenv("R"); only != "" && r.name != only {
			continue
		}
		begun := time.Now()
		var all []outcome
		for seed := range n {
			p := newPlant(usual, r.build, plan, product, uint64(seed))
			o := p.play()
			all = append(all, o)
			if os.Getenv("V") != "" && (o.halted == (r.name == "good") || o.days > 59) {
				for i, d := range p.devices {
					if m := p.course.members[keyOf(i)]; m.State == "waiting" && p.course.State == "running" {
						fmt.Printf("%+v %+v on %v cut %v unseen %v silent %v\n", d, m.Member, p.lines[d.line].on, m.inCut, m.unseen, p.lines[d.line].silent)
					}
				}
				fmt.Printf("   seed %d %s %q wave %d %+v %+v slots %d/%d\n", seed, p.course.State, p.course.Why, p.course.Wave, p.course.counts, p.course.gates(), p.course.slots, p.course.budget())
			}
		}
		fmt.Println(r.name, tell(all), time.Since(begun)/time.Duration(n))
	}
}

func tell(all []outcome) string {
	halted := 0
	why := map[string]int{}
	var have, bad []int
	var days []float64
	for _, o := range all {
		have, bad, days = append(have, o.have), append(bad, o.hit+o.lost), append(days, o.days)
		if o.halted {
			halted++
			why[o.stream]++
		}
	}
	slices.Sort(have)
	slices.Sort(bad)
	slices.Sort(days)
	at := func(p float64) int { return min(len(all)-1, int(p*float64(len(all)))) }
	return fmt.Sprintf("halted %d of %d %v have %d/%d/%d bad %d days %.4f/%.4f", halted, len(all), why, have[at(.5)], have[at(.95)], have[len(all)-1], bad[at(.5)], days[at(.5)], days[at(.95)])
}
