package catalog

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// DeviceSecrets is what is stored of a device's secrets.
func (c *Catalog) DeviceSecrets(key fleet.DeviceKey) (auth.DeviceSecrets, error) {
	var s auth.DeviceSecrets
	found, err := c.find(secretsKey(key), &s)
	if err == nil && !found {
		err = unknownDevice(key)
	}
	return s, err
}

// UpdateDeviceSecrets changes them.
func (c *Catalog) UpdateDeviceSecrets(ctx context.Context, key fleet.DeviceKey, change func(*auth.DeviceSecrets) error) error {
	return c.update(ctx, func(t *tx) error {
		var s auth.DeviceSecrets
		found, err := t.get(secretsKey(key), &s)
		if err != nil {
			return err
		}
		if !found {
			return unknownDevice(key)
		}
		before := s
		if err := change(&s); err != nil {
			return err
		}
		return errors.Join(t.tellSecrets(key, before, s), t.put(secretsKey(key), s))
	})
}

// ReplaceDeviceSecrets stores new ones in place of the old, whose tokens end with them: those issued before notBefore are
// refused from now on.
func (c *Catalog) ReplaceDeviceSecrets(ctx context.Context, key fleet.DeviceKey, s auth.DeviceSecrets, notBefore time.Time) error {
	return c.update(ctx, func(t *tx) error {
		d, err := t.device(key)
		if err != nil {
			return err
		}
		if notBefore.After(d.NotBefore) {
			d.NotBefore = notBefore
		}
		d.UpdatedAt = c.options.Now().UTC()
		var before auth.DeviceSecrets
		if _, err := t.get(secretsKey(key), &before); err != nil {
			return err
		}
		s.Path, s.PathShared = before.Path, before.PathShared // it is a secret of its own
		t.tell(event.DeviceSecretReplaced, key.ObjectOf(), nil)
		return errors.Join(t.putDevice(d), t.put(secretsKey(key), s))
	})
}

// endPathSecret takes the path secret of a device that is revoked.
func (t *tx) endPathSecret(key fleet.DeviceKey) error {
	var s auth.DeviceSecrets
	if found, err := t.get(secretsKey(key), &s); err != nil || !found || s.Path == "" {
		return err
	}
	s.Path, s.PathShared = "", false
	t.tell(event.DevicePathSecretRevoked, key.ObjectOf(), nil)
	return t.put(secretsKey(key), s)
}

// OperatorToken finds a token's record by its id, or says ErrUnknown.
func (c *Catalog) OperatorToken(id string) (auth.OperatorToken, error) {
	var o auth.OperatorToken
	found, err := c.find(tokenKey(id), &o)
	if err == nil && !found {
		err = unknownToken(id)
	}
	return o, err
}

func unknownToken(id string) error { return fleet.Unknown("there is no token %q", id) }

// OperatorTokens lists all of them by id.
func (c *Catalog) OperatorTokens() ([]auth.OperatorToken, error) {
	return list[auth.OperatorToken](c, tokenPrefix)
}

// AddOperatorToken adds one.
func (c *Catalog) AddOperatorToken(ctx context.Context, o auth.OperatorToken) error {
	return c.update(ctx, func(t *tx) error {
		taken, err := t.has(tokenKey(o.ID))
		if err != nil {
			return err
		}
		if taken {
			return fleet.Taken("token %q is there already", o.ID)
		}
		o.MadeBy = t.by.Actor
		t.tell(event.TokenCreated, tokenObject(o), facts{"name": o.Name, "role": o.Role})
		return t.put(tokenKey(o.ID), o)
	})
}

// NoteTokensUsed notes when tokens were used last, by their ids. Those that are gone are passed over.
func (c *Catalog) NoteTokensUsed(ctx context.Context, used map[string]time.Time) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(used)), 1000) {
		err := c.update(ctx, func(t *tx) error {
			for _, id := range ids {
				var o auth.OperatorToken
				there, err := t.get(tokenKey(id), &o)
				if err != nil {
					return err
				}
				if !there || !used[id].After(o.UsedAt) {
					continue
				}
				o.UsedAt = used[id]
				if err := t.put(tokenKey(id), o); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// RemoveOperatorToken removes one, and the sessions that were begun with it.
func (c *Catalog) RemoveOperatorToken(ctx context.Context, id string) error {
	return c.update(ctx, func(t *tx) error {
		var o auth.OperatorToken
		there, err := t.get(tokenKey(id), &o)
		if err != nil {
			return err
		}
		if !there {
			return unknownToken(id)
		}
		t.tell(event.TokenRevoked, tokenObject(o), facts{"name": o.Name, "role": o.Role})
		t.delete(tokenKey(id))
		_, err = t.endSessions(func(s auth.Session) bool { return s.Token == id })
		return err
	})
}
