package sighting

import (
	"context"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	gather = 500 * time.Millisecond // what would be missed waits so long for company
	hourly = time.Hour              // contacts
	pause  = 15 * time.Second       // after an error of the store
)

// save marks an entry as one that waits to be saved. The caller holds mu.
func (b *Book) save(e *entry) {
	if e.unsaved {
		return
	}
	e.unsaved = true
	b.dirty = append(b.dirty, e)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Run saves what was seen and looks for silence until ctx ends. What came last is saved by Close.
func (b *Book) Run(ctx context.Context) error {
	look := time.NewTicker(min(b.floors.look(), 5*time.Second))
	defer look.Stop()
	wake := b.wake
	var company <-chan time.Time // set: something waits
	packedAt := b.options.Now()
	for {
		b.options.Beat()
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
			wake, company = nil, time.After(gather)
		case <-company:
			wake, company = b.wake, nil
			if err := b.flush(ctx); err != nil {
				b.unsaved("sightings", err, pause)
				wake, company = nil, time.After(pause)
			}
		case <-look.C:
			if err := b.Look(ctx); err != nil {
				b.unsaved("lines", err, b.floors.look())
			}
			if now := b.options.Now(); now.Sub(packedAt) >= hourly {
				packedAt = now
				if err := b.Pack(ctx); err != nil {
					b.unsaved("contacts", err, hourly)
				}
			}
		}
	}
}

// unsaved says why sightings or contacts were not saved. Of a full disk the gateway tells once, for all that it does not take.
func (b *Book) unsaved(what string, err error, again time.Duration) {
	if !fleet.Told(err) {
		b.options.Logger.Error("not saved", "what", what, "error", err, "again_in", again)
	}
}

// Close saves everything, after Run.
func (b *Book) Close() error { return b.Pack(context.Background()) }

// flush saves the records that wait. What could not be saved waits on.
func (b *Book) flush(ctx context.Context) error {
	b.mu.Lock()
	waiting := b.dirty
	b.dirty = nil
	records := make([]Record, 0, len(waiting))
	saved := millis(b.options.Now())
	for _, e := range waiting {
		e.unsaved, e.moved = false, false
		if !e.gone {
			e.Saved = saved
			records = append(records, Record{e.Device, e.Shown})
		}
	}
	b.mu.Unlock()
	if len(records) == 0 {
		return nil
	}
	err := b.options.Store.SaveSightings(ctx, records)
	if err != nil {
		b.mu.Lock()
		for _, e := range waiting {
			b.save(e)
		}
		b.mu.Unlock()
	}
	return err
}

// Pack saves when devices were heard, the hours in which they were, and the records of those that come from elsewhere than before.
// What a book that was not read whole knows would take the place of more.
func (b *Book) Pack(ctx context.Context) error {
	b.mu.Lock()
	if b.unread != nil {
		b.mu.Unlock()
		return nil
	}
	b.sort()
	contacts := make([]contact, 0, len(b.order))
	for _, e := range b.order {
		if e.Heard == 0 {
			continue
		}
		contacts = append(contacts, contact{e.Device, e.Heard, e.Rhythm})
		if e.moved {
			b.save(e)
		}
	}
	hours := b.waitingHours()
	b.mu.Unlock()
	if err := b.flush(ctx); err != nil {
		return err
	}
	if err := b.options.Store.SaveContacts(ctx, pack(contacts)); err != nil {
		return err
	}
	return b.saveHours(ctx, hours)
}
