package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What is seen of devices. The calls cost next to nothing where the model has no rollout.

// with calls do with the course of a model and its time, under the lock.
func (rs *Rollouts) with(code fleet.ModelCode, do func(c *course, now time.Duration)) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[code]
	if p == nil || p.course == nil || !p.course.active() {
		return
	}
	now := rs.options.Now()
	p.course.wall = now.UTC()
	do(p.course, p.elapsed(now))
}

// Fetching tells that more than the first block of a build has arrived at a device.
func (rs *Rollouts) Fetching(code fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	rs.with(code, func(c *course, now time.Duration) { c.fetching(d, v, now) })
}

// Broke tells that a download ended in its middle.
func (rs *Rollouts) Broke(code fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	rs.with(code, func(c *course, now time.Duration) { c.broke(d, v, now) })
}

// Fetched tells that a device has the whole of a build.
func (rs *Rollouts) Fetched(code fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	rs.with(code, func(c *course, now time.Duration) { c.fetched(d, v, now) })
}

// Runs tells what a device was found to run.
func (rs *Rollouts) Runs(code fleet.ModelCode, d fleet.DeviceKey, v string, by fleet.Proof) {
	rs.with(code, func(c *course, now time.Duration) { c.runs(d, v, fleet.UpBy(by), now) })
}

// WentBack tells that a device was found to have left a version.
func (rs *Rollouts) WentBack(code fleet.ModelCode, d fleet.DeviceKey, v fleet.Version, by fleet.Proof) {
	why := "it says that it runs another version"
	if by == fleet.ProofDump {
		why = "a dump of the build was declared by another version"
	}
	rs.with(code, func(c *course, now time.Duration) { c.back(d, v, why, now) })
}

// Checked tells that a device has asked for a build and wanted no more of it than its first block.
func (rs *Rollouts) Checked(code fleet.ModelCode, d fleet.DeviceKey, v fleet.Version) {
	rs.with(code, func(c *course, now time.Duration) { c.checked(d, v, now) })
}

// Booted tells of a boot, which is no evidence where what it came from is known.
func (rs *Rollouts) Booted(code fleet.ModelCode, d fleet.DeviceKey, known bool) {
	rs.with(code, func(c *course, now time.Duration) { c.booted(d, known, now) })
}

// Missed tells that a device was not heard for the longer of 2 U and three of its rhythms, while its line was lit.
func (rs *Rollouts) Missed(code fleet.ModelCode, d fleet.DeviceKey) {
	rs.with(code, func(c *course, now time.Duration) { c.missed(d, now) })
}

// Heard tells of a contact of a device that was missed, or that was never heard before; longer says that the gap before it was
// longer than its rhythm.
func (rs *Rollouts) Heard(code fleet.ModelCode, d fleet.DeviceKey, longer bool) {
	rs.with(code, func(c *course, now time.Duration) {
		c.heard(d, now)
		if longer {
			c.runs(d, string(c.aim()), fleet.UpHeard, now)
		}
	})
}

// LineChanged tells that a line went dark, or is lit again.
func (rs *Rollouts) LineChanged(line string, dark bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, p := range rs.models {
		if p.course != nil {
			p.course.darkened(line, dark, p.elapsed(rs.options.Now()))
		}
	}
}

// Crashed tells of a crash of which there is a report. v is the build that the dump was made of; firstSeen is when its group
// was.
func (rs *Rollouts) Crashed(code fleet.ModelCode, d fleet.DeviceKey, v fleet.Version, fingerprint, frame string, firstSeen time.Time) {
	rs.with(code, func(c *course, now time.Duration) {
		if firstSeen.Before(c.StartedAt) {
			fingerprint = ""
		}
		c.crashes(d, v, fingerprint, frame, now)
	})
	rs.soon()
}

// Placed tells of a device that was added, or whose line, labels or bars have changed. A draft has its members, too.
func (rs *Rollouts) Placed(code fleet.ModelCode, d fleet.Placed) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for model, p := range rs.models {
		if model == code {
			continue
		}
		delete(p.sticks, d.Key)
		if p.course != nil {
			p.course.removed(d.Key)
		}
	}
	p := rs.models[code]
	if p == nil {
		return
	}
	if _, stuck := p.sticks[d.Key]; stuck && d.Barred != "" { // a pin ends it, also for later
		delete(p.sticks, d.Key)
		p.free(d.Key)
	}
	c := p.course
	if c == nil || !c.active() && c.State != fleet.RolloutDraft {
		return
	}
	now := rs.options.Now()
	c.wall = now.UTC()
	rs.place(c, d, p.elapsed(now))
}

// Removed tells that a device is gone.
func (rs *Rollouts) Removed(d fleet.DeviceKey) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, p := range rs.models {
		delete(p.sticks, d)
		if p.course != nil {
			p.course.removed(d)
		}
	}
}
