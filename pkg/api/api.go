// Package api is what the JSON API says and is told: one type for each request and each answer that is more than a record
// of the house. The doors write them, the command line reads them, so that neither guesses at the other's members. It has the
// sentences, too, that the page and the command line share.
//
// A list is never null, what is absent is null only where the comment says so, and times are RFC 3339 in UTC.
package api

// List makes a list that is never null.
func List[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Optional is nil, null in an answer, for a zero value.
func Optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
