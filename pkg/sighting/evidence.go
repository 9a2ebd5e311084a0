package sighting

import (
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// evidence is one sign of what a device runs.
type evidence struct {
	version string // "" where only the ELF is known, and no build has it
	elf     string // first 16 digits, "" where it is not known
	by      fleet.Proof
	at      int64
}

// strength orders the proofs.
func strength(p fleet.Proof) int {
	return slices.Index([]fleet.Proof{"", fleet.ProofBehaved, fleet.ProofDump, fleet.ProofSaid}, p)
}

// believe weighs a sign against what is known, and reports that something else is known then. Newer evidence replaces what
// is equal or weaker. Weaker evidence replaces what is stronger only where the two contradict each other and the device has
// fetched that other version whole since the stronger was shown last.
func (r *Shown) believe(e evidence) (changed bool) {
	same := e.version == r.Runs
	switch {
	case e.at < r.RunsSeen:
		return false
	case strength(e.by) >= strength(r.RunsBy):
	case same, string(r.Whole) != e.version, r.WholeAt < r.RunsSeen:
		return false
	}
	r.RunsSeen = e.at
	if same && e.by == r.RunsBy && (e.elf == "" || e.elf == r.ELF) && !r.Restored {
		return false
	}
	if !same || r.RunsBy == "" {
		r.Before, r.RunsSince = r.Runs, e.at
		r.ELF = ""
	}
	if e.elf != "" {
		r.ELF = strings.Clone(e.elf) // not a part of somebody's request
	}
	r.Runs, r.RunsBy, r.Restored = e.version, e.by, false
	return true
}

// rolledBack notes that the device has left version v.
func (r *Shown) rolledBack(v fleet.Version, byDump bool, at int64) bool {
	if r.Back != nil && r.Back.At >= at {
		return false
	}
	r.Back = &back{v, at, byDump}
	return true
}

// leftSince reports that the device was found to have left v since it fetched that.
func (r *Shown) leftSince(v fleet.Version) bool {
	return r.Back != nil && r.Back.Version == v && r.Back.At >= r.WholeAt
}

// toldBack finds a rollback in the device's own word: it had the whole of another version and booted, or said that it ran
// that, and now runs what it ran before. A version that it did not run before came by cable.
func (r *Shown) toldBack(e evidence) bool {
	v := r.Whole
	if v == "" || e.version == "" || e.version == string(v) || e.at < r.WholeAt || r.leftSince(v) {
		return false
	}
	old := r.Runs // what it ran before the download
	if ran := old == string(v) && r.RunsSeen >= r.WholeAt; ran {
		old = r.Before
	} else if r.BootsSince == 0 || r.RunsSince > r.WholeAt { // or it came by cable, or by a download that a kill of the gateway forgot
		return false
	}
	return (old == "" || old == e.version) && r.rolledBack(v, false, e.at)
}

// dumped weighs a dump. One of a build's ELF that is declared by another version was uploaded after a rollback.
func (r *Shown) dumped(d fleet.SeenDump, at int64) (changed bool) {
	switch {
	case d.Build == "" || d.Declared == "":
		return false
	case d.Build == d.Declared:
		return r.believe(evidence{string(d.Declared), shortELF(d.ELF), fleet.ProofDump, at})
	}
	changed = r.rolledBack(d.Build, true, at)
	return r.believe(evidence{string(d.Declared), "", fleet.ProofDump, at}) || changed
}

// checked weighs that the device asked for v and wanted no more than its first block, or, where held, that it showed the tag of
// v.
//
// Of some clients no boot can be seen: they tell of none, and fetch no token that they would fetch anew. One that has fetched
// all of v, and wants no more than a block of it later, runs it, as what it ran before would fetch all of it once more; unless
// that remembers what it went back from.
func (r *Shown) checked(v fleet.Version, held bool, at int64, known answers) (changed bool) {
	switch {
	case r.Whole != v, at < r.WholeAt, r.leftSince(v),
		r.BootsSince == 0 && (held || !r.bootsUnseen()),
		r.asksRollback() && known.rollback(v):
		return false
	}
	return r.believe(evidence{string(v), "", fleet.ProofBehaved, at})
}

// gotWhole weighs a download that arrived whole. The same version twice in a row: the first did not take.
func (r *Shown) gotWhole(v fleet.Version, at int64) {
	if r.Whole == v && r.RunsBy == fleet.ProofBehaved && r.Runs == string(v) {
		r.Runs, r.RunsBy, r.ELF, r.RunsSince = "", "", "", 0
	}
	r.Whole, r.WholeAt, r.BootsSince = v, at, 0
}

// digitsOfELF are kept of an ELF's hash.
const digitsOfELF = 16

func shortELF(hash string) string { return hash[:min(len(hash), digitsOfELF)] }
