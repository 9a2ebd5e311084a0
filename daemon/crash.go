package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// crashCommand is `slipway crash`: the groups of crashes, and what people decide about them.
func crashCommand() *cobra.Command {
	return group("crash", "Crashes: list and show their groups, resolve, ignore and reopen them",
		crashListCommand(), crashShowCommand(), crashResolveCommand(),
		crashDecideCommand("ignore", "Keep counting a group and report it to nobody"),
		crashDecideCommand("reopen", "Take back that a group is resolved or ignored"))
}

func crashListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the groups of crashes, last seen first", Args: cobra.NoArgs}
	flags := addListFlags(cmd)
	model := cmd.Flags().String("model", "", "only those of this model")
	version := cmd.Flags().String("version", "", "only those that were seen in this firmware version")
	state := cmd.Flags().String("state", "", "only those that are open, resolved or ignored")
	text := cmd.Flags().String("text", "", "only those with this text in place, reason or fingerprint")
	sort := cmd.Flags().String("sort", "", "last_seen, first_seen, count or devices")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		address, err := flags.query(path("crashes"), map[string]string{
			"model": *model, "version": *version, "state": *state, "text": *text, "sort": *sort,
		})
		if err != nil {
			return err
		}
		answer, err := connect(cmd).get(cmd.Context(), address)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v struct{ Crashes []crash.Group }) {
			c := newColumns(w, "FINGERPRINT", "MODEL", "WHERE", "REASON", "SINCE", "CRASHES", "DEVICES", "LAST SEEN", "STATE")
			for _, g := range v.Crashes {
				c.row(g.Fingerprint, string(g.Model), g.TopFrame, g.Reason, string(g.FirstVersion), fmt.Sprint(g.Count), fmt.Sprint(g.Devices),
					localTime(g.LastSeen), stateOf(g))
			}
			c.flush()
		})
	}
	return cmd
}

// stateOf is a group's state in a few words.
func stateOf(g crash.Group) string {
	switch {
	case g.Regressed:
		return "regression in " + string(g.RegressedIn)
	case g.State == crash.Resolved:
		return "resolved in " + string(g.ResolvedIn)
	}
	return string(g.State)
}

func crashShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show FINGERPRINT", Short: "Show a group: versions, devices, and the dumps that are left", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).get(cmd.Context(), path("crashes", args[0]))
		if err != nil {
			return err
		}
		return show(cmd, format, answer, crashText)
	}
	return cmd
}

func crashText(w io.Writer, g struct {
	crash.Group
	Versions []crash.VersionCount
	Dumps    []shownDump `json:"coredumps"`
}) {
	fields(w, "fingerprint", g.Fingerprint, "model_code", string(g.Model), "where", g.TopFrame, "reason", g.Reason, "state", stateOf(g.Group),
		"count", fmt.Sprint(g.Count), "devices", fmt.Sprint(g.Devices), "first_seen", localTime(g.FirstSeen), "last_seen", localTime(g.LastSeen))
	fmt.Fprintln(w)
	versions := newColumns(w, "VERSION", "CRASHES", "FIRST SEEN", "LAST SEEN")
	for _, v := range g.Versions {
		versions.row(string(v.Version), fmt.Sprint(v.Count), localTime(v.FirstSeen), localTime(v.LastSeen))
	}
	versions.flush()
	fmt.Fprintln(w)
	dumps := newColumns(w, "DEVICE", "NAME", "VERSION", "UPLOADED")
	for _, d := range g.Dumps {
		dumps.row(string(d.Device), string(d.Name), d.FirmwareVersion, localTime(d.UploadedAt))
	}
	dumps.flush()
}

func crashResolveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "resolve FINGERPRINT --in VERSION", Short: "Say in which version a group is gone; in it or a later one it is a regression", Args: cobra.ExactArgs(1)}
	version := cmd.Flags().String("in", "", "the version from which on it is gone")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *version == "" {
			return usagef("name the version in which it is gone: --in VERSION")
		}
		return decideCrash(cmd, format, args[0], "resolve", map[string]string{"firmware_version": *version})
	}
	return cmd
}

func crashDecideCommand(verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " FINGERPRINT", Short: short, Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return decideCrash(cmd, format, args[0], verb, nil)
	}
	return cmd
}

func decideCrash(cmd *cobra.Command, format *textOrJSON, fingerprint, verb string, in any) error {
	answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("crashes", fingerprint, verb), in)
	if err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, g crash.Group) {
		fields(w, "fingerprint", g.Fingerprint, "state", stateOf(g))
	})
}
