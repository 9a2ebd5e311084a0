package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Presence is how the sightings would see a device.
func (p *plant) Presence(key fleet.DeviceKey) fleet.Presence {
	d := &p.devices[indexOf(key)]
	l := &p.lines[d.line]
	seen := fleet.Presence{State: fleet.Live, Line: l.name, Rhythm: polls, Ago: time.Minute}
	if d.dead || !l.on {
		seen.State, seen.Missing, seen.Ago = fleet.Silent, true, day
	}
	return seen
}

// HeardAgo is likewise: the last contacts of devices that ask every five minutes are spread over five minutes.
func (p *plant) HeardAgo(_ fleet.ModelCode, name string) (time.Duration, bool) {
	l := &p.lines[lineIndex(name)]
	since := p.now - l.changed
	switch {
	case p.kind.lightRule:
		return 0, true
	case l.on && since >= polls/2:
		return polls / 2, true
	case l.on:
		return since + day, true
	}
	return since + polls/2, true
}

func keyOf(i int) fleet.DeviceKey {
	const digits = "abcdefghijklmnop"
	var b [8]byte
	for at := 7; at >= 0; at-- {
		b[at] = digits[i&15]
		i >>= 4
	}
	return fleet.DeviceKey(b[:])
}

func indexOf(key fleet.DeviceKey) int {
	i := 0
	for at := range len(key) {
		i = i<<4 | int(key[at]-'a')
	}
	return i
}

func lineName(i int) string { return "line" + string(keyOf(i)) }

func lineIndex(name string) int { return indexOf(fleet.DeviceKey(name[len("line"):])) }
