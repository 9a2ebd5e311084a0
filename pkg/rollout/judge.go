package rollout

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mark notes the first time that something happened to a member, which is evidence from then on.
func (c *course) mark(m *member, k kind, mark fleet.Mark, now time.Duration) {
	at, mine := map[kind]**fleet.Mark{ofEnd: &m.Ended, ofCrash: &m.Crash, ofSilence: &m.Silence}[k], none
	switch k {
	case ofCrash:
		mark.Risk, mine = m.line.crash, m.crash
	case ofSilence:
		mark.Risk, mine = m.line.quiet, m.quiet
	}
	if *at != nil {
		return
	}
	if k != ofEnd && mine == none { // it was not counted as at risk, and was: it ran the build for a moment, and went back
		m.line.count(&mark.Risk, map[bool]class{true: ofNew, false: ofOld}[mark.New], 1)
	}
	c.marks++
	mark.Number, mark.At = c.marks, fleet.Duration(now)
	c.change(m, func() { *at = &mark })
	if !c.isEvidence(mark) {
		return
	}
	c.evidence.add(k, mark, mark.Bad && !mark.Back)
}

// isEvidence reports that a mark is evidence: it was made since a person has said "go on", and is of nothing that they accepted.
func (c *course) isEvidence(m fleet.Mark) bool {
	return m.Number >= c.Counted && (m.Fingerprint == "" || !slices.Contains(c.Accepted, m.Fingerprint))
}

// numbered is a mark with what it is of.
type numbered struct {
	kind kind
	fleet.Mark
	lost bool
}

// marksOf are the marks of members in their order.
func marksOf(members []fleet.Member) []numbered {
	var all []numbered
	for _, m := range members {
		if m.Ended != nil {
			all = append(all, numbered{ofEnd, *m.Ended, m.Ended.Bad && !m.Ended.Back})
		}
		if m.Crash != nil {
			all = append(all, numbered{ofCrash, *m.Crash, false})
		}
		if m.Silence != nil {
			all = append(all, numbered{ofSilence, *m.Silence, false})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// recount makes the evidence anew, of the members' marks.
func (c *course) recount() {
	records := make([]fleet.Member, 0, len(c.members))
	for _, m := range c.members {
		records = append(records, m.Member)
	}
	c.evidence, c.stained = c.freshEvidence(), false
	for _, m := range marksOf(records) {
		c.marks = max(c.marks, m.Number)
		if c.isEvidence(m.Mark) {
			c.evidence.add(m.kind, m.Mark, m.lost)
		}
	}
}

// weigh counts the evidence anew where it holds what is there no more. A thousand devices that go at once cost one count.
func (c *course) weigh() {
	if c.stained {
		c.recount()
	}
}

// judge halts the rollout where the evidence is enough.
func (c *course) judge(now time.Duration) {
	if !c.brings() || c.publishing {
		return
	}
	c.weigh()
	v := c.evidence.values()
	if v.Total < 1/c.alpha {
		return
	}
	c.halt(c.reason(v), now)
}

// halt ends all offers in this moment.
func (c *course) halt(why string, now time.Duration) {
	c.State, c.Why, c.Halted, c.EndedAt = fleet.RolloutHalted, why, why, c.wall
	c.weigh()
	c.tell(event.RolloutHalted, c.halting(why))
	c.endOffers(now)
	if c.Retreat && c.NoRetreat == "" {
		c.retreat("", now)
	}
}

// halting is what is told of a halt.
func (c *course) halting(why string) map[string]any {
	has, old := sidesOf(c.counted())
	more := map[string]any{"why": why, "devices": has, "evidence": math.Round(c.evidence.values().Total)}
	if s := c.signature(has, old); s != nil && c.evidence.crash.more() {
		more["signature"], more["frame"] = s.Fingerprint, s.Frame
		more["new"], more["old"] = fmt.Sprintf("%d/%d", s.New.Devices, s.New.Of), fmt.Sprintf("%d/%d", s.Old.Devices, s.Old.Of)
	}
	return more
}

// endOffers has who was offered the build, and does not have it, offered the base again.
func (c *course) endOffers(now time.Duration) {
	c.unoffer(now)
	if c.halted != nil {
		c.halted()
	}
}

// unoffer has who was offered something, and does not have it, wait again.
func (c *course) unoffer(now time.Duration) {
	for _, m := range c.order {
		if m.State == fleet.MemberOffered || m.State == fleet.MemberFetching {
			c.step(m, fleet.MemberWaiting, now, func() { m.OfferedAt = time.Time{} })
			c.lookNoMore(m)
		}
	}
}

// reason is why, in one sentence of the stream that says the most.
func (c *course) reason(v fleet.RolloutEvidence) string {
	e := c.evidence
	switch most := max(v.Loss, v.Crash, v.Silence, v.Signature); most {
	case v.Loss:
		return c.lossReason()
	case v.Signature:
		n := e.signatures.worst()
		if n != nil && v.Crash < 1 {
			return fmt.Sprintf("one crash is new with it, on %d devices", n.devices[0])
		}
		return c.crashReason()
	case v.Crash:
		return c.crashReason()
	}
	return fmt.Sprintf("falls silent %s times as often", times(e.quiet.ratio()))
}

func (c *course) lossReason() string {
	e := c.evidence
	how := "did not come back or went back"
	switch e.lost {
	case e.bad:
		how = "did not come back"
	case 0:
		how = "went back"
	}
	return fmt.Sprintf("%d of the first %d devices %s", e.bad, e.judged, how)
}

func (c *course) crashReason() string {
	e := c.evidence
	if e.crashes.seen[1] == 0 {
		return fmt.Sprintf("crashes %d times where %.1f were to be expected", e.crashes.seen[0], e.crashes.expected)
	}
	return fmt.Sprintf("crashes %s times as often", times(e.crashes.ratio()))
}

func times(x float64) string { return fmt.Sprintf("%.1f", x) }

// wordsOf joins words as people do.
func wordsOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
