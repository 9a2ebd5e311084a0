package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// store is what rollouts need of the catalog.
type store interface {
	Model(fleet.ModelCode) (fleet.Model, error)
	Build(fleet.ModelCode, fleet.Version) (fleet.Build, error)
	// EachRollout calls yield for all rollouts, of each model by number.
	EachRollout(yield func(fleet.Rollout) error) error
	EachMember(code fleet.ModelCode, number int, yield func(fleet.Member) error) error
	// AddRollout gives a rollout the next number of its model; a second unfinished one is ErrTaken.
	AddRollout(ctx context.Context, r fleet.Rollout, c Change) (fleet.Rollout, error)
	SaveRollout(ctx context.Context, c Change) error
	RolloutPlan(fleet.ModelCode) (p fleet.Plan, found bool, err error)
	SaveRolloutPlan(ctx context.Context, code fleet.ModelCode, p fleet.Plan) error
}

// book is what is seen of devices.
type book interface {
	sightings
	// EachDevice calls yield for the devices of a model. No record is read.
	EachDevice(model fleet.ModelCode, yield func(fleet.Placed))
	// DarkLines are the lines that are dark now.
	DarkLines() []string
	// QuietFor is how long no device at all was heard, and the shortest rhythm of those that are; 0 where none has one.
	QuietFor() (quiet, rhythm time.Duration)
}

// firmware is what is known of builds, and who offers one to all.
type firmware interface {
	Traits(fleet.ModelCode, fleet.Version) (fleet.Traits, error)
	Publish(context.Context, fleet.ModelCode, fleet.Version) (fleet.Model, error)
}

// Options are what rollouts stand on.
type Options struct {
	Store        store
	Book         book
	Firmware     firmware
	Rate         func(code fleet.ModelCode, v fleet.Version) float64 // crashes a device and day; 0: not known
	Hold         func() string                                       // why nothing may be offered now; "" for nothing
	Halted       func(code fleet.ModelCode, v fleet.Version)         // in the moment of a halt
	Nudge        func(code fleet.ModelCode, devices []fleet.DeviceKey)
	Plan         string // the plan of who names none
	Alpha, Beta  float64
	Tolerated    float64 // share of updates that may end badly
	UpWithin     time.Duration
	DecideWithin time.Duration
	Beat         func()
	Logger       *slog.Logger
	Now          func() time.Time
}

// Rollouts are those of all models. Its methods may be called at once. None holds the lock while it writes.
type Rollouts struct {
	options Options
	wake    chan struct{}
	playing chan struct{} // holds one while a forecast is played: it takes all processors

	mu     sync.Mutex // guards what follows, and all courses
	halts  []halt     // that were not told of yet
	models map[fleet.ModelCode]*progress
	acting map[fleet.ModelCode]chan struct{} // something is being written of the model's rollouts; closed after it
}

// progress is what goes on with one model.
type progress struct {
	course  *course // the newest; nil: there was none
	window  *window
	from    time.Time                         // when the course was begun or read
	before  time.Duration                     // that had elapsed then
	older   []fleet.Rollout                   // by number
	sticks  map[fleet.DeviceKey]fleet.Version // of older ones, while the published version is their base
	based   fleet.Version                     // that version
	unstuck []Change                          // of older ones, that wait to be saved: they stick to nobody any more
	freed   map[fleet.DeviceKey]bool          // devices that stick to none of the older ones any more, which waits to be saved
}

func (p *progress) elapsed(now time.Time) time.Duration { return p.before + now.Sub(p.from) }

// Open reads all rollouts. What devices did while the gateway was away is found out by what they are seen to run.
func Open(o Options) (*Rollouts, error) {
	rs := &Rollouts{
		options: o, wake: make(chan struct{}, 1), playing: make(chan struct{}, 1),
		models: map[fleet.ModelCode]*progress{}, acting: map[fleet.ModelCode]chan struct{}{},
	}
	err := o.Store.EachRollout(func(r fleet.Rollout) error {
		p := rs.progressOf(r.Model)
		before := 0
		if n := len(p.older); n > 0 {
			before = p.older[n-1].Number
		}
		if r.Number <= before {
			return fmt.Errorf("the record of rollout %d of %s comes after that of rollout %d", r.Number, r.Model, before)
		}
		p.older = append(p.older, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for code, p := range rs.models {
		if len(p.older) == 0 {
			continue
		}
		newest := p.older[len(p.older)-1]
		p.older = p.older[:len(p.older)-1]
		if err := rs.reopen(p, newest); err != nil {
			return nil, err
		}
		p.based = newest.Base
		if newest.State == fleet.RolloutFinished {
			p.based = newest.Version
		}
		if err := rs.findSticks(code, p); err != nil {
			return nil, err
		}
	}
	return rs, nil
}

func (rs *Rollouts) progressOf(code fleet.ModelCode) *progress {
	p := rs.models[code]
	if p == nil {
		p = &progress{sticks: map[fleet.DeviceKey]fleet.Version{}}
		rs.models[code] = p
	}
	return p
}

// settingsOf are the settings of a rollout's course.
func (rs *Rollouts) settingsOf(r fleet.Rollout) settings {
	s := settings{alpha: rs.options.Alpha, beta: rs.options.Beta, upWithin: rs.options.UpWithin, decideWithin: rs.options.DecideWithin}
	t, err := rs.options.Firmware.Traits(r.Model, r.Version)
	if err != nil { // nobody knows: then that a device is heard again shows nothing
		s.rollback = true
		return s
	}
	s.rollback, s.bootsStand = t.Rollback, !t.Dumps
	return s
}

// reopen makes the course of a rollout that was written down, and its evidence anew.
func (rs *Rollouts) reopen(p *progress, r fleet.Rollout) error {
	known := map[fleet.DeviceKey]fleet.Member{}
	err := rs.options.Store.EachMember(r.Model, r.Number, func(m fleet.Member) error {
		known[m.Device] = m
		return nil
	})
	if err != nil {
		return err
	}
	c := newCourse(r, rs.settingsOf(r), rs.options.Book)
	p.course, p.from, p.before = c, rs.options.Now(), r.Elapsed.Of()
	p.window, _ = parseWindow(r.Window)
	latest, barred := r.Elapsed, map[fleet.DeviceKey]string{}
	rs.options.Book.EachDevice(r.Model, func(d fleet.Placed) {
		m, is := known[d.Key]
		if !is {
			if !picks(r.Target, d) || r.State == fleet.RolloutFinished || r.State == fleet.RolloutReplaced {
				return
			}
			m = rs.joining(r, d, 0)
		}
		m.Line = d.Line
		latest = max(latest, m.Since)
		one := c.add(m)
		one.held, one.unseen = d.Barred, d.Missed
		one.maybe = m.State == fleet.MemberOffered || m.State == fleet.MemberFetching || m.State == fleet.MemberFetched
		if is := m.State == fleet.MemberSkipped && !one.failed(); is != (d.Barred != "") { // it was pinned, or is no more, since
			one.held, barred[d.Key] = m.Why, d.Barred
		}
	})
	p.before = latest.Of()
	c.arrange()
	c.restore(p.before)
	c.halted = func() { rs.haltedNow(c) }
	if c.active() {
		for key, why := range barred {
			c.heldBack(key, why, p.before)
		}
	}
	for _, name := range rs.options.Book.DarkLines() {
		c.darkened(name, true, p.before)
	}
	stored := r.Evidence
	c.recount()
	if now := c.evidence.values(); stored.Total > 0 && r.State.Unfinished() && !near(stored.Total, now.Total) {
		rs.options.Logger.Info("evidence computed again", "model", r.Model, "rollout", r.Number, "stored", stored.Total, "computed", now.Total)
	}
	c.holdOff = p.before + c.upWithin/2
	c.wall = rs.options.Now().UTC()
	c.judge(p.before) // a kill may have come between what was seen and what follows from it
	return nil
}

func near(a, b float64) bool { return a == b || a/b < 1.000001 && b/a < 1.000001 }

// restore finds again what follows from the records: which waves are open, and when who is looked at.
func (c *course) restore(now time.Duration) {
	for _, m := range c.order {
		if inFlight(m.State) { // time without the gateway counts for nobody
			m.Since = fleet.Duration(max(now, m.Since.Of()))
			c.lookAt(m, m.Since.Of()+c.upWithin)
		}
		if m.maybe && m.State != fleet.MemberFetched { // it has its time to show that it has the whole: see [course.checked]
			c.lookAt(m, m.Since.Of()+max(2*c.upWithin, 4*c.sightings.Presence(m.Device).Rhythm))
		}
		if m.unseen && m.State == fleet.MemberWaiting {
			c.step(m, fleet.MemberOff, now, nil)
		}
		if m.Wave > 0 && c.forward() { // it was in before, whatever its place is now
			c.reach(m)
		}
	}
	if !c.forward() { // who was given the base has had its turn; the wave that was open opens once more for the rest
		for i, m := range c.order {
			if m.takenBack() {
				c.cut = i + 1
			}
		}
		for _, m := range c.order[:c.cut] {
			c.reach(m)
		}
		c.Wave = max(c.Wave-1, 0)
		return
	}
	if c.Wave > 0 {
		c.extend()
		c.before = min(c.onInCut, c.sizeBefore())
	}
}

// sizeBefore is the size of the wave before the open one.
func (c *course) sizeBefore() int {
	if c.Wave < 2 {
		return 0
	}
	return sizeOf(c.Plan.Waves[c.Wave-2], c.onAll())
}

// first is the state in which a device becomes a member.
func (rs *Rollouts) first(d fleet.Placed) fleet.MemberState {
	switch {
	case d.Barred != "":
		return fleet.MemberSkipped
	case d.Missed, d.State == fleet.Silent, d.State == fleet.Never, d.State == fleet.BootsOnly && d.Booted > rs.options.DecideWithin:
		return fleet.MemberOff
	}
	return fleet.MemberWaiting
}

// picks reports that a device is one of a target's.
func picks(t fleet.Target, d fleet.Placed) bool {
	return (len(t.Lines) == 0 || slices.Contains(t.Lines, d.Line)) && (len(t.Keys) == 0 || slices.Contains(t.Keys, d.Key)) &&
		(len(t.Labels) == 0 || slices.ContainsFunc(t.Labels, func(l string) bool { return slices.Contains(d.Labels, l) }))
}

// findSticks finds who has a build of an older rollout, and goes on being offered it.
func (rs *Rollouts) findSticks(code fleet.ModelCode, p *progress) error {
	clear(p.sticks)
	m, err := rs.options.Store.Model(code)
	if errors.Is(err, fleet.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	rs.published(p, m.FirmwareVersion) // while the gateway was away, too
	for _, r := range p.older {
		if !sticks(r, m.FirmwareVersion) {
			continue
		}
		err := rs.options.Store.EachMember(code, r.Number, func(m fleet.Member) error {
			p.stick(r, m)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stick is what a rollout that is older now makes of what a device sticks to: who has its build does from now on, who was given the
// base in place of it, or failed with it for good, to nothing. Others stick to what they did.
func (p *progress) stick(r fleet.Rollout, record fleet.Member) {
	m := member{Member: record}
	switch {
	case r.Backward && m.takenBack(), m.State == fleet.MemberSkipped && !m.FetchedAt.IsZero():
		delete(p.sticks, m.Device)
	case m.Has && m.State != fleet.MemberSkipped:
		p.sticks[m.Device] = r.Version
	}
}

// halt is a build whose offers have just ended.
type halt struct {
	model   fleet.ModelCode
	version fleet.Version
}

// haltedNow is called in the moment of a halt, with the lock held: Run tells of it at once.
func (rs *Rollouts) haltedNow(c *course) {
	rs.halts = append(rs.halts, halt{c.Model, c.Version})
	rs.soon()
}

// tellHalts has what is being sent of builds ended whose rollouts have halted.
func (rs *Rollouts) tellHalts() {
	rs.mu.Lock()
	halts := rs.halts
	rs.halts = nil
	rs.mu.Unlock()
	for _, h := range halts {
		if rs.options.Halted != nil {
			rs.options.Halted(h.model, h.version)
		}
	}
}

// Run lets time pass for all rollouts until ctx ends, and writes down what becomes of them.
func (rs *Rollouts) Run(ctx context.Context) error {
	every := max(min(rs.options.UpWithin/60, 5*time.Second), 20*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		rs.options.Beat()
		rs.Tick(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-rs.wake:
		}
	}
}

// Close writes down what waits, after Run.
func (rs *Rollouts) Close() { rs.save(context.Background()) }

// Tick is one round of Run.
func (rs *Rollouts) Tick(ctx context.Context) {
	rs.tellHalts()
	rs.startDrafts()
	hold := rs.options.Hold()
	quiet, rhythm := rs.options.Book.QuietFor()
	now := rs.options.Now()
	offered := rs.offered(ctx)
	rs.mu.Lock()
	var finishing []*progress
	for code, p := range rs.models {
		c := p.course
		v, known := offered[code]
		if known {
			rs.published(p, v)
		}
		if c == nil {
			continue
		}
		if known && v == c.Version && c.brings() && rs.acting[code] == nil { // a kill came between that and the end, or somebody has published it
			c.finishing = true
		}
		c.wall = now.UTC()
		c.hold, c.outside = hold, !p.window.open(now)
		c.blind = rhythm > 0 && quiet > max(2*c.upWithin/3, 3*rhythm) // of who asks at boots only nobody can say that it is silent
		c.tick(p.elapsed(now))
		if c.finishing && c.brings() {
			finishing = append(finishing, p)
		}
	}
	rs.mu.Unlock()
	rs.tellHalts()
	for _, p := range finishing {
		rs.finishByItself(ctx, p)
	}
	rs.save(ctx)
	rs.nudge()
}

// startDrafts starts those whose time has come.
func (rs *Rollouts) startDrafts() {
	now := rs.options.Now()
	rs.mu.Lock()
	var due []*course
	for _, p := range rs.models {
		if c := p.course; c != nil && c.State == fleet.RolloutDraft && !c.StartAt.IsZero() && !now.Before(c.StartAt) {
			due = append(due, c)
		}
	}
	rs.mu.Unlock()
	for _, c := range due {
		devices := rs.placed(c.Model)
		rs.mu.Lock()
		if p := rs.models[c.Model]; p != nil && p.course == c && c.State == fleet.RolloutDraft && rs.acting[c.Model] == nil {
			c.wall = now.UTC()
			rs.refresh(c, devices, p.elapsed(now))
			_ = c.resume(fleet.RolloutAct{Reason: "its time has come"}, p.elapsed(now)) // a draft can be started
		}
		rs.mu.Unlock()
	}
}

// placed are the devices of a model. The lock is not held.
func (rs *Rollouts) placed(code fleet.ModelCode) (all []fleet.Placed) {
	rs.options.Book.EachDevice(code, func(d fleet.Placed) { all = append(all, d) })
	return all
}

// refresh notes who is heard at the start of a draft: what devices did while it was one, nobody told it.
func (rs *Rollouts) refresh(c *course, devices []fleet.Placed, now time.Duration) {
	for _, d := range devices {
		rs.place(c, d, now)
		m := c.members[d.Key]
		if m == nil || m.State != fleet.MemberWaiting && m.State != fleet.MemberOff {
			continue
		}
		if s := rs.first(d); s != m.State && s != fleet.MemberSkipped {
			c.step(m, s, now, func() { m.unseen = d.Missed })
		}
	}
}

// offered are the versions that the models with rollouts are offered. A model that is gone is forgotten.
func (rs *Rollouts) offered(ctx context.Context) map[fleet.ModelCode]fleet.Version {
	rs.mu.Lock()
	codes := slices.Collect(maps.Keys(rs.models))
	rs.mu.Unlock()
	all := map[fleet.ModelCode]fleet.Version{}
	for _, code := range codes {
		m, err := rs.options.Store.Model(code)
		switch {
		case err == nil:
			all[code] = m.FirmwareVersion
		case errors.Is(err, fleet.ErrUnknown) && ctx.Err() == nil:
			rs.mu.Lock()
			if rs.acting[code] == nil {
				delete(rs.models, code)
			}
			rs.mu.Unlock()
		}
	}
	return all
}

// finishByItself ends a rollout that waits for nothing any more. Where something is being written of it, it does so next time.
func (rs *Rollouts) finishByItself(ctx context.Context, p *progress) {
	code := p.course.Model
	if !rs.mayAct(code) {
		return
	}
	defer rs.settle(code)
	rs.mu.Lock()
	due := p.course.finishing && p.course.brings()
	rs.mu.Unlock()
	if !due {
		return
	}
	if err := rs.finish(event.ByItself(ctx), p, ""); err != nil && !fleet.Told(err) && ctx.Err() == nil {
		rs.options.Logger.Error("rollout not finished", "model", code, "version", p.course.Version, "error", err)
	}
}

// finish offers the build to all, and ends the rollout then: in between nobody is offered anything else than before, and it
// cannot halt. The caller acts on the model.
func (rs *Rollouts) finish(ctx context.Context, p *progress, why string) error {
	c := p.course
	rs.mu.Lock()
	c.publishing = true
	rs.mu.Unlock()
	_, err := rs.options.Firmware.Publish(ctx, c.Model, c.Version)
	rs.mu.Lock()
	c.publishing = false
	now := p.elapsed(rs.options.Now())
	c.wall = rs.options.Now().UTC()
	if err != nil {
		c.judge(now)
		rs.mu.Unlock()
		return err
	}
	c.finish(why, now)
	clear(p.sticks)
	p.based = c.Version
	change, _ := c.drain(now)
	rs.mu.Unlock()
	return rs.put(context.WithoutCancel(ctx), c, change)
}

// save writes down what waits. What could not be written waits on.
func (rs *Rollouts) save(ctx context.Context) {
	rs.mu.Lock()
	codes := slices.Sorted(maps.Keys(rs.models))
	rs.mu.Unlock()
	for _, code := range codes {
		if rs.mayAct(code) {
			rs.saveOf(ctx, code)
			rs.settle(code)
		}
	}
}

// saveOf writes down what waits of a model. The caller acts on it.
func (rs *Rollouts) saveOf(ctx context.Context, code fleet.ModelCode) {
	rs.mu.Lock()
	p := rs.models[code]
	if p == nil {
		rs.mu.Unlock()
		return
	}
	unstuck, older, freed := p.unstuck, slices.Clone(p.older), p.freed
	p.unstuck, p.freed = nil, nil
	var change Change
	waits, c := false, p.course
	if c != nil {
		change, waits = c.drain(p.elapsed(rs.options.Now()))
	}
	rs.mu.Unlock()
	if err := rs.saveUnstuck(ctx, unstuck, older, freed); err != nil {
		rs.mu.Lock()
		p.unstuck = append(unstuck, p.unstuck...)
		for d := range freed {
			p.free(d)
		}
		rs.mu.Unlock()
	}
	if !waits {
		return
	}
	if err := rs.put(event.ByItself(ctx), c, change); err != nil && !fleet.Told(err) && ctx.Err() == nil {
		rs.options.Logger.Error("rollout not saved", "model", code, "rollout", c.Number, "error", err)
	}
}

// free notes that a device sticks to no older rollout any more.
func (p *progress) free(d fleet.DeviceKey) {
	if p.freed == nil {
		p.freed = map[fleet.DeviceKey]bool{}
	}
	p.freed[d] = true
}

// saveUnstuck writes down of older rollouts that they stick to nobody any more, and that some stick to certain devices no more.
func (rs *Rollouts) saveUnstuck(ctx context.Context, unstuck []Change, older []fleet.Rollout, freed map[fleet.DeviceKey]bool) error {
	for _, one := range unstuck {
		if err := rs.options.Store.SaveRollout(event.ByItself(ctx), one); err != nil {
			return err
		}
	}
	for _, r := range older {
		if len(freed) == 0 || r.Unstuck {
			continue
		}
		change := Change{Model: r.Model, Number: r.Number}
		err := rs.options.Store.EachMember(r.Model, r.Number, func(m fleet.Member) error {
			if freed[m.Device] && m.Has {
				m.Has = false
				change.Members = append(change.Members, m)
			}
			return nil
		})
		if err == nil && len(change.Members) > 0 {
			err = rs.options.Store.SaveRollout(event.ByItself(ctx), change)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes down a change of a course. What could not be written waits on.
func (rs *Rollouts) put(ctx context.Context, c *course, change Change) error {
	err := rs.options.Store.SaveRollout(ctx, change)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range change.Members {
		if m := c.members[r.Device]; m != nil {
			m.saving = false
		}
	}
	if err != nil {
		c.putBack(change)
	}
	return err
}

// putBack has a change wait again that could not be written.
func (c *course) putBack(ch Change) {
	c.told = append(ch.Told, c.told...)
	c.stale = c.stale || ch.Rollout != nil
	for _, r := range ch.Members {
		if m := c.members[r.Device]; m != nil {
			c.save(m)
		}
	}
}

// soon has Run look at once.
func (rs *Rollouts) soon() {
	select {
	case rs.wake <- struct{}{}:
	default:
	}
}

// nudge asks devices to restart whose turn it is and who ask at their boots only.
func (rs *Rollouts) nudge() {
	if rs.options.Nudge == nil {
		return
	}
	type turn struct {
		code    fleet.ModelCode
		devices []fleet.DeviceKey
	}
	var turns []turn
	rs.mu.Lock()
	for code, p := range rs.models {
		if c := p.course; c != nil {
			if devices := c.nudged(p.elapsed(rs.options.Now())); len(devices) > 0 {
				turns = append(turns, turn{code, devices})
			}
		}
	}
	rs.mu.Unlock()
	for _, t := range turns {
		rs.options.Nudge(t.code, t.devices)
	}
}

// mostNudged are asked at a time, and nobody again before it had its time to be up.
const mostNudged = 10

// nudged are members whose turn it is, who ask at boots only, and who were not nudged lately.
func (c *course) nudged(now time.Duration) (devices []fleet.DeviceKey) {
	if c.State != fleet.RolloutRunning && c.State != fleet.RolloutRetreating {
		return nil
	}
	free := min(c.budget()-c.slots, mostNudged)
	for _, m := range c.order[:c.cut] {
		if len(devices) >= free {
			break
		}
		if !c.mayTake(m) || m.State == fleet.MemberOff || m.nudgedAt > 0 && now-m.nudgedAt < 4*c.upWithin {
			continue
		}
		if c.sightings.Presence(m.Device).State == fleet.BootsOnly {
			m.nudgedAt = now
			devices = append(devices, m.Device)
		}
	}
	return devices
}
