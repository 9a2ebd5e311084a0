package main

import (
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// troubleCommand is `slipway trouble`: what needs somebody.
func troubleCommand() *cobra.Command {
	return group("trouble", "What needs somebody: list it, and say of some of it that you have seen it", troubleListCommand(), troubleSeenCommand(), troubleUnseenCommand())
}

func troubleListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List what needs somebody, worst first, as the page's first view does",
		Long: "List what needs somebody, worst first: rollouts that have halted, regressions, new crashes, silent devices by line, devices\n" +
			"in a crash loop, wanted firmware, rejected files, and what is wrong with the gateway. What somebody has seen comes last.",
		Example: "  slipway trouble list",
		Args:    cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodGet, path("trouble"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v api.Troubles) {
			c := newColumns(w, "ID", "KIND", "WHAT", "SINCE", "SEEN")
			for _, t := range v.Trouble {
				what, seen, since := t.Text, "", ""
				if t.Detail != "" {
					what += ": " + t.Detail
				}
				if t.Seen != nil {
					seen = t.Seen.By + ", " + localTime(t.Seen.At)
				}
				if !t.Since.IsZero() {
					since = localTime(t.Since)
				}
				c.row(t.ID, t.Kind, what, since, seen)
			}
			c.flush()
		})
	}
	return cmd
}

func troubleSeenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "seen ID", Short: "Say that you have seen it: it is set apart for all, until it is worse or begins anew",
		Example: "  slipway trouble seen 1f0e3dad99908345",
		Args:    cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("trouble", args[0], "seen"), nil)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, t fleet.Trouble) {
			c := newColumns(w, "KIND", "WHAT", "SEEN")
			c.row(t.Kind, t.Text, t.Seen.By+", "+localTime(t.Seen.At))
			c.flush()
		})
	}
	return cmd
}

func troubleUnseenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "unseen ID", Short: "Take back that somebody has seen it", Example: "  slipway trouble unseen 1f0e3dad99908345", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, path("trouble", args[0], "seen"), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"unseen": args[0]}, "%s needs somebody again", args[0])
	}
	return cmd
}
