package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// mostRecord keeps values out of the value log, whose sync errors Badger only logs.
const mostRecord = 32 << 10

// tx is one operation's view inside a batch: it reads what earlier operations of the batch wrote, and what it writes
// counts only when it succeeds.
type tx struct {
	txn     *badger.Txn
	now     time.Time         // when it began
	by      event.By          // who acts
	told    []told            // what the operation tells of itself
	events  []fleet.Event     // the same, once it has its numbers
	writes  map[string][]byte // nil value: deleted
	order   []string          // of the first write of each key
	bytes   int
	reads   int                   // records and keys read: tests hold it against a bound
	news    []func(DeviceWatcher) // to be told once it is committed
	changed []string              // nouns of what changes without an event: pages that show it are hinted at
}

func (t *tx) set(key string, value []byte) error {
	if len(value) > mostRecord {
		return fleet.Refused("a record of %d bytes: at most %d are stored", len(value), mostRecord)
	}
	t.write(key, append([]byte{}, value...))
	return nil
}

// mark stores a key that says all by itself.
func (t *tx) mark(key string) { t.write(key, []byte{}) }

func (t *tx) delete(key string) { t.write(key, nil) }

func (t *tx) write(key string, value []byte) {
	const overhead = 16 // Badger's own, for each
	if before, again := t.writes[key]; again {
		t.bytes -= len(before)
	} else {
		t.order = append(t.order, key)
		t.bytes += len(key) + overhead
	}
	t.writes[key] = value
	t.bytes += len(value)
}

// fits refuses what one transaction cannot hold.
func (t *tx) fits() error {
	if t.bytes > mostBytes || len(t.order) > mostWrites {
		return fleet.Refused("a change of %d records and %d bytes at once: it is too large for the catalog", len(t.order), t.bytes)
	}
	return nil
}

// hasRoom reports that one transaction holds whatever one more step of a change in pieces writes.
func (t *tx) hasRoom() bool {
	return t.bytes < mostBytes/4 && len(t.order) < mostWrites/4
}

func (t *tx) flush(txn *badger.Txn) error {
	if err := errors.Join(t.count(txn), t.countStock(txn)); err != nil {
		return err
	}
	for _, key := range t.order {
		var err error
		if value := t.writes[key]; value == nil {
			err = txn.Delete([]byte(key))
		} else {
			err = txn.Set([]byte(key), value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) put(key string, record any) error {
	b, err := encode(record)
	if err != nil {
		return err
	}
	return t.set(key, b)
}

// encode leaves < and > as they are, which names of templates are full of.
func encode(record any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(record)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// get reads a record; found is false where there is none.
func (t *tx) get(key string, record any) (found bool, err error) {
	if value, written := t.writes[key]; written {
		if value == nil {
			return false, nil
		}
		return true, json.Unmarshal(value, record)
	}
	t.reads++
	return get(t.txn, key, record)
}

func (t *tx) has(key string) (bool, error) {
	if value, written := t.writes[key]; written {
		return value != nil, nil
	}
	t.reads++
	return has(t.txn, key)
}

// keys lists the keys below a prefix, in order, this operation's own writes included.
func (t *tx) keys(prefix string) ([]string, error) { return t.someKeys(prefix, 0) }

// someKeys lists the first most of them, where most is not 0.
func (t *tx) someKeys(prefix string, most int) ([]string, error) {
	var keys []string
	err := each(t.txn, prefix, "", false, func(key string, _ *badger.Item) error {
		t.reads++
		if _, written := t.writes[key]; !written {
			keys = append(keys, key)
		}
		if most > 0 && len(keys) == most {
			return errStop
		}
		return nil
	})
	for _, key := range t.order {
		if strings.HasPrefix(key, prefix) && t.writes[key] != nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if most > 0 {
		keys = keys[:min(len(keys), most)]
	}
	return keys, err
}
