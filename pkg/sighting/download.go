package sighting

import (
	"slices"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// firstBlock is what a device reads of an image, at most, to find out whether it is another one: 1 KiB in most firmware,
// a TLS record of 16 KiB in some.
const firstBlock = 16 << 10

// fetch is an image that a device fetches in pieces: the bytes that have arrived, in order and apart.
type fetch struct {
	version fleet.Version
	size    int64
	pieces  []piece
}

// piece is bytes of an image, to exclusive.
type piece struct{ from, to int64 }

// mostPieces bounds them: firmware fetches its pieces in order, so that they are one.
const mostPieces = 16

// add takes a piece in.
func (f *fetch) add(p piece) {
	f.pieces = slices.DeleteFunc(f.pieces, func(q piece) bool {
		apart := q.to < p.from || p.to < q.from
		if !apart {
			p.from, p.to = min(p.from, q.from), max(p.to, q.to)
		}
		return !apart
	})
	f.pieces = append(f.pieces, p)
	if len(f.pieces) > mostPieces {
		f.pieces = slices.Delete(f.pieces, 0, 1)
	}
}

func (f *fetch) covered() bool {
	return len(f.pieces) == 1 && f.pieces[0].from == 0 && f.pieces[0].to >= f.size
}

// transferred weighs what arrived of an image, and reports that there is something to save.
func (e *entry) transferred(t fleet.Transfer, at int64, rollback func() bool) (changed bool) {
	end := t.From + t.Arrived
	switch {
	case t.Version == "":
		return false
	case t.NotModified:
		e.Checked = at
		return e.checked(t.Version, at, rollback)
	case t.Size <= 0 || t.Arrived <= 0:
		return false
	case end <= firstBlock && end < t.Size:
		if !t.Whole { // it asked for more and wanted no more
			e.Checked = at
			return e.checked(t.Version, at, rollback)
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
		e.Download = &download{t.Version, t.Size, t.Size, at, true}
		return true
	}
	if t.Whole { // more of it will come
		return false
	}
	e.Download = &download{t.Version, end, t.Size, at, false}
	return true
}

// begin takes a piece into the download that goes on. One that begins at the image's begin is a new attempt, but for a
// single byte, by which some firmware asks for the size: what arrived before may be erased.
func (e *entry) begin(t fleet.Transfer) {
	fresh := t.From == 0 && t.To > 1
	if e.fetch == nil || e.fetch.version != t.Version || e.fetch.size != t.Size || fresh {
		e.fetch = &fetch{version: t.Version, size: t.Size}
	}
	e.fetch.add(piece{t.From, t.From + t.Arrived})
}

// rest is called once the contact is over: a device that fetched the first block, and nothing more, has checked.
func (e *entry) rest(at int64, rollback func() bool) (changed bool) {
	if e.check == "" {
		return false
	}
	v := e.check
	e.check, e.fetch, e.Checked = "", nil, at
	return e.checked(v, at, rollback)
}
