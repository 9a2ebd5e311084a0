package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// addFormat adds --format, which every command that prints has.
func addFormat(cmd *cobra.Command) *textOrJSON {
	format := textOrJSON("text")
	cmd.Flags().Var(&format, "format", "text or json")
	return &format
}

// show prints what the gateway has answered: its JSON as it is, or the text that is made of it.
func show[T any](cmd *cobra.Command, format *textOrJSON, answer json.RawMessage, text func(io.Writer, T)) error {
	out := newPaper(cmd)
	if *format == "json" {
		if len(out.only) > 0 {
			return usagef("--columns is for text: JSON has them all")
		}
		if err := json.Indent(&out.Buffer, answer, "", "  "); err != nil {
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
		text(out, v)
		if out.wrong != nil {
			return out.wrong
		}
	}
	_, err := cmd.OutOrStdout().Write(out.Bytes())
	return err
}

// paper is where a command's text is made: in memory, which takes everything.
type paper struct {
	bytes.Buffer
	width int      // of the terminal that it is for; 0: a pipe or a file, where nothing is cut
	only  []string // the columns of --columns; none: all
	wrong error    // about those
}

func newPaper(cmd *cobra.Command) *paper {
	p := &paper{width: terminalWidth(cmd.OutOrStdout())}
	if cmd.Flags().Lookup(columnsFlag) != nil {
		p.only, _ = cmd.Flags().GetStringSlice(columnsFlag)
	}
	return p
}

// terminalWidth is 0 of what is no terminal.
func terminalWidth(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// say prints one line of text, or an object with --format json.
func say(cmd *cobra.Command, format *textOrJSON, object any, line string, args ...any) error {
	answer, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, _ any) { fmt.Fprintf(w, line+"\n", args...) })
}

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

// localTime is how people read a time: where they are, with the name of its zone.
func localTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
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
