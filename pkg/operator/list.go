package operator

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Every list goes page by page: what a reader's token can ask for is bounded, however many rows there are. A cursor is a
// place in the list's order and not a row, so that a row which goes, or moves, takes none of the others along.

const (
	pageRows = 100  // where the caller names no limit
	mostRows = 1000 // of a page
)

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
func pageOf[Row any](rows []Row, after string, limit int, place func(Row) string) (page []Row, next *string) {
	if after != "" {
		i := slices.IndexFunc(rows, func(row Row) bool { return place(row) > after })
		if i < 0 {
			i = len(rows)
		}
		rows = rows[i:]
	}
	return cut(rows, limit, place)
}
