package sighting

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// LineChange is a line that went dark, or is lit again.
type LineChange struct {
	Line    string
	Dark    bool
	Since   time.Time // of the darkness
	Devices int       // that fell silent together
}

// A line is dark from t when, of its devices that were live at t, at least three and at least half were each due since and
// not heard, all their last contacts lying before t: a power cut, and no fault of theirs. The last contacts of devices that
// ask every five minutes are spread over five minutes, so that no short window holds them.
const leastDark = 3

// presence is what counts of a device for the light of its line.
type presence struct {
	e     *entry
	last  moment // contact
	until moment // it was live
	due   bool   // since its last contact, and not heard
}

// lineChanged is a line that waits to be stored, and what is told of it; nil: nothing.
type lineChanged struct {
	line string
	told *LineChange
}

// darkLine is a line that is dark.
type darkLine struct {
	since   time.Time
	members map[fleet.DeviceKey]moment // that fell silent, and their last contacts then
}

// presenceOf is nil for a device that says nothing by its silence.
func (b *Book) presenceOf(e *entry, now moment) (p presence, ok bool) {
	if e.Heard == 0 || e.missed || e.bootsOnly(now, b.floors) {
		return p, false
	}
	rhythm := moment(e.Rhythm)
	p = presence{e: e, last: e.last, until: e.last + max(3*rhythm, b.floors.live())}
	// One that was heard before the start of the gateway has its whole rhythm again: it may have asked in between.
	p.due = rhythm > 0 && now > max(e.last, 0)+rhythm+b.floors.due()
	return p, true
}

// darkFrom finds the time from which a line is dark: the one at which the most of its devices fell silent, and of those the
// latest.
func darkFrom(all []presence) (from moment, dark bool) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b presence) int { return cmp.Compare(a.last, b.last) })
	ends := slices.Clone(all)
	slices.SortFunc(ends, func(a, b presence) int { return cmp.Compare(a.until, b.until) })
	most, over, live, due := 0, 0, 0, 0
	fell := false // one of those that share p's moment is due
	for i, p := range all {
		live++
		if p.due {
			due++
			fell = true
		}
		for ; ends[over].until < p.last; over++ { // was live no more at p.last
			live--
			if ends[over].due {
				due--
			}
		}
		if i+1 < len(all) && all[i+1].last == p.last {
			continue
		}
		later := len(all) - i - 1 // were heard since: they were live
		if fell && due >= leastDark && 2*due >= live+later && due >= most {
			from, dark, most = p.last, true, due
		}
		fell = false
	}
	return from, dark
}

// Look looks for lines that went dark or are lit again, and for contacts that are over. The lines that changed are stored,
// with their events; those that could not be wait for the next look.
func (b *Book) Look(ctx context.Context) error {
	known := b.askOfChecks()
	b.mu.Lock()
	b.look(b.now(), known)
	waiting := b.changed
	b.changed = nil
	b.unlock()
	for i, c := range waiting {
		if err := b.options.Store.SaveLine(ctx, b.lineRecord(c.line), c.told); err != nil {
			b.mu.Lock()
			b.changed = append(waiting[i:], b.changed...)
			b.mu.Unlock()
			return err
		}
	}
	return nil
}

// askOfChecks asks the builds of the devices whose last contact was a check, and is over.
func (b *Book) askOfChecks() map[fleet.DeviceKey]answers {
	known, models := map[fleet.DeviceKey]answers{}, map[fleet.DeviceKey]fleet.ModelCode{}
	now := b.now()
	b.mu.Lock()
	for key, e := range b.devices {
		if e.check != "" && now-e.last > b.floors.once() {
			known[key], models[key] = answers{whole: e.Whole, goBack: true}, e.model
			if !e.asksRollback() || e.check != e.Whole {
				delete(models, key)
			}
		}
	}
	b.mu.Unlock()
	for key, model := range models {
		a := known[key]
		a.goBack = b.options.Builds.Rollback(model, a.whole)
		known[key] = a
	}
	return known
}

func (b *Book) look(now moment, known map[fleet.DeviceKey]answers) {
	lines := map[string][]presence{}
	for key, e := range b.devices {
		if a, asked := known[key]; asked && e.check != "" && now-e.last > b.floors.once() {
			before := e.known()
			if e.rest(e.Heard, a) {
				b.save(e)
			}
			b.noteChanges(e, before, nil)
		}
		if e.place == "" {
			continue
		}
		if p, ok := b.presenceOf(e, now); ok {
			lines[e.place] = append(lines[e.place], p)
		}
	}
	for name, all := range lines {
		if b.dark[name] == nil {
			if from, dark := darkFrom(all); dark {
				b.dark[name] = b.darken(all, from)
				b.change(name, &LineChange{name, true, b.dark[name].since, len(b.dark[name].members)})
			}
		} else if b.dark[name].join(all) {
			b.change(name, nil)
		}
	}
	for name, d := range b.dark {
		if b.isLit(d) {
			b.light(d)
			delete(b.dark, name)
			b.lit[name] = now
			b.change(name, &LineChange{name, false, d.since, len(d.members)})
		}
	}
	for _, e := range b.devices {
		b.lookMissed(e, now)
	}
	b.lookHeard(now)
	slices.SortStableFunc(b.changed, func(a, b lineChanged) int { return cmp.Compare(a.line, b.line) })
}

// change has a line stored, with what is told of it. One that waits with nothing to tell is stored as it is then.
func (b *Book) change(line string, told *LineChange) {
	if told == nil && slices.ContainsFunc(b.changed, func(c lineChanged) bool { return c.line == line }) {
		return
	}
	b.changed = append(b.changed, lineChanged{line, told})
	if told != nil {
		dark := told.Dark
		b.note(func(w watcher) { w.LineChanged(line, dark) })
	}
}

func (b *Book) darken(all []presence, from moment) *darkLine {
	d := &darkLine{members: map[fleet.DeviceKey]moment{}}
	for _, p := range all {
		if p.due && p.last <= from && p.until >= from {
			d.members[p.e.Device] = p.last
			if p.last == from {
				d.since = timeOf(p.e.Heard)
			}
		}
	}
	return d
}

// join takes in those whose turn to be missed comes while the line is dark, and reports that there are some.
func (d *darkLine) join(all []presence) (joined bool) {
	since := moment(0)
	for _, last := range d.members {
		since = max(since, last)
	}
	for _, p := range all {
		if _, in := d.members[p.e.Device]; !in && p.due && p.until >= since {
			d.members[p.e.Device] = p.last
			joined = true
		}
	}
	return joined
}

// isLit reports that half of those that fell silent were heard. One that is gone says nothing.
func (b *Book) isLit(d *darkLine) bool {
	heard, all := 0, 0
	for key, last := range d.members {
		e := b.devices[key]
		if e == nil {
			continue
		}
		all++
		if e.last > last {
			heard++
		}
	}
	return 2*heard >= all
}

// light has the devices that did not come back with their line count no more until they do: they are no second darkness.
func (b *Book) light(d *darkLine) {
	for key, last := range d.members {
		if e := b.devices[key]; e != nil && e.last == last {
			e.missed = true
		}
	}
}
