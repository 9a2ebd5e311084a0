package crash

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// MostChains is how many chains a group holds. One near to the next to the next could else go anywhere.
const MostChains = 16

// Candidate is a group of the chain's model and kind that has a near chain.
type Candidate struct {
	Group  string
	Common int       // functions that the nearest of its chains shares
	Dumps  int       // that it has counted
	Since  time.Time // when it was first seen
}

// Join says which group takes a chain that none of them has: the one with the longest common chain, then the most
// dumps, then the oldest. "" is none: it opens a group of its own.
func Join(candidates []Candidate) string {
	if len(candidates) == 0 {
		return ""
	}
	return slices.MinFunc(candidates, func(a, b Candidate) int {
		return cmp.Or(b.Common-a.Common, b.Dumps-a.Dumps, a.Since.Compare(b.Since), cmp.Compare(a.Group, b.Group))
	}).Group
}

// Filed are the places of an index where a chain is found by those that are near to it, and Sought those where it finds
// them: two chains have one in common exactly when [Near] says so, but for equal ones. So nobody compares a chain with
// all others of its model.
func Filed(model fleet.ModelCode, kind string, frames []string) []string {
	places := []string{spot(model, kind, "whole", frames)}
	for i := range frames {
		places = append(places, spot(model, kind, "less", without(frames, i)))
	}
	if len(frames) == MostFrames {
		places = append(places, spot(model, kind, "head", frames[:MostFrames-1]))
		for i := range MostFrames - 1 {
			places = append(places, spot(model, kind, "pushed", without(frames, i)))
		}
	}
	return distinct(places)
}

// Sought is [Filed]'s other half.
func Sought(model fleet.ModelCode, kind string, frames []string) []string {
	var places []string
	if len(frames) >= leastCommon {
		places = append(places, spot(model, kind, "less", frames))
	}
	if len(frames) > leastCommon {
		for i := range frames {
			places = append(places, spot(model, kind, "whole", without(frames, i)))
		}
	}
	if len(frames) == MostFrames {
		places = append(places, spot(model, kind, "pushed", frames[:MostFrames-1]))
		for i := range MostFrames - 1 {
			places = append(places, spot(model, kind, "head", without(frames, i)))
		}
	}
	return distinct(places)
}

func spot(model fleet.ModelCode, kind, what string, frames []string) string {
	return digest(fmt.Sprintf("%s|%s|%s|%s", model, kind, what, strings.Join(frames, ",")))
}

// digest is 16 hex digits, as fingerprints have.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

func distinct(places []string) []string {
	slices.Sort(places)
	return slices.Compact(places)
}

// Grouping sorts crashes into groups in memory, by the rules by which the catalog does. The zero one is empty.
type Grouping struct {
	chains map[string]*groupedChain // by fingerprint
	places map[string][]*groupedChain
	groups map[string]*groupedHere
}

type groupedChain struct {
	frames []string
	group  string
}

type groupedHere struct {
	chains, dumps int
	since         time.Time
}

// Add says which group a crash belongs to. Crashes come in the order of their upload.
func (g *Grouping) Add(c Crash) (group string) {
	if g.chains == nil {
		g.chains, g.places, g.groups = map[string]*groupedChain{}, map[string][]*groupedChain{}, map[string]*groupedHere{}
	}
	chain := g.chains[c.Fingerprint]
	if chain == nil {
		chain = &groupedChain{c.Chain, cmp.Or(Join(g.candidates(c)), c.Fingerprint)}
		g.chains[c.Fingerprint] = chain
		for _, place := range Filed(c.Model, c.Kind, c.Chain) {
			g.places[place] = append(g.places[place], chain)
		}
		if g.groups[chain.group] == nil {
			g.groups[chain.group] = &groupedHere{since: c.Uploaded}
		}
		g.groups[chain.group].chains++
	}
	here := g.groups[chain.group]
	here.dumps++
	return chain.group
}

func (g *Grouping) candidates(c Crash) []Candidate {
	var all []Candidate
	for _, place := range Sought(c.Model, c.Kind, c.Chain) {
		for _, chain := range g.places[place] {
			here := g.groups[chain.group]
			if common, near := Near(c.Chain, chain.frames); near && here.chains < MostChains {
				all = append(all, Candidate{chain.group, common, here.dumps, here.since})
			}
		}
	}
	return all
}
