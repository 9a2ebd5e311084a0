package rollout

import (
	"cmp"
	"hash/fnv"
	"slices"
	"sort"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Each device has a rank in its line by a hash of the rollout and its key, and a place: its rank divided by the devices of its
// line. In the order of places the first devices of all lines come before the second of any, so that each wave is random and
// spread over the lines, needs no list, and is the same after a restart.

// hashOf orders the devices of a line, for each rollout differently.
func hashOf(id string, device fleet.DeviceKey) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	_, _ = h.Write([]byte{'/'})
	_, _ = h.Write([]byte(device))
	x := h.Sum64() // whose high digits hardly depend on the last letters
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// before orders members by place, and equal ones by hash and key. Those that a person has named come first.
func before(a, b *member) int {
	if a.named != b.named {
		if a.named {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.hash, b.hash), cmp.Compare(a.Device, b.Device))
}

// arrange puts all members in their order. It is called once, at the start of the rollout or of the gateway.
func (c *course) arrange() {
	for _, l := range c.lines {
		slices.SortFunc(l.members, func(a, b *member) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.Device, b.Device)) })
		for i, m := range l.members {
			m.place = float64(i) / float64(len(l.members))
		}
	}
	slices.SortFunc(c.order, before)
}

// enter gives a device that comes later its place at once. It displaces none: the places of the others stay as they are.
func (c *course) enter(m *member) {
	m.place = float64(m.rank()) / float64(len(m.line.members))
	at := sort.Search(len(c.order), func(i int) bool { return before(c.order[i], m) > 0 })
	c.order = slices.Insert(c.order, at, m)
	if at < c.cut {
		c.cut++
		c.reach(m)
	}
}

// rank puts a member among those of its line.
func (m *member) rank() int {
	l := m.line
	rank := sort.Search(len(l.members), func(i int) bool { return l.members[i].hash >= m.hash })
	l.members = slices.Insert(l.members, rank, m)
	return rank
}

// leaveLine takes a member from its line. A line without members is none.
func (c *course) leaveLine(m *member) {
	l := m.line
	l.members = slices.DeleteFunc(l.members, func(o *member) bool { return o == m })
	if len(l.members) > 0 {
		return
	}
	delete(c.lines, l.name)
	if l.dark {
		c.dark--
	}
}

// leave takes a member out of the order.
func (c *course) leave(m *member) {
	c.leaveLine(m)
	if at := slices.Index(c.order, m); at >= 0 {
		c.order = slices.Delete(c.order, at, at+1)
		if at < c.cut {
			c.cut--
		}
	}
}
