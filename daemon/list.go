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
)

// listFlags are those of every list: all of it is printed unless --limit says otherwise.
type listFlags struct {
	format *textOrJSON
	limit  int
	span   *span // nil: its rows have no time to be picked by
}

func addListFlags(cmd *cobra.Command) *listFlags {
	f := &listFlags{format: addFormat(cmd)}
	cmd.Flags().IntVar(&f.limit, "limit", 0, "print at most this many (0: all)")
	cmd.Flags().StringSlice(columnsFlag, nil, "print only these columns, in this order, separated by commas: a heading in lower case, with _ for a blank")
	return f
}

// get asks for a list with its filters; those that are empty are left out.
func (f *listFlags) get(cmd *cobra.Command, path, member string, filters map[string]string) (json.RawMessage, error) {
	if f.limit < 0 {
		return nil, usagef("--limit %d: want 0 or more", f.limit)
	}
	q := url.Values{}
	for name, value := range filters {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.span == nil || !f.span.asked() {
		return getPages(cmd, path, member, q, f.limit)
	}
	if err := f.span.read(time.Now()); err != nil {
		return nil, err
	}
	answer, err := getPages(cmd, path, member, q, 0)
	if err != nil {
		return nil, err
	}
	return f.span.pick(answer, member, f.limit)
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
