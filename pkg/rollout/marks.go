package rollout

import (
	"time"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// crashes tells of a crash: of the build that the dump was made of. A fingerprint is named where nobody had seen it before the
// rollout.
func (c *course) crashes(device fleet.DeviceKey, v fleet.Version, fingerprint, frame string, now time.Duration) {
	m := c.members[device]
	if m == nil || !c.forward() || !c.active() {
		return
	}
	isNew := v == c.Version
	if !isNew && (m.Has || m.crash == none) { // of before it had the build, or of a device that nobody is compared with
		return
	}
	if !isNew && m.brokeAt > 0 && now-m.brokeAt < c.upWithin/8 {
		return // some firmware aborts on a download that breaks
	}
	switch {
	case isNew && m.State == fleet.MemberHealthy:
		c.step(m, fleet.MemberUp, now, nil)
	case isNew && (m.State == fleet.MemberFetched || m.State == fleet.MemberLost || m.State == fleet.MemberFetching || m.State == fleet.MemberOffered):
		c.runs(device, string(v), fleet.UpDump, now)
	}
	if isNew && m.State == fleet.MemberUp { // until it has been quiet for a while
		c.lookAt(m, now+c.patience(m))
	}
	if m.Crash != nil || m.apart() {
		return
	}
	c.mark(m, ofCrash, fleet.Mark{New: isNew, Fingerprint: fingerprint, Frame: frame}, now)
	c.judge(now)
}

// missed tells that a device was not heard for the longer of 2 U and three of its rhythms, while its line was lit.
func (c *course) missed(device fleet.DeviceKey, now time.Duration) {
	m := c.members[device]
	if m == nil || m.unseen || !c.active() {
		return
	}
	switch m.State {
	case fleet.MemberWaiting:
		c.silent(m, now)
		c.step(m, fleet.MemberOff, now, func() { m.unseen = true })
		c.extend()
	case fleet.MemberOffered, fleet.MemberFetching:
		c.silent(m, now)
		c.step(m, fleet.MemberOff, now, func() { m.unseen, m.OfferedAt = true, time.Time{} })
		c.lookNoMore(m)
		c.extend()
	case fleet.MemberUp:
		c.silent(m, now)
		c.change(m, func() { m.unseen = true })
		c.lookAt(m, now)
	case fleet.MemberHealthy:
		c.silent(m, now)
		c.change(m, func() { m.unseen = true })
	default:
		c.change(m, func() { m.unseen = true })
	}
	c.judge(now)
}

func (c *course) silent(m *member, now time.Duration) {
	if m.Silence == nil && c.forward() && m.quiet != none {
		c.mark(m, ofSilence, fleet.Mark{New: m.quiet == ofNew}, now)
	}
}

// heard tells that a device is heard again that was missed, or that was lost or off.
func (c *course) heard(device fleet.DeviceKey, now time.Duration) {
	m := c.members[device]
	if m == nil {
		return
	}
	if m.unseen {
		c.change(m, func() { m.unseen = false })
	}
	switch m.State {
	case fleet.MemberOff:
		c.step(m, fleet.MemberWaiting, now, nil)
	case fleet.MemberLost: // what it runs will show
		c.tellDevice(event.DeviceFound, m, "it is heard again")
		if !c.forward() && m.lostBefore() {
			c.step(m, fleet.MemberWaiting, now, func() { m.Why, m.Excused = "", false })
			return
		}
		c.step(m, fleet.MemberFetched, now, func() { m.Why = "" })
		c.lookAt(m, now) // it may have shown before what it runs
	}
}
