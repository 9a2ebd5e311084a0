package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
)

// listFlags are those of every list: all of it is printed unless --limit says otherwise.
type listFlags struct {
	format       *textOrJSON
	since, until string
	limit        int
}

// addListFlags adds them. what is what happened to a row at the time that it is picked by.
func addListFlags(cmd *cobra.Command, what string) *listFlags {
	f := &listFlags{format: addFormat(cmd)}
	cmd.Flags().StringVar(&f.since, "since", "", "only those "+what+" since: how long ago, such as 2h or 7d, or a time such as 2026-05-04T12:00:00Z")
	cmd.Flags().StringVar(&f.until, "until", "", "only those "+what+" until then, said in the same way")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "print at most this many (0: all)")
	cmd.Flags().StringSlice(columnsFlag, nil, "print only these columns, in this order, separated by commas: a heading in lower case, with _ for a blank")
	return f
}

// whole reports that all rows are asked for, but for what the filters leave out.
func (f *listFlags) whole() bool { return f.limit == 0 && f.since == "" && f.until == "" }

// query is what is asked for with a list's filters; those that are empty are left out.
func (f *listFlags) query(filters map[string]string) (url.Values, error) {
	if f.limit < 0 {
		return nil, usagef("--limit %d: want 0 or more", f.limit)
	}
	if _, err := api.ParseSpan("--", f.since, f.until, time.Now()); err != nil {
		return nil, &usageError{err}
	}
	q := url.Values{}
	for name, value := range filters {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.since != "" {
		q.Set("since", f.since)
	}
	if f.until != "" {
		q.Set("until", f.until)
	}
	return q, nil
}

// get asks for a list.
func (f *listFlags) get(cmd *cobra.Command, path, member string, filters map[string]string) (json.RawMessage, error) {
	q, err := f.query(filters)
	if err != nil {
		return nil, err
	}
	return getPages(cmd, path, member, q, f.limit)
}

const mostRows = 1000 // that the gateway gives out at once

// getPages asks for a list page by page, up to a limit (0: all), and makes one answer of the pages.
func getPages(cmd *cobra.Command, path, member string, q url.Values, limit int) (json.RawMessage, error) {
	c := connect(cmd)
	whole := map[string]json.RawMessage{}
	rows := []json.RawMessage{}
	for {
		q.Set("limit", strconv.Itoa(mostRows))
		if limit > 0 {
			q.Set("limit", strconv.Itoa(min(mostRows, limit-len(rows))))
		}
		answer, err := c.get(cmd.Context(), path+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		page, next, err := readPage(answer, member, &rows)
		if err != nil {
			return nil, err
		}
		if err := addPage(whole, page); err != nil {
			return nil, err
		}
		if next == "" || limit > 0 && len(rows) >= limit {
			break
		}
		if next == q.Get("after") {
			return nil, fmt.Errorf("the gateway's list does not go on behind %q", next)
		}
		q.Set("after", next)
	}
	var err error
	if whole[member], err = plainJSON(rows); err != nil {
		return nil, err
	}
	return plainJSON(whole)
}

// plainJSON leaves < and > as the gateway writes them.
func plainJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// readPage takes a page's rows out of it.
func readPage(answer json.RawMessage, member string, rows *[]json.RawMessage) (page map[string]json.RawMessage, next string, err error) {
	var more []json.RawMessage
	if err = json.Unmarshal(answer, &page); err == nil {
		err = json.Unmarshal(page[member], &more)
	}
	if err == nil && page["next"] != nil {
		err = json.Unmarshal(page["next"], &next) // null is none
	}
	if err != nil {
		return nil, "", fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
	}
	*rows = append(*rows, more...)
	delete(page, member)
	return page, next, nil
}

// addPage adds what else a page says: objects and arrays grow, of all else the last page's word counts.
func addPage(whole, page map[string]json.RawMessage) error {
	for name, value := range page {
		if before := whole[name]; bytes.HasPrefix(before, []byte("[")) {
			var sum, more []json.RawMessage
			if err := json.Unmarshal(before, &sum); err != nil {
				return err
			}
			if err := json.Unmarshal(value, &more); err != nil {
				return err
			}
			var err error
			if value, err = plainJSON(append(sum, more...)); err != nil {
				return err
			}
		}
		if before := whole[name]; bytes.HasPrefix(before, []byte("{")) {
			var sum, more map[string]json.RawMessage
			if err := json.Unmarshal(before, &sum); err != nil {
				return err
			}
			if err := json.Unmarshal(value, &more); err != nil {
				return err
			}
			maps.Copy(sum, more)
			var err error
			if value, err = plainJSON(sum); err != nil {
				return err
			}
		}
		whole[name] = value
	}
	return nil
}
