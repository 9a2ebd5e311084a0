package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/event"
)

// auditCommand is `slipway audit`: the events as proof.
func auditCommand() *cobra.Command {
	return group("audit", "The events as proof: export them, and verify that none was changed", auditExportCommand(), auditVerifyCommand())
}

func auditExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write all events to standard output, one JSON object a line",
		Long: "Write all events to standard output, one JSON object a line, each in the form that its hash is of (RFC 8785). The\n" +
			"first line says what the first event follows from. Keep it with a hash that the journal has noted: 'slipway audit\n" +
			"verify' shows that no event was changed, and the journal that none is missing at the end.",
		Example: "  slipway audit export > audit.ndjson",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			export, err := connect(cmd).export(cmd)
			if err != nil {
				return err
			}
			defer export.Close()
			_, err = io.Copy(cmd.OutOrStdout(), export)
			return err
		},
	}
}

func (c *client) export(cmd *cobra.Command) (io.ReadCloser, error) {
	resp, err := c.doWith(cmd.Context(), http.MethodGet, path("events"), nil, http.Header{"Accept": {"application/x-ndjson"}})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// verified is what `slipway audit verify` has found.
type verified struct {
	Events int        `json:"events"`
	Last   event.Link `json:"last"`
}

func auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Verify that no event was changed, put in or taken out",
		Long: "Verify that each event follows from the one before: none was changed, put in or taken out. Without FILE the events of\n" +
			"the running gateway are verified, with it an export; - is standard input. Compare the last number and hash with a\n" +
			"line 'newest event' in the journal: without one a chain proves nothing against who can write the disk.\n\n" +
			"Exit code 1 names the first event that does not follow.",
		Args: cobra.MaximumNArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := auditInput(cmd, args)
		if err != nil {
			return err
		}
		defer in.Close()
		found, end, err := event.Verify(in)
		if err != nil {
			return err
		}
		return say(cmd, format, verified{found, end}, "%d events follow from each other; the last is %d, %s", found, end.Seq, end.Hash)
	}
	return cmd
}

func auditInput(cmd *cobra.Command, args []string) (io.ReadCloser, error) {
	switch {
	case len(args) == 0:
		return connect(cmd).export(cmd)
	case args[0] == standardInput:
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	file, err := os.Open(args[0])
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s: %w", args[0], err)
	}
	return file, err
}
