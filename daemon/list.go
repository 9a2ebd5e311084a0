package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// listFlags are those of every list: all of it is printed unless --limit says otherwise.
type listFlags struct {
	format *textOrJSON
	limit  int
}

func addListFlags(cmd *cobra.Command) *listFlags {
	f := &listFlags{format: addFormat(cmd)}
	cmd.Flags().IntVar(&f.limit, "limit", 0, "print at most this many (0: all)")
	return f
}

// query is a list's address with its filters; those that are empty are left out.
func (f *listFlags) query(path string, filters map[string]string) (string, error) {
	if f.limit < 0 {
		return "", usagef("--limit %d: want 0 or more", f.limit)
	}
	q := url.Values{}
	for name, value := range filters {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.limit > 0 {
		q.Set("limit", strconv.Itoa(f.limit))
	}
	if len(q) == 0 {
		return path, nil
	}
	return path + "?" + q.Encode(), nil
}

// mostPage is what the gateway puts into one answer at most.
const mostPage = 1000

// pages asks for a list whose member has the rows, page by page, until it ends or --limit is reached.
func (f *listFlags) pages(cmd *cobra.Command, address, member string, filters map[string]string) (json.RawMessage, error) {
	rows, all := []json.RawMessage{}, map[string]json.RawMessage{}
	filters = maps.Clone(filters)
	for more := true; more; {
		asked := listFlags{limit: mostPage}
		if f.limit != 0 {
			asked.limit = min(mostPage, f.limit-len(rows))
		}
		query, err := asked.query(address, filters)
		if err != nil {
			return nil, err
		}
		answer, err := connect(cmd).get(cmd.Context(), query)
		if err != nil {
			return nil, err
		}
		var page []json.RawMessage
		var next *string
		err = json.Unmarshal(answer, &all)
		if err == nil {
			err = errors.Join(json.Unmarshal(all[member], &page), json.Unmarshal(all["next"], &next))
		}
		if err != nil {
			return nil, fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
		}
		rows = append(rows, page...)
		if more = next != nil && (f.limit == 0 || len(rows) < f.limit); more {
			filters["after"] = *next
		}
	}
	merged, err := json.Marshal(rows)
	all[member] = merged
	if err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// cut shortens a member of an answer whose route knows no limit.
func (f *listFlags) cut(answer json.RawMessage, member string) (json.RawMessage, error) {
	if f.limit < 0 {
		return nil, usagef("--limit %d: want 0 or more", f.limit)
	}
	if f.limit == 0 {
		return answer, nil
	}
	var all map[string]json.RawMessage
	var list []json.RawMessage
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
	}
	if err := json.Unmarshal(all[member], &list); err != nil {
		return nil, fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
	}
	if len(list) <= f.limit {
		return answer, nil
	}
	short, err := json.Marshal(list[:f.limit])
	if err != nil {
		return nil, err
	}
	all[member] = short
	return json.Marshal(all)
}
