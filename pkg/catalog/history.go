package catalog

import (
	"encoding/json"
	"sort"
	"strconv"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Bounds of one page: a filter that finds little looks at so many and says where to go on.
const (
	mostLooked = 20_000
	mostPage   = 1000
	mostShown  = 2 << 20 // bytes
)

// history reads a page of events.
type history struct {
	txn    *badger.Txn
	filter event.Filter
	ledger ledger
	page   event.Page
	low    uint64 // the events behind this one and up to high lie in the filter's time
	high   uint64
	looked int
	bytes  int
}

// Events reads events by cursor.
func (c *Catalog) Events(f event.Filter) (event.Page, error) {
	if f.Limit <= 0 || f.Limit > mostPage {
		f.Limit = mostPage
	}
	var page event.Page
	err := c.view(func(txn *badger.Txn) error {
		l, err := readLedger(txn)
		if err != nil {
			return err
		}
		h := &history{txn: txn, filter: f, ledger: l}
		h.page.Anchor, h.page.Head = l.Anchor, l.Head
		h.bound()
		switch {
		case f.Object.Type != "":
			err = h.ofObject()
		case f.Before > 0:
			err = h.backwards()
		default:
			err = h.forwards()
		}
		page = h.page
		return err
	})
	return page, err
}

func (h *history) forwards() error {
	for seq := max(h.filter.After, h.low) + 1; seq <= h.high; seq++ {
		if full, err := h.look(seq); err != nil || full {
			return err
		}
	}
	return nil
}

func (h *history) backwards() error {
	for seq := min(h.filter.Before-1, h.high); seq > h.low; seq-- {
		if full, err := h.look(seq); err != nil || full {
			return err
		}
	}
	return nil
}

func (h *history) ofObject() error {
	prefix := objectEventsPrefix(h.filter.Object)
	from := prefix + sequence(max(h.filter.After, h.low))
	if h.filter.Before > 0 {
		from = prefix + sequence(min(h.filter.Before, h.high+1))
	}
	return each(h.txn, prefix, from, h.filter.Before > 0, func(key string, _ *badger.Item) error {
		seq, err := strconv.ParseUint(lastPart(key), 16, 64)
		if err != nil {
			return err
		}
		if seq <= h.low || seq > h.high {
			return errStop
		}
		full, err := h.look(seq)
		if err == nil && full {
			err = errStop
		}
		return err
	})
}

// look takes an event into the page if the filter does, and reports that the page is full. A page that is full names its
// last event as the cursor, whether or not another follows.
func (h *history) look(seq uint64) (full bool, err error) {
	s, found, err := h.event(seq)
	if err != nil {
		return false, err
	}
	h.looked++
	if found && h.filter.Takes(s.Event) {
		h.page.Events = append(h.page.Events, s)
		h.bytes += len(s.Raw)
	}
	if len(h.page.Events) < h.filter.Limit && h.looked < mostLooked && h.bytes < mostShown {
		return false, nil
	}
	h.page.Next = seq
	return true, nil
}

// event reads one. One that is missing or cannot be read, which only a damaged disk brings about, is left out of lists:
// audit verify names it.
func (h *history) event(seq uint64) (s event.Stored, found bool, err error) {
	item, err := h.txn.Get([]byte(eventKey(seq)))
	if err == badger.ErrKeyNotFound { //nolint:errorlint // as Badger documents it
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if s.Raw, err = item.ValueCopy(nil); err != nil {
		return s, false, err
	}
	return s, json.Unmarshal(s.Raw, &s.Event) == nil, nil
}

// bound finds the events of the time that the filter asks for.
func (h *history) bound() {
	h.low, h.high = h.ledger.Anchor.Seq, h.ledger.Head.Seq
	if at := h.filter.At.Since; !at.IsZero() {
		h.low = h.last(func(e fleet.Event) bool { return e.At.Before(at) })
	}
	if at := h.filter.At.Until; !at.IsZero() {
		h.high = h.last(func(e fleet.Event) bool { return !e.At.After(at) })
	}
}

// last is the last event that is early enough, by bisection.
func (h *history) last(early func(fleet.Event) bool) uint64 {
	first := h.ledger.Anchor.Seq + 1
	n := sort.Search(int(h.ledger.Head.Seq-h.ledger.Anchor.Seq), func(i int) bool {
		s, found, err := h.event(first + uint64(i))
		return err == nil && found && !early(s.Event)
	})
	return h.ledger.Anchor.Seq + uint64(n)
}

// ExportEvents calls begin with what the first event follows from, then yield for each as it is stored, of one moment. It
// holds nothing while they run: whoever takes the events may be slow. ErrAway says that the oldest events went meanwhile.
func (c *Catalog) ExportEvents(begin func(anchor event.Link) error, yield func(raw []byte) error) error {
	var l ledger
	err := c.view(func(txn *badger.Txn) (err error) {
		l, err = readLedger(txn)
		return err
	})
	if err != nil {
		return err
	}
	if err := begin(l.Anchor); err != nil {
		return err
	}
	for after := l.Anchor.Seq; after < l.Head.Seq; {
		var page [][]byte
		if page, after, err = c.exported(after, l.Head.Seq); err != nil {
			return err
		}
		for _, raw := range page {
			if err := yield(raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// exported are the events behind one, up to head, of a page: last is the number of the last one of it.
func (c *Catalog) exported(after, head uint64) (page [][]byte, last uint64, err error) {
	last = head
	bytes := 0
	err = c.view(func(txn *badger.Txn) error {
		l, err := readLedger(txn)
		if err != nil {
			return err
		}
		if l.Anchor.Seq > after {
			return fleet.Away("the oldest events went while they were read: read them again")
		}
		return each(txn, eventPrefix, eventKey(after), false, func(key string, item *badger.Item) error {
			if key > eventKey(head) {
				return errStop
			}
			raw, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			page = append(page, raw)
			if bytes += len(raw); bytes < mostShown {
				return nil
			}
			if last, err = strconv.ParseUint(lastPart(key), 16, 64); err != nil {
				return err
			}
			return errStop
		})
	})
	return page, last, err
}

// LastEvent is the newest event's number and hash.
func (c *Catalog) LastEvent() (event.Link, error) {
	var head event.Link
	err := c.view(func(txn *badger.Txn) error {
		l, err := readLedger(txn)
		head = l.Head
		return err
	})
	return head, err
}
