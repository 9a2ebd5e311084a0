package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// rolloutCommand is `slipway rollout`: a build's way to the devices of a model, in waves that stop by themselves.
func rolloutCommand() *cobra.Command {
	return group("rollout", "Bring a build to a model's devices in waves: start, watch, pause, halt and take back",
		rolloutStartCommand(), rolloutListCommand(), rolloutShowCommand(), rolloutDevicesCommand(), rolloutExplainCommand(),
		rolloutPauseCommand(), rolloutResumeCommand(), rolloutHaltCommand(), rolloutAdvanceCommand(), rolloutExcuseCommand(),
		rolloutRetreatCommand(), rolloutFinishCommand(), rolloutWaitCommand(), rolloutPlanCommand())
}

// newestRollout stands for the number of a model's newest rollout.
const newestRollout = "newest"

// rolloutPath is the address of a rollout; without a number it is the newest.
func rolloutPath(model, number string, more ...string) string {
	if number == "" {
		number = newestRollout
	}
	return path(append([]string{"device-models", model, "rollouts", number}, more...)...)
}

// addNumber adds --number, which commands that are about one rollout have.
func addNumber(cmd *cobra.Command) *string {
	return cmd.Flags().String("number", "", "that rollout of the model (default: the newest)")
}

func rolloutListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the rollouts, the newest of each model first", Args: cobra.NoArgs}
	flags := addListFlags(cmd, "started")
	model := cmd.Flags().String("model", "", "only those of this model")
	state := cmd.Flags().String("state", "", "only those in this state: "+orList(words(fleet.RolloutStates)))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := flags.get(cmd, path("rollouts"), "rollouts", map[string]string{"model": *model, "state": *state})
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, rolloutsText)
	}
	return cmd
}

func words[W ~string](all []W) []string {
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = string(w)
	}
	return texts
}

func rolloutsText(w io.Writer, v api.Rollouts) {
	c := newColumns(w, "MODEL", "NUMBER", "VERSION", "BASE", "STATE", "WAVE", "HAVE IT", "LOST", "BACK", "CRASHED", "STARTED", "WHY")
	for _, r := range v.Rollouts {
		c.row(string(r.Model), strconv.Itoa(r.Number), string(r.Version), string(r.Base), string(r.State), fmt.Sprintf("%d of %d", r.Wave, len(r.Plan.Waves)),
			fmt.Sprintf("%d of %d", r.Have(), r.All()), strconv.Itoa(r.Counts.Lost), strconv.Itoa(r.Counts.Back), strconv.Itoa(r.Counts.Crashed),
			localTime(r.StartedAt), r.Why)
	}
	c.flush()
}

func rolloutShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [MODEL]",
		Short: "Show a model's newest rollout, or all that are not finished",
		Long: "Show a model's newest rollout: how it stands, its waves, how many devices are in which state, and the evidence against\n" +
			"the build, which halts it at 1/rollout.alpha. Without MODEL all that are not finished.",
		Args: cobra.MaximumNArgs(1),
	}
	format := addFormat(cmd)
	number := addNumber(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return showUnfinished(cmd, format)
		}
		answer, err := connect(cmd).get(cmd.Context(), rolloutPath(args[0], *number))
		if err != nil {
			return err
		}
		return showRollout(cmd, format, answer)
	}
	return cmd
}

// showRollout prints a rollout with what its evidence says.
func showRollout(cmd *cobra.Command, format *textOrJSON, answer json.RawMessage) error {
	if *format == "json" {
		return show(cmd, format, answer, func(io.Writer, api.Rollout) {})
	}
	r, err := as[api.Rollout](answer)
	if err != nil {
		return err
	}
	answer, err = connect(cmd).get(cmd.Context(), rolloutPath(string(r.Model), strconv.Itoa(r.Number), "explain"))
	if err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, e fleet.Explanation) { rolloutText(w, r, e, time.Now()) })
}

// as reads an answer.
func as[T any](answer json.RawMessage) (v T, err error) {
	if err := json.Unmarshal(answer, &v); err != nil {
		return v, fmt.Errorf("the gateway's answer is not the expected JSON: %w", err)
	}
	return v, nil
}

func showUnfinished(cmd *cobra.Command, format *textOrJSON) error {
	answer, err := getPages(cmd, path("rollouts"), "rollouts", url.Values{}, 0)
	if err != nil {
		return err
	}
	all, err := as[api.Rollouts](answer)
	if err != nil {
		return err
	}
	all.Rollouts = slices.DeleteFunc(all.Rollouts, func(r api.Rollout) bool { return !r.State.Unfinished() })
	if answer, err = plainJSON(all); err != nil {
		return err
	}
	return show(cmd, format, answer, func(w io.Writer, v api.Rollouts) {
		if len(v.Rollouts) == 0 {
			fmt.Fprintln(w, "no rollout is under way; slipway rollout list has those that were")
			return
		}
		rolloutsText(w, v)
	})
}

func rolloutText(w io.Writer, r api.Rollout, e fleet.Explanation, now time.Time) {
	fmt.Fprintf(w, "%s\n\n", visible(r.Sentence(e, now)))
	first := ""
	if r.First != nil {
		first = r.First.Line + strings.Join(words(r.First.Keys), " ")
	}
	fields(w,
		"model_code", string(r.Model), "number", strconv.Itoa(r.Number), "version", string(r.Version), "base", string(r.Base), "state", string(r.State), "why", r.Why,
		"dark", strings.Join(r.Dark, " "), "target", targetText(r.Target), "first", first, "window", r.Window, "plan", r.Plan.Name,
		"slots", shareText(e.Slots)+" taken", "judged", shareText(e.Judged)+" of the wave", "started_by", r.StartedBy,
		"halted_why", r.HaltedWhy, "no way back", r.NoRetreat,
		"start_at", localTime(r.StartAt), "started_at", localTime(r.StartedAt), "ended_at", localTime(r.EndedAt))
	fmt.Fprintln(w)
	waves := newColumns(w, "WAVE", "DEVICES", "REST", "RULES OUT", "STATE")
	for i, row := range r.WaveRows() {
		waves.row(strconv.Itoa(i+1), row.Size, row.Rest, row.RulesOut, row.State)
	}
	waves.flush()
	fmt.Fprintln(w)
	countsText(w, r.Counts)
	fmt.Fprintln(w)
	evidenceText(w, r.Evidence, r.Signature)
	for i, warning := range r.Warnings {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "- %s\n", visible(warning))
	}
}

func targetText(t fleet.Target) string {
	var parts []string
	for name, list := range map[string][]string{"lines": t.Lines, "labels": t.Labels, "keys": words(t.Keys)} {
		if len(list) > 0 {
			parts = append(parts, name+" "+strings.Join(list, ", "))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

func shareText(s fleet.ShareCount) string { return fmt.Sprintf("%d of %d", s.Devices, s.Of) }

func countsText(w io.Writer, n fleet.RolloutCounts) {
	var heading, row []string
	for _, state := range append(slices.Clone(fleet.MemberStates), fleet.MarkCrashed) {
		heading = append(heading, strings.ToUpper(string(state)))
		row = append(row, strconv.Itoa(n.Of(state)))
	}
	c := newColumns(w, heading...)
	c.row(row...)
	c.flush()
}

func evidenceText(w io.Writer, e fleet.RolloutEvidence, s *fleet.SignatureCounts) {
	c := newColumns(w, "EVIDENCE", "ENDS BADLY", "CRASHES", "FALLS SILENT", "SIGNATURE")
	c.row(evidenceOf(e.Total), evidenceOf(e.Loss), evidenceOf(e.Crash), evidenceOf(e.Silence), evidenceOf(e.Signature))
	c.flush()
	if s != nil {
		fmt.Fprintf(w, "\nnew with it: %s %s, on %s devices; of the old build's on %s\n", visible(s.Fingerprint), visible(s.Frame), shareText(s.New), shareText(s.Old))
	}
}

func evidenceOf(e float64) string { return strconv.FormatFloat(e, 'g', 4, 64) }

func rolloutDevicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "devices MODEL",
		Short: "List a rollout's devices",
		Args:  cobra.ExactArgs(1),
	}
	flags := addListFlags(cmd, "of which something was seen")
	number := addNumber(cmd)
	state := cmd.Flags().String("state", "", "only those in this state: "+orList(words(fleet.MemberStates)))
	wave := cmd.Flags().Int("wave", 0, "only those of this wave, from 1")
	crashed := cmd.Flags().Bool("crashed", false, "only those that crashed since its start")
	back := cmd.Flags().Bool("went-back", false, "only those that went back to the build before and run it, also where they were offered the new one once more")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		filters := map[string]string{"state": *state}
		if cmd.Flag("wave").Changed {
			filters["wave"] = strconv.Itoa(*wave)
		}
		if *crashed {
			filters["crashed"] = "true"
		}
		if *back {
			filters["went_back"] = "true"
		}
		answer, err := flags.get(cmd, rolloutPath(args[0], *number, "devices"), "devices", filters)
		if err != nil {
			return err
		}
		return show(cmd, flags.format, answer, func(w io.Writer, v api.Members) {
			c := newColumns(w, "DEVICE", "LINE", "WAVE", "STATE", "ATTEMPTS", "OFFERED", "FETCHED", "UP", "BY", "JUDGED", "WHY")
			for _, m := range v.Devices {
				c.row(string(m.Device), m.Line, strconv.Itoa(m.Wave), string(m.State), strconv.Itoa(m.Attempts), localTime(m.OfferedAt), localTime(m.FetchedAt),
					localTime(m.UpAt), string(m.UpBy), localTime(m.JudgedAt), m.Why)
			}
			c.flush()
		})
	}
	return cmd
}

func rolloutExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain MODEL",
		Short: "Say how the evidence came about, computed again from the devices",
		Long: "Say how the evidence against the build came about, computed again from the devices: evidence is how many times better\n" +
			"\"it is worse\" explains what was seen than \"it is not\"; the rollout halts at 1/rollout.alpha.",
		Args: cobra.ExactArgs(1),
	}
	format := addFormat(cmd)
	number := addNumber(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := connect(cmd).get(cmd.Context(), rolloutPath(args[0], *number, "explain"))
		if err != nil {
			return err
		}
		return show(cmd, format, answer, explanationText)
	}
	return cmd
}

func explanationText(w io.Writer, e fleet.Explanation) {
	evidenceText(w, e.Evidence, e.Signature)
	fmt.Fprintln(w)
	fields(w,
		"updates that ended badly", shareText(e.Ended), "crashed, new build", shareText(e.New), "crashed, old build", shareText(e.Old),
		"crashes to be expected", evidenceOf(e.Expected),
		"silent, new build", shareText(e.Silent[0]), "silent, old build", shareText(e.Silent[1]), "slots taken", shareText(e.Slots), "judged of the wave", shareText(e.Judged))
	for _, g := range e.Gates {
		switch {
		case g.Ruled:
			fmt.Fprintf(w, "ruled out: %s\n", visible(g.What))
		case g.Needs == 0:
			fmt.Fprintf(w, "not ruled out: %s, and nobody can say yet how long that takes\n", visible(g.What))
		default:
			fmt.Fprintf(w, "not ruled out: %s, which takes %.3g times what was seen until now\n", visible(g.What), g.Needs)
		}
	}
	if len(e.Lines) > 0 {
		fmt.Fprintln(w)
	}
	for _, line := range e.Lines {
		fmt.Fprintln(w, visible(line))
	}
}
