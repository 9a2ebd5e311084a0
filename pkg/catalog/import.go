package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	mostImport = 100_000
	noteSize   = 100 // devices in one note of an import; the notes of the largest one still go in one transaction
)

// AddDevices adds all or none. An error names the position, counted from 1.
//
// A fleet does not fit one transaction. Each that adds some of it also notes their keys, and the one that removes the
// notes is what makes the import count: what finds notes instead, after an error or a power cut, takes their devices
// back.
func (c *Catalog) AddDevices(ctx context.Context, devices []auth.NewDevice) error {
	if len(devices) > mostImport {
		return fleet.Refused("%d devices at once: at most %d", len(devices), mostImport)
	}
	c.importing.Lock()
	defer c.importing.Unlock()
	if err := c.mayImport(ctx, devices); err != nil {
		return err
	}
	err := c.inPieces(ctx, len(devices), false, func(t *tx, i int) error {
		if err := t.addDevice(devices[i].Device, devices[i].Secrets); err != nil {
			return atPosition(i, err)
		}
		return t.noteImport(i, devices[i].Device.Key)
	})
	if err == nil {
		err = c.update(ctx, func(t *tx) error {
			t.tell(event.DeviceImported, fleet.Object{Type: "import"}, facts{"devices": len(devices)})
			return t.forgetImport()
		})
	}
	if err != nil {
		return errors.Join(err, c.undoImport(context.WithoutCancel(ctx)))
	}
	return nil
}

// mayImport checks the whole before anything is added, so that most refusals cost nothing.
func (c *Catalog) mayImport(ctx context.Context, devices []auth.NewDevice) error {
	return c.update(ctx, func(t *tx) error {
		seen := make(map[fleet.DeviceKey]int, len(devices))
		for i, n := range devices {
			if first, twice := seen[n.Device.Key]; twice {
				return fleet.Refused("device %d: %q is also device %d", i+1, n.Device.Key, first+1)
			}
			seen[n.Device.Key] = i
			if err := t.mayAdd(n.Device); err != nil {
				return atPosition(i, err)
			}
		}
		return nil
	})
}

// atPosition says which device of an import an error is about, also to those who show people only the house's errors.
func atPosition(i int, err error) error {
	var said *fleet.Error
	if errors.As(err, &said) {
		return &fleet.Error{Kind: said.Kind, Reason: fmt.Sprintf("device %d: %s", i+1, said.Reason)}
	}
	return fmt.Errorf("device %d: %w", i+1, err)
}

func (t *tx) noteImport(i int, key fleet.DeviceKey) error {
	var keys []fleet.DeviceKey
	note := importKey(i / noteSize)
	if _, err := t.get(note, &keys); err != nil {
		return err
	}
	return t.put(note, append(keys, key))
}

func (t *tx) forgetImport() error {
	notes, err := t.keys(importPrefix)
	for _, note := range notes {
		t.delete(note)
	}
	return err
}

// undoImport takes back the devices of an import that is not over.
func (c *Catalog) undoImport(ctx context.Context) error {
	notes, err := list[[]fleet.DeviceKey](c, importPrefix)
	if err != nil || len(notes) == 0 {
		return err
	}
	devices := 0
	err = c.inPieces(ctx, len(notes), true, func(t *tx, i int) error {
		for _, key := range notes[i] {
			if _, err := t.removeDevice(key); err != nil && !errors.Is(err, fleet.ErrUnknown) {
				return err
			}
		}
		devices += len(notes[i])
		return nil
	})
	if err != nil {
		return err
	}
	op := newOperation((*tx).forgetImport)
	op.frees = true
	if err := c.run(ctx, op); err != nil {
		return err
	}
	c.options.Logger.Warn("import of devices undone: it was cut off", "devices", devices)
	return nil
}

// inPieces calls change for 0 to n-1 in order, as many in one operation as fit well.
func (c *Catalog) inPieces(ctx context.Context, n int, frees bool, change func(t *tx, i int) error) error {
	for next := 0; next < n; {
		i := next
		op := newOperation(func(t *tx) error {
			for ; i < n && t.hasRoom(); i++ {
				if err := change(t, i); err != nil {
					return err
				}
			}
			return nil
		})
		op.frees = frees
		if err := c.run(ctx, op); err != nil {
			return err
		}
		next = i
	}
	return nil
}
