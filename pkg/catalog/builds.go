package catalog

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
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
	slices.SortFunc(builds, func(a, b fleet.Build) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return builds, err
}

// BuildsByELF are the builds, of all models, whose ELF's SHA-256 starts with a prefix in lower-case hex.
func (c *Catalog) BuildsByELF(prefix string) ([]fleet.Build, error) {
	var builds []fleet.Build
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, elfPrefix(prefix), "", false, func(key string, _ *badger.Item) error {
			code, version, err := lastTwo(key)
			if err != nil {
				return err
			}
			var b fleet.Build
			found, err := get(txn, buildKey(fleet.ModelCode(code), fleet.Version(version)), &b)
			if found {
				builds = append(builds, b)
			}
			return err
		})
	})
	return builds, err
}

// RecordBuild stores a build, or replaces it, pins its model's chip and project where they are open, and publishes it
// when asked to, all in one transaction. The build gets the next number in the order of acceptance, unless it has one.
func (c *Catalog) RecordBuild(ctx context.Context, b fleet.Build, publish bool) (fleet.Build, fleet.Model, error) {
	m, err := c.changeModel(ctx, b.Model, func(t *tx, m *fleet.Model) error {
		var err error
		if b.Sequence == 0 {
			if b.Sequence, err = t.nextSequence(); err != nil {
				return err
			}
		}
		var before fleet.Build
		replaced, err := t.get(buildKey(b.Model, b.Version), &before)
		if err != nil {
			return err
		}
		if replaced {
			b.Note = before.Note
			t.delete(elfKey(before))
			t.tellBuild(&before, b, publish)
		} else {
			t.tellBuild(nil, b, publish)
		}
		if err := t.put(buildKey(b.Model, b.Version), b); err != nil {
			return err
		}
		t.mark(elfKey(b))
		pin(m, b.Chip, b.Project)
		if publish {
			m.FirmwareVersion = b.Version
		}
		if m.FirmwareVersion == b.Version { // also where it was a plain image until now
			m.ImageSHA256, m.Sums = "", fleet.Sums{}
		}
		return nil
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

// nextSequence takes the next number in the order of acceptance. One operation takes one.
func (t *tx) nextSequence() (uint64, error) {
	var last uint64
	item, err := t.txn.Get([]byte(keySequence))
	if err == nil {
		last, err = readNumber(item)
	}
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		return 0, err
	}
	return last + 1, t.set(keySequence, number(last+1))
}

// PublishVersion offers a stored build to the model's devices.
func (c *Catalog) PublishVersion(ctx context.Context, code fleet.ModelCode, v fleet.Version) (fleet.Model, error) {
	return c.changeModel(ctx, code, func(t *tx, m *fleet.Model) error {
		there, err := t.has(buildKey(code, v))
		if err == nil && !there {
			err = unknownBuild(code, v)
		}
		m.FirmwareVersion, m.ImageSHA256, m.Sums = v, "", fleet.Sums{}
		return err
	})
}

// PublishImage sets the version and the hashes of a plain image, and pins chip and project where they are open.
func (c *Catalog) PublishImage(ctx context.Context, b fleet.Build) (fleet.Model, error) {
	return c.changeModel(ctx, b.Model, func(t *tx, m *fleet.Model) error {
		t.tell(event.BuildAccepted, fleet.BuildObject(b.Model, b.Version), facts{"plain_image": true, "published": true})
		m.FirmwareVersion, m.ImageSHA256, m.Sums = b.Version, b.ImageSHA256, b.Sums
		pin(m, b.Chip, b.Project)
		return nil
	})
}

// NoteBuild replaces what people say of a build.
func (c *Catalog) NoteBuild(ctx context.Context, code fleet.ModelCode, v fleet.Version, note string) (fleet.Build, error) {
	var b fleet.Build
	err := c.update(ctx, func(t *tx) error {
		b = fleet.Build{}
		found, err := t.get(buildKey(code, v), &b)
		if err != nil {
			return err
		}
		if !found {
			return unknownBuild(code, v)
		}
		before := b.Note
		if err := b.SetNote(note); err != nil || b.Note == before {
			return err
		}
		t.tell(event.BuildNoted, fleet.BuildObject(code, v), facts{"before": before, "after": b.Note})
		return t.put(buildKey(code, v), b)
	})
	return b, err
}

// NoteSums adds to a build, or to a plain image, what devices know it by. It is read from the image, and no change that
// anybody made: it leaves no event. A build that is gone, or is another image by now, is left alone.
func (c *Catalog) NoteSums(ctx context.Context, b fleet.Build) error {
	return c.update(ctx, func(t *tx) error {
		var stored fleet.Build
		found, err := t.get(buildKey(b.Model, b.Version), &stored)
		if err != nil {
			return err
		}
		if found {
			if stored.ImageSHA256 != b.ImageSHA256 {
				return nil
			}
			stored.Sums = b.Sums
			return t.put(buildKey(b.Model, b.Version), stored)
		}
		m, err := t.model(b.Model)
		if errors.Is(err, fleet.ErrUnknown) || err == nil && (m.FirmwareVersion != b.Version || m.ImageSHA256 != b.ImageSHA256) {
			return nil
		}
		m.Sums = b.Sums
		return errors.Join(err, t.put(modelKey(b.Model), m))
	})
}

// RemoveBuild removes a build's record; of one that a device is pinned to, or that a rollout needs, it says ErrTaken.
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
		if err := t.pinsNobody(code, v); err != nil {
			return err
		}
		m, err := t.model(code)
		if err != nil {
			return err
		}
		if err := rolloutsSpare(t.txn, m, v); err != nil {
			return err
		}
		t.tell(event.BuildRemoved, fleet.BuildObject(code, v), facts{"sha256": b.ImageSHA256})
		t.delete(buildKey(code, v))
		t.delete(elfKey(b))
		return nil
	})
}
