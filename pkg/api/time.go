package api

import (
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// ParseTime reads a time of RFC 3339, or how long ago it was, such as 2h or 7d; "" is the zero time. An error, which is
// fleet.ErrRefused, calls it by name.
func ParseTime(name, given string, now time.Time) (time.Time, error) {
	if given == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, given); err == nil {
		return at, nil
	}
	if ago, ok := parseLength(given); ok {
		return now.Add(-ago), nil
	}
	return time.Time{}, fleet.Refused("%s %q: want how long ago, such as 2h or 7d, or a time such as 2026-05-04T12:00:00Z", name, given)
}

// ParseSpan reads since and until as ParseTime does. before is what stands before their names, such as "--".
func ParseSpan(before, since, until string, now time.Time) (s fleet.Span, err error) {
	if s.Since, err = ParseTime(before+"since", since, now); err != nil {
		return s, err
	}
	if s.Until, err = ParseTime(before+"until", until, now); err != nil {
		return s, err
	}
	if !s.Until.IsZero() && s.Until.Before(s.Since) {
		return s, fleet.Refused("%suntil %q is before %ssince %q: want the later one as until", before, until, before, since)
	}
	return s, nil
}

// ParseAhead reads a time that is to come, in UTC and without parts of a second: one of RFC 3339, a day, which is its
// beginning in UTC, or how long it is until then, such as 2h or 7d; "" is the zero time. An error, which is
// fleet.ErrRefused, calls it by name.
func ParseAhead(name, given string, now time.Time) (at time.Time, err error) {
	if given == "" {
		return at, nil
	}
	span, known := parseLength(given)
	at = now.Add(span)
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if said, err := time.Parse(layout, given); err == nil {
			at, known = said, true
		}
	}
	at = at.UTC().Truncate(time.Second)
	switch {
	case !known:
		return time.Time{}, fleet.Refused("%s %q: want how long, such as 2h or 7d, a day such as 2026-05-04, or a time such as 2026-05-04T12:00:00Z", name, given)
	case !at.After(now):
		return time.Time{}, fleet.Refused("%s %q: that has passed: it is %s now", name, given, now.UTC().Format(time.RFC3339))
	}
	return at, nil
}

// parseLength reads how long something is.
func parseLength(given string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(given, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(given)
	return d, err == nil && d >= 0
}
