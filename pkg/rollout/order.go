package rollout

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// fewDevices are those below which 0.5 more crashes per 100 devices and day cannot be ruled out in a month at 5 %.
const fewDevices = 2000

// smallFleet is where the plan "small" is the right one.
const smallFleet = 200

// order is what a person asks for, checked and completed.
type order struct {
	fleet.RolloutOrder
	base    fleet.Version
	rate    float64
	devices []fleet.Placed
	tested  bool // a device was moved back from this build to that base before, and runs

	noRetreat string   // why it cannot be taken back; "": it can
	blind     []string // what cannot be seen, and why
}

// check refuses what cannot be begun, and says what it cannot see.
func (rs *Rollouts) check(o fleet.RolloutOrder) (x order, err error) {
	x.RolloutOrder = o
	m, err := rs.options.Store.Model(o.Model)
	if err != nil {
		return x, err
	}
	if _, err := rs.options.Store.Build(o.Model, o.Version); err != nil {
		return x, err
	}
	switch m.FirmwareVersion {
	case "":
		return x, fleet.Refused("model %s is offered nothing yet: its first build is published to all at once, by slipway firmware publish", o.Model)
	case o.Version:
		return x, fleet.Refused("version %s is what model %s is offered already", o.Version, o.Model)
	}
	x.base = m.FirmwareVersion
	if x.Plan, err = rs.planOf(o); err != nil {
		return x, err
	}
	if _, err := parseWindow(o.Window); err != nil {
		return x, err
	}
	if err := rs.checkOrder(o); err != nil {
		return x, err
	}
	rs.options.Book.EachDevice(o.Model, func(d fleet.Placed) {
		if picks(o.Target, d) {
			x.devices = append(x.devices, d)
		}
	})
	if len(x.devices) == 0 {
		return x, fleet.Refused("the rollout would have no device: model %s has none that the target picks", o.Model)
	}
	if err := x.checkFirst(); err != nil {
		return x, err
	}
	x.rate, x.tested = rs.rateOf(o.Model, x.base), rs.wasTested(o.Model, o.Version, x.base)
	if err := x.look(rs.options.Firmware); err != nil {
		return x, err
	}
	x.noRetreat = x.cannotRetreat(rs.options.Firmware)
	return x, x.checkRetreat()
}

// checkOrder refuses what contradicts itself.
func (rs *Rollouts) checkOrder(o fleet.RolloutOrder) error {
	now := rs.options.Now()
	switch {
	case o.Draft && !o.StartAt.IsZero():
		return fleet.Refused("draft and start_at: a draft waits for a person, or for a time, and not for both")
	case !o.StartAt.IsZero() && o.StartAt.Before(now):
		return fleet.Refused("start_at %s has passed: it is %s", o.StartAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case o.Untested && !o.Retreat:
		return fleet.Refused("untested: it goes with retreat")
	}
	return checkReason(o.Reason)
}

// checkRetreat refuses to promise a retreat that would be refused after the halt.
func (x *order) checkRetreat() error {
	switch {
	case !x.Retreat:
	case x.noRetreat != "":
		return fleet.Refused("it cannot be taken back: %s: start it without --retreat", x.noRetreat)
	case !x.tested && !x.Untested:
		return fleet.Refused("retreat: no device was moved from %s back to %s yet, and nobody would ask once it has halted: say --untested as well, "+
			"or start it without --retreat", x.Version, x.base)
	}
	return nil
}

// wasTested reports that an earlier rollout has seen a device that was moved from a version back to the base, and runs.
func (rs *Rollouts) wasTested(code fleet.ModelCode, v, base fleet.Version) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	p := rs.models[code]
	if p == nil || p.course == nil {
		return false
	}
	return slices.ContainsFunc(append(p.older[:len(p.older):len(p.older)], p.course.Rollout), func(r fleet.Rollout) bool {
		return r.Tested && r.Version == v && r.Base == base
	})
}

func checkReason(s string) error {
	if n := utf8.RuneCountInString(s); n > fleet.MostReason {
		return fleet.Refused("a reason of %d characters: at most %d are kept", n, fleet.MostReason)
	}
	return nil
}

// planOf completes the plan: of who names none it is the model's, or else the setting's.
func (rs *Rollouts) planOf(o fleet.RolloutOrder) (fleet.Plan, error) {
	if len(o.Plan.Waves) == 0 && o.Plan.Name == "" {
		return rs.Plan(o.Model)
	}
	if len(o.Plan.Waves) == 0 {
		own, found, err := rs.options.Store.RolloutPlan(o.Model)
		if err == nil && found && own.Name == o.Plan.Name {
			return own, nil
		}
	}
	return CheckPlan(o.Plan)
}

// checkFirst refuses a first wave that names nobody.
func (x *order) checkFirst() error {
	if x.First == nil {
		return nil
	}
	if (x.First.Line == "") == (len(x.First.Keys) == 0) {
		return fleet.Refused("first: want either a line or keys")
	}
	if len(x.First.Keys) > 1000 {
		return fleet.Refused("first: %d keys, at most 1000", len(x.First.Keys))
	}
	if x.named() == 0 {
		return fleet.Refused("first: no device of the rollout is among those")
	}
	return nil
}

// named is how many devices a person has put into the first wave.
func (x *order) named() (n int) {
	for _, d := range x.devices {
		if x.First != nil && x.First.Names(d.Key, d.Line) {
			n++
		}
	}
	return n
}

// withFirst is the plan with a wave of those that are named before its own, which come on top of them.
func (x *order) withFirst() fleet.Plan {
	n, p := x.named(), x.Plan
	if n == 0 {
		return p
	}
	p.Waves = append([]fleet.Wave{{Devices: n, Rest: p.Waves[0].Rest}}, p.Waves...)
	for i := range p.Waves[1:] {
		if w := &p.Waves[i+1]; w.Devices > 0 {
			w.Devices += n
		}
	}
	return p
}

// look refuses builds that no rollout can bring, and says which streams are blind.
func (x *order) look(f firmware) error {
	var n, o fleet.Traits
	var err error
	if n, err = f.Traits(x.Model, x.Version); err != nil {
		return err
	}
	if o, err = f.Traits(x.Model, x.base); err != nil && !errors.Is(err, fleet.ErrUnknown) {
		return err
	}
	say := func(format string, args ...any) { x.blind = append(x.blind, fmt.Sprintf(format, args...)) }
	if n.SecureVersion < o.SecureVersion {
		return fleet.Refused("the image's secure version is %d and that of %s is %d: bootloaders that have seen that one take no image with a lower one", n.SecureVersion, x.base, o.SecureVersion)
	}
	if n.SecureVersion > o.SecureVersion {
		say("it cannot be taken back: its secure version is %d, that of %s is %d", n.SecureVersion, x.base, o.SecureVersion)
	}
	if n.Unsaid {
		say("its sdkconfig was not handed in: whether it writes core dumps, and whether its bootloader goes back by itself, is not known")
	}
	if !n.Dumps && !n.Unsaid {
		say("it writes no core dumps: boots that nothing explains stand in for crashes")
	}
	if n.Halts {
		say("it stops at a panic: a crash is seen as silence")
	}
	switch {
	case n.Unsaid:
	case n.Rollback:
		say("its bootloader goes back to the image before unless the firmware marks itself valid: a device counts as up when it says so")
	default:
		say("its bootloader does not go back by itself: a device that does not start stays dead")
	}
	on, bootsOnly := 0, 0
	for _, d := range x.devices {
		if d.State == fleet.BootsOnly {
			bootsOnly++
		}
		if d.State != fleet.Silent && d.State != fleet.Never {
			on++
		}
	}
	if bootsOnly > 0 {
		say("%d of %d devices ask at their boots only: that they fall silent later is not seen without mqtt.url", bootsOnly, len(x.devices))
	}
	switch daily := ruledOutDaily(x.Plan); {
	case on < smallFleet:
		say("%d devices are heard: %s cannot be seen among so few", on, fleet.DailyText(0.005))
	case daily > 0 && daily < 0.01 && on < fewDevices:
		say("%s cannot be ruled out in a month with %d devices at 5 %%: let the wave be 20 %%, or leave it to new signatures", fleet.DailyText(daily), on)
	}
	if x.Plan.Name == "urgent" {
		say("the plan urgent sees a build that is dead at once or crashes at boot, and rules out nothing else")
	}
	return nil
}

// usualRate is what is taken for the base's crashes a device and day where nobody knows.
const usualRate = 0.002

func (rs *Rollouts) rateOf(code fleet.ModelCode, base fleet.Version) float64 {
	if r := rs.options.Rate(code, base); r > 0 {
		return min(max(r, usualRate/20), 0.2)
	}
	return usualRate
}

// cannotRetreat says why a rollout cannot be taken back, "" where it can.
func (x *order) cannotRetreat(f firmware) string {
	n, err := f.Traits(x.Model, x.Version)
	o, errOld := f.Traits(x.Model, x.base)
	if err == nil && errOld == nil && n.SecureVersion > o.SecureVersion {
		return fmt.Sprintf("the secure version went up from %d to %d: bootloaders take no image with a lower one", o.SecureVersion, n.SecureVersion)
	}
	return ""
}
