package rollout

import "time"

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
