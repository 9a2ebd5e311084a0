package catalog

import (
	"cmp"
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
		case s.Current == a.Hash || s.PathShared:
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
			if err := t.adoptsNoMore(last); err != nil {
				return err
			}
		}
		if err := t.isOwnSecret(a); err != nil {
			return err
		}
		t.tell(event.AdoptionOpened, a.Model.ObjectOf(), facts{"at_most": a.AtMost, "until": a.Until.UTC()})
		return errors.Join(t.put(adoptionKey(a.Model), a), t.put(adoptingKey(a.Hash), a.Model))
	})
}

// isOwnSecret refuses the secret of another model's adoption that is open, or will be once a clock that was wrong is right: not
// each request names a model.
func (t *tx) isOwnSecret(a auth.Adoption) error {
	var model fleet.ModelCode
	found, err := t.get(adoptingKey(a.Hash), &model)
	if err != nil || !found || model == a.Model {
		return err
	}
	var other auth.Adoption
	if _, err := t.get(adoptionKey(model), &other); err != nil {
		return err
	}
	if a.OpenedAt.Before(other.Until) {
		return fleet.Taken("the adoption of %s, which is not over, has the same secret: not each device names its model", model)
	}
	return nil
}

// adoptsNoMore ends that an adoption is found by its secret, which another may have by now.
func (t *tx) adoptsNoMore(a auth.Adoption) error {
	var model fleet.ModelCode
	found, err := t.get(adoptingKey(a.Hash), &model)
	if err == nil && found && model == a.Model {
		t.delete(adoptingKey(a.Hash))
	}
	return err
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
	return errors.Join(t.adoptsNoMore(*a), t.put(adoptionKey(a.Model), *a))
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
	return t.adoptsNoMore(a)
}

func (t *tx) tellClosed(a auth.Adoption, why string) {
	t.tell(event.AdoptionClosed, a.Model.ObjectOf(), facts{"adopted": len(a.Adopted), "why": why})
}

// AdoptDevice adds a device that shows the secret of its model's open adoption, or of any where it names no model; one that
// another request adds meanwhile is there when it returns, and left as it is. Strangers are refused before anything is written: a
// flood of them costs two reads each.
func (c *Catalog) AdoptDevice(ctx context.Context, s auth.Stranger, now time.Time) error {
	if s.Model == "" {
		model, err := c.modelToAdopt(s)
		if err != nil {
			return err
		}
		s.Model = model
	}
	var a auth.Adoption
	found, err := c.find(adoptionKey(s.Model), &a)
	if err != nil {
		return err
	}
	if err := mayAdopt(a, found, s, now); err != nil {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		if there, err := t.has(deviceKey(s.Key)); err != nil || there {
			return err // another request has added it
		}
		found, err := t.get(adoptionKey(s.Model), &a) // another may have been the last
		if err != nil {
			return err
		}
		if err := mayAdopt(a, found, s, now); err != nil {
			return err
		}
		removed, err := t.has(removedKey(s.Key))
		if err != nil {
			return err
		}
		if removed {
			return fleet.Refused("device %q was removed: it is admitted again when a person adds it", cmp.Or(string(s.Alias), string(s.Key)))
		}
		t.tell(event.DeviceAdopted, s.Key.ObjectOf(), adoptedFacts(s))
		if err := t.addDevice(deviceOf(s, now), secretsOf(s, a, now)); err != nil {
			return err
		}
		a.Adopted = append(a.Adopted, s.Key)
		if len(a.Adopted) >= a.AtMost {
			return t.closeAdoption(&a, now, closedByNumber)
		}
		return t.put(adoptionKey(a.Model), a)
	})
}

// modelToAdopt is the model of the adoption that has the stranger's secret.
func (c *Catalog) modelToAdopt(s auth.Stranger) (model fleet.ModelCode, err error) {
	found, err := c.find(adoptingKey(auth.HashSecret(s.Secret)), &model)
	if err != nil || found {
		return model, err
	}
	open, err := c.count(adoptingPrefix)
	switch {
	case err != nil:
		return "", err
	case open > 0:
		return "", auth.ErrNotAdopted
	}
	return "", fleet.Unknown("there is no device %q, and no adoption is open", cmp.Or(string(s.Alias), string(s.Key)))
}

func mayAdopt(a auth.Adoption, found bool, s auth.Stranger, now time.Time) error {
	switch {
	case !found || !a.Open(now):
		return fleet.Unknown("there is no device %q, and no adoption of %s is open", s.Key, s.Model)
	case !a.Hash.Matches(s.Secret):
		return auth.ErrNotAdopted
	}
	return nil
}

func deviceOf(s auth.Stranger, now time.Time) fleet.Device {
	d := fleet.Device{Key: s.Key, Model: s.Model, CreatedAt: now, UpdatedAt: now}
	if s.Alias != "" {
		d.Aliases = []fleet.Alias{s.Alias}
	}
	return d
}

// secretsOf are good in the way in which the stranger has shown the shared secret, and in no other: a path is written into logs.
func secretsOf(s auth.Stranger, a auth.Adoption, now time.Time) auth.DeviceSecrets {
	if s.Path != "" {
		return auth.DeviceSecrets{Path: auth.HashSecret(s.Path), PathShared: true, ChangedAt: now}
	}
	return auth.DeviceSecrets{Current: a.Hash, ChangedAt: now}
}

func adoptedFacts(s auth.Stranger) facts {
	f := facts{"model": s.Model}
	if s.Alias != "" {
		f["alias"] = s.Alias
	}
	if s.Path != "" {
		f["path_secret"] = true
	}
	return f
}
