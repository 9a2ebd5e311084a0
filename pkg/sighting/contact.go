package sighting

import (
	"math"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostGaps are remembered: of 24 the 95th percentile passes over the longest, such as a night.
const mostGaps = 24

// mostContacts are remembered as boots or none.
const mostContacts = 32

// hear takes a request into the contact that goes on, or begins another. begun and at are the request's begin and end.
func (e *entry) hear(s fleet.Seen, begun, at moment, f floors) {
	by := s.By
	switch {
	case e.Heard == 0: // the first
	case begun-e.last <= f.once(), begun-e.boot <= f.boot(), by == fleet.HeardConfig && begun-e.token <= f.boot():
	default:
		e.end()
		if e.last > 0 { // else the gateway was away in between
			e.gap(begun - e.last)
		}
	}
	if at >= e.last { // else it is news of what was a contact then
		e.last, e.missed = at, false
	}
	e.contactIDs = e.contactIDs || s.Said.BootID != ""
	e.contactAsked = e.contactAsked || s.Transfer == nil && by != fleet.HeardToken && by != fleet.HeardMQTT
}

// end closes the contact that went on.
func (e *entry) end() {
	e.Contacts <<= 1
	if e.contactBoots {
		e.Contacts |= 1
	}
	e.Closed = min(e.Closed+1, mostContacts)
	switch {
	case e.contactIDs:
		e.noIDs = 0
	case e.contactAsked:
		e.noIDs = min(e.noIDs+1, leastBoots)
	}
	e.contactBoots, e.contactAsked, e.contactIDs = false, false, false
}

func (e *entry) gap(length moment) {
	e.gaps[e.next] = uint32(min(length, math.MaxUint32))
	e.next = (e.next + 1) % mostGaps
	e.number = min(e.number+1, mostGaps)
	e.Rhythm = percentile95(e.gaps[:e.number])
}

// percentile95 is the smallest gap that at least 95 of 100 are not longer than.
func percentile95(gaps []uint32) uint32 {
	var room [mostGaps]uint32
	sorted := room[:copy(room[:], gaps)]
	slices.Sort(sorted)
	return sorted[(len(sorted)*95+99)/100-1]
}

// resume takes over what was stored of a device's contacts.
func (e *entry) resume(c contact) {
	e.hour = hourOf(c.heard) // as it was counted with it
	if c.heard >= e.Heard {
		e.Heard = c.heard
	}
	if c.rhythm > 0 {
		e.Rhythm = c.rhythm
		e.gaps[0], e.number, e.next = c.rhythm, 1, 1
	}
}

// leastBoots of contacts that are all boots tell that a device asks at no other time; and so many without the id of a boot,
// that it no longer runs the firmware that told one.
const leastBoots = 3

// bootsOnly reports that all of the last contacts were boots. The one that goes on counts once it is one, or once it is
// clear that it will be none.
func (e *entry) bootsOnly(now moment, f floors) bool {
	all := uint32(math.MaxUint32) >> (mostContacts - e.Closed)
	boots := int(e.Closed)
	switch {
	case e.Closed == 0 || e.Contacts&all != all:
		return false
	case e.contactBoots:
		boots++
	case now-e.token > f.boot() && e.last > 0:
		return false
	}
	return boots >= leastBoots
}

// state says how the device is heard.
func (e *entry) state(now moment, f floors) fleet.DeviceState {
	rhythm, quiet := moment(e.Rhythm), now-e.last
	switch {
	case e.Heard == 0:
		return fleet.Never
	case e.offline:
		return fleet.Silent
	case e.bootsOnly(now, f):
		return fleet.BootsOnly
	case quiet <= max(3*rhythm, f.live()):
		return fleet.Live
	case quiet <= max(10*rhythm, f.late()):
		return fleet.Late
	}
	return fleet.Silent
}
