package sighting

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// sort puts the entries in the order of their keys and drops those that are gone. The caller holds mu.
func (b *Book) sort() {
	if b.sorted {
		return
	}
	b.order = slices.DeleteFunc(b.order, func(e *entry) bool { return e.gone })
	slices.SortFunc(b.order, func(a, b *entry) int { return cmp.Compare(a.Device, b.Device) })
	b.sorted = true
}

// Devices are the keys of the devices that a filter picks, in their order. No record is read.
func (b *Book) Devices(f fleet.DeviceFilter) []fleet.DeviceKey {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sort()
	w := wanted(f)
	now := b.now()
	keys := []fleet.DeviceKey{}
	from := sort.Search(len(b.order), func(i int) bool { return b.order[i].Device > f.After })
	for _, e := range b.order[from:] {
		if misses, _ := w.misses(e, e.state(now, b.floors)); misses > 0 {
			continue
		}
		if keys = append(keys, e.Device); len(keys) == f.Limit {
			break
		}
	}
	return keys
}

// want is a filter as entries are held against it.
type want struct{ fleet.DeviceFilter }

func wanted(f fleet.DeviceFilter) want {
	f.Search = strings.ToLower(f.Search)
	return want{f}
}

// misses is in how many parts of the filter an entry does not fit, and the last of those that have a facet.
func (f want) misses(e *entry, state fleet.DeviceState) (n, in int) {
	miss := func(part int, differs bool) {
		if differs {
			n++
			in = part
		}
	}
	miss(ofModel, f.Model != "" && e.model != f.Model)
	miss(ofVersion, f.Version != "" && e.Runs != f.Version && (e.Runs != "" || f.Version != fleet.UnknownVersion))
	miss(ofState, f.State != "" && state != f.State)
	miss(ofLine, f.Line != "" && e.place != f.Line)
	miss(ofLabel, f.Label != "" && !slices.Contains(e.labelled(), f.Label))
	miss(ofRevoked, f.Revoked && e.barred != revoked)
	miss(facets, !f.Heard.Has(timeOf(e.Heard)))
	miss(facets, f.Search != "" && !strings.Contains(string(e.Device), f.Search) && !strings.Contains(strings.ToLower(e.names), f.Search))
	miss(facets, f.Among != nil && !among(f.Among, e.Device))
	return n, in
}

func among(devices []fleet.DeviceKey, key fleet.DeviceKey) bool {
	_, found := slices.BinarySearch(devices, key)
	return found
}

// Sighting is what was seen of a device, and the line that it stands on: as named, or the network that it comes from.
func (b *Book) Sighting(key fleet.DeviceKey) (s fleet.Sighting, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.devices[key]
	if e == nil {
		return fleet.Sighting{State: fleet.Never}, ""
	}
	return e.sighting(b.now(), b.floors), e.place
}

// Known are the words that a filter may name: those that some device has.
func (b *Book) Known() (versions, lines, labels []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, l, n := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range b.devices {
		v[e.Runs], l[e.place] = true, true
		for _, label := range e.labelled() {
			n[label] = true
		}
	}
	return words(v), words(l), words(n)
}

func words(set map[string]bool) []string {
	delete(set, "")
	all := make([]string, 0, len(set))
	for word := range set {
		all = append(all, word)
	}
	slices.Sort(all)
	return all
}

// Share is how many devices of a model run a version and are in a state.
type Share struct {
	Model   fleet.ModelCode
	Version string // "" where nothing is known
	State   fleet.DeviceState
}

// mostVersions of a model are counted apart: devices can make them up. The others are counted as one.
const (
	mostVersions  = 50
	otherVersions = "other"
)

// Count counts the devices. No record is read.
func (b *Book) Count() map[Share]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	counts := map[Share]int{}
	versions := map[fleet.ModelCode]map[string]bool{}
	b.sort() // the same versions are counted apart each time
	for _, e := range b.order {
		known := versions[e.model]
		if known == nil {
			known = map[string]bool{}
			versions[e.model] = known
		}
		v := e.Runs
		if !known[v] && len(known) >= mostVersions {
			v = otherVersions
		} else {
			known[v] = true
		}
		counts[Share{e.model, v, e.state(now, b.floors)}]++
	}
	return counts
}

// Lines are the lines with a device that was heard, and since when those are dark that are; the others have a zero time.
func (b *Book) Lines() map[string]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := map[string]time.Time{}
	for _, e := range b.devices {
		if e.place != "" && e.Heard != 0 {
			lines[e.place] = time.Time{}
		}
	}
	for name, d := range b.dark {
		lines[name] = d.since
	}
	return lines
}
