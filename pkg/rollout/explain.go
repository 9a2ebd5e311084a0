package rollout

import (
	"fmt"
	"math"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostLines of an explanation are shown.
const mostLines = 20

// explain makes the evidence anew of the members' marks, as at a start, and says how it came about. What there is of an older
// rollout are its record and those members that were offered the build.
func explain(r fleet.Rollout, members []fleet.Member, s settings) fleet.Explanation {
	c := newCourse(r, s, nil)
	marks := marksOf(members)
	var x fleet.Explanation
	device := map[uint64]fleet.Member{}
	for _, m := range members {
		for _, mark := range []*fleet.Mark{m.Ended, m.Crash, m.Silence} {
			if mark != nil {
				device[mark.Number] = m
			}
		}
	}
	for _, m := range marks {
		if !c.isEvidence(m.Mark) {
			continue
		}
		c.evidence.add(m.kind, m.Mark, m.lost)
		of := device[m.Number]
		if sentence := m.sentence(of); sentence != "" {
			x.Lines = append(x.Lines, fmt.Sprintf("%s, %s: %s, evidence %.3g", of.Device, of.Line, sentence, c.evidence.values().Total))
		}
	}
	for i, j := 0, len(x.Lines)-1; i < j; i, j = i+1, j-1 {
		x.Lines[i], x.Lines[j] = x.Lines[j], x.Lines[i]
	}
	x.Lines = x.Lines[:min(len(x.Lines), mostLines)]
	c.explained(&x, r.Counts)
	return x
}

// sentence says what a mark is of, "" of an update that ended well.
func (m numbered) sentence(of fleet.Member) string {
	build := "the old build"
	if m.New {
		build = "the new build"
	}
	at := fmt.Sprintf("where %d devices had the new one and %d the old one", m.Risk[0], m.Risk[1])
	switch {
	case m.kind == ofEnd && m.Back:
		return "went back"
	case m.kind == ofEnd && m.Bad:
		return "did not come back"
	case m.kind == ofCrash && m.Fingerprint != "":
		return fmt.Sprintf("crashed with %s, %s, which is new: %s", build, at, m.Fingerprint)
	case m.kind == ofCrash:
		return fmt.Sprintf("crashed with %s, %s", build, at)
	case m.kind == ofSilence:
		return fmt.Sprintf("fell silent with %s, %s", build, at)
	}
	return ""
}

// explained says what the evidence is made of.
func (c *course) explained(x *fleet.Explanation, n fleet.RolloutCounts) {
	e := c.evidence
	has, old := sidesOf(n)
	x.Evidence, x.Signature = e.values(), c.signature(has, old)
	x.Ended = fleet.ShareCount{Devices: e.bad, Of: e.judged}
	x.New = fleet.ShareCount{Devices: e.crashed[0], Of: has}
	x.Old = fleet.ShareCount{Devices: e.crashed[1], Of: old}
	x.Silent = [2]fleet.ShareCount{{Devices: e.silent[0], Of: has}, {Devices: e.silent[1], Of: old}}
	x.Expected = math.Round(10*e.crashes.expected) / 10
	x.DecideWithin = fleet.Duration(c.decideWithin)
	if x.Gates = c.gates(); x.Gates == nil {
		x.Gates = []fleet.Gate{}
	}
	if x.Lines == nil {
		x.Lines = []string{}
	}
}
