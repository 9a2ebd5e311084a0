package rollout

import (
	"context"
	"errors"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

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

// sticks reports that who has the build of a rollout that is over goes on being offered it: nothing else was published since.
func (c *course) sticks(published fleet.Version) bool { return sticks(c.Rollout, published) }

func sticks(r fleet.Rollout, published fleet.Version) bool {
	return !r.Unstuck && r.Base == published && r.State != fleet.RolloutFinished
}
