package catalog

import (
	"context"
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Model finds a model, or says ErrUnknown. Its configuration and values are not to be changed.
func (c *Catalog) Model(code fleet.ModelCode) (fleet.Model, error) {
	db, err := c.store.borrow()
	if err != nil {
		return fleet.Model{}, err
	}
	defer c.store.mu.RUnlock()
	var m fleet.Model
	err = db.View(func(txn *badger.Txn) error {
		item, found, err := look(txn, modelKey(code))
		if err == nil && !found {
			err = unknownModel(code)
		}
		if err == nil {
			m, err = c.decoded.of(db, code, item)
		}
		return err
	})
	return m, err
}

func unknownModel(code fleet.ModelCode) error { return fleet.Unknown("there is no model %q", code) }

// Models lists all models by code.
func (c *Catalog) Models() ([]fleet.Model, error) { return list[fleet.Model](c, modelPrefix) }

// AddModel adds a model, or says ErrTaken.
func (c *Catalog) AddModel(ctx context.Context, m fleet.Model) error {
	return c.update(ctx, func(t *tx) error {
		taken, err := t.has(modelKey(m.Code))
		if err != nil {
			return err
		}
		if taken {
			return fleet.Taken("model %q is there already", m.Code)
		}
		t.tell(event.ModelAdded, m.Code.ObjectOf(), facts{"name": m.Name})
		t.tellConfig(m.Code.ObjectOf(), nil, m.Config)
		t.tellProvisioning(m.Code.ObjectOf(), nil, m.Provisioning)
		return t.put(modelKey(m.Code), m)
	})
}

// UpdateModel changes a model; change sees the record as it is and refuses by returning an error.
func (c *Catalog) UpdateModel(ctx context.Context, code fleet.ModelCode, change func(*fleet.Model) error) (fleet.Model, error) {
	return c.changeModel(ctx, code, func(_ *tx, m *fleet.Model) error { return change(m) })
}

func (c *Catalog) changeModel(ctx context.Context, code fleet.ModelCode, change func(*tx, *fleet.Model) error) (fleet.Model, error) {
	var m fleet.Model
	err := c.update(ctx, func(t *tx) error {
		var err error
		if m, err = t.model(code); err != nil {
			return err
		}
		before := m
		if err := change(t, &m); err != nil {
			return err
		}
		m.Code, m.UpdatedAt = code, c.options.Now().UTC()
		t.tellModel(before, m)
		return t.put(modelKey(code), m)
	})
	return m, err
}

func (t *tx) model(code fleet.ModelCode) (fleet.Model, error) {
	var m fleet.Model
	found, err := t.get(modelKey(code), &m)
	if err == nil && !found {
		err = unknownModel(code)
	}
	return m, err
}

// RemoveModel removes a model that has neither devices nor builds, with its rollouts; else it says ErrTaken.
func (c *Catalog) RemoveModel(ctx context.Context, code fleet.ModelCode) error {
	return c.update(ctx, func(t *tx) error {
		if _, err := t.model(code); err != nil {
			return err
		}
		for _, held := range []struct{ by, prefix string }{{"devices", modelDevicesPrefix(code)}, {"builds", buildsPrefix(code)}} {
			keys, err := t.keys(held.prefix)
			if err != nil {
				return err
			}
			if len(keys) > 0 {
				return fleet.Taken("model %q has %d %s: remove them first", code, len(keys), held.by)
			}
		}
		t.tell(event.ModelRemoved, code.ObjectOf(), nil)
		t.delete(modelKey(code))
		return errors.Join(t.forgetAdoption(code), t.removeRollouts(code))
	})
}
