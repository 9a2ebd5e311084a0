package rollout

import (
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// sightings are what a course asks about devices.
type sightings interface {
	Presence(fleet.DeviceKey) fleet.Presence
	// HeardAgo is how long ago half of a line's live devices were heard last, or longer; a line with fewer than three borrows
	// the model's others. False where nobody was heard.
	HeardAgo(model fleet.ModelCode, line string) (time.Duration, bool)
}

// settings are those of one course.
type settings struct {
	alpha, beta  float64
	upWithin     time.Duration // U: all floors are parts or multiples of it
	decideWithin time.Duration // a gate that neither opens nor halts for so long asks a person
	bootsStand   bool          // the build writes no dumps: boots that nothing explains stand in for crashes
	rollback     bool          // the build's bootloader goes back to the image before: a device that is heard again shows nothing
}

// course is one rollout on its way. It has no clock: each call says how much time has passed since the start, of which the
// gateway worked. Nothing in it is for two goroutines at once.
type course struct {
	fleet.Rollout
	settings
	sightings sightings

	members    map[fleet.DeviceKey]*member
	lines      map[string]*line
	order      []*member
	cut        int // of order: those whose wave is open
	counts     map[fleet.MemberState]int
	inCut      map[fleet.MemberState]int
	crashed    int
	slots      int // that are taken
	freed      int // members in flight whose slot a person has freed
	onInCut    int // members in the cut that are neither off nor skipped
	queue      queue
	evidence   *evidence
	stained    bool   // the evidence holds marks of a device that is gone: it is counted anew before somebody looks at it
	marks      uint64 // the number of the last
	finishing  bool   // nothing is waited for any more: it ends once its version is what the model is offered
	publishing bool   // its version is being offered to all at this moment: whoever halts it comes too late, or waits
	boots      int    // of devices that run the build, their first with it included
	before     int    // members on in the cut when the open wave opened

	hold    string // why the gateway itself holds: the disk, the clock; "" for nothing
	blind   bool
	outside bool // of the window
	dark    int  // lines
	holdOff time.Duration

	lookedOff time.Duration // when it was looked last who is off
	saved     time.Duration // when the rollout's record was handed out last
	stale     bool          // the rollout's record waits to be saved
	dirty     []*member
	told      []Told
	wall      time.Time // of the call
	halted    func()    // called in the moment of a halt
}

// newCourse makes the course of a rollout without members.
func newCourse(r fleet.Rollout, s settings, seen sightings) *course {
	if u := r.Plan.UpWithin.Of(); u > 0 {
		s.upWithin = u
	}
	c := &course{
		Rollout: r, settings: s, sightings: seen, members: map[fleet.DeviceKey]*member{}, lines: map[string]*line{},
		counts: map[fleet.MemberState]int{}, inCut: map[fleet.MemberState]int{},
		marks: max(r.Counted, 1) - 1, boots: r.Boots,
	}
	c.Backward = c.Backward || r.State == fleet.RolloutRetreating || r.State == fleet.RolloutRetreated
	c.evidence = c.freshEvidence()
	return c
}

func (c *course) freshEvidence() *evidence {
	return newEvidence(c.Tolerated, (c.Rate+ruledOutDaily(c.Plan))/c.Rate)
}

// add makes a device a member, which is placed by arrange.
func (c *course) add(record fleet.Member) *member {
	m := c.admit(record)
	m.line.members = append(m.line.members, m)
	c.order = append(c.order, m)
	return m
}

// admit makes a device a member that has no place yet.
func (c *course) admit(record fleet.Member) *member {
	m := &member{Member: record, at: -1}
	m.hash = hashOf(fleet.RolloutID(c.Model, c.Number), record.Device)
	m.named = c.First != nil && c.First.Names(record.Device, record.Line)
	m.line = c.lineOf(record.Line)
	c.members[record.Device] = m
	c.enumerate(m, 1)
	return m
}

func (c *course) lineOf(name string) *line {
	l := c.lines[name]
	if l == nil {
		l = &line{name: name}
		c.lines[name] = l
	}
	return l
}

// enumerate counts a member in or out.
func (c *course) enumerate(m *member, by int) {
	c.counts[m.State] += by
	if m.Crash != nil && m.Crash.New {
		c.crashed += by
	}
	if m.holdsSlot() {
		c.slots += by
	}
	if m.Excused && inFlight(m.State) {
		c.freed += by
	}
	if m.inCut {
		c.inCut[m.State] += by
		if m.State != fleet.MemberOff && m.State != fleet.MemberSkipped {
			c.onInCut += by
		}
	}
	if by > 0 {
		m.crash, m.quiet = m.risk(m.Crash != nil), m.risk(m.Silence != nil)
		if c.bootsStand && (m.State == fleet.MemberOffered || m.State == fleet.MemberFetching) {
			m.crash = none // its next boot may be the update's, of whose download the end was not seen
		}
	}
	m.line.count(&m.line.crash, m.crash, by)
	m.line.count(&m.line.quiet, m.quiet, by)
}

// change changes a member, and all that is counted of it.
func (c *course) change(m *member, how func()) {
	c.enumerate(m, -1)
	how()
	c.enumerate(m, 1)
	c.save(m)
}

func (c *course) save(m *member) {
	if !m.dirty {
		m.dirty = true
		c.dirty = append(c.dirty, m)
	}
}

// step brings a member into a state.
func (c *course) step(m *member, s fleet.MemberState, now time.Duration, how func()) {
	c.change(m, func() {
		m.State, m.Since = s, fleet.Duration(now)
		if how != nil {
			how()
		}
	})
}

func (c *course) tell(kind fleet.EventKind, more map[string]any) {
	c.told = append(c.told, c.event(kind, more))
	c.stale = true
}

// event is one of the rollout, with what all of them say.
func (c *course) event(kind fleet.EventKind, more map[string]any) Told {
	details := map[string]any{"model": c.Model, "version": c.Version, "rollout": c.Number}
	if c.Wave > 0 {
		details["wave"] = c.Wave
	}
	for name, value := range more {
		details[name] = value
	}
	return Told{kind, c.ObjectOf(), details}
}

func (c *course) tellDevice(kind fleet.EventKind, m *member, why string) {
	c.told = append(c.told, Told{kind, m.Device.ObjectOf(), map[string]any{
		"model": c.Model, "version": c.Version, "rollout": c.Number, "line": m.line.name, "why": why,
	}})
}

// forward reports that the rollout brings its version; else it takes it back, also where that was halted.
func (c *course) forward() bool { return !c.Backward }

// brings reports that it brings its version, or will go on to.
func (c *course) brings() bool {
	return c.State == fleet.RolloutRunning || c.State == fleet.RolloutHeld || c.State == fleet.RolloutPaused
}

// aim is the version that members are brought to.
func (c *course) aim() fleet.Version {
	if c.forward() {
		return c.Version
	}
	return c.Base
}

// budget is how many members may hold a slot.
func (c *course) budget() int { return max(c.Plan.Unproven, c.counts[fleet.MemberHealthy]) }

// Change takes what waits to be saved.
func (c *course) drain(now time.Duration) (ch Change, any bool) {
	ch = Change{Model: c.Model, Number: c.Number, Told: c.told}
	var later []*member
	for _, m := range c.dirty {
		if m.pending && m.dirty { // its offer is being written at this moment: what became of it meanwhile comes after it
			later = append(later, m)
			continue
		}
		waits := m.dirty
		m.dirty = false
		if waits && c.members[m.Device] == m {
			m.saving = true
			ch.Members = append(ch.Members, m.Member)
		}
	}
	c.told, c.dirty = nil, later
	if c.stale || len(ch.Members) > 0 && now-c.saved >= evidenceEvery {
		r := c.show(now)
		ch.Rollout, c.saved, c.stale = &r, now, false
	}
	return ch, ch.Rollout != nil || len(ch.Members) > 0 || len(ch.Told) > 0
}

// evidenceEvery is how often the evidence is written down while members change.
const evidenceEvery = 10 * time.Minute

// counted are the members by their states.
func (c *course) counted() fleet.RolloutCounts {
	return fleet.RolloutCounts{
		Waiting: c.counts[fleet.MemberWaiting], Offered: c.counts[fleet.MemberOffered], Fetching: c.counts[fleet.MemberFetching],
		Fetched: c.counts[fleet.MemberFetched], Up: c.counts[fleet.MemberUp], Healthy: c.counts[fleet.MemberHealthy],
		Lost: c.counts[fleet.MemberLost], Back: c.counts[fleet.MemberBack], Off: c.counts[fleet.MemberOff],
		Skipped: c.counts[fleet.MemberSkipped], Crashed: c.crashed,
	}
}

// show is the rollout with what follows from its members.
func (c *course) show(now time.Duration) fleet.Rollout {
	c.weigh()
	r := c.Rollout
	r.Elapsed, r.Boots = fleet.Duration(now), c.boots
	r.Counts = c.counted()
	r.Evidence, r.Signature = c.evidence.values(), c.signature(sidesOf(r.Counts))
	r.Dark = []string{}
	for name, l := range c.lines {
		if l.dark && len(l.members) > 0 {
			r.Dark = append(r.Dark, name)
		}
	}
	slices.Sort(r.Dark)
	return r
}

// signature is the new one that says the most against the build, with the devices that could have had it.
func (c *course) signature(has, old int) *fleet.SignatureCounts {
	s := c.evidence.signatures.worst()
	if s == nil {
		return nil
	}
	return &fleet.SignatureCounts{
		Fingerprint: s.fingerprint, Frame: s.frame,
		New: fleet.ShareCount{Devices: s.devices[0], Of: max(has, s.devices[0])}, Old: fleet.ShareCount{Devices: s.devices[1], Of: max(old, s.devices[1])},
	}
}

// sidesOf are how many members run the new build, or ran it, and how many the old one.
func sidesOf(n fleet.RolloutCounts) (has, old int) {
	return n.Up + n.Healthy + n.Lost + n.Back, n.Waiting + n.Offered + n.Fetching + n.Fetched + n.Off
}
