package rollout

import (
	"math"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// playedBuild is what a build does to devices.
type playedBuild struct {
	brick, back  float64       // share of devices that do not come back, that go back
	bootCrash    float64       // share of boots that crash
	rate         float64       // crashes a device and day
	late         time.Duration // after it the device is dead; 0: never
	boots        float64       // a device and day
	ownSignature bool          // its further crashes have one new fingerprint
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
			c.booted(keyOf(i), false, p.now)
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
