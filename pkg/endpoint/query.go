package endpoint

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Query is what a route knows of the part of its address after the question mark. One that is nil looks at nothing: what
// devices and scrapers append there is their own matter.
type Query []string

// check refuses a parameter that the route does not know, and one that is there twice: a filter that is passed over would
// look like an answer.
func (q Query) check(r *http.Request) error {
	if q == nil || r.URL.RawQuery == "" {
		return nil
	}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Errorf(http.StatusBadRequest, "bad_query", "the query cannot be read: %v", err)
	}
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(q, name) {
			if len(given[name]) > 1 {
				return Errorf(http.StatusBadRequest, "bad_query", "the query parameter %s is given %d times", name, len(given[name]))
			}
			continue
		}
		e := Errorf(http.StatusBadRequest, "unknown_parameter", "unknown query parameter %q: %s", clip(name), q.instead(name))
		e.Details = map[string]any{"parameter": clip(name), "known": append([]string{}, q...)}
		return e
	}
	return nil
}

// mostName of a foreign name is shown and compared: the distance takes time by its length.
const mostName = 64

func clip(name string) string { return name[:min(len(name), mostName)] }

// instead names the parameter that was most probably meant, and what else there is.
func (q Query) instead(name string) string {
	if len(q) == 0 {
		return "this address takes none"
	}
	near := slices.MinFunc(q, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if len(q) == 1 {
		return "this address knows only " + near
	}
	return "the nearest is " + near + "; this address knows " + strings.Join(q, ", ")
}

func distance(a, b string) int {
	return levenshtein.ComputeDistance(strings.ToLower(clip(a)), strings.ToLower(b))
}
