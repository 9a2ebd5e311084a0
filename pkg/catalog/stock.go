package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// Stock is what there is, as the transactions that add and remove it keep the numbers. Status, page and metrics read it,
// however many records there are. Every start counts anew: an older version that wrote in between knew nothing of it.
type Stock struct {
	Counts
	Dumps  map[crash.State]int // by how far they have come
	Groups int                 // of crashes
	Open   int                 // of them
}

// stockRecord is what is stored of it, next to [Counts].
type stockRecord struct {
	Dumps  map[crash.State]int `json:"dumps"`
	Groups int                 `json:"groups"`
	Open   int                 `json:"open"`
}

// Stock reads the numbers.
func (c *Catalog) Stock() (Stock, error) {
	var counts Counts
	var n stockRecord
	err := c.view(func(txn *badger.Txn) error {
		if _, err := get(txn, keyCounts, &counts); err != nil {
			return err
		}
		known, err := get(txn, keyStock, &n)
		if err == nil && !known {
			n, _, err = takeStock(txn) // of a copy of what an older version wrote
		}
		return err
	})
	return Stock{counts, n.Dumps, n.Groups, n.Open}, err
}

// UrgentGroups are the first groups by what asks for a look, see [crash.Group.Urgency], the one that was seen last first,
// and how many groups there are in all.
func (c *Catalog) UrgentGroups(limit int) (groups []crash.Group, total int, err error) {
	err = c.view(func(txn *badger.Txn) error {
		var n stockRecord
		known, err := get(txn, keyStock, &n)
		if err != nil {
			return err
		}
		var keys []string
		if known {
			keys, err = firstKeys(txn, urgencyPrefix, limit)
		} else {
			var order map[string]bool
			n, order, err = takeStock(txn) // likewise
			maps.DeleteFunc(order, func(key string, _ bool) bool { return !strings.HasPrefix(key, urgencyPrefix) })
			keys = slices.Sorted(maps.Keys(order))
		}
		total = n.Groups
		for _, key := range keys[:min(limit, len(keys))] {
			var g crash.Group
			found, err := get(txn, groupKey(lastPart(key)), &g)
			if err != nil {
				return err
			}
			if found {
				groups = append(groups, g)
			}
		}
		return err
	})
	return groups, total, err
}

func firstKeys(txn *badger.Txn, prefix string, limit int) (keys []string, err error) {
	err = each(txn, prefix, "", false, func(key string, _ *badger.Item) error {
		if len(keys) == limit {
			return errStop
		}
		keys = append(keys, key)
		return nil
	})
	return keys, err
}

// urgencyKey is a group's place among all, "" for one that counts nothing.
func urgencyKey(g crash.Group) string {
	if g.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d/%016x/%s", urgencyPrefix, g.Urgency(), math.MaxInt64-max(g.LastSeen.UnixMicro(), 0), g.Fingerprint)
}

// ignoredKey is where a group stands among those that are ignored until a time, "" for all others.
func ignoredKey(g crash.Group) string {
	if g.Count == 0 || g.State != crash.Ignored || g.Until.At.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s%016x/%s", ignoredPrefix, max(g.Until.At.UnixMicro(), 0), g.Fingerprint)
}

// add counts a group n times: once, or once less.
func (s *stockRecord) add(g crash.Group, n int) {
	if g.Count == 0 {
		return
	}
	s.Groups += n
	if g.State == crash.Open {
		s.Open += n
	}
}

// countStock brings the numbers, and the orders of the groups, along with the writes of an operation, which come after it.
func (t *tx) countStock(txn *badger.Txn) error {
	change := stockRecord{Dumps: map[crash.State]int{}}
	for _, key := range t.order {
		var err error
		switch {
		case strings.HasPrefix(key, allStatesPrefix):
			err = t.countDump(txn, key, &change)
		case strings.HasPrefix(key, groupPrefix):
			err = t.countGroup(txn, key, &change)
		}
		if err != nil {
			return err
		}
	}
	maps.DeleteFunc(change.Dumps, func(_ crash.State, n int) bool { return n == 0 })
	if change.Groups == 0 && change.Open == 0 && len(change.Dumps) == 0 {
		return nil
	}
	var n stockRecord
	if known, err := get(txn, keyStock, &n); err != nil || !known {
		return err // it is made when the catalog is opened
	}
	for state, more := range change.Dumps {
		n.Dumps[state] += more
	}
	n.Groups, n.Open = n.Groups+change.Groups, n.Open+change.Open
	b, err := encode(n)
	if err != nil {
		return err
	}
	return txn.Set([]byte(keyStock), b)
}

func (t *tx) countDump(txn *badger.Txn, key string, change *stockRecord) error {
	had, err := has(txn, key)
	if is := t.writes[key] != nil; had != is {
		change.Dumps[stateOf(key)] += map[bool]int{true: 1, false: -1}[is]
	}
	return err
}

func (t *tx) countGroup(txn *badger.Txn, key string, change *stockRecord) error {
	var was, is crash.Group
	if _, err := get(txn, key, &was); err != nil {
		return err
	}
	if value := t.writes[key]; value != nil {
		if err := json.Unmarshal(value, &is); err != nil {
			return err
		}
	}
	change.add(was, -1)
	change.add(is, 1)
	return errors.Join(moveKey(txn, urgencyKey(was), urgencyKey(is)), moveKey(txn, ignoredKey(was), ignoredKey(is)))
}

// moveKey moves a record's place in an index; "" is none.
func moveKey(txn *badger.Txn, from, to string) error {
	if from == to {
		return nil
	}
	if from != "" {
		if err := txn.Delete([]byte(from)); err != nil {
			return err
		}
	}
	if to == "" {
		return nil
	}
	return txn.Set([]byte(to), nil)
}

// stateOf is the state of a dump that a key of the index names.
func stateOf(key string) crash.State {
	state, _, _ := strings.Cut(strings.TrimPrefix(key, allStatesPrefix), "/")
	return crash.State(state)
}

// adoptStock counts anew and stores what differs.
func (c *Catalog) adoptStock() error {
	var n, known stockRecord
	writes := map[string][]byte{} // nil value: deleted
	err := c.view(func(txn *badger.Txn) (err error) {
		var order map[string]bool
		if n, order, err = takeStock(txn); err != nil {
			return err
		}
		if _, err := get(txn, keyStock, &known); err != nil {
			return err
		}
		for _, prefix := range []string{urgencyPrefix, ignoredPrefix} {
			if err := each(txn, prefix, "", false, func(key string, _ *badger.Item) error {
				if !order[key] {
					writes[key] = nil
				}
				delete(order, key)
				return nil
			}); err != nil {
				return err
			}
		}
		for key := range order {
			writes[key] = []byte{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if known.Dumps == nil || n.Groups != known.Groups || n.Open != known.Open || !maps.Equal(n.Dumps, known.Dumps) {
		if writes[keyStock], err = encode(n); err != nil {
			return err
		}
	}
	return c.store.write(writes)
}

// takeStock counts the records themselves, and says in which orders the groups are, as the keys of their indexes.
func takeStock(txn *badger.Txn) (n stockRecord, order map[string]bool, err error) {
	n.Dumps, order = map[crash.State]int{}, map[string]bool{}
	for _, state := range crash.States {
		n.Dumps[state] = 0
	}
	if err := each(txn, allStatesPrefix, "", false, func(key string, _ *badger.Item) error {
		n.Dumps[stateOf(key)]++
		return nil
	}); err != nil {
		return n, nil, err
	}
	err = each(txn, groupPrefix, "", false, func(_ string, item *badger.Item) error {
		var g crash.Group
		if err := read(item, &g); err != nil {
			return err
		}
		n.add(g, 1)
		for _, key := range []string{urgencyKey(g), ignoredKey(g)} {
			if key != "" {
				order[key] = true
			}
		}
		return nil
	})
	return n, order, err
}

// write stores what belongs together in as many transactions as it takes, before the committer runs. It can be cut off: the
// next start goes on.
func (s *store) write(writes map[string][]byte) error {
	if len(writes) == 0 {
		return nil
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for _, key := range slices.Sorted(maps.Keys(writes)) {
		var err error
		if value := writes[key]; value == nil {
			err = batch.Delete([]byte(key))
		} else {
			err = batch.Set([]byte(key), value)
		}
		if err != nil {
			return err
		}
	}
	return batch.Flush()
}
