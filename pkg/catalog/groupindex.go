package catalog

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// groupIndex is what lists of groups order and filter by, in memory: some 600 bytes a group. The committer brings it along with
// what it has committed, so that a page of a list reads the groups on it and no others, whatever the order and the filter are.
type groupIndex struct {
	mu       sync.Mutex // guards what follows
	known    bool       // else all is read at the next question
	groups   map[string]listedGroup
	chains   map[string][]string          // of a group, by their fingerprints
	versions map[string][]fleet.Version   // that a chain was seen in
	words    map[string]string            // each version and model once
	devices  map[string][]fleet.DeviceKey // that a chain was seen on, in order, once somebody has asked; a list is never changed
}

// listedGroup is a group without what no list needs.
type listedGroup struct {
	model   fleet.ModelCode
	state   crash.GroupState
	numbers [4]int64 // in the orders of [crash.GroupOrders]
	text    string   // in lower case
}

// seen is when it crashed first and last, in the places that [crash.GroupOrders] has them in.
func (g listedGroup) seen() (first, last time.Time) {
	return time.UnixMicro(g.numbers[1]), time.UnixMicro(g.numbers[0])
}

// indexWrite is a key of the index that was written; a nil value was deleted.
type indexWrite struct {
	key   string
	value []byte
}

const (
	allMembersPrefix  = "gm/"
	allVersionsPrefix = "gv/"
	allDevicesPrefix  = "gd/"
)

func indexed(key string) bool {
	for _, prefix := range []string{groupPrefix, allMembersPrefix, allVersionsPrefix, allDevicesPrefix} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// indexWrites are those of an operation.
func (t *tx) indexWrites() (all []indexWrite) {
	for _, key := range t.order {
		if indexed(key) {
			all = append(all, indexWrite{key, t.writes[key]})
		}
	}
	return all
}

// forget has all read anew: nobody knows what the disk has of a commit that failed.
func (x *groupIndex) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known, x.groups, x.chains, x.versions, x.words, x.devices = false, nil, nil, nil, nil, nil
}

// take brings the index along with what was committed, in the order of the commits. What is on record already changes nothing.
func (x *groupIndex) take(writes []indexWrite) {
	if len(writes) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.known {
		return
	}
	for _, w := range writes {
		if x.put(w) != nil { // a record that cannot be read: reading all says which
			x.known = false
			return
		}
	}
}

func (x *groupIndex) put(w indexWrite) error {
	if group, ok := strings.CutPrefix(w.key, groupPrefix); ok {
		var g crash.Group
		if w.value != nil {
			if err := json.Unmarshal(w.value, &g); err != nil {
				return err
			}
		}
		if g.Count == 0 {
			delete(x.groups, group)
		} else {
			x.groups[group] = x.listed(g)
		}
		return nil
	}
	before, last, err := lastTwo(w.key)
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(w.key, allMembersPrefix):
		enlist(x.chains, before, last, w.value != nil)
	case strings.HasPrefix(w.key, allDevicesPrefix):
		x.putDevice(before, fleet.DeviceKey(last), w.value != nil)
	default:
		enlist(x.versions, before, fleet.Version(x.word(last)), w.value != nil)
	}
	return nil
}

// enlist adds something to a list of a map, or removes it.
func enlist[V comparable](lists map[string][]V, key string, v V, add bool) {
	at := slices.Index(lists[key], v)
	switch {
	case add && at < 0:
		lists[key] = append(lists[key], v)
	case !add && at >= 0:
		lists[key] = slices.Delete(lists[key], at, at+1)
		if len(lists[key]) == 0 {
			delete(lists, key)
		}
	}
}

func (x *groupIndex) word(s string) string {
	if w, ok := x.words[s]; ok {
		return w
	}
	s = strings.Clone(s)
	x.words[s] = s
	return s
}

func (x *groupIndex) listed(g crash.Group) listedGroup {
	one := listedGroup{
		model: fleet.ModelCode(x.word(string(g.Model))), state: crash.GroupState(x.word(string(g.State))),
		text: strings.ToLower(g.Fingerprint + " " + g.Kind + " " + g.Reason + " " + g.TopFrame + " " + string(g.Model)),
	}
	for i, o := range crash.GroupOrders {
		one.numbers[i] = g.Number(o)
	}
	return one
}

// read makes the index of the records.
func (x *groupIndex) read(txn *badger.Txn) error {
	x.groups, x.chains = map[string]listedGroup{}, map[string][]string{}
	x.versions, x.words, x.devices = map[string][]fleet.Version{}, map[string]string{}, map[string][]fleet.DeviceKey{}
	err := each(txn, groupPrefix, "", false, func(key string, item *badger.Item) error {
		return item.Value(func(b []byte) error { return x.put(indexWrite{key, b}) })
	})
	for _, prefix := range []string{allMembersPrefix, allVersionsPrefix} {
		if err == nil {
			err = each(txn, prefix, "", false, func(key string, _ *badger.Item) error { return x.put(indexWrite{key, []byte{}}) })
		}
	}
	x.known = err == nil
	return err
}

// indexGroups holds the index, which is whole then, until the caller unlocks it.
func (c *Catalog) indexGroups() (*groupIndex, error) {
	x := &c.listed
	x.mu.Lock()
	if x.known {
		return x, nil
	}
	if err := c.view(x.read); err != nil {
		x.mu.Unlock()
		return nil, err
	}
	return x, nil
}

func (x *groupIndex) seenIn(group string, v fleet.Version) bool {
	return slices.ContainsFunc(x.chains[group], func(chain string) bool { return slices.Contains(x.versions[chain], v) })
}

// ListGroups is a page of the groups.
func (c *Catalog) ListGroups(q crash.GroupQuery) (page crash.GroupPage, err error) {
	places, page, err := c.pageOfGroups(q)
	if err != nil {
		return page, err
	}
	if q.Limit > 0 && len(places) > q.Limit {
		places = places[:q.Limit]
		page.Next = &places[q.Limit-1]
	}
	err = c.view(func(txn *badger.Txn) error {
		for _, p := range places {
			var g crash.Group
			found, err := get(txn, groupKey(p.Fingerprint), &g)
			if err != nil {
				return err
			}
			if found { // else it went into another one since
				page.Groups = append(page.Groups, g)
			}
		}
		return nil
	})
	return page, err
}

// pageOfGroups are the first places behind the one that is asked for, one more than the limit, and how many groups there are.
func (c *Catalog) pageOfGroups(q crash.GroupQuery) (places []crash.GroupPlace, page crash.GroupPage, err error) {
	order := slices.Index(crash.GroupOrders, q.Order)
	if order < 0 {
		return nil, page, fleet.Refused("there is no order %q of groups", q.Order)
	}
	text := strings.ToLower(q.Text)
	x, err := c.indexGroups()
	if err != nil {
		return nil, page, err
	}
	defer x.mu.Unlock()
	for fingerprint, g := range x.groups {
		if q.Model != "" && g.model != q.Model || q.State != "" && g.state != q.State || q.Version != "" && !x.seenIn(fingerprint, q.Version) {
			continue
		}
		page.Found++
		if text != "" && !strings.Contains(g.text, text) || !q.Seen.Meets(g.seen()) {
			continue
		}
		page.Total++
		place := crash.GroupPlace{Number: g.numbers[order], Fingerprint: fingerprint}
		if q.After != nil && place.Compare(*q.After) <= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(places, place, crash.GroupPlace.Compare)
		if q.Limit > 0 && at > q.Limit {
			continue
		}
		places = slices.Insert(places, at, place)
		if q.Limit > 0 {
			places = places[:min(len(places), q.Limit+1)]
		}
	}
	return places, page, nil
}

// DecodedDumps are how many dumps that are here were read with each version of a model. Without its symbols they are not read again.
func (c *Catalog) DecodedDumps(code fleet.ModelCode) (map[fleet.Version]int, error) {
	x, err := c.indexGroups()
	if err != nil {
		return nil, err
	}
	var chains []string
	for group, g := range x.groups {
		if g.model == code {
			chains = append(chains, x.chains[group]...)
		}
	}
	x.mu.Unlock()
	dumps := map[fleet.Version]int{}
	err = c.view(func(txn *badger.Txn) error {
		for _, chain := range chains {
			prefix := chainDumpsPrefix(chain)
			err := each(txn, prefix, "", false, func(key string, _ *badger.Item) error {
				version, _, _ := strings.Cut(key[len(prefix):], "/")
				dumps[fleet.Version(version)]++
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return dumps, err
}

// CrashVersions are the versions in which something crashed.
func (c *Catalog) CrashVersions() ([]fleet.Version, error) {
	x, err := c.indexGroups()
	if err != nil {
		return nil, err
	}
	defer x.mu.Unlock()
	all := map[fleet.Version]bool{}
	for _, chains := range x.chains {
		for _, chain := range chains {
			for _, v := range x.versions[chain] {
				all[v] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}
