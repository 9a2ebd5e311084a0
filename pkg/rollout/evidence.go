package rollout

import (
	"math"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What is seen is weighed by four streams. Each is an e-process: as long as the new build is no worse, its expected value is
// at most 1 however often somebody looks at it, so that one that has grown to 1/α is a false alarm with a probability of at
// most α (Ville's inequality). So is their mean. No rate of the past is used: the new build's devices are always compared
// with the old one's of the same line at the same moment, each device once.

// ratio compares how often something happens to the new build's devices and to the old one's, line by line: the logrank
// test that is valid at every look (ter Schure, Grünwald and others, "The anytime-valid logrank test", 2020). Its value is
// the mean over a grid of how many times as often it might happen.
type ratio struct {
	tolerated float64 // how many times as often is as good as not at all
	grid      []float64
	l         []float64 // logarithm of each one's likelihood ratio
}

func newRatio(tolerated float64, grid ...float64) ratio {
	return ratio{tolerated, grid, make([]float64, len(grid))}
}

// event takes in one device's first, with the devices of its line that were at risk just before.
func (r *ratio) event(isNew bool, risk [2]int) {
	if risk[0] == 0 || risk[1] == 0 {
		return // nobody to compare with
	}
	share := float64(risk[0]) / float64(risk[0]+risk[1])
	for i, h := range r.grid {
		if isNew {
			r.l[i] += math.Log(h / r.tolerated)
		}
		r.l[i] += math.Log((r.tolerated*share + 1 - share) / (h*share + 1 - share))
	}
}

func (r *ratio) e() float64 { return meanOf(r.l) }

// more reports that it happens to the new build's devices more often than to the old one's, rather than not.
func (r *ratio) more() bool { return r.l[0]+r.l[1] > 0 }

// share weighs the share of judged updates that ended badly against a tolerated one.
type share struct {
	tolerated float64
	grid      []float64
	l         []float64
}

// newShare weighs against a tolerated share. A share of the grid that lies at or below it would make evidence of updates that
// end well: such ones are raised to three times the tolerated odds.
func newShare(tolerated float64) share {
	grid := []float64{0.03, 0.1, 0.3, 0.6, 0.99}
	for i := range grid {
		grid[i] = max(grid[i], 3*tolerated/(1+2*tolerated))
	}
	return share{tolerated, grid, make([]float64, len(grid))}
}

func (s *share) outcome(bad bool) {
	for i, p := range s.grid {
		if bad {
			s.l[i] += math.Log(p / s.tolerated)
		} else {
			s.l[i] += math.Log((1 - p) / (1 - s.tolerated))
		}
	}
}

func (s *share) e() float64 { return meanOf(s.l) }

// meanOf is the mean of the powers, each at most e^60: more says nothing more.
func meanOf(l []float64) float64 {
	sum := 0.0
	for _, x := range l {
		sum += math.Exp(min(x, 60))
	}
	return sum / float64(len(l))
}

// signatures compares fingerprints that were not known before the rollout, each from its second device on.
type signatures struct {
	number map[string]int // in their order, from 0
	all    []signature
}

type signature struct {
	fingerprint, frame string
	ratio              ratio
	devices            [2]int // that crashed with it, of the new and of the old build
}

// mostSignatures bounds what is compared: the weight of the hundredth is a ten-thousandth.
const mostSignatures = 1000

func (s *signatures) crash(m fleet.Mark) {
	if m.Fingerprint == "" {
		return
	}
	i, seen := s.number[m.Fingerprint]
	switch {
	case seen:
		s.all[i].ratio.event(m.New, m.Risk)
	case len(s.all) == mostSignatures:
		return
	default:
		i = len(s.all)
		s.number[m.Fingerprint] = i
		s.all = append(s.all, signature{fingerprint: m.Fingerprint, frame: m.Frame, ratio: newRatio(1, 8, 64, 1000)})
	}
	s.all[i].devices[sideOf(m)]++
}

// e is the weighted sum: the j-th new fingerprint has the weight 1/(j(j+1)), which add up to 1.
func (s *signatures) e() float64 {
	sum := 0.0
	for i := range s.all {
		j := float64(i + 1)
		sum += s.all[i].ratio.e() / (j * (j + 1))
	}
	return sum
}

// worst is the one that says the most against the new build, nil where none says anything.
func (s *signatures) worst() *signature {
	var worst *signature
	most := 1.0
	for i := range s.all {
		if e := s.all[i].ratio.e(); e > most && s.all[i].devices[0] > 0 {
			worst, most = &s.all[i], e
		}
	}
	return worst
}

// evidence is the four streams, and what the sentences about them need.
type evidence struct {
	loss       share
	crash      ratio
	silence    ratio
	signatures signatures
	daily      ratio // against how much more often is to be ruled out
	judged     int
	bad        int
	lost       int
	crashed    [2]int // devices, of the new build and of the old one
	silent     [2]int
	crashes    compared
	quiet      compared
}

// compared counts first events where there was somebody to compare with.
type compared struct {
	seen     [2]int  // of the new build's devices, and of the old one's
	expected float64 // of the new build's devices, had it happened to them as often as to the old one's
}

func (c *compared) add(m fleet.Mark) {
	if m.Risk[0] == 0 || m.Risk[1] == 0 {
		return
	}
	c.seen[sideOf(m)]++
	c.expected += float64(m.Risk[0]) / float64(m.Risk[0]+m.Risk[1])
}

// mostTimes bounds what is said of how much more often something happens: beyond it a number means nothing.
const mostTimes = 1000

// ratio is how many times as often it happens to the new build's devices: what was seen on each side by what was to be
// expected there (Peto's estimate). 1 where nothing was seen.
func (c *compared) ratio() float64 {
	all := float64(c.seen[0] + c.seen[1])
	switch {
	case all == 0 || c.expected == 0:
		return 1
	case c.seen[1] == 0:
		return min(float64(c.seen[0])/c.expected, mostTimes)
	}
	return min(float64(c.seen[0])/c.expected*(all-c.expected)/float64(c.seen[1]), mostTimes)
}

// sideOf is 0 of the new build, 1 of the old one.
func sideOf(m fleet.Mark) int {
	if m.New {
		return 0
	}
	return 1
}

// toleratedSilence is how many times as often the new build's devices may fall silent: they have just been restarted.
const toleratedSilence = 1.25

func newEvidence(toleratedLoss, ruleOut float64) *evidence {
	grid := []float64{2, 3.5, 10, 50, 500}
	return &evidence{
		loss: newShare(toleratedLoss), crash: newRatio(1, grid...), silence: newRatio(toleratedSilence, grid...),
		signatures: signatures{number: map[string]int{}}, daily: newRatio(1, ruleOut),
	}
}

// kind is what a mark is of.
type kind uint8

const (
	ofEnd kind = iota
	ofCrash
	ofSilence
)

// add takes in a mark. Marks come in the order of their numbers.
func (e *evidence) add(k kind, m fleet.Mark, lost bool) {
	switch k {
	case ofEnd:
		e.loss.outcome(m.Bad)
		e.judged++
		if m.Bad {
			e.bad++
			if lost {
				e.lost++
			}
		}
	case ofCrash:
		e.crash.event(m.New, m.Risk)
		e.daily.event(m.New, m.Risk)
		e.signatures.crash(m)
		e.crashes.add(m)
		e.crashed[sideOf(m)]++
	case ofSilence:
		e.silence.event(m.New, m.Risk)
		e.quiet.add(m)
		e.silent[sideOf(m)]++
	}
}

// values are the streams' values and their mean. A signature counts only while crashes are more.
func (e *evidence) values() fleet.RolloutEvidence {
	v := fleet.RolloutEvidence{Loss: e.loss.e(), Crash: e.crash.e(), Silence: e.silence.e()}
	if e.crash.more() {
		v.Signature = e.signatures.e()
	}
	v.Total = (v.Loss + v.Crash + v.Silence + v.Signature) / 4
	return v
}
