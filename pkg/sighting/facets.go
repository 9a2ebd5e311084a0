package sighting

import (
	"cmp"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The parts of a filter that have a facet.
const (
	ofModel = iota
	ofVersion
	ofState
	ofLine
	ofLabel
	ofRevoked
	facets
)

// Facets count what a filter would pick with another word in each of its places. No record is read.
func (b *Book) Facets(f fleet.DeviceFilter) fleet.DeviceFacets {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sort()
	now := b.now()
	var counts [facets]map[string]int
	for i := range counts {
		counts[i] = map[string]int{}
	}
	var all fleet.DeviceFacets
	w := wanted(f)
	for _, e := range b.order {
		state := e.state(now, b.floors)
		misses, in := w.misses(e, state)
		if misses == 0 {
			all.Total++
		}
		count := func(part int, word string) {
			if misses == 0 || misses == 1 && in == part {
				counts[part][word]++
			}
		}
		count(ofModel, string(e.model))
		count(ofVersion, cmp.Or(e.Runs, fleet.UnknownVersion))
		count(ofState, string(state))
		count(ofLine, e.place)
		for _, label := range e.labelled() {
			count(ofLabel, label)
		}
		if e.barred == revoked {
			count(ofRevoked, "")
		}
	}
	delete(counts[ofLine], "")
	all.Models, all.Versions, all.States = facet(counts[ofModel]), facet(counts[ofVersion]), facet(counts[ofState])
	all.Lines, all.Labels, all.Revoked = facet(counts[ofLine]), facet(counts[ofLabel]), counts[ofRevoked][""]
	return all
}

// facet has the words in their order.
func facet(counts map[string]int) []fleet.Facet {
	all := make([]fleet.Facet, 0, len(counts))
	for word, n := range counts {
		all = append(all, fleet.Facet{Word: word, Count: n})
	}
	slices.SortFunc(all, func(a, b fleet.Facet) int { return cmp.Compare(a.Word, b.Word) })
	return all
}
