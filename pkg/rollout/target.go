package rollout

import (
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

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

// placed are the devices of a model. The lock is not held.
func (rs *Rollouts) placed(code fleet.ModelCode) (all []fleet.Placed) {
	rs.options.Book.EachDevice(code, func(d fleet.Placed) { all = append(all, d) })
	return all
}
