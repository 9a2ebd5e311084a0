package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// ledger is where the stream of events begins and ends. It is written with each event, and read from the disk by the
// batch that adds some: nothing in memory could say otherwise than the disk after a batch that failed.
type ledger struct {
	Anchor event.Link `json:"anchor"` // the last event that was cut off
	Head   event.Link `json:"head"`   // the newest
	Bytes  int64      `json:"bytes"`  // of the events between them
	Oldest time.Time  `json:"oldest,omitzero"`
}

func readLedger(txn *badger.Txn) (ledger, error) {
	l := ledger{Anchor: event.First, Head: event.First}
	_, err := get(txn, keyEvents, &l)
	return l, err
}

// told is what an operation tells of itself, before it has a number.
type told struct {
	kind    fleet.EventKind
	object  fleet.Object
	details any
	by      *event.By // nil: whoever acts
}

// tell has the operation leave an event, which is stored with its changes or not at all.
func (t *tx) tell(kind fleet.EventKind, object fleet.Object, details any) {
	t.told = append(t.told, told{kind: kind, object: object, details: details})
}

// tellOf has it leave an event of what somebody asked for earlier.
func (t *tx) tellOf(by event.By, kind fleet.EventKind, object fleet.Object, details any) {
	t.told = append(t.told, told{kind, object, details, &by})
}

// facts are details with a few names.
type facts map[string]any

// Record leaves an event of what was done outside the catalog. Telling takes as little room as making some: half of the
// reserve is enough.
func (c *Catalog) Record(ctx context.Context, kind fleet.EventKind, object fleet.Object, details any) error {
	op := newOperation(func(t *tx) error {
		t.tell(kind, object, details)
		return nil
	})
	op.frees = true
	return c.run(ctx, op)
}

// enter gives an operation's events their numbers and lays them among its writes. It returns the ledger with them, which
// is the batch's once the operation is.
func (c *Catalog) enter(b *batch, t *tx) (*ledger, error) {
	if len(t.told) == 0 {
		return b.ledger, nil
	}
	l, err := b.readLedger()
	if err != nil {
		return nil, err
	}
	passed, err := c.LastKnownTime()
	if err != nil {
		return nil, err
	}
	if err := c.cut(&l, t, passed); err != nil {
		return nil, err
	}
	at := c.options.Now()
	if at.Before(passed) {
		at = passed // a gateway that boots without a clock
	}
	for _, one := range t.told {
		by := t.by
		if one.by != nil {
			by = *one.by
		}
		if err := l.add(t, one, by, at); err != nil {
			return nil, err
		}
	}
	return &l, t.put(keyEvents, l)
}

// readLedger is a copy of the batch's, or what the disk says.
func (b *batch) readLedger() (ledger, error) {
	if b.ledger != nil {
		return *b.ledger, nil
	}
	return readLedger(b.txn)
}

func (l *ledger) add(t *tx, one told, by event.By, at time.Time) (err error) {
	e := fleet.Event{At: at, Kind: one.kind, Actor: by.Actor, From: by.From, Object: one.object}
	if one.details != nil {
		if e.Details, err = json.Marshal(one.details); err != nil {
			return fmt.Errorf("details of %s: %w", one.kind, err)
		}
	}
	var s event.Stored
	if l.Head, s, err = event.Follow(l.Head, e); err != nil {
		return err
	}
	if l.Bytes == 0 {
		l.Oldest = s.At
	}
	l.Bytes += int64(len(s.Raw))
	for _, o := range event.Subjects(s.Object) {
		t.mark(objectEventKey(o, s.Seq))
	}
	t.events = append(t.events, s.Event)
	return t.set(eventKey(s.Seq), s.Raw)
}

const (
	mostEvents = 64 << 20 // bytes of all events
	mostCut    = 64       // events that one operation cuts off: more than one leaves, so that the stream gets back to its bounds
)

// cut takes the oldest events off while there are too many bytes of them, or they are older than is asked for. Age goes by
// a time that has passed for certain: a clock that is ahead for a minute must not take the log of a year with it.
func (c *Catalog) cut(l *ledger, t *tx, passed time.Time) error {
	from := passed.Add(-c.options.KeepEvents)
	over := func(at time.Time) bool {
		return l.Bytes > c.options.mostEvents() || c.options.KeepEvents > 0 && at.Before(from)
	}
	for n := 0; n < mostCut && l.Anchor.Seq < l.Head.Seq && over(l.Oldest); n++ {
		next := l.Anchor.Seq + 1
		var e fleet.Event
		size, err := t.event(next, &e)
		if err != nil {
			return err
		}
		if l.Oldest = e.At; !over(e.At) {
			return nil
		}
		l.Anchor, l.Bytes = event.Link{Seq: next, Hash: e.Hash}, l.Bytes-int64(size)
		t.delete(eventKey(next))
		for _, o := range event.Subjects(e.Object) {
			t.delete(objectEventKey(o, next))
		}
	}
	return nil
}

// event reads one and says how many bytes it has. One that a damaged disk took away has none, and no hash: nothing follows
// from it, which audit verify says.
func (t *tx) event(seq uint64, e *fleet.Event) (size int, err error) {
	item, err := t.txn.Get([]byte(eventKey(seq)))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return int(item.ValueSize()), item.Value(func(raw []byte) error {
		if json.Unmarshal(raw, e) != nil {
			*e = fleet.Event{}
		}
		return nil
	})
}

func (o Options) mostEvents() int64 {
	if o.MostEvents > 0 {
		return o.MostEvents
	}
	return mostEvents
}

// objectEventsPrefix is where the events of an object are listed. What objects are called has no bound that a key could
// hold, nor is it free of slashes: the key has its hash.
func objectEventsPrefix(o fleet.Object) string {
	sum := sha256.Sum256([]byte(o.Type + "/" + o.ID))
	return objectEventPrefix + hex.EncodeToString(sum[:16]) + "/"
}

func objectEventKey(o fleet.Object, seq uint64) string { return objectEventsPrefix(o) + sequence(seq) }

// Feed wakes those who wait for events.
func (c *Catalog) Feed() *event.Feed { return &c.feed }

// Hints say of what something has changed: of events, and of dumps, crashes and sightings, which leave none.
func (c *Catalog) Hints() *event.Hints { return c.hints }

// announce tells the journal and those who wait of events that are on stable storage, and who looks of what has changed.
func (c *Catalog) announce(events []fleet.Event, changed map[string]bool) {
	for _, e := range events {
		event.Log(c.options.Logger, e)
		noun, _, _ := strings.Cut(string(e.Kind), ".")
		changed[noun] = true
	}
	if len(events) > 0 {
		c.feed.Wake()
	}
	c.hints.Changed(slices.Collect(maps.Keys(changed))...)
}
