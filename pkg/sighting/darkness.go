package sighting

import (
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// A line that is dark stays so over a restart, and so do the devices that did not come back with a line that is lit again:
// else each restart would tell of the same power cut once more, and nobody of its end.

// LineRecord is what is stored of a line: since when it is dark, a zero time for one that is lit, and who fell silent with
// it and was not heard since, with its last contact then. One without either is not stored.
type LineRecord struct {
	Line   string
	Since  time.Time
	Silent [][]byte // packed like contacts
}

// mostSilent of a line's devices are stored: as many as go into one transaction of the catalog with some room.
const mostSilent = 8 * mostPacked / packed

// lineRecord is what there is to store of a line.
func (b *Book) lineRecord(name string) LineRecord {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := LineRecord{Line: name}
	var silent []contact
	if d := b.dark[name]; d != nil {
		r.Since = d.since
		for key, last := range d.members {
			if e := b.devices[key]; e != nil {
				silent = append(silent, contact{key, e.Heard - max(int64(e.last-last), 0), e.Rhythm})
			}
		}
	} else {
		for _, e := range b.devices {
			if e.missed && e.place == name {
				silent = append(silent, contact{e.Device, e.Heard, e.Rhythm})
			}
		}
	}
	slices.SortFunc(silent, func(a, b contact) int { return strings.Compare(string(a.device), string(b.device)) })
	r.Silent = pack(silent[:min(len(silent), mostSilent)])
	return r
}

// resumeLine takes over what was stored of a line, once its devices have their moments. Where nothing of it is left it is
// forgotten at the next look.
func (b *Book) resumeLine(r LineRecord) {
	var d *darkLine
	if !r.Since.IsZero() {
		d = &darkLine{since: r.Since, members: map[fleet.DeviceKey]moment{}}
		b.dark[b.word(r.Line)] = d
	}
	left := d != nil
	for _, value := range r.Silent {
		for c := range unpack(value) {
			e := b.devices[c.device]
			if e == nil || e.Heard == 0 {
				continue
			}
			heard := e.Heard >= c.heard+1000 // packed are whole seconds
			switch {
			case d == nil:
				e.missed = !heard
				left = left || e.missed
			case heard:
				d.members[c.device] = e.last - 1
			default:
				d.members[c.device] = e.last
			}
		}
	}
	if !left {
		b.change(r.Line, nil)
	}
}
