package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// eventsCommand is `slipway events`: what happened, and who did it.
func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what happened and who did it, oldest first",
		Long: "Print what happened and who did it, oldest first: changes by people and by the gateway, new crashes, trouble. The\n" +
			"README has all kinds. With --follow the last ten are printed, or those that --since asks for, and then each as it\n" +
			"happens, until it is interrupted.",
		Example: "  slipway events --since 2h\n  slipway events --object device/a1b2c3d4\n  slipway events --follow --kind crash,build.published",
		Args:    cobra.NoArgs,
	}
	flags := addListFlags(cmd, "that happened")
	kind := cmd.Flags().String("kind", "", "only these, separated by commas: a kind such as build.published, or a noun such as build")
	object := cmd.Flags().String("object", "", "only of one object: device/KEY, model/CODE, build/CODE/VERSION, crash/FINGERPRINT, token/ID")
	follow := cmd.Flags().Bool("follow", false, "go on with what happens")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := flags.query(map[string]string{"kind": *kind, "object": *object})
		if err != nil {
			return err
		}
		if *follow && flags.until != "" {
			return usagef("--follow goes on, and --until ends: give one of them")
		}
		if *follow {
			return (&follower{cmd: cmd, client: connect(cmd), query: q, json: *flags.format == "json"}).run(flags.limit)
		}
		events, err := connect(cmd).events(cmd.Context(), q, flags.limit)
		if err != nil {
			return err
		}
		answer, err := json.Marshal(api.Events{Events: events})
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, eventsText)
	}
	return cmd
}

// events reads all pages, or the newest so many.
func (c *client) events(ctx context.Context, q url.Values, newest int) ([]json.RawMessage, error) {
	cursor := "after"
	if newest > 0 {
		cursor = "before"
		q.Set(cursor, strconv.FormatUint(1<<53-1, 10))
		q.Set("limit", strconv.Itoa(min(newest, 1000)))
	}
	events := []json.RawMessage{}
	for {
		answer, err := c.get(ctx, path("events")+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		var page api.Events
		if err := json.Unmarshal(answer, &page); err != nil {
			return nil, fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
		}
		events = append(events, page.Events...)
		if page.Next == nil || newest > 0 && len(events) >= newest {
			break
		}
		q.Set(cursor, *page.Next)
	}
	if newest > 0 {
		events = events[:min(newest, len(events))]
		slices.Reverse(events)
	}
	return events, nil
}

func eventsText(w io.Writer, v api.Events) {
	c := newColumns(w, "SEQ", "TIME", "EVENT", "OBJECT", "BY", "DETAILS")
	for _, raw := range v.Events {
		c.row(eventCells(raw)...)
	}
	c.flush()
}

// eventCells is an event in the columns of the list.
func eventCells(raw json.RawMessage) []string {
	var e fleet.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return []string{"", "", "an event that cannot be read"}
	}
	object := e.Object.Type
	if e.Object.ID != "" {
		object += " " + e.Object.ID
	}
	return []string{strconv.FormatUint(e.Seq, 10), localTime(e.At), string(e.Kind), object, actorText(e), detailsText(e.Details)}
}

func actorText(e fleet.Event) string {
	by := string(e.Actor.Type)
	if e.Actor.Type == fleet.Person {
		by = e.Actor.ID
	} else if e.Actor.ID != "" {
		by += " " + e.Actor.ID
	}
	if e.Actor.Name != "" {
		by += " (" + e.Actor.Name + ")"
	}
	if e.From != "" {
		by += " from " + e.From
	}
	return by
}

// detailsText is name=value of each, values that are more than a word as JSON.
func detailsText(details json.RawMessage) string {
	var members map[string]json.RawMessage
	if details == nil || json.Unmarshal(details, &members) != nil {
		return ""
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := string(members[name])
		var word string
		if json.Unmarshal(members[name], &word) == nil && word != "" && !strings.ContainsAny(word, " \"=") {
			value = word
		}
		all = append(all, name+"="+value)
	}
	return strings.Join(all, " ")
}

// follower prints events as they happen, and finds its place again when the gateway was away.
type follower struct {
	cmd    *cobra.Command
	client *client
	query  url.Values
	json   bool
	last   string // id of the last event, "" before the first
}

const followAgain = time.Second // after the gateway went away

func (f *follower) run(newest int) error {
	if !f.query.Has("since") {
		if newest == 0 {
			newest = 10
		}
		if err := f.before(newest); err != nil {
			return err
		}
	}
	for known := false; ; known = true {
		err := f.stream()
		if f.cmd.Context().Err() != nil {
			return nil // that is how it ends
		}
		if refused(err) || err != nil && (!known || f.last == "") {
			return err
		}
		select {
		case <-f.cmd.Context().Done():
			return nil
		case <-time.After(followAgain):
		}
	}
}

// refused reports that the gateway has said no: it will say so again.
func refused(err error) bool {
	var answer *answerError
	return errors.As(err, &answer) && answer.status < http.StatusInternalServerError
}

// before prints the newest events, and goes on behind them.
func (f *follower) before(newest int) error {
	events, err := f.client.events(f.cmd.Context(), maps.Clone(f.query), newest)
	if err != nil {
		return err
	}
	for _, raw := range events {
		if err := f.print(raw); err != nil {
			return err
		}
		var e fleet.Event
		if json.Unmarshal(raw, &e) == nil {
			f.last = strconv.FormatUint(e.Seq, 10)
		}
	}
	return nil
}

// stream prints what comes until the gateway ends it.
func (f *follower) stream() error {
	header := http.Header{"Accept": {"text/event-stream"}}
	if f.last != "" {
		header.Set("Last-Event-ID", f.last)
		f.query.Del("since")
	}
	resp, err := f.client.doWith(f.cmd.Context(), http.MethodGet, path("events")+"?"+f.query.Encode(), nil, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	gap := false
	for lines.Scan() {
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(field) {
		case "id":
			f.last = string(value)
		case "event":
			gap = string(value) == "gap"
		case "data":
			if gap {
				fmt.Fprintln(f.cmd.ErrOrStderr(), "slipway: events are missing here: they were removed, or a backup was restored")
				gap = false
				continue
			}
			if err := f.print(value); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

func (f *follower) print(raw []byte) error {
	line := string(raw)
	if !f.json {
		cells := eventCells(raw)
		for i := range cells {
			cells[i] = visible(cells[i])
		}
		line = strings.TrimSpace(strings.Join(cells, "  "))
	}
	_, err := fmt.Fprintln(f.cmd.OutOrStdout(), line)
	return err
}
