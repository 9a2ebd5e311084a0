package sighting

import (
	"hash/fnv"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// bootBy is how the last boot was seen.
type bootBy uint8

const (
	byID      bootBy = iota + 1 // another X-Boot-ID
	byAsking                    // esp-mdm: a token and, within a minute, the configuration; a token alone is a renewal
	byMessage                   // MQTT
)

// starts finds a boot in what was seen, and reports that there is something to save.
func (e *entry) starts(s fleet.Seen, wall int64, at moment, f floors) bool {
	if s.By == fleet.HeardToken {
		e.token = at
	}
	switch {
	case s.Said.BootID != "":
		id := hashOf(s.Said.BootID)
		before := e.BootID
		if id == before {
			return false
		}
		e.BootID = id
		if before != 0 { // else it has booted some time: nobody knows when
			e.booted(byID, wall, at)
		}
		return true
	case e.BootID != 0 && e.noIDs < leastBoots: // it tells of each boot
		return false
	case s.Said.Started:
		if e.bootBy == byAsking && at-e.boot <= f.boot() {
			return false // the same boot
		}
		e.booted(byMessage, wall, at)
		return true
	case s.By == fleet.HeardConfig && at-e.token <= f.boot():
		token := e.token
		e.token = longAgo
		e.contactBoots = true
		if e.bootBy == byMessage && at-e.boot <= f.boot() {
			return false
		}
		e.booted(byAsking, wall-int64(at-token), token)
		return true
	}
	return false
}

func (e *entry) booted(by bootBy, wall int64, at moment) {
	e.Booted, e.boot, e.bootBy = wall, at, by
	e.Boots++
	e.BootsSince = min(e.BootsSince+1, 2)
	e.Reset, e.OTAState = 0, 0 // of the boot before
}

// tells takes in what a device says of its boot, and reports that it is news.
func (e *entry) tells(said fleet.Said) (changed bool) {
	if p := ordinalOf(fleet.ResetReasons, said.Reset); p != 0 && p != e.Reset {
		e.Reset, changed = p, true
	}
	if p := ordinalOf(fleet.OTAStates, said.OTAState); p != 0 && p != e.OTAState {
		e.OTAState, changed = p, true
	}
	return changed
}

func hashOf(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return max(h.Sum64(), 1)
}
