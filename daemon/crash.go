package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// crashCommand is `slipway crash`: the groups of crashes, and what people decide about them.
func crashCommand() *cobra.Command {
	return group("crash", "Crashes: list and show their groups, resolve, ignore, reopen, merge and split them, decode them again",
		crashListCommand(), crashShowCommand(), crashResolveCommand(),
		crashIgnoreCommand(), crashReopenCommand(),
		crashMergeCommand(), crashSplitCommand(), crashNoteCommand(), crashDecodeCommand())
}

func crashListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the groups of crashes, last seen first", Args: cobra.NoArgs}
	flags := addListFlags(cmd, "seen")
	model := cmd.Flags().String("model", "", "only those of this model")
	version := cmd.Flags().String("version", "", "only those seen in this firmware version")
	state := cmd.Flags().String("state", "", "only those in this state: open, resolved or ignored")
	text := cmd.Flags().String("text", "", "only those with this text in place, reason or fingerprint")
	sort := cmd.Flags().String("sort", "", "last_seen, first_seen, count or devices")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("crashes"), "crashes", map[string]string{
			"model": *model, "version": *version, "state": *state, "text": *text, "sort": *sort,
		})
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
	case g.Reopened != "":
		return "open again"
	case g.State == crash.Ignored && !g.Until.At.IsZero():
		return "ignored until " + localTime(g.Until.At)
	case g.State == crash.Ignored && g.Until != crash.Bound{}:
		return "ignored " + g.Until.String()
	}
	return string(g.State)
}

func crashShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show FINGERPRINT",
		Short: "Show a group: versions, chains, devices, the dumps that are still stored, and the stack of the best of them",
		Long: "Show a group: versions, chains, devices, and the dumps that are still stored. FINGERPRINT is the group's, that of one\n" +
			"of its chains, as `decode` prints it, or one that the group had before it was merged.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	devices := cmd.Flags().Bool("devices", false, "list all devices that it was seen on")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *devices {
			return showCrashDevices(cmd, format, args[0])
		}
		answer, err := connect(cmd).get(cmd.Context(), path("crashes", args[0]))
		if err != nil {
			return err
		}
		if *format == "json" {
			return show(cmd, format, answer, crashText)
		}
		g, err := as[operator.Group](answer)
		if err != nil {
			return err
		}
		stack, err := stackOf(cmd, g)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, g operator.Group) {
			crashText(w, g)
			stackText(w, stack)
		})
	}
	return cmd
}

// stackOf is the group's best dump with its report: the newest of those that the exact symbols were there for, else the newest. It
// is nil where none is left.
func stackOf(cmd *cobra.Command, g operator.Group) (*reported, error) {
	const most = 10 // dumps that are looked at
	var best *reported
	for _, d := range g.Dumps[:min(most, len(g.Dumps))] {
		answer, err := connect(cmd).get(cmd.Context(), path("coredumps", string(d.Device), string(d.Name)))
		var gone *answerError
		if errors.As(err, &gone) && gone.notFound() { // meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		one, err := as[reported](answer)
		switch {
		case err != nil:
			return nil, err
		case one.Report == nil:
		case one.Grade == string(crash.Exact):
			return &one, nil
		case best == nil:
			best = &one
		}
	}
	return best, nil
}

func stackText(w io.Writer, d *reported) {
	if d == nil {
		fmt.Fprintln(w, "\nno dump with a report is left: there is no stack to show")
		return
	}
	fmt.Fprintf(w, "\nthe stack of %s of %s, firmware %s:\n\n", d.Name, d.Device, visible(d.FirmwareVersion))
	_ = d.Report.WriteText(w) // into memory
}

// showCrashDevices prints all devices of a group, page by page.
func showCrashDevices(cmd *cobra.Command, format *textOrJSON, fingerprint string) error {
	answer, err := getPages(cmd, path("crashes", fingerprint, "devices"), "devices", url.Values{}, 0)
	if err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, v api.GroupDevices) {
		c := newColumns(w, "DEVICE", "CRASHES", "LAST SEEN")
		for _, d := range v.Counts {
			crashes := ""
			if d.Count > 0 {
				crashes = fmt.Sprint(d.Count)
			}
			c.row(string(d.Device), crashes, localTime(d.LastSeen))
		}
		c.flush()
	})
}

func crashText(w io.Writer, g operator.Group) {
	state := stateOf(g.Group)
	if g.Old {
		state += " (old: no dump is left that can be grouped anew)"
	}
	devices := fmt.Sprint(g.Devices)
	if g.Devices > 0 {
		devices += ", all of them: slipway crash show " + g.Fingerprint + " --devices"
	}
	fields(w, "fingerprint", g.Fingerprint, "model_code", string(g.Model), "where", g.TopFrame, "reason", g.Reason, "state", state, "reopened", g.Reopened, "note", g.Note, "link", g.Link,
		"count", fmt.Sprint(g.Count), "devices", devices, "first_seen", localTime(g.FirstSeen), "last_seen", localTime(g.LastSeen))
	fmt.Fprintln(w)
	versions := newColumns(w, "VERSION", "CRASHES", "24 H", "7 D", "FIRST SEEN", "LAST SEEN")
	for _, v := range g.Versions {
		day, week := lately(g.Counters, string(v.Version), time.Now())
		versions.row(string(v.Version), fmt.Sprint(v.Count), fmt.Sprint(day), fmt.Sprint(week), localTime(v.FirstSeen), localTime(v.LastSeen))
	}
	versions.flush()
	fmt.Fprintln(w)
	chains := newColumns(w, "CHAIN", "CRASHES", "FUNCTIONS, INNERMOST FIRST")
	for _, c := range g.Members {
		chains.row(c.Fingerprint, fmt.Sprint(c.Count), strings.Join(c.Frames, " "))
	}
	chains.flush()
	fmt.Fprintln(w)
	dumps := newColumns(w, "DEVICE", "NAME", "VERSION", "UPLOADED")
	for _, d := range g.Dumps {
		dumps.row(string(d.Device), string(d.Name), d.FirmwareVersion, localTime(d.UploadedAt))
	}
	dumps.flush()
}

// lately counts a version's crashes of the hour that goes on and the 23 before, and of the day that goes on, of UTC, and the
// six before.
func lately(counters []operator.GroupVersion, version string, now time.Time) (day, week int) {
	for _, c := range counters {
		if c.Version != version {
			continue
		}
		for _, b := range c.Hours {
			if now.Sub(b.At) < 24*time.Hour {
				day += b.Crashes
			}
		}
		for _, b := range c.Days {
			if now.Sub(b.At) < 7*24*time.Hour {
				week += b.Crashes
			}
		}
	}
	return day, week
}

func crashResolveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resolve FINGERPRINT --in VERSION",
		Short: "Mark a group as fixed in a version; if it comes back in that version or a later one, it is a regression",
		Long: "Mark a group as fixed in a version; if it comes back in that version or a later one, it is a regression. VERSION is\n" +
			"that of a build, or later than all builds of the model: with a mistyped one the group would never be reported again.\n" +
			"--force accepts any version.",
		Args: cobra.ExactArgs(1),
	}
	version := cmd.Flags().String("in", "", "the first version without the crash")
	force := cmd.Flags().Bool("force", false, "accept also a version of no build that is not later than all builds")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *version == "" {
			return usagef("name the version in which it is fixed: --in VERSION")
		}
		return decideCrash(cmd, format, args[0], "resolve", api.Resolve{Version: *version, Force: *force})
	}
	return cmd
}

func crashNoteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "note FINGERPRINT [TEXT]",
		Short: `Keep a note, or a link to a ticket, with a group; "" removes it`,
		Args:  cobra.RangeArgs(1, 2),
	}
	format := addFormat(cmd)
	link := cmd.Flags().String("link", "", "address of a ticket")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var in api.Note
		if len(args) == 2 {
			in.Note = &args[1]
		}
		if cmd.Flag("link").Changed {
			in.Link = link
		}
		if in == (api.Note{}) {
			return usagef("name a text or a --link")
		}
		return decideCrash(cmd, format, args[0], "note", in)
	}
	return cmd
}

func crashMergeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "merge FINGERPRINT FINGERPRINT",
		Short: "Make one group of two that are the same bug",
		Long: "Make one group of two that are the same bug. It keeps the fingerprint of the older one, and the other's leads to it. It\n" +
			"is remembered: what comes later with one of their chains belongs to it, too.",
		Args: cobra.ExactArgs(2),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return decideCrash(cmd, format, args[0], "merge", api.Merge{Fingerprint: args[1]})
	}
	return cmd
}

func crashSplitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "split FINGERPRINT CHAIN...",
		Short: "Make two groups of one that is two bugs",
		Long: "Make two groups of one that is two bugs: the chains that are named become a group of their own. `crash show` lists a\n" +
			"group's chains. It is remembered.",
		Args: cobra.MinimumNArgs(2),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("crashes", args[0], "split"), api.Split{Chains: args[1:]})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v api.SplitGroups[crash.Group]) {
			c := newColumns(w, "FINGERPRINT", "CHAINS", "CRASHES", "STATE")
			for _, g := range v.Groups {
				c.row(g.Fingerprint, fmt.Sprint(g.Chains), fmt.Sprint(g.Count), stateOf(g))
			}
			c.flush()
		})
	}
	return cmd
}

func crashIgnoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ignore FINGERPRINT",
		Short: "Keep counting a group and report it to nobody, for good or until a version, a number of crashes or a time",
		Long: "Keep counting a group and report it to nobody: for good, or until a crash of a version or a later one comes, until so\n" +
			"many more crashes have come, or until a time. Then it is open again by itself, which is an event and shown as what\n" +
			"needs somebody. VERSION is that of a build, or later than all builds of the model; --force accepts any.",
		Args: cobra.ExactArgs(1),
	}
	var in api.Ignore
	cmd.Flags().StringVar(&in.Version, "until-version", "", "until a crash of this version or a later one comes")
	crashes := cmd.Flags().Int("until-crashes", 0, "until so many more crashes have come, 1 at least")
	cmd.Flags().StringVar(&in.Until, "until", "", "until then: how long, such as 2h or 7d, a day such as 2026-05-04 (its beginning in UTC), or a time such as 2026-05-04T12:00:00Z")
	cmd.Flags().BoolVar(&in.Force, "force", false, "accept also a version of no build that is not later than all builds")
	oneOf(cmd, "until-version", "until-crashes", "until")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flag("until-crashes").Changed {
			in.Crashes = crashes
		}
		return decideCrash(cmd, format, args[0], "ignore", in)
	}
	return cmd
}

func crashReopenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "reopen FINGERPRINT", Short: "Take back that a group is resolved or ignored", Args: cobra.ExactArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return decideCrash(cmd, format, args[0], "reopen", nil)
	}
	return cmd
}

func crashDecodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decode FINGERPRINT",
		Short: "Have all core dumps of a group decoded again",
		Long: "Have all core dumps of a group that are there decoded again, newest first: with the firmware that is here now, and by the\n" +
			"rules of this version. The gateway notes it and does it in its turn; dump.decoded_again tells of each. No crash is counted\n" +
			"twice, and a dump goes to another group where its report says so.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for dumps, after := 0, ""; ; {
			answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("crashes", args[0], "decode")+"?"+url.Values{"after": {after}}.Encode(), nil)
			if err != nil {
				return err
			}
			asked, err := as[api.DecodedAgain](answer)
			if err != nil {
				return err
			}
			if dumps += asked.Dumps; asked.Next == nil {
				return say(cmd, format, map[string]any{"decoded_again": dumps, "fingerprint": args[0]}, "core dumps of %s that are decoded again: %d", args[0], dumps)
			}
			after = *asked.Next
		}
	}
	return cmd
}

func decideCrash(cmd *cobra.Command, format *textOrJSON, fingerprint, verb string, in any) error {
	answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("crashes", fingerprint, verb), in)
	if err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, g crash.Group) {
		fields(w, "fingerprint", g.Fingerprint, "state", stateOf(g), "note", g.Note, "link", g.Link)
	})
}
