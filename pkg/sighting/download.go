package sighting

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// firstBlock is what a device reads of an image, at most, to find out whether it is another one: 1 KiB in most firmware,
// a TLS record of 16 KiB in some.
const firstBlock = 16 << 10

// fetch is an image that a device fetches in pieces.
type fetch struct {
	version fleet.Version
	size    int64
	pieces  []piece // what has arrived, the one that was asked for first first
}

// piece is bytes of an image, to exclusive.
type piece struct {
	from, to int64
	begun    time.Time
}

// mostPieces are kept apart. They are told when they have arrived, and not in the order in which they were asked for: of those
// that were asked for last it may turn out that they belong to different attempts.
const mostPieces = 16

// add takes a piece in. The two that were asked for first become one, where there are too many.
func (f *fetch) add(p piece) {
	f.pieces = append(f.pieces, p)
	slices.SortStableFunc(f.pieces, func(a, b piece) int { return a.begun.Compare(b.begun) })
	if len(f.pieces) <= mostPieces {
		return
	}
	first, second := f.pieces[0], f.pieces[1]
	if first.to >= second.from && second.to >= first.from {
		second.from, second.to = min(first.from, second.from), max(first.to, second.to)
		f.pieces[1] = second
	}
	f.pieces = slices.Delete(f.pieces, 0, 1)
}

// startsOver forgets what was asked for before.
func (f *fetch) startsOver(begun time.Time) {
	f.pieces = slices.DeleteFunc(f.pieces, func(p piece) bool { return p.begun.Before(begun) })
}

// covered reports that the pieces are the whole image.
func (f *fetch) covered() bool {
	end := int64(0)
	for _, p := range slices.SortedFunc(slices.Values(f.pieces), func(a, b piece) int { return cmp.Compare(a.from, b.from) }) {
		if p.from > end {
			return false
		}
		end = max(end, p.to)
	}
	return end >= f.size
}

// beyondFirst reports that more has arrived than is read to find out whether it is another image.
func (f *fetch) beyondFirst() bool {
	return slices.ContainsFunc(f.pieces, func(p piece) bool { return p.to > firstBlock })
}

// transferred weighs what arrived of an image, and reports that there is something to save.
func (e *entry) transferred(t fleet.Transfer, at int64, known answers) (changed bool) {
	end := t.From + t.Arrived
	switch {
	case t.Version == "":
		return false
	case t.NotModified:
		e.Checked = at
		return e.checked(t.Version, true, at, known)
	case t.Size <= 0 || t.Arrived <= 0, e.later(t):
		return false
	case t.Going:
		if end > firstBlock {
			e.check = ""
			e.begin(t)
		}
		return false
	case end <= firstBlock && end < t.Size:
		if !t.Whole { // it asked for more and wanted no more
			e.Checked = at
			return e.checked(t.Version, false, at, known)
		}
		e.begin(t)
		e.check = t.Version // unless it goes on: see [entry.rest]
		return false
	}
	e.check = ""
	e.begin(t)
	if e.fetch.covered() {
		e.fetch = nil
		e.gotWhole(t.Version, at)
		e.Download = &download{t.Version, t.Size, t.Size, at, true, since(t.Begun, at)}
		return true
	}
	if t.Whole { // more of it will come
		return false
	}
	e.Download = &download{t.Version, end, t.Size, at, false, since(t.Begun, at)}
	return true
}

// later reports that the device has asked for another version since. The end of an answer is told when it is seen, of a device that
// restarted without a word minutes later: it says nothing of what the device has by then.
func (e *entry) later(t fleet.Transfer) bool {
	if t.Begun.IsZero() {
		return false
	}
	if d := e.Download; d != nil && d.Version != t.Version && millis(t.Begun) < d.At-int64(d.took) {
		return true
	}
	return e.fetch != nil && e.fetch.version != t.Version && t.Begun.Before(e.fetch.pieces[0].begun)
}

// since is how many milliseconds lie between a time and another in milliseconds since 1970.
func since(begun time.Time, at int64) uint32 {
	if begun.IsZero() {
		return 0
	}
	return uint32(min(max(at-millis(begun), 0), math.MaxUint32))
}

// begin takes a piece into the download that goes on. One that begins at the image's begin is a new attempt, but for a
// single byte, by which some firmware asks for the size: what arrived before may be erased.
func (e *entry) begin(t fleet.Transfer) {
	if e.fetch == nil || e.fetch.version != t.Version || e.fetch.size != t.Size {
		e.fetch = &fetch{version: t.Version, size: t.Size}
	}
	if t.From == 0 && t.To > 1 {
		e.fetch.startsOver(t.Begun)
	}
	e.fetch.add(piece{t.From, t.From + t.Arrived, t.Begun})
}

// asks notes that a device has asked for the name of the build that it is offered, and not for its image. That is a check, and no
// evidence: what it wants of the image it does not show. Whoever waits until a client that checks has shown what it runs does
// not wait for this one.
func (e *entry) asks(by fleet.HeardBy, at int64) {
	if by == fleet.HeardVersion || by == fleet.HeardManifest {
		e.Asked = max(e.Asked, uint32(min(max(at/1000, 0), math.MaxUint32)))
	}
}

// rest is called once the contact is over: a device that fetched the first block, and nothing more, has checked.
func (e *entry) rest(at int64, known answers) (changed bool) {
	if e.check == "" {
		return false
	}
	v := e.check
	e.check, e.Checked = "", at
	return e.checked(v, false, at, known)
}
