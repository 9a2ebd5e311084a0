package catalog

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/sighting"
)

// DeviceWatcher is told of each device that was added, changed or removed, in the order of the commits and before whoever
// asked for it.
type DeviceWatcher interface {
	DeviceChanged(fleet.Device)
	DeviceRemoved(fleet.DeviceKey)
}

// WatchDevices has w told from now on. There is one watcher.
func (c *Catalog) WatchDevices(w DeviceWatcher) { c.watcher.Store(&w) }

func (c *Catalog) inform(news []func(DeviceWatcher)) {
	w := c.watcher.Load()
	if w == nil {
		return
	}
	for _, one := range news {
		one(*w)
	}
}

// EachSighting calls yield for what is known of every device that was seen.
func (c *Catalog) EachSighting(yield func(sighting.Record) error) error {
	return c.view(func(txn *badger.Txn) error {
		return each(txn, sightingPrefix, "", false, func(key string, item *badger.Item) error {
			r := sighting.Record{Device: fleet.DeviceKey(strings.TrimPrefix(key, sightingPrefix))}
			if err := read(item, &r); err != nil {
				return err
			}
			return yield(r)
		})
	})
}

// SaveSightings stores what was seen of devices, many in one transaction. A device that was removed in the meantime is
// passed over.
func (c *Catalog) SaveSightings(ctx context.Context, records []sighting.Record) error {
	return c.inPieces(ctx, len(records), false, func(t *tx, i int) error {
		known, err := t.has(deviceKey(records[i].Device))
		if err != nil || !known {
			return err
		}
		t.changed = append(t.changed, "sighting")
		return errors.Join(t.tellBack(records[i]), t.put(sightingKey(records[i].Device), records[i]))
	})
}

// tellBack tells of a rollback that was not known before.
func (t *tx) tellBack(now sighting.Record) error {
	back := now.WentBack()
	if back == nil {
		return nil
	}
	var before sighting.Record
	if _, err := t.get(sightingKey(now.Device), &before); err != nil {
		return err
	}
	if known := before.WentBack(); known != nil && known.At.Equal(back.At) {
		return nil
	}
	return t.tellPaced(paced{
		Topic: "went_back", Kind: event.DeviceWentBack, Details: facts{"version": back.Version, "runs": now.Runs, "by": back.By, "seen": back.At},
	}, now.Device)
}

// Contacts are the values that SaveContacts has stored.
func (c *Catalog) Contacts() (values [][]byte, err error) {
	err = c.view(func(txn *badger.Txn) error {
		return each(txn, contactsPrefix, "", false, func(_ string, item *badger.Item) error {
			return item.Value(func(b []byte) error {
				values = append(values, bytes.Clone(b))
				return nil
			})
		})
	})
	return values, err
}

// SaveContacts stores when devices were heard, packed into values, in place of those before.
func (c *Catalog) SaveContacts(ctx context.Context, values [][]byte) error {
	err := c.inPieces(ctx, len(values), false, func(t *tx, i int) error { return t.set(contactsKey(i), values[i]) })
	if err != nil {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		keys, err := t.keys(contactsPrefix)
		for _, key := range keys {
			if key >= contactsKey(len(values)) {
				t.delete(key)
			}
		}
		return err
	})
}
