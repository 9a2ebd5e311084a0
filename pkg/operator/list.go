package operator

import (
	"net/http"
	"strconv"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Every list goes page by page: what a reader's token can ask for is bounded, however many rows there are. A cursor is a
// place in the list's order and not a row, so that a row which goes, or moves, takes none of the others along.

const (
	pageRows = 100  // where the caller names no limit
	mostRows = 1000 // of a page
)

// listed are the query parameters of a list: its own, and those of all.
func listed(own ...string) []string { return append(own, "since", "until", "after", "limit") }

// listQuery is what every list is asked for.
type listQuery struct {
	span  fleet.Span // of the time that the description names
	after string
	limit int
}

func (d *door) listQuery(r *http.Request) (q listQuery, err error) {
	given := r.URL.Query()
	q.after = given.Get("after")
	if q.span, err = api.ParseSpan("", given.Get("since"), given.Get("until"), d.Now()); err != nil {
		return q, err
	}
	q.limit, err = limitOf(r)
	return q, err
}

// limitOf reads ?limit=.
func limitOf(r *http.Request) (int, error) {
	s := r.URL.Query().Get("limit")
	if s == "" {
		return pageRows, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > mostRows {
		return 0, fleet.Refused("limit %q: want a whole number from 1 to %d; what \"next\" says is ?after= of the next page", s, mostRows)
	}
	return n, nil
}

// truthOf reads a query parameter that is true or false: anything else would be a wish that is passed over.
func truthOf(r *http.Request, name string) (bool, error) {
	switch given := r.URL.Query().Get(name); given {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	default:
		return false, fleet.Refused("%s %q: want true or false", name, given)
	}
}

// noCursor refuses what no list has given out.
func noCursor(after string) error {
	return fleet.Refused("after %q: no page of this list ends there; begin without it", after)
}

// cut takes away the row that was read one too many, and names the last of the others.
func cut[Row any](rows []Row, limit int, place func(Row) string) (page []Row, next *string) {
	if len(rows) <= limit {
		return rows, nil
	}
	last := place(rows[limit-1])
	return rows[:limit], &last
}

// pageOf is a page of rows that are all at hand, in the order of their places.
func pageOf[Row any](rows []Row, q listQuery, at func(Row) time.Time, place func(Row) string) (page []Row, next *string) {
	for _, row := range rows {
		if len(page) <= q.limit && (q.after == "" || place(row) > q.after) && q.span.Has(at(row)) {
			page = append(page, row)
		}
	}
	return cut(page, q.limit, place)
}
