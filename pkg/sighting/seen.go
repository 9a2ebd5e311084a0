package sighting

import (
	"net/netip"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostAgent of a User-Agent are kept, in bytes.
const mostAgent = 64

// Seen takes in what was seen of a device. It is called for each request, and costs next to nothing: what follows from it
// is saved later, by Run.
func (b *Book) Seen(s fleet.Seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.devices[s.Device]
	if e == nil {
		return
	}
	at, wall := b.moment(s.At), millis(s.At)
	rollback := func() bool { return b.options.Builds.Rollback(e.model, e.Whole) }
	if s.Dump != nil { // it was uploaded a while ago: that was a contact then
		if e.dumped(*s.Dump, wall) {
			b.save(e)
		}
		return
	}
	if s.Said.Offline {
		if !s.Kept { // it ran until now
			b.countBetween(e, wall, at)
		}
		e.offline = true
		return
	}
	if s.Kept { // nobody knows how old it is: it is better than nothing, and nothing else
		if e.RunsBy == "" && b.listen(e, s.Said, wall) {
			b.save(e)
		}
		return
	}
	begun := at
	if s.Transfer != nil && !s.Transfer.Begun.IsZero() {
		begun = b.moment(s.Transfer.Begun)
	}
	changed := false
	if begun-e.last > b.floors.once() {
		changed = e.rest(e.Heard, rollback)
	}
	b.countBetween(e, wall, at)
	e.hear(s.By, begun, at, b.floors)
	b.meet(e, s, wall)
	changed = e.starts(s, wall, at, b.floors) || changed
	changed = b.listen(e, s.Said, wall) || changed
	if s.Transfer != nil {
		changed = e.transferred(*s.Transfer, wall, rollback) || changed
	}
	b.countHour(e, wall)
	if changed {
		b.save(e)
	}
}

// meet notes by which way, from where and by which client the device came.
func (b *Book) meet(e *entry, s fleet.Seen, wall int64) {
	e.Heard, e.HeardBy, e.offline = wall, s.By, false
	if address := s.Address.Unmap().WithZone(""); address.IsValid() && address != e.Address {
		e.Address, e.moved = address, true
		b.settle(e)
	}
	agent := strings.ToValidUTF8(s.Agent[:min(len(s.Agent), mostAgent)], "?")
	if agent != "" && agent != e.Agent {
		e.Agent, e.moved = b.word(agent), true
	}
}

// listen takes in the device's own word of what it runs.
func (b *Book) listen(e *entry, said fleet.Said, wall int64) (changed bool) {
	if said.Version == "" && said.ELFSHA256 == "" {
		return false
	}
	word := evidence{said.Version, shortELF(said.ELFSHA256), fleet.ProofSaid, wall}
	switch {
	case word.elf == "":
	case word.elf == e.ELF && e.RunsBy == fleet.ProofSaid && e.Runs != "" && (said.Version == "" || said.Version == e.Runs):
		word.version = e.Runs // as it was found out before
	default:
		if v := b.options.Builds.VersionOfELF(e.model, said.ELFSHA256); v != "" {
			word.version = string(v)
		}
	}
	if word.version == e.Runs {
		word.version = e.Runs
	} else {
		word.version = b.word(word.version)
	}
	back := e.toldBack(word)
	return e.believe(word) || back
}

// network is the line of a device that nobody has given one: the /24 or the /64 that it comes from.
func network(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
