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
	if days, ok := strings.CutSuffix(given, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if ago, err := time.ParseDuration(given); err == nil && ago >= 0 {
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
