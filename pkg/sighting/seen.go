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
	known := b.ask(s)
	b.mu.Lock()
	defer b.unlock()
	e := b.devices[s.Device]
	if e == nil {
		return
	}
	before := e.known()
	b.take(e, s, known)
	b.noteChanges(e, before, s.Transfer)
}

// take takes in what was seen of a device. The caller holds mu.
func (b *Book) take(e *entry, s fleet.Seen, known answers) {
	b.own(e)
	at, wall := b.moment(s.At), millis(s.At)
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
		e.offline, e.offlineAt = true, at
		return
	}
	if s.Kept { // nobody knows how old it is: it is better than nothing, and nothing else
		if e.RunsBy == "" && b.listen(e, s.Said, known, wall) {
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
		changed = e.rest(e.Heard, known)
		b.noteContact(e, begun)
	} else if e.Heard == 0 {
		b.noteContact(e, begun)
	}
	b.countBetween(e, wall, at)
	e.hear(s, begun, at, b.floors)
	b.latest = max(b.latest, e.last)
	b.meet(e, s, at, wall)
	e.asks(s.By, wall)
	changed = e.starts(s, wall, at, b.floors) || changed
	changed = e.tells(s.Said) || changed
	changed = b.listen(e, s.Said, known, wall) || changed
	if s.Transfer != nil {
		changed = e.transferred(*s.Transfer, wall, known) || changed
	}
	b.countHour(e, wall)
	if changed {
		b.save(e)
	}
}

// answers are what the builds say of a device. They read the catalog and bundles: they are asked while nobody waits for the
// book, and for what the device had shown by then.
type answers struct {
	version fleet.Version // of the build whose ELF or image it names, "" where there is none
	elf     string        // of that build, where it named the image
	whole   fleet.Version // of the last download that was whole
	goBack  bool          // that one's bootloader goes back to the image before
}

// rollback is true where nobody knows.
func (a answers) rollback(whole fleet.Version) bool { return a.whole != whole || a.goBack }

// ask finds out what may be needed to weigh what was seen; of most requests that is nothing.
func (b *Book) ask(s fleet.Seen) (a answers) {
	b.mu.Lock()
	e := b.devices[s.Device]
	if e == nil {
		b.mu.Unlock()
		return a
	}
	model, elf := e.model, s.Said.ELFSHA256 != "" && !e.knows(s.Said)
	a.whole = e.Whole
	checks := e.asksRollback() && (e.check == e.Whole || s.Transfer != nil && s.Transfer.Version == e.Whole && !s.Transfer.Whole)
	b.mu.Unlock()
	switch {
	case elf:
		a.version = b.options.Builds.VersionOfELF(model, s.Said.ELFSHA256)
	case s.Said.ELFSHA256 == "" && s.Said.Sketch != "":
		a.version, a.elf = b.options.Builds.VersionOfSketch(model, s.Said.Sketch)
	}
	a.goBack = !checks || b.options.Builds.Rollback(model, a.whole)
	return a
}

// asksRollback reports that it matters whether the device's bootloader goes back: see [Shown.checked].
func (r *Shown) asksRollback() bool {
	return r.Whole != "" && (r.BootsSince > 1 || r.BootsSince == 0 && r.bootsUnseen())
}

// bootsUnseen reports that no boot of the device was ever seen.
func (r *Shown) bootsUnseen() bool { return r.Boots == 0 && r.BootID == 0 }

// knows reports that what a device says of its ELF was found out before.
func (r *Shown) knows(said fleet.Said) bool {
	return shortELF(said.ELFSHA256) == r.ELF && r.RunsBy == fleet.ProofSaid && r.Runs != "" && (said.Version == "" || said.Version == r.Runs)
}

// meet notes by which way, from where and by which client the device came.
// The end of a download may be told minutes after its last byte: it makes nobody heard later than that.
func (b *Book) meet(e *entry, s fleet.Seen, at moment, wall int64) {
	if at >= e.offlineAt {
		e.offline = false
	}
	if wall < e.Heard && s.Transfer != nil {
		return
	}
	e.Heard, e.HeardBy = wall, s.By
	if address := s.Address.Unmap().WithZone(""); address.IsValid() && address != e.Address {
		e.Address, e.moved = address, true
		place := e.place
		if b.settle(e); place != e.place {
			b.notePlace(e)
		}
	}
	agent := strings.ToValidUTF8(s.Agent[:min(len(s.Agent), mostAgent)], "?")
	if agent != "" && agent != e.Agent {
		e.Agent, e.moved = b.word(agent), true
	}
}

// listen takes in the device's own word of what it runs.
func (b *Book) listen(e *entry, said fleet.Said, known answers, wall int64) (changed bool) {
	if said.Version == "" && said.ELFSHA256 == "" && known.version == "" {
		return false
	}
	word := evidence{said.Version, shortELF(said.ELFSHA256), fleet.ProofSaid, wall}
	switch {
	case word.elf == "" && known.version != "": // by its image
		word.version, word.elf = string(known.version), shortELF(known.elf)
	case word.elf == "":
	case e.knows(said):
		word.version = e.Runs // as it was found out before
	case known.version != "":
		word.version = string(known.version)
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
