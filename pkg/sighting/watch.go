package sighting

import (
	"cmp"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// watcher is told what was found out of devices, one after the other and never under the book's lock. What several requests
// of one device show at once may come in either order.
type watcher interface {
	// Fetching tells that more than the first block of a version has arrived at a device, and that more will come.
	Fetching(fleet.ModelCode, fleet.DeviceKey, fleet.Version)
	// Broke tells that a download ended in its middle, Fetched that one arrived whole.
	Broke(fleet.ModelCode, fleet.DeviceKey, fleet.Version)
	Fetched(fleet.ModelCode, fleet.DeviceKey, fleet.Version)
	// Runs tells what a device runs, where that or its proof is new; WentBack, which version it has left.
	Runs(code fleet.ModelCode, d fleet.DeviceKey, version string, by fleet.Proof)
	WentBack(code fleet.ModelCode, d fleet.DeviceKey, v fleet.Version, by fleet.Proof)
	// Checked tells that a device has asked for a version and wanted no more of it than its first block.
	Checked(fleet.ModelCode, fleet.DeviceKey, fleet.Version)
	// Booted tells of a boot. Where it is known, it is explained: the device runs another version since; or it was not heard since
	// the start of the gateway, so it may have booted long ago, and may have been seen then, as what was not saved before a kill is
	// seen once more.
	Booted(code fleet.ModelCode, d fleet.DeviceKey, known bool)
	// Missed tells that a device was not heard for long, while its line was lit; Heard, that one is heard again, or for the first
	// time, or, where longer, after a gap longer than its rhythm.
	Missed(fleet.ModelCode, fleet.DeviceKey)
	Heard(code fleet.ModelCode, d fleet.DeviceKey, longer bool)
	// Placed tells of a device that was added, or stands elsewhere, or is barred or not any more.
	Placed(fleet.ModelCode, fleet.Placed)
	Removed(fleet.DeviceKey)
	LineChanged(line string, dark bool)
}

// Watch has w told from now on. There is one watcher. It does not wait for the book to be read, as a start has more to do.
func (b *Book) Watch(w watcher) { b.watcher.Store(&w) }

// note has the watcher told of something when the lock is released. The caller holds mu.
func (b *Book) note(one func(watcher)) {
	if b.watcher.Load() != nil {
		b.news = append(b.news, one)
	}
}

// unlock releases mu, and tells what was noted.
func (b *Book) unlock() {
	w, news := b.watcher.Load(), b.news
	b.news = nil
	b.mu.Unlock()
	for _, one := range news {
		one(*w)
	}
}

// known is what of an entry the watcher is told of when it changes.
type known struct {
	runs     string
	by       fleet.Proof
	back     *back
	download *download
	boots    uint32
	checked  int64
	check    fleet.Version
	since    bool // it was heard since the start
}

func (e *entry) known() known {
	return known{e.Runs, e.RunsBy, e.Back, e.Download, e.Boots, e.Checked, e.check, e.last > 0}
}

// noteChanges notes what has changed of an entry, by a transfer or by none.
func (b *Book) noteChanges(e *entry, before known, t *fleet.Transfer) {
	if b.watcher.Load() == nil {
		return
	}
	now, model, device := e.known(), e.model, e.Device
	if d := now.download; d != nil && d != before.download {
		v := d.Version
		if d.Whole {
			b.note(func(w watcher) { w.Fetched(model, device, v) })
		} else {
			b.note(func(w watcher) { w.Broke(model, device, v) })
		}
	} else if f := e.fetch; f != nil && e.check == "" && f.beyondFirst() {
		v := f.version
		b.note(func(w watcher) { w.Fetching(model, device, v) })
	}
	if now.boots != before.boots {
		known := !before.since || now.runs != before.runs
		b.note(func(w watcher) { w.Booted(model, device, known) })
	}
	if now.back != nil && now.back != before.back {
		v, by := now.back.Version, fleet.ProofSaid
		if now.back.Dump {
			by = fleet.ProofDump
		}
		b.note(func(w watcher) { w.WentBack(model, device, v, by) })
	}
	if now.runs != before.runs || now.by != before.by {
		b.note(func(w watcher) { w.Runs(model, device, now.runs, now.by) })
	}
	if now.checked != before.checked {
		v := before.check // that contact is over, and nothing more of it was wanted
		if t != nil && (t.NotModified || !t.Whole && t.From+t.Arrived <= firstBlock) {
			v = t.Version
		}
		b.note(func(w watcher) { w.Checked(model, device, v) })
	}
}

// noteContact notes a contact that begins after a gap.
func (b *Book) noteContact(e *entry, begun moment) {
	longer := e.Rhythm > 0 && begun-e.last > moment(e.Rhythm)+b.floors.due()
	if e.Heard == 0 || e.told || longer {
		e.told = false
		model, device := e.model, e.Device
		b.note(func(w watcher) { w.Heard(model, device, longer) })
	}
}

// lookMissed finds out who was not heard for long while its line was lit: since then, or since the gateway began. The caller
// holds mu.
func (b *Book) lookMissed(e *entry, now moment) {
	if b.watcher.Load() == nil || e.told || e.Heard == 0 || b.dark[e.place] != nil || e.bootsOnly(now, b.floors) {
		return
	}
	if now-max(e.last, b.lit[e.place], 0) <= max(3*moment(e.Rhythm), b.floors.late()) {
		return
	}
	e.told = true
	model, device := e.model, e.Device
	b.note(func(w watcher) { w.Missed(model, device) })
}

// contacts is when half of some devices were heard last, or later.
type contacts struct {
	last  []moment
	half  moment
	count int
	any   moment // of one that asks at its boots only: the last of all
}

// lookHeard finds for each line and each model when half of the devices were heard last. The caller holds mu.
func (b *Book) lookHeard(now moment) {
	if b.watcher.Load() == nil {
		return
	}
	lines, models := map[placeOf]*contacts{}, map[fleet.ModelCode]*contacts{}
	b.shortest = 0
	missed := moment(0) // the shortest of those that were missed since the gateway began
	for _, e := range b.devices {
		if r := moment(e.Rhythm); e.told && e.last > 0 && r > 0 && (missed == 0 || r < missed) && !e.bootsOnly(now, b.floors) {
			missed = r
		}
		if e.Heard == 0 || e.told {
			continue
		}
		line, model := lines[placeOf{e.model, e.place}], models[e.model]
		if line == nil {
			line = &contacts{any: longAgo}
			lines[placeOf{e.model, e.place}] = line
		}
		if model == nil {
			model = &contacts{any: longAgo}
			models[e.model] = model
		}
		line.any, model.any = max(line.any, e.last), max(model.any, e.last)
		if e.Rhythm == 0 || e.bootsOnly(now, b.floors) {
			continue
		}
		line.last, model.last = append(line.last, e.last), append(model.last, e.last)
		if r := moment(e.Rhythm); b.shortest == 0 || r < b.shortest {
			b.shortest = r
		}
	}
	if b.shortest == 0 { // all are missed: who is deaf hears nobody
		b.shortest = missed
	}
	for _, c := range lines {
		c.settle()
	}
	for _, c := range models {
		c.settle()
	}
	b.heardLines, b.heardModels = lines, models
}

// placeOf is the devices of one model on one line.
type placeOf struct {
	model fleet.ModelCode
	line  string
}

func (c *contacts) settle() {
	c.count = len(c.last)
	if c.count > 0 {
		slices.SortFunc(c.last, func(a, b moment) int { return cmp.Compare(b, a) })
		c.half = c.last[(c.count-1)/2]
	}
	c.last = nil
}

// leastHeard devices of a line say something of it; one with fewer borrows the model's others.
const leastHeard = 3

// HeardAgo is how long ago half of the live devices of a model on a line were heard last, or later. Where no device of the model
// has a rhythm it is the last contact of any device of that line. False where nobody was heard.
func (b *Book) HeardAgo(model fleet.ModelCode, line string) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, all := b.heardLines[placeOf{model, line}], b.heardModels[model]
	switch {
	case c != nil && c.count >= leastHeard:
		return b.ago(c.half), true
	case all != nil && all.count > 0:
		return b.ago(all.half), true
	case c != nil && c.any > longAgo:
		return b.ago(c.any), true
	}
	return 0, false
}

func (b *Book) ago(at moment) time.Duration { return time.Duration(b.now()-at) * time.Millisecond }

// QuietFor is how long no device at all was heard, since the gateway began at most, and the shortest rhythm of those that are
// heard, or were since then; 0 where nobody has one.
func (b *Book) QuietFor() (quiet, rhythm time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ago(max(b.latest, 0)), time.Duration(b.shortest) * time.Millisecond
}

// Presence is how a device is heard at this moment.
func (b *Book) Presence(key fleet.DeviceKey) fleet.Presence {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.devices[key]
	if e == nil {
		return fleet.Presence{State: fleet.Never}
	}
	now := b.now()
	p := fleet.Presence{
		State: e.state(now, b.floors), Line: e.place, Ago: time.Duration(now-e.last) * time.Millisecond, Checks: e.Checked > 0,
		Runs: e.Runs, RunsBy: e.RunsBy, RunsSince: timeOf(e.RunsSince),
	}
	if p.State != fleet.BootsOnly {
		p.Rhythm = time.Duration(e.Rhythm) * time.Millisecond
		p.Missing = b.due(e, now)
	}
	return p
}

// due reports that a device should have been heard since its last contact. One that is heard at its boots only never should.
func (b *Book) due(e *entry, now moment) bool {
	return !e.bootsOnly(now, b.floors) && now > e.last+moment(e.Rhythm)+b.floors.due()
}

// EachDevice calls yield for the devices of a model, in the order of their keys. No record is read.
func (b *Book) EachDevice(model fleet.ModelCode, yield func(fleet.Placed)) {
	b.mu.Lock()
	b.sort()
	now := b.now()
	all := make([]fleet.Placed, 0, len(b.order))
	for _, e := range b.order {
		if e.model == model {
			all = append(all, b.placed(e, now))
		}
	}
	b.mu.Unlock()
	for _, d := range all {
		yield(d)
	}
}

func (b *Book) placed(e *entry, now moment) fleet.Placed {
	d := fleet.Placed{Key: e.Device, Line: e.place, Labels: e.labelled(), Barred: e.barred.String(), State: e.state(now, b.floors), Runs: e.Runs, RunsBy: e.RunsBy}
	d.Missed = e.told || b.dark[e.place] != nil && b.due(e, now)
	if e.Booted > 0 && e.boot > longAgo {
		d.Booted = time.Duration(now-e.boot) * time.Millisecond
	} else if e.Booted > 0 {
		d.Booted = max(b.options.Now().Sub(timeOf(e.Booted)), 0)
	}
	return d
}

// DarkLines are the lines that are dark now.
func (b *Book) DarkLines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := make([]string, 0, len(b.dark))
	for name := range b.dark {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// bar is why no rollout brings a device a build.
type bar uint8

const (
	open bar = iota
	pinned
	revoked
)

func (b bar) String() string { return [...]string{"", "pinned", "revoked"}[b] }

func barred(d fleet.Device) bar {
	switch {
	case d.Revoked:
		return revoked
	case d.Pin != "":
		return pinned
	}
	return open
}
