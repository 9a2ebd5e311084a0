package catalog

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Build finds a build, or says ErrUnknown.
func (c *Catalog) Build(code fleet.ModelCode, v fleet.Version) (fleet.Build, error) {
	var b fleet.Build
	found, err := c.find(buildKey(code, v), &b)
	if err == nil && !found {
		err = unknownBuild(code, v)
	}
	return b, err
}

func unknownBuild(code fleet.ModelCode, v fleet.Version) error {
	return fleet.Unknown("model %q has no build %q", code, v)
}

// Builds lists a model's builds, first accepted first.
func (c *Catalog) Builds(code fleet.ModelCode) ([]fleet.Build, error) {
	builds, err := list[fleet.Build](c, buildsPrefix(code))
	slices.SortFunc(builds, func(a, b fleet.Build) int {
		if a.Sequence < b.Sequence {
			return -1
		}
		return 1
	})
	return builds, err
}

// BuildsByELF are the builds whose ELF's SHA-256 starts with a hex prefix.
func (c *Catalog) BuildsByELF(prefix string) ([]fleet.Build, error) {
	var builds []fleet.Build
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, "be/"+prefix, "", false, func(key string, _ *badger.Item) error {
			code, version, err := splitELFKey(key)
			if err != nil {
				return err
			}
			var b fleet.Build
			found, err := get(txn, buildKey(code, version), &b)
			if found {
				builds = append(builds, b)
			}
			return err
		})
	})
	return builds, err
}

// RecordBuild stores a build, or replaces it, pins its model's chip and project where they are open, and publishes it
// when asked to, all in one transaction. The build gets the next number in the order of acceptance.
func (c *Catalog) RecordBuild(ctx context.Context, b fleet.Build, publish bool) (fleet.Build, fleet.Model, error) {
	var m fleet.Model
	err := c.update(ctx, func(t *tx) error {
		var err error
		if m, err = t.model(b.Model); err != nil {
			return err
		}
		if b.Sequence, err = t.nextSequence(); err != nil {
			return err
		}
		var before fleet.Build
		if replaced, err := t.get(buildKey(b.Model, b.Version), &before); err != nil {
			return err
		} else if replaced {
			t.delete(buildELFKey(before))
		}
		if err := t.put(buildKey(b.Model, b.Version), b); err != nil {
			return err
		}
		if err := t.set(buildELFKey(b), []byte{}); err != nil {
			return err
		}
		pin(&m, b.Chip, b.Project)
		if publish {
			m.FirmwareVersion = b.Version
		}
		m.UpdatedAt = c.Now().UTC()
		return t.put(modelKey(m.Code), m)
	})
	return b, m, err
}

func pin(m *fleet.Model, chip, project string) {
	if m.Chip == "" {
		m.Chip = chip
	}
	if m.Project == "" {
		m.Project = project
	}
}

func (t *tx) nextSequence() (uint64, error) {
	var last uint64
	if value, written := t.writes[keySequence]; written {
		last = binary.BigEndian.Uint64(value)
	} else if item, err := t.txn.Get([]byte(keySequence)); err == nil {
		if err := item.Value(func(b []byte) error {
			if len(b) == 8 {
				last = binary.BigEndian.Uint64(b)
			}
			return nil
		}); err != nil {
			return 0, err
		}
	} else if err != badger.ErrKeyNotFound {
		return 0, err
	}
	last++
	return last, t.set(keySequence, binary.BigEndian.AppendUint64(nil, last))
}

// PublishVersion offers a stored build to the model's devices.
func (c *Catalog) PublishVersion(ctx context.Context, code fleet.ModelCode, v fleet.Version) (fleet.Model, error) {
	return c.publish(ctx, code, func(t *tx, m *fleet.Model) error {
		there, err := t.has(buildKey(code, v))
		if err == nil && !there {
			err = unknownBuild(code, v)
		}
		m.FirmwareVersion = v
		return err
	})
}

// PublishImage sets the version of a plain image, and pins chip and project where they are open.
func (c *Catalog) PublishImage(ctx context.Context, code fleet.ModelCode, v fleet.Version, chip, project string) (fleet.Model, error) {
	return c.publish(ctx, code, func(_ *tx, m *fleet.Model) error {
		m.FirmwareVersion = v
		pin(m, chip, project)
		return nil
	})
}

func (c *Catalog) publish(ctx context.Context, code fleet.ModelCode, change func(*tx, *fleet.Model) error) (fleet.Model, error) {
	var m fleet.Model
	err := c.update(ctx, func(t *tx) error {
		var err error
		if m, err = t.model(code); err != nil {
			return err
		}
		if err := change(t, &m); err != nil {
			return err
		}
		m.UpdatedAt = c.Now().UTC()
		return t.put(modelKey(code), m)
	})
	return m, err
}

// RemoveBuild removes a build's record.
func (c *Catalog) RemoveBuild(ctx context.Context, code fleet.ModelCode, v fleet.Version) error {
	return c.update(ctx, func(t *tx) error {
		var b fleet.Build
		found, err := t.get(buildKey(code, v), &b)
		if err != nil {
			return err
		}
		if !found {
			return unknownBuild(code, v)
		}
		t.delete(buildKey(code, v))
		t.delete(buildELFKey(b))
		return nil
	})
}
