package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
)

// span is --since and --until of a list.
type span struct {
	first, last  string // the members of a row that say when it began and when it was last: the same where it is one moment
	since, until string
	from, to     time.Time
}

// addSpan adds them. what is what happened to a row at its time.
func (f *listFlags) addSpan(cmd *cobra.Command, what, first, last string) {
	f.span = &span{first: first, last: last}
	cmd.Flags().StringVar(&f.span.since, "since", "", "only those "+what+" since: how long ago, such as 2h or 7d, or a time such as 2026-05-04T12:00:00Z")
	cmd.Flags().StringVar(&f.span.until, "until", "", "only those "+what+" until then, said in the same way")
}

func (s *span) asked() bool { return s.since != "" || s.until != "" }

// read finds out what was asked for.
func (s *span) read(now time.Time) (err error) {
	if s.from, err = api.ParseTime("--since", s.since, now); err != nil {
		return &usageError{err}
	}
	if s.to, err = api.ParseTime("--until", s.until, now); err != nil {
		return &usageError{err}
	}
	if !s.to.IsZero() && s.to.Before(s.from) {
		return usagef("--until %s is before --since %s", s.until, s.since)
	}
	return nil
}

// pick keeps the rows of an answer that lie in the span, up to a limit (0: all).
func (s *span) pick(answer json.RawMessage, member string, limit int) (json.RawMessage, error) {
	whole, err := as[map[string]json.RawMessage](answer)
	if err != nil {
		return nil, err
	}
	rows, err := as[[]json.RawMessage](whole[member])
	if err != nil {
		return nil, err
	}
	kept := []json.RawMessage{}
	for _, row := range rows {
		if limit > 0 && len(kept) == limit {
			break
		}
		in, err := s.has(row)
		if err != nil {
			return nil, err
		}
		if in {
			kept = append(kept, row)
		}
	}
	if whole[member], err = plainJSON(kept); err != nil {
		return nil, err
	}
	return plainJSON(whole)
}

// has reports that a row lies in the span. One without a time lies in none.
func (s *span) has(row json.RawMessage) (bool, error) {
	began, err := timeIn(row, s.first)
	if err != nil {
		return false, err
	}
	last, err := timeIn(row, s.last)
	if err != nil || last.IsZero() {
		return false, err
	}
	return (s.from.IsZero() || !last.Before(s.from)) && (s.to.IsZero() || !began.After(s.to)), nil
}

// timeIn is the time at a path of members, such as sighting.heard_at; zero where there is none.
func timeIn(row json.RawMessage, path string) (at time.Time, err error) {
	for name := range strings.SplitSeq(path, ".") {
		members, err := as[map[string]json.RawMessage](row)
		if err != nil || members[name] == nil {
			return at, err
		}
		row = members[name]
	}
	return as[time.Time](row)
}
