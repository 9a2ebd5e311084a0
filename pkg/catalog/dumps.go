package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// RecordDumps indexes dumps that lie on disk, each as a crash that waits, unless it is known.
func (c *Catalog) RecordDumps(ctx context.Context, dumps []fleet.Dump) error {
	for first := 0; first < len(dumps); first += importPiece {
		piece := dumps[first:min(first+importPiece, len(dumps))]
		err := c.update(ctx, func(t *tx) error {
			for _, d := range piece {
				if err := t.recordDump(d); err != nil {
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

// RecordDumpLater indexes a dump without waiting; done is called when it is recorded. The dump is safe on disk, so an
// error is logged: the next start indexes it.
func (c *Catalog) RecordDumpLater(d fleet.Dump, done func()) {
	op := &operation{do: func(t *tx) error { return t.recordDump(d) }, done: make(chan error, 1)}
	c.later.Go(func() {
		c.ops <- op
		if err := <-op.done; err != nil {
			c.Logger.Error("dump not indexed", "device", d.Device, "file", d.Name(), "error", err)
			return
		}
		done()
	})
}

func (t *tx) recordDump(d fleet.Dump) error {
	known, err := t.has(dumpKey(d.Device, d.Name()))
	if err != nil || known {
		return err
	}
	if err := t.put(dumpKey(d.Device, d.Name()), d); err != nil {
		return err
	}
	if err := t.set(dumpTimeKey(d.Device, d.Name()), []byte{}); err != nil {
		return err
	}
	return t.putCrash(crash.Crash{
		Device: d.Device, Model: d.Model, Name: d.Name(), Uploaded: d.UploadedAt, State: crash.Waiting,
		DeclaredVersion: d.FirmwareVersion, DeclaredChip: d.Chip,
	})
}

// RemoveDump forgets a dump that is gone, with its crash. What its group has counted stays counted.
func (c *Catalog) RemoveDump(ctx context.Context, key fleet.DeviceKey, name fleet.DumpName) error {
	return c.update(ctx, func(t *tx) error {
		t.delete(dumpKey(key, name))
		t.delete(dumpTimeKey(key, name))
		return t.deleteCrash(key, name)
	})
}

// EachDump calls yield for every indexed dump.
func (c *Catalog) EachDump(yield func(fleet.Dump) error) error {
	return c.db.View(func(txn *badger.Txn) error {
		return each(txn, "u/", "", false, func(_ string, item *badger.Item) error {
			var d fleet.Dump
			if err := item.Value(func(b []byte) error { return json.Unmarshal(b, &d) }); err != nil {
				return err
			}
			return yield(d)
		})
	})
}

// Dump finds a dump, or says ErrUnknown.
func (c *Catalog) Dump(key fleet.DeviceKey, name fleet.DumpName) (crash.Listed, error) {
	var l crash.Listed
	err := c.db.View(func(txn *badger.Txn) error {
		found, err := readDump(&l, txn, key, name)
		if err == nil && !found {
			err = fleet.Unknown("there is no dump %s of device %s", name, key)
		}
		return err
	})
	return l, err
}

func readDump(l *crash.Listed, txn *badger.Txn, key fleet.DeviceKey, name fleet.DumpName) (found bool, err error) {
	if found, err = get(txn, dumpKey(key, name), &l.Dump); err != nil || !found {
		return found, err
	}
	_, err = get(txn, crashKey(key, name), &l.Crash)
	return true, err
}

// Dumps lists dumps, newest first.
func (c *Catalog) Dumps(f crash.DumpFilter) ([]crash.Listed, error) {
	prefix, after := "ut/", ""
	if f.After.Name != "" {
		after = dumpTimeKey(f.After.Device, f.After.Name)
	}
	if f.Device != "" {
		prefix = "u/" + string(f.Device) + "/"
		if f.After.Name != "" {
			after = dumpKey(f.Device, f.After.Name)
		}
	}
	var dumps []crash.Listed
	err := c.db.View(func(txn *badger.Txn) error {
		return each(txn, prefix, after, true, func(key string, _ *badger.Item) error {
			device, name, err := splitDumpKey(key)
			if err != nil {
				return err
			}
			var l crash.Listed
			if found, err := readDump(&l, txn, device, name); err != nil || !found {
				return err
			}
			if f.Model != "" && l.Dump.Model != f.Model || f.State != "" && l.Crash.State != f.State {
				return nil
			}
			dumps = append(dumps, l)
			if f.Limit > 0 && len(dumps) == f.Limit {
				return errStop
			}
			return nil
		})
	})
	return dumps, err
}

// splitDumpKey takes u/<device>/<name> or ut/<name>/<device> apart.
func splitDumpKey(key string) (fleet.DeviceKey, fleet.DumpName, error) {
	parts := strings.Split(key, "/")
	switch {
	case len(parts) == 3 && parts[0] == "u":
		return fleet.DeviceKey(parts[1]), fleet.DumpName(parts[2]), nil
	case len(parts) == 3 && parts[0] == "ut":
		return fleet.DeviceKey(parts[2]), fleet.DumpName(parts[1]), nil
	}
	return "", "", fmt.Errorf("the catalog has a key %q", key)
}

func splitELFKey(key string) (fleet.ModelCode, fleet.Version, error) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return "", "", fmt.Errorf("the catalog has a key %q", key)
	}
	return fleet.ModelCode(parts[2]), fleet.Version(parts[3]), nil
}
