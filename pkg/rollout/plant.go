package rollout

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// plant is a simulated one, that a course is played on: lines with shifts, power cuts of lines, cells and all of it, devices
// that crash twenty times as often as others, devices that are unplugged and come back. A course is fed changes only; which
// lines are dark it is told some minutes late, as the sightings infer it.
type plant struct {
	kind   plantKind
	build  playedBuild
	random *rand.Rand
	now    time.Duration
	events events
	course *course

	each    func() // called after each event; nil: nobody
	devices []played
	lines   []playedLine
	novel   int
	phase   float64 // of the rate's swing
	have    int     // devices that got the build
	hit     int     // that crashed
	lost    int
}

// plantKind is a plant.
type plantKind struct {
	lines     []int   // devices on each
	rate      float64 // crashes of the base a device and day
	swing     float64 // of the rate, up and down within four weeks: 0.5 is from half to one and a half
	tolerated float64 // share of updates that may end badly
	calm      bool    // no cuts, no shifts
	days      float64 // after which nobody waits any more
	lightRule bool    // for a control: without the rule that tells a dark line from lost devices
}

const (
	day   = 24 * time.Hour
	polls = 5 * time.Minute
	u     = 15 * time.Minute
)

func (p *plant) in(after time.Duration, w what, who int) {
	p.events.push(happening{at: p.now + after, what: w, who: int32(who)})
}

func (p *plant) between(from, to time.Duration) time.Duration {
	return from + time.Duration(p.random.Float64()*float64(to-from))
}

// wait draws how long it takes until something happens that happens so often a day.
func (p *plant) wait(daily float64) time.Duration {
	return time.Duration(min(p.random.ExpFloat64()/daily, 1000) * float64(day))
}

// newPlant makes a plant whose devices run the base, and a course on it.
func newPlant(k plantKind, b playedBuild, plan fleet.Plan, s settings, seed uint64) *plant {
	p := &plant{kind: k, build: b, random: rand.New(rand.NewPCG(seed, 20260504))}
	r := fleet.Rollout{
		Number: int(seed), Model: "plant", Version: "2", Base: "1", State: fleet.RolloutRunning, Plan: plan, Tolerated: k.tolerated, Rate: k.rate,
	}
	if k.swing > 0 {
		p.phase = 2 * math.Pi * p.random.Float64()
	}
	p.course = newCourse(r, s, p)
	for l, n := range k.lines {
		p.lines = append(p.lines, playedLine{name: lineName(l), first: len(p.devices), n: n, on: true, changed: -day})
		for range n {
			i := len(p.devices)
			p.devices = append(p.devices, played{key: keyOf(i), line: l, lemon: p.random.Float64() < 0.01, phase: p.between(0, polls)})
			p.course.add(fleet.Member{Device: keyOf(i), Line: lineName(l), State: fleet.MemberWaiting})
		}
	}
	p.course.arrange()
	p.begin()
	return p
}

func (p *plant) begin() {
	n := float64(len(p.devices))
	p.in(p.wait(n*p.kind.rate*(1+p.kind.swing)), oldCrash, 0)
	p.in(0, ticks, 0)
	if p.kind.calm {
		return
	}
	lines := float64(len(p.lines))
	p.in(p.wait(n*0.005), unplugged, 0)
	p.in(p.wait(lines/20), cut, 0)
	p.in(p.wait(lines/10), cell, 0)
	if p.random.Float64() < 0.2 {
		p.in(p.between(0, 6*day), plantCut, 0)
	}
	start := p.between(0, day)
	for l := range p.lines {
		if p.random.Float64() >= 0.4 {
			continue
		}
		off := (22*time.Hour-start+day)%day + p.between(0, 10*time.Minute)
		on := (6*time.Hour-start+day)%day + p.between(0, 10*time.Minute)
		if on < off {
			p.power(l, false)
		}
		p.in(off, shiftEnds, l)
		p.in(on, shiftBegins, l)
	}
}

// outcome is how a play ended.
type outcome struct {
	halted   bool
	finished bool
	why      string
	stream   string
	have     int
	hit      int
	lost     int
	days     float64
}

// play runs until the rollout has ended, or nobody waits any more.
func (p *plant) play() outcome {
	limit := time.Duration(p.kind.days * float64(day))
	c := p.course
	for len(p.events.all) > 0 && p.now <= limit {
		cut, before := c.cut, c.State
		if len(c.queue) > 0 && c.queue[0].due < p.events.all[0].at {
			p.now = max(p.now, c.queue[0].due)
		} else {
			h := p.events.pop()
			p.now = h.at
			p.happen(h.what, int(h.who))
		}
		c.tick(p.now)
		for ; cut < c.cut; cut++ {
			if m := c.order[cut]; m.State == fleet.MemberWaiting {
				p.asksSoon(indexOf(m.Device))
			}
		}
		if c.State == fleet.RolloutPaused && before != c.State { // the gate asks, and a person lets it wait on
			c.resumed(p.now)
		}
		if p.each != nil {
			p.each()
		}
		c.told, c.dirty = nil, c.dirty[:0]
		if c.State == fleet.RolloutHalted || c.finishing {
			break
		}
	}
	v := c.evidence.values()
	o := outcome{
		halted: c.State == fleet.RolloutHalted, finished: c.finishing && c.State != fleet.RolloutHalted, why: c.Why, have: p.have, hit: p.hit, lost: p.lost, days: p.now.Hours() / 24,
	}
	switch max(v.Loss, v.Crash, v.Silence, v.Signature) {
	case v.Loss:
		o.stream = "loss"
	case v.Crash:
		o.stream = "crash"
	case v.Silence:
		o.stream = "silence"
	default:
		o.stream = "signature"
	}
	return o
}
