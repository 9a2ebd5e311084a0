package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Why an adoption was closed, in the words of its event.
const (
	closedByPerson = "closed"
	closedByNumber = "as many devices as it may take were adopted"
	closedByTime   = "its time was over"
)

// Adoptions lists the newest adoption of each model that has had one, by model.
func (c *Catalog) Adoptions() ([]auth.Adoption, error) {
	return list[auth.Adoption](c, adoptionPrefix)
}

// StillShared counts the devices of an adoption whose secret is the shared one still: none was rotated or replaced.
func (c *Catalog) StillShared(a auth.Adoption) (n int, err error) {
	for _, key := range a.Adopted {
		s, err := c.DeviceSecrets(key)
		switch {
		case errors.Is(err, fleet.ErrUnknown): // it was removed
		case err != nil:
			return 0, err
		case s.Current == a.Hash:
			n++
		}
	}
	return n, nil
}

// OpenAdoption opens one, in place of the last of its model. While that one is open it is ErrTaken.
func (c *Catalog) OpenAdoption(ctx context.Context, a auth.Adoption) error {
	return c.update(ctx, func(t *tx) error {
		if _, err := t.model(a.Model); err != nil {
			return err
		}
		var last auth.Adoption
		found, err := t.get(adoptionKey(a.Model), &last)
		switch {
		case err != nil:
			return err
		case found && last.Open(a.OpenedAt):
			return fleet.Taken("an adoption of %s is open until %s: slipway device adopt close %s closes it", a.Model, last.Until.UTC().Format(time.RFC3339), a.Model)
		case found && last.ClosedAt.IsZero():
			t.tellClosed(last, closedByTime)
		}
		t.tell(event.AdoptionOpened, a.Model.ObjectOf(), facts{"at_most": a.AtMost, "until": a.Until.UTC()})
		return t.put(adoptionKey(a.Model), a)
	})
}

// CloseAdoption closes a model's, or says ErrUnknown where none is open.
func (c *Catalog) CloseAdoption(ctx context.Context, code fleet.ModelCode) (auth.Adoption, error) {
	var a auth.Adoption
	err := c.update(ctx, func(t *tx) error {
		found, err := t.get(adoptionKey(code), &a)
		if err == nil && (!found || !a.ClosedAt.IsZero()) {
			err = fleet.Unknown("no adoption of %q is open", code)
		}
		if err != nil {
			return err
		}
		return t.closeAdoption(&a, c.options.Now(), closedByPerson)
	})
	return a, err
}

// EndAdoptions closes those whose time is over. Nothing is adopted after that anyway: it is so that it is told.
func (c *Catalog) EndAdoptions(ctx context.Context, now time.Time) error {
	all, err := c.Adoptions()
	if err != nil {
		return err
	}
	for _, one := range all {
		if !one.ClosedAt.IsZero() || now.Before(one.Until) {
			continue
		}
		err := c.update(ctx, func(t *tx) error {
			var a auth.Adoption
			found, err := t.get(adoptionKey(one.Model), &a)
			if err != nil || !found || !a.ClosedAt.IsZero() || now.Before(a.Until) {
				return err
			}
			return t.closeAdoption(&a, now, closedByTime)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) closeAdoption(a *auth.Adoption, now time.Time, why string) error {
	a.ClosedAt = now.UTC()
	t.tellClosed(*a, why)
	return t.put(adoptionKey(a.Model), *a)
}

// forgetAdoption ends what a model has of adoptions with the model.
func (t *tx) forgetAdoption(code fleet.ModelCode) error {
	var a auth.Adoption
	found, err := t.get(adoptionKey(code), &a)
	if err != nil || !found {
		return err
	}
	if a.ClosedAt.IsZero() {
		t.tellClosed(a, closedByPerson)
	}
	t.delete(adoptionKey(code))
	return nil
}

func (t *tx) tellClosed(a auth.Adoption, why string) {
	t.tell(event.AdoptionClosed, a.Model.ObjectOf(), facts{"adopted": len(a.Adopted), "why": why})
}

// AdoptDevice adds a device that shows the secret of its model's open adoption; one that another request adds meanwhile is
// there when it returns, and left as it is. Strangers are refused before anything is
// written: a flood of them costs a read each.
func (c *Catalog) AdoptDevice(ctx context.Context, d fleet.Device, secret string) error {
	var a auth.Adoption
	found, err := c.find(adoptionKey(d.Model), &a)
	if err != nil {
		return err
	}
	if err := mayAdopt(a, found, d, secret); err != nil {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		if there, err := t.has(deviceKey(d.Key)); err != nil || there {
			return err // no error of this operation: it would be told before the other's device can be read
		}
		found, err := t.get(adoptionKey(d.Model), &a) // another may have been the last
		if err != nil {
			return err
		}
		if err := mayAdopt(a, found, d, secret); err != nil {
			return err
		}
		removed, err := t.has(removedKey(d.Key))
		if err != nil {
			return err
		}
		if removed {
			return fleet.Refused("device %q was removed: it is admitted again when a person adds it", d.Key)
		}
		t.tell(event.DeviceAdopted, d.Key.ObjectOf(), facts{"model": d.Model})
		if err := t.addDevice(d, auth.DeviceSecrets{Current: a.Hash, ChangedAt: d.CreatedAt}); err != nil {
			return err
		}
		a.Adopted = append(a.Adopted, d.Key)
		if len(a.Adopted) >= a.AtMost {
			return t.closeAdoption(&a, d.CreatedAt, closedByNumber)
		}
		return t.put(adoptionKey(a.Model), a)
	})
}

func mayAdopt(a auth.Adoption, found bool, d fleet.Device, secret string) error {
	switch {
	case !found || !a.Open(d.CreatedAt):
		return fleet.Unknown("there is no device %q, and no adoption of %s is open", d.Key, d.Model)
	case !a.Hash.Matches(secret):
		return auth.ErrNotAdopted
	}
	return nil
}
