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

// playedBuild is what a build does to devices.
type playedBuild struct {
	brick, back  float64       // share of devices that do not come back, that go back
	bootCrash    float64       // share of boots that crash
	rate         float64       // crashes a device and day
	late         time.Duration // after it the device is dead; 0: never
	boots        float64       // a device and day
	ownSignature bool          // its further crashes have one new fingerprint
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

type played struct {
	key     fleet.DeviceKey
	line    int
	lemon   bool
	dead    bool // unplugged, or its firmware ended
	has     bool // runs the build
	crashed bool
	phase   time.Duration
}

type playedLine struct {
	name    string
	first   int // of its devices
	n       int
	on      bool
	changed time.Duration // when it went on or off last
	dark    bool          // as it is inferred
	waiting []int         // devices that would have asked
	silent  []int         // that were missed while it was dark
}

const (
	day   = 24 * time.Hour
	polls = 5 * time.Minute
	u     = 15 * time.Minute
)

// what happens next.
type what uint8

const (
	asks what = iota
	arrived
	upNow
	wentBackNow
	bootCrash
	reboots
	newCrash
	dies
	oldCrash
	unplugged
	missedNow
	returns
	cut
	plantCut
	cell
	shiftEnds
	shiftBegins
	powerBack
	inferDark
	inferLit
	ticks
)

type happening struct {
	at     time.Duration
	number uint32
	what   what
	who    int32
}

// events is a heap, by time.
type events struct {
	all    []happening
	number uint32
}

func (e *events) less(i, j int) bool {
	a, b := &e.all[i], &e.all[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}

func (e *events) push(h happening) {
	e.number++
	h.number = e.number
	e.all = append(e.all, h)
	for i := len(e.all) - 1; i > 0; {
		up := (i - 1) / 2
		if !e.less(i, up) {
			break
		}
		e.all[i], e.all[up] = e.all[up], e.all[i]
		i = up
	}
}

func (e *events) pop() happening {
	h := e.all[0]
	last := len(e.all) - 1
	e.all[0] = e.all[last]
	e.all = e.all[:last]
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < last && e.less(down, least) {
				least = down
			}
		}
		if least == i {
			return h
		}
		e.all[i], e.all[least] = e.all[least], e.all[i]
		i = least
	}
}

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

// Presence is how the sightings would see a device.
func (p *plant) Presence(key fleet.DeviceKey) fleet.Presence {
	d := &p.devices[indexOf(key)]
	l := &p.lines[d.line]
	seen := fleet.Presence{State: fleet.Live, Line: l.name, Rhythm: polls, Ago: time.Minute}
	if d.dead || !l.on {
		seen.State, seen.Missing, seen.Ago = fleet.Silent, true, day
	}
	return seen
}

// HeardAgo is likewise: the last contacts of devices that ask every five minutes are spread over five minutes.
func (p *plant) HeardAgo(_ fleet.ModelCode, name string) (time.Duration, bool) {
	l := &p.lines[lineIndex(name)]
	since := p.now - l.changed
	switch {
	case p.kind.lightRule:
		return 0, true
	case l.on && since >= polls/2:
		return polls / 2, true
	case l.on:
		return since + day, true
	}
	return since + polls/2, true
}

func keyOf(i int) fleet.DeviceKey {
	const digits = "abcdefghijklmnop"
	var b [8]byte
	for at := 7; at >= 0; at-- {
		b[at] = digits[i&15]
		i >>= 4
	}
	return fleet.DeviceKey(b[:])
}

func indexOf(key fleet.DeviceKey) int {
	i := 0
	for at := range len(key) {
		i = i<<4 | int(key[at]-'a')
	}
	return i
}

func lineName(i int) string { return "line" + string(keyOf(i)) }

func lineIndex(name string) int { return indexOf(fleet.DeviceKey(name[len("line"):])) }

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

// asksSoon has a device ask at its next turn.
func (p *plant) asksSoon(i int) {
	d := &p.devices[i]
	wait := (d.phase - p.now%polls + polls) % polls
	p.in(wait, asks, i)
}

func (p *plant) happen(w what, i int) {
	c := p.course
	switch w {
	case asks:
		p.ask(i)
	case arrived:
		p.arrive(i)
	case upNow:
		c.runs(keyOf(i), "2", fleet.UpSaid, p.now)
	case wentBackNow:
		p.devices[i].has = false
		p.lost++
		c.back(keyOf(i), "2", "it says so", p.now)
		if c.members[keyOf(i)].State == fleet.MemberBack {
			p.in(polls, asks, i)
		}
	case bootCrash:
		p.hit++
		p.crash(i)
	case reboots:
		if p.alive(i) && p.devices[i].has {
			c.booted(keyOf(i), p.now)
			if p.random.Float64() < p.build.bootCrash {
				p.hit++
				p.crash(i)
			}
		}
		p.in(p.wait(p.build.boots), reboots, i)
	case newCrash:
		if p.alive(i) && p.devices[i].has {
			p.hit++
			p.crash(i)
		}
		p.in(p.wait(p.build.rate-p.kind.rate), newCrash, i)
	case dies:
		if p.devices[i].has && !p.devices[i].dead {
			p.lost++
			p.die(i)
		}
	case oldCrash:
		p.oldCrash()
	case ticks:
		p.in(polls, ticks, 0)
	default:
		p.befall(w, i)
	}
}

// befall is what happens to the plant whatever it runs.
func (p *plant) befall(w what, i int) {
	lines := float64(len(p.lines))
	switch w {
	case unplugged:
		p.die(p.random.IntN(len(p.devices)))
		p.in(p.wait(float64(len(p.devices))*0.005), unplugged, 0)
	case missedNow:
		p.miss(i)
	case returns:
		if p.devices[i].dead {
			p.devices[i].dead = false
			p.course.heard(keyOf(i), p.now)
			if p.devices[i].has {
				p.in(0, upNow, i)
			}
			p.asksSoon(i)
		}
	case cut:
		l := p.random.IntN(len(p.lines))
		if p.lines[l].on {
			p.power(l, false)
			p.in(p.between(5*time.Minute, 3*time.Hour), powerBack, l)
		}
		p.in(p.wait(lines/20), cut, 0)
	case plantCut:
		for l := range p.lines {
			if p.lines[l].on {
				p.power(l, false)
				p.in(p.between(5*time.Minute, 2*time.Hour), powerBack, l)
			}
		}
	case cell:
		p.cellFails()
		p.in(p.wait(lines/10), cell, 0)
	case shiftEnds:
		p.power(i, false)
		p.in(day, shiftEnds, i)
	case shiftBegins:
		p.power(i, true)
		p.in(day, shiftBegins, i)
	case powerBack:
		p.power(i, true)
	case inferDark:
		p.infer(i, true)
	case inferLit:
		p.infer(i, false)
	}
}

func (p *plant) alive(i int) bool { return !p.devices[i].dead && p.lines[p.devices[i].line].on }

func (p *plant) ask(i int) {
	d := &p.devices[i]
	l := &p.lines[d.line]
	switch {
	case d.dead || d.has:
	case !l.on:
		l.waiting = append(l.waiting, i)
	case p.course.take(d.key, p.now):
		p.in(p.between(time.Minute, 3*time.Minute), arrived, i)
	default:
		switch m := p.course.members[d.key]; {
		case m.State == fleet.MemberOffered:
			p.in(p.between(time.Minute, 3*time.Minute), arrived, i)
		case m.State == fleet.MemberWaiting && m.inCut, m.State == fleet.MemberBack:
			p.in(polls, asks, i)
		}
	}
}

// arrive is the end of a download, and the boot that follows.
func (p *plant) arrive(i int) {
	d := &p.devices[i]
	if !p.alive(i) {
		if !d.dead {
			p.lines[d.line].waiting = append(p.lines[d.line].waiting, i)
		}
		return
	}
	if m := p.course.members[d.key]; m.State != fleet.MemberOffered {
		return
	}
	again := p.course.members[d.key].Attempts > 0
	p.course.fetched(d.key, "2", p.now)
	if !again {
		p.have++
	}
	switch {
	case p.random.Float64() < p.build.brick:
		p.lost++
		d.dead = true
		return
	case p.random.Float64() < p.build.back:
		p.in(time.Minute, wentBackNow, i)
		return
	}
	d.has = true
	p.in(10*time.Second, upNow, i)
	if p.build.bootCrash > 0 {
		if p.random.Float64() < p.build.bootCrash {
			p.in(time.Minute, bootCrash, i)
		}
	}
	p.in(p.wait(max(p.build.boots, 0.1)), reboots, i)
	if p.build.late > 0 {
		p.in(p.build.late, dies, i)
	}
	if p.build.rate > p.kind.rate {
		p.in(p.wait(p.build.rate-p.kind.rate), newCrash, i)
	}
}

// die has a device fall silent.
func (p *plant) die(i int) {
	d := &p.devices[i]
	if d.dead {
		return
	}
	d.dead = true
	p.in(p.between(2*u-polls, 2*u), missedNow, i) // since its last contact
	if !d.has || p.build.late == 0 {
		if p.random.Float64() < 0.5 {
			p.in(p.wait(1), returns, i)
		}
	}
}

func (p *plant) miss(i int) {
	d := &p.devices[i]
	l := &p.lines[d.line]
	switch {
	case !d.dead && (l.on || !p.kind.lightRule):
	case (!l.on || l.dark) && !p.kind.lightRule:
		l.silent = append(l.silent, i)
	default:
		p.course.missed(d.key, p.now)
	}
}

// crash is one of the device's, whichever build it runs.
func (p *plant) crash(i int) {
	d := &p.devices[i]
	if d.crashed { // it counts once
		p.course.crashes(d.key, p.version(d), "", "", p.now)
		return
	}
	d.crashed = true
	signature := ""
	more := d.has && p.build.rate > p.kind.rate && p.random.Float64() < 1-p.kind.rate/p.build.rate
	switch {
	case p.build.ownSignature && more, d.has && p.build.bootCrash > 0:
		signature = "new"
	case p.random.Float64() < 0.1:
		p.novel++
		signature = "novel" + string(keyOf(p.novel))
	}
	p.course.crashes(d.key, p.version(d), signature, "", p.now)
}

func (p *plant) version(d *played) fleet.Version {
	if d.has {
		return "2"
	}
	return "1"
}

// oldCrash is one of those that the base has, too: a fifth of them are of devices that crash often.
func (p *plant) oldCrash() {
	p.in(p.wait(float64(len(p.devices))*p.kind.rate*(1+p.kind.swing)), oldCrash, 0)
	if swung := 1 + p.kind.swing*math.Sin(2*math.Pi*p.now.Hours()/24/28+p.phase); p.random.Float64() >= swung/(1+p.kind.swing) {
		return
	}
	lemons := p.random.Float64() < 0.2
	for range 10_000 {
		i := p.random.IntN(len(p.devices))
		if p.devices[i].lemon != lemons {
			continue
		}
		if p.alive(i) {
			p.crash(i)
		}
		break
	}
}

func (p *plant) cellFails() {
	l := p.random.IntN(len(p.lines))
	line := &p.lines[l]
	most := min(20, line.n/5) // a fifth of it
	if !line.on || most == 0 {
		return
	}
	n := max(most/4, 1) + p.random.IntN(most-max(most/4, 1)+1)
	first := line.first + p.random.IntN(line.n-n+1)
	for i := first; i < first+n; i++ {
		p.die(i)
	}
}

// power switches a line. What the sightings make of it comes later: half of its devices are due after two minutes more than
// half of their rhythm, and half of them are heard again after half of it.
func (p *plant) power(l int, on bool) {
	line := &p.lines[l]
	if line.on == on {
		return
	}
	line.on, line.changed = on, p.now
	if !on {
		p.in(polls/2+u/8, inferDark, l)
		if p.kind.lightRule {
			for i := line.first; i < line.first+line.n; i++ {
				p.in(p.between(2*u, 2*u+polls), missedNow, i)
			}
		}
		return
	}
	p.in(polls/2, inferLit, l)
	for _, i := range line.waiting {
		p.asksSoon(i)
	}
	line.waiting = nil
	if p.kind.lightRule {
		for i := line.first; i < line.first+line.n; i++ {
			if !p.devices[i].dead {
				p.course.heard(p.devices[i].key, p.now)
				p.asksSoon(i)
			}
		}
	}
}

func (p *plant) infer(l int, dark bool) {
	line := &p.lines[l]
	if line.on == dark || line.dark == dark || p.kind.lightRule {
		return
	}
	line.dark = dark
	p.course.darkened(line.name, dark, p.now)
	if dark {
		return
	}
	for _, i := range line.silent {
		p.in(p.between(2*u, 2*u+polls), missedNow, i)
	}
	line.silent = nil
}
