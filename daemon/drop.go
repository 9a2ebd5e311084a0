package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
)

// dropCommand is `slipway drop`: the dropped files that were rejected.
func dropCommand() *cobra.Command {
	return group("drop", "Dropped files that were rejected: list them, have them taken again, remove them",
		dropListCommand(), dropRetryCommand(), dropDismissCommand())
}

func dropListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the dropped files that were rejected, and why",
		Long: "List the dropped files that were rejected and are still there, and why. They go by themselves after drop.keep_done.",
		Args: cobra.NoArgs,
	}
	flags := addListFlags(cmd, "rejected")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("drops"), "drops", nil)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.Drops) {
			c := newColumns(w, "NAME", "SIZE", "REJECTED", "REASON", "WHAT HELPS")
			for _, d := range v.Drops {
				c.row(d.Name, bytesText(d.Size), localTime(d.RejectedAt), strings.Join(strings.Fields(d.Reason), " "), d.Mend)
			}
			c.flush()
		})
	}
	return cmd
}

func dropRetryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "retry NAME", Short: "Have a rejected file taken again, once what was wrong with it is mended",
		Long: "Have a rejected file taken again, once what was wrong with it is mended, such as a model that there was not. It goes\n" +
			"back into the drop folder; 'slipway events --follow --kind build,drop' says what becomes of it.",
		Example: "  slipway drop retry pump-1.4.2.zip",
		Args:    cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("drops", args[0], "retry"), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"taken_again": args[0]}, "%s is taken again", args[0])
	}
	return cmd
}

func dropDismissCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dismiss NAME", Short: "Remove a rejected file and the reason beside it", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	yes := addYes(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := sure(cmd, *yes, "Remove the rejected file %s?", args[0]); err != nil {
			return err
		}
		if _, err := connect(cmd).send(cmd.Context(), http.MethodDelete, path("drops", args[0]), nil); err != nil {
			return err
		}
		return say(cmd, format, map[string]string{"removed": args[0]}, "removed %s", args[0])
	}
	return cmd
}

// wantedCommand is `slipway wanted`: the firmware that core dumps wait for.
func wantedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "wanted", Short: "List the firmware whose ELF is not here, and how many core dumps wait for it",
		Long: "List the firmware whose ELF is not here, and how many core dumps of how many devices wait for it. Once a bundle with\n" +
			"that ELF comes, they are decoded by themselves.",
		Args: cobra.NoArgs,
	}
	flags := addListFlags(cmd, "wanted")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("wanted"), "wanted", nil)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.WantedList[crash.Wanted]) {
			c := newColumns(w, "MODEL", "ELF SHA-256", "VERSIONS", "DEVICES", "DUMPS", "SINCE")
			for _, one := range v.Wanted {
				c.row(string(one.Model), cmp.Or(one.ELFHash, "unknown"), strings.Join(one.Versions, " "), fmt.Sprint(one.Devices), fmt.Sprint(one.Dumps), localTime(one.Since))
			}
			c.flush()
		})
	}
	return cmd
}
