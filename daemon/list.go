package main

import (
	"encoding/json"
	"fmt"
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
