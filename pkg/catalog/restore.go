package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Restore makes a catalog of a backup, in a folder that is empty or not there, and says how many records it has. After
// an error the folder is as it was; a catalog whose restore was cut off is refused by [Open].
//
// The backup may come from anywhere: its lengths are bounded and its hash is compared, but the records are taken as
// they are. Whoever may restore one may do everything anyway.
func Restore(o Options, backup io.Reader) (records int, err error) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	if len(entries) > 0 {
		return 0, fleet.Taken("%s is not empty: move what is in it away and restore again", o.Dir)
	}
	if records, err = restore(o, backup); err != nil {
		return 0, errors.Join(err, emptyFolder(o.Dir))
	}
	return records, nil
}

func restore(o Options, backup io.Reader) (records int, err error) {
	c, err := Open(o)
	if err != nil {
		return 0, err
	}
	ctx := context.Background()
	err = c.update(ctx, func(t *tx) error {
		t.mark(keyRestoring)
		t.delete(keyNew) // the records say which models there are
		return nil
	})
	schema := Schema
	if err == nil {
		records, schema, err = c.fill(ctx, backup)
	}
	if err == nil {
		err = errors.Join(c.pauseRestored(ctx), c.pauseWebhooks(ctx))
	}
	if err == nil {
		err = c.update(ctx, func(t *tx) error {
			t.delete(keyRestoring)
			t.tell(event.BackupRestored, fleet.Object{Type: "gateway"}, facts{"records": records})
			if err := t.set(keyRestored, number(uint64(o.Now().UnixMicro()))); err != nil {
				return err
			}
			return t.set(keySchema, number(uint64(schema))) // an older one is upgraded when it is opened
		})
	}
	return records, errors.Join(err, c.Close())
}

// fill stores the records of a backup.
func (c *Catalog) fill(ctx context.Context, backup io.Reader) (records, schema int, err error) {
	const wellBytes = mostBytes / 2
	type record struct {
		key   string
		value []byte
	}
	var pending []record
	size := 0
	store := func() error {
		err := c.update(ctx, func(t *tx) error {
			for _, r := range pending {
				if err := t.set(r.key, r.value); err != nil {
					return err
				}
			}
			return nil
		})
		pending, size = nil, 0
		return err
	}
	schema, err = readBackup(backup, func(key, value []byte) error {
		records++
		if neverBackedUp(string(key)) {
			return fmt.Errorf("%w: it has a record %q", errBackup, key)
		}
		pending = append(pending, record{string(key), bytes.Clone(value)})
		if size += len(key) + len(value); size < wellBytes && len(pending) < mostWrites/2 {
			return nil
		}
		return store()
	})
	if err != nil {
		return 0, 0, err
	}
	return records, schema, store()
}

func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// pauseRestored pauses the rollouts that go on by themselves: what devices were sent since the backup was made is not known.
func (c *Catalog) pauseRestored(ctx context.Context) error {
	var going []fleet.Rollout
	err := c.EachRollout(func(r fleet.Rollout) error {
		if r.State == fleet.RolloutRunning || r.State == fleet.RolloutHeld {
			going = append(going, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.inPieces(ctx, len(going), false, func(t *tx, i int) error {
		r := going[i]
		r.State, r.Why = fleet.RolloutPaused, "the catalog was restored from a backup"
		t.tell(event.RolloutPaused, r.ObjectOf(), facts{"model": r.Model, "version": r.Version, "rollout": r.Number, "wave": r.Wave, "why": r.Why})
		return t.put(rolloutKey(r.Model, r.Number), r)
	})
}

// pauseWebhooks disables those that events are sent to: the gateway that the backup was made on may be running, as it is where
// a restore is tried on another machine, and receivers would hear both. What waited for them, active or not, may have been
// sent since then, so that none goes on with it.
func (c *Catalog) pauseWebhooks(ctx context.Context) error {
	hooks, err := c.Webhooks()
	if err != nil {
		return err
	}
	return c.inPieces(ctx, len(hooks), false, func(t *tx, i int) error {
		w := hooks[i]
		w.Restored = true
		if w.Active {
			w.Active, w.DisabledAt, w.Disabled = false, c.options.Now().UTC(), "paused by the restore of a backup, as the gateway that it was made on may still send"
			t.tell(event.WebhookDisabled, w.ObjectOf(), facts{"name": w.Name, "host": webhookHost(w), "why": w.Disabled})
		}
		return t.put(webhookKey(w.ID), w)
	})
}
