package catalog

import (
	"context"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// What a device can bring about as often as it likes is told once an hour, with counts: one that loops must not flush the
// log.

// paced is what happened to a device since it was told of last.
type paced struct {
	Topic   string          `json:"-"` // in its key
	Kind    fleet.EventKind `json:"kind"`
	Told    time.Time       `json:"told"`
	Times   int             `json:"times"`
	Details facts           `json:"details,omitempty"` // of the last time
}

const tellEvery = time.Hour

// due reports that an hour has passed, or that the clock was set back.
func (p paced) due(now time.Time) bool {
	age := now.Sub(p.Told)
	return age < 0 || age >= tellEvery
}

// tellPaced counts something that happened, and tells of all times that it did once an hour.
func (t *tx) tellPaced(one paced, key fleet.DeviceKey) error {
	var before paced
	if _, err := t.get(pacedKey(one.Topic, key), &before); err != nil {
		return err
	}
	one.Told, one.Times = before.Told, before.Times+1
	if one.due(t.now) {
		t.tellTimes(one, key)
		one.Told, one.Times, one.Details = t.now.UTC(), 0, nil
	}
	return t.put(pacedKey(one.Topic, key), one)
}

func (t *tx) tellTimes(p paced, key fleet.DeviceKey) {
	details := facts{"times": p.Times}
	if p.Kind == event.DumpRotated {
		details = facts{"dumps": p.Times}
	}
	for name, value := range p.Details {
		details[name] = value
	}
	t.tell(p.Kind, key.ObjectOf(), details)
}

// TellPaced tells of what happened more than an hour ago and was not told of since.
func (c *Catalog) TellPaced(ctx context.Context) error {
	now := c.options.Now()
	var due []string
	err := c.view(func(txn *badger.Txn) error {
		return each(txn, pacedPrefix, "", false, func(key string, item *badger.Item) error {
			var p paced
			if err := read(item, &p); err != nil {
				return err
			}
			if p.due(now) {
				due = append(due, key)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return c.inPieces(ctx, len(due), true, func(t *tx, i int) error {
		var p paced
		if found, err := t.get(due[i], &p); err != nil || !found || !p.due(now) {
			return err
		}
		if p.Times > 0 && p.Kind != "" {
			t.tellTimes(p, fleet.DeviceKey(lastPart(due[i])))
		}
		t.delete(due[i])
		return nil
	})
}

func pacedKey(topic string, device fleet.DeviceKey) string {
	return pacedPrefix + topic + "/" + string(device)
}
