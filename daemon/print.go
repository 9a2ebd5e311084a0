package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// addFormat adds --format, which every command that prints has.
func addFormat(cmd *cobra.Command) *textOrJSON {
	format := textOrJSON("text")
	cmd.Flags().Var(&format, "format", "text or json")
	return &format
}

// show prints what the gateway has answered: its JSON as it is, or the text that is made of it.
func show[T any](cmd *cobra.Command, format *textOrJSON, answer json.RawMessage, text func(io.Writer, T)) error {
	var out bytes.Buffer
	if *format == "json" {
		if err := json.Indent(&out, answer, "", "  "); err != nil {
			return fmt.Errorf("the gateway's answer is not JSON: %w", err)
		}
		if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			out.WriteByte('\n')
		}
	} else {
		var v T
		if err := json.Unmarshal(answer, &v); err != nil {
			return fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
		}
		text(&out, v)
	}
	_, err := cmd.OutOrStdout().Write(out.Bytes())
	return err
}

// say prints one line of text, or an object with --format json.
func say(cmd *cobra.Command, format *textOrJSON, object any, line string, args ...any) error {
	answer, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, _ any) { fmt.Fprintf(w, line+"\n", args...) })
}

// columns is a table of text under a heading; nothing of it can steer a terminal.
type columns struct{ tw *tabwriter.Writer }

func newColumns(w io.Writer, heading ...string) columns {
	c := columns{tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.StripEscape)}
	c.row(heading...)
	return c
}

func (c columns) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = orDash(visible(cell))
	}
	// A row ends with its last cell: blanks after it would only wrap on narrow terminals.
	fmt.Fprintln(c.tw, strings.Join(cells, "\t"))
}

func (c columns) flush() { _ = c.tw.Flush() } // into memory, which takes everything

// fields prints names and values below each other: name, value, name, value. Those without a value are left out.
func fields(w io.Writer, namesAndValues ...string) {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		if value := visible(namesAndValues[i+1]); value != "" {
			fmt.Fprintf(tw, "%s:\t%s\n", namesAndValues[i], value)
		}
	}
	_ = tw.Flush() // into memory, which takes everything
}

// localTime is how people read a time.
func localTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// orList is "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
