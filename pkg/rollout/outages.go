package rollout

import "time"

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
