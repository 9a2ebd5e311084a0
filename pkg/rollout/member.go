package rollout

import (
	"container/heap"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// member is a device of a rollout in memory.
type member struct {
	fleet.Member
	line      *line
	hash      uint64
	place     float64
	named     bool          // a person has put it into the first wave
	inCut     bool          // the waves that are open have reached it
	unseen    bool          // it fell silent, and was not heard since
	held      string        // why it is skipped, as the catalog says: pinned, revoked
	brokeAt   time.Duration // of elapsed time: when its last download broke
	nudgedAt  time.Duration // of elapsed time: when it was asked to restart
	due       time.Duration // of elapsed time: when it is looked at again; 0: not by itself
	at        int           // in the heap, -1 outside it
	maybe     bool          // it was offered something when the gateway ended: what it has of it nobody knows; see [course.checked]
	checkedAt time.Duration // of elapsed time: when such a one wanted no more than a block of it; 0: it has not
	pending   bool          // its offer is being written: nobody names the build to it yet
	dirty     bool          // it waits to be saved
	saving    bool          // it is being saved at this moment: what is written of it comes after that
	crash     class         // in which it is counted for its line
	quiet     class
}

// class is how a member counts among those of its line to whom something can happen.
type class uint8

const (
	none class = iota
	ofNew
	ofOld
)

// line is a place in the plant, with its members.
type line struct {
	name    string
	members []*member // by hash
	dark    bool
	lit     time.Duration // of elapsed time: when it was lit again last; 0: it was never dark
	crash   [2]int        // members at risk of their first crash: of the new build, of the old one
	quiet   [2]int        // likewise, of their first silence
}

func (l *line) count(counts *[2]int, c class, by int) {
	switch c {
	case ofNew:
		counts[0] += by
	case ofOld:
		counts[1] += by
	}
}

// inFlight reports states between an offer and a verdict.
func inFlight(s fleet.MemberState) bool {
	switch s {
	case fleet.MemberOffered, fleet.MemberFetching, fleet.MemberFetched, fleet.MemberUp:
		return true
	}
	return false
}

// holdsSlot reports that a member has the build, or may have it at any moment, and has not shown that it is healthy with it.
func (m *member) holdsSlot() bool {
	return !m.Excused && (inFlight(m.State) || m.State == fleet.MemberLost || m.State == fleet.MemberBack)
}

// apart reports that a member compares with nobody: a person has put it into the first wave, or it took the build itself. It
// was not picked at random.
func (m *member) apart() bool { return m.named || m.Strayed }

// risk says as what a member counts for a stream that it has no mark of yet.
func (m *member) risk(marked bool) class {
	if marked || m.unseen || m.apart() {
		return none
	}
	switch m.State {
	case fleet.MemberUp, fleet.MemberHealthy:
		return ofNew
	case fleet.MemberWaiting, fleet.MemberOffered, fleet.MemberFetching:
		if m.Has {
			return none
		}
		return ofOld
	}
	return none
}

// queue is a heap of the members that are looked at at a certain time.
type queue []*member

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push is heap's.
func (q *queue) Push(x any) {
	m := x.(*member)
	m.at = len(*q)
	*q = append(*q, m)
}

// Pop is heap's.
func (q *queue) Pop() any {
	m := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	m.at = -1
	return m
}

// lookAt has a member looked at at a time, and not before.
func (c *course) lookAt(m *member, due time.Duration) {
	m.due = due
	if m.at >= 0 {
		heap.Fix(&c.queue, m.at)
	} else {
		heap.Push(&c.queue, m)
	}
}

func (c *course) lookNoMore(m *member) {
	if m.at >= 0 {
		heap.Remove(&c.queue, m.at)
	}
	m.due = 0
}
