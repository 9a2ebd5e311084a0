package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// rolloutOrder is what `slipway rollout start` was asked for.
type rolloutOrder struct {
	in                   api.NewRollout
	plan, first, startAt string
	lines, labels, keys  []string
}

func rolloutStartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start MODEL VERSION",
		Short: "Bring a build to a model's devices in waves",
		Long: "Bring a build to a model's devices in waves. It goes on by itself while the build is shown to be no worse than the one\n" +
			"before, and halts by itself when it is shown to be worse, or when its devices do not come back. --dry-run plays the plan\n" +
			"against the model's own rates, and says what it would catch, at how many devices, and how long a good build takes.\n\n" +
			"PLAN is standard, urgent or small, a JSON file (as `slipway rollout plan` prints it; - is standard input) or JSON itself.\n" +
			"--first takes a line, or keys separated by commas; one word that is a device's key is that device.",
		Args: cobra.ExactArgs(2),
	}
	format := addFormat(cmd)
	o := &rolloutOrder{}
	f := cmd.Flags()
	f.StringVar(&o.plan, "plan", "", "its waves: a name, a file or JSON (default: the model's plan)")
	f.StringVar(&o.first, "first", "", "devices of the first wave: a line, or keys")
	f.StringArrayVar(&o.lines, "line", nil, "only devices of this line; may be repeated")
	f.StringArrayVar(&o.labels, "label", nil, "only devices with this label; may be repeated")
	f.StringArrayVar(&o.keys, "device", nil, "only this device; may be repeated")
	f.StringVar(&o.in.Window, "window", "", `when devices may be offered it, such as "Mo-Fr 22:00-05:00"`)
	f.BoolVar(&o.in.Retreat, "retreat", false, "once it has halted, offer the build before to those that have it")
	f.BoolVar(&o.in.Untested, "untested", false, "with --retreat: although no device was moved back from this build yet")
	f.StringVar(&o.startAt, "start-at", "", "a draft until then, such as 2026-05-04T22:00:00+02:00, or local 2026-05-04 22:00")
	f.BoolVar(&o.in.Draft, "draft", false, "a draft until 'slipway rollout resume'")
	f.BoolVar(&o.in.Again, "again", false, "count no earlier attempts of devices at this version")
	f.BoolVar(&o.in.HaltFirst, "halt-first", false, "halt the rollout that stands before it")
	f.StringVar(&o.in.Reason, "reason", "", "why, for the journal; at most 200 characters")
	f.BoolVar(&o.in.DryRun, "dry-run", false, "start nothing, and say what the plan would do")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := o.body(cmd, args[1])
		if err != nil {
			return err
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPost, path("device-models", args[0], "rollouts"), in)
		if err != nil {
			return err
		}
		if in.DryRun {
			return show(cmd, format, answer, func(w io.Writer, f fleet.Forecast) { forecastText(w, args[0], args[1], f) })
		}
		warn(cmd, answer)
		return show(cmd, format, answer, startedText)
	}
	return cmd
}

func startedText(w io.Writer, r api.Rollout) {
	what := "began"
	if r.State == fleet.RolloutDraft {
		what = "is a draft"
	}
	fmt.Fprintf(w, "rollout %d of %s %s: %s instead of %s; slipway rollout show %s\n", r.Number, r.Model, what, visible(string(r.Version)), visible(string(r.Base)), r.Model)
}

func (o *rolloutOrder) body(cmd *cobra.Command, version string) (in api.NewRollout, err error) {
	in = o.in
	in.Version = version
	if o.plan != "" {
		if in.Plan, err = readPlan(cmd, o.plan); err != nil {
			return in, err
		}
	}
	if o.startAt != "" {
		if in.StartAt, err = readTime(o.startAt); err != nil {
			return in, err
		}
	}
	if o.first != "" {
		if in.First, err = readFirst(cmd, o.first); err != nil {
			return in, err
		}
	}
	in.Target.Lines, in.Target.Labels = o.lines, o.labels
	in.Target.Keys, err = readKeys(o.keys)
	return in, err
}

// readPlan takes a plan's name, a file, or JSON.
func readPlan(cmd *cobra.Command, given string) (*fleet.Plan, error) {
	raw := []byte(given)
	switch {
	case strings.HasPrefix(strings.TrimSpace(given), "{"):
	case given == standardInput || strings.ContainsAny(given, "./\\"):
		var err error
		if raw, err = readJSONFile(cmd, given); err != nil {
			return nil, err
		}
	default:
		return &fleet.Plan{Name: given}, nil
	}
	p := &fleet.Plan{}
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(p); err != nil {
		return nil, usagef("--plan %s: %v", given, err)
	}
	return p, nil
}

// readTime takes RFC 3339, or a time of this machine's zone.
func readTime(given string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, given)
	if err == nil {
		return at, nil
	}
	if at, err = time.ParseInLocation("2006-01-02 15:04", given, time.Local); err != nil {
		return at, usagef("--start-at %q: want such as 2026-05-04T22:00:00+02:00, or local 2026-05-04 22:00", given)
	}
	return at, nil
}

// readFirst tells keys from a line. A single word may be either: it is a key where a device has it.
func readFirst(cmd *cobra.Command, given string) (*api.First, error) {
	words := strings.FieldsFunc(given, func(c rune) bool { return c == ',' || c == ' ' })
	if _, err := fleet.ParseDeviceKey(given); len(words) == 1 && err != nil {
		return &api.First{Line: given}, nil
	}
	if len(words) == 1 {
		var answer *answerError
		_, err := connect(cmd).get(cmd.Context(), path("devices", words[0]))
		switch {
		case errors.As(err, &answer) && answer.notFound():
			return &api.First{Line: given}, nil
		case err != nil:
			return nil, err
		}
	}
	keys, err := readKeys(words)
	return &api.First{Keys: keys}, err
}

func readKeys(given []string) (keys []fleet.DeviceKey, err error) {
	for _, word := range given {
		key, err := fleet.ParseDeviceKey(word)
		if err != nil {
			return nil, &usageError{err}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// forecastText is what a plan would do, as a table; only why there is none where nothing could be played.
func forecastText(w io.Writer, model, version string, f fleet.Forecast) {
	fmt.Fprintf(w, "%s for %s, plan %s, %s devices. Nothing was started.\n", visible(version), model, visible(f.Plan.Name), humanize.Comma(int64(f.Devices)))
	if len(f.Builds) == 0 {
		fmt.Fprintln(w, "What the plan would do is not known.")
	} else {
		fmt.Fprintf(w, "A good build takes %s. Crashes a device and day of the build before: %.3g.\n\n", api.DaysText(f.Days), f.Rate)
		c := newColumns(w, "A BUILD THAT IS", "HALTED", "HAVE IT THEN", "95TH", "AFTER")
		for _, b := range f.Builds {
			have, most, days := strconv.Itoa(b.Have), strconv.Itoa(b.HaveMost), api.DaysText(b.Days)
			if b.Halted == 0 {
				have, most, days = "", "", ""
			}
			c.row(b.Build, fmt.Sprintf("%d of %d", b.Halted, b.Rounds), have, most, days)
		}
		c.flush()
	}
	for i, warning := range f.Warnings {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "- %s\n", visible(warning))
	}
}

func rolloutPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan MODEL [PLAN]",
		Short: "Show or set the plan of a model's rollouts",
		Long: "Show or set the plan of a model's rollouts. PLAN is standard, urgent or small, a JSON file (- is standard input) or JSON\n" +
			"itself: waves from the first on, each devices or a share, how long it rests, and what must be ruled out before the next.",
		Args: cobra.RangeArgs(1, 2),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address := path("device-models", args[0], "rollout-plan")
		if len(args) == 1 {
			answer, err := connect(cmd).get(cmd.Context(), address)
			if err != nil {
				return err
			}
			return show(cmd, format, answer, planText)
		}
		p, err := readPlan(cmd, args[1])
		if err != nil {
			return err
		}
		answer, err := connect(cmd).send(cmd.Context(), http.MethodPut, address, p)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, planText)
	}
	return cmd
}

func planText(w io.Writer, p fleet.Plan) {
	fields(w, "plan", p.Name, "unproven", strconv.Itoa(p.Unproven), "up_within", api.SpanText(p.UpWithin))
	fmt.Fprintln(w)
	c := newColumns(w, "WAVE", "DEVICES", "REST", "RULES OUT")
	for i, row := range api.WaveRows(p) {
		c.row(strconv.Itoa(i+1), row.Size, row.Rest, row.RulesOut)
	}
	c.flush()
}
