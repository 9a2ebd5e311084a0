package main

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// completionPatience is how long a shell waits for values: nobody who presses a key waits longer.
const completionPatience = time.Second

// mostCompleted values are offered: a shell that is given ten thousand shows none.
const mostCompleted = 200

// values are what may stand in a place, with a word about each behind a tab. args are those before it.
type values func(cmd *cobra.Command, args []string, begun string) []string

// arguments are those of the commands, place by place; the last one goes on where a command takes many.
var arguments = map[string][]values{
	"model show": {models}, "model set": {models}, "model rm": {models}, "model versions": {models},
	"device show": {devices}, "device set": {devices}, "device rm": {devices}, "device token": {devices}, "device secret": {devices},
	"device path-secret": {devices}, "device nudge": {devices}, "device adopt close": {models},
	"firmware publish": {models, versions}, "firmware rm": {models, versions}, "firmware show": {models, versions}, "firmware note": {models, versions},
	"dump show": {devices, dumpNames}, "dump get": {devices, dumpNames}, "dump decode": {devices, dumpNames}, "dump rm": {devices, dumpNames},
	"crash show": {fingerprints}, "crash resolve": {fingerprints}, "crash ignore": {fingerprints}, "crash reopen": {fingerprints}, "crash decode": {fingerprints},
	"crash merge": {fingerprints, fingerprints}, "crash split": {fingerprints, chains}, "crash note": {fingerprints},
	"rollout start": {models, versions}, "rollout show": {models}, "rollout devices": {models}, "rollout explain": {models}, "rollout pause": {models},
	"rollout resume": {models}, "rollout halt": {models}, "rollout advance": {models}, "rollout retreat": {models}, "rollout finish": {models},
	"rollout wait": {models}, "rollout plan": {models, plans}, "rollout excuse": {devices},
	"drop retry": {drops}, "drop dismiss": {drops}, "token revoke": {tokenIDs},
	"webhook set": {webhookIDs}, "webhook secret": {webhookIDs}, "webhook test": {webhookIDs}, "webhook rm": {webhookIDs},
}

// repeated are the commands whose last argument may be given again.
var repeated = map[string]bool{"crash split": true, "rollout excuse": true}

// flagValues are those of flags, whatever command has them.
var flagValues = map[string]values{
	"model": models, "version": versions, "pin": versions, "in": versions, "until-version": versions, "device": devices, "line": lines, "label": labels,
	"crash": fingerprints,
	"plan":  plans, "kind": kinds, "role": fixedWords(auth.Roles), "format": fixed("text", "json"), columnsFlag: nothing,
}

// states are those of --state, by command.
var states = map[string]values{
	"device list":     fixed("live", "late", "silent", "never", "boots_only"),
	"dump list":       fixed("waiting", "missing", "reported", "failed"),
	"crash list":      fixedWords([]crash.GroupState{crash.Open, crash.Resolved, crash.Ignored}),
	"rollout list":    fixedWords(fleet.RolloutStates),
	"rollout devices": fixedWords(fleet.MemberStates),
}

// addCompletion has the shells complete values as well as commands. They are asked of the gateway; where none answers in time
// there are none, and nothing is printed.
func addCompletion(root *cobra.Command) {
	walk(root, func(cmd *cobra.Command) {
		_, name, _ := strings.Cut(cmd.CommandPath(), " ")
		if places, known := arguments[name]; known {
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
				place := len(args)
				if place >= len(places) {
					if !repeated[name] {
						return nil, cobra.ShellCompDirectiveNoFileComp
					}
					place = len(places) - 1
				}
				return matching(places[place](cmd, args, begun), begun)
			}
		}
		for flag, of := range flagValues {
			complete(cmd, flag, of)
		}
		if of, known := states[name]; known {
			complete(cmd, "state", of)
		}
	})
}

// complete completes a flag's value, where the command has that flag.
func complete(cmd *cobra.Command, flag string, of values) {
	if cmd.Flags().Lookup(flag) == nil {
		return
	}
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		return matching(of(cmd, args, begun), begun)
	})
	if err != nil {
		panic(err) // the flag was looked up
	}
}

// matching are the values that begin as what is typed, and so many of them that a screen holds them.
func matching(all []string, begun string) ([]string, cobra.ShellCompDirective) {
	all = slices.DeleteFunc(all, func(v string) bool { return v == "" || !strings.HasPrefix(v, begun) })
	return all[:min(len(all), mostCompleted)], cobra.ShellCompDirectiveNoFileComp
}

func fixed(all ...string) values {
	return func(*cobra.Command, []string, string) []string { return slices.Clone(all) }
}

func fixedWords[W ~string](all []W) values { return fixed(words(all)...) }

func nothing(*cobra.Command, []string, string) []string { return nil }

// asked is the answer to a question to the gateway; the zero value where none comes in time.
func asked[T any](cmd *cobra.Command, path string, q url.Values) (answer T) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	raw, err := connect(cmd).get(ctx, path+"?"+q.Encode())
	if err == nil {
		answer, _ = as[T](raw)
	}
	return answer
}

// about is a value with a word about it; neither can steer a terminal.
func about(value, word string) string {
	if word = visible(word); word != "" {
		return visible(value) + "\t" + word
	}
	return visible(value)
}

// wholePage is a query for as many rows as an answer has.
func wholePage(more url.Values) url.Values {
	q := url.Values{"limit": {"1000"}}
	for name, value := range more {
		q[name] = value
	}
	return q
}

func models(cmd *cobra.Command, _ []string, _ string) (all []string) {
	for _, m := range asked[api.Models](cmd, path("device-models"), wholePage(nil)).Models {
		all = append(all, about(string(m.Code), m.Name))
	}
	return all
}

// versions are those of the model before it or in --model, else of all.
func versions(cmd *cobra.Command, args []string, _ string) (all []string) {
	model := ""
	if flag := cmd.Flags().Lookup("model"); flag != nil {
		model = flag.Value.String()
	} else if len(args) > 0 && cmd.Parent().Name() != "device" && cmd.Parent().Name() != "crash" {
		model = args[0]
	}
	address := path("builds")
	if model != "" {
		address = path("device-models", model, "builds")
	}
	for _, b := range asked[buildList](cmd, address, wholePage(nil)).Builds {
		all = append(all, string(b.Version))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// devices are found by what is typed, among however many.
func devices(cmd *cobra.Command, _ []string, begun string) (all []string) {
	q := url.Values{}
	if begun != "" {
		q.Set("q", begun)
	}
	for _, d := range asked[api.Devices](cmd, path("devices"), wholePage(q)).Devices {
		all = append(all, about(string(d.Key), strings.TrimSpace(string(d.Model)+" "+d.Name)))
	}
	return all
}

func places(cmd *cobra.Command, of func(api.Device) []string) (all []string) {
	for _, d := range asked[api.Devices](cmd, path("devices"), wholePage(nil)).Devices {
		all = append(all, of(d)...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(word string) bool { return word == "" })
}

func lines(cmd *cobra.Command, _ []string, _ string) []string {
	return places(cmd, func(d api.Device) []string { return []string{d.Place} })
}

func labels(cmd *cobra.Command, _ []string, _ string) []string {
	return places(cmd, func(d api.Device) []string { return d.Labels })
}

func dumpNames(cmd *cobra.Command, args []string, _ string) (all []string) {
	if cmd.Name() != "rm" {
		all = append(all, latestDump)
	}
	for _, d := range asked[api.Dumps](cmd, path("coredumps"), wholePage(url.Values{"device": {args[0]}})).Dumps {
		all = append(all, about(string(d.Name), d.FirmwareVersion))
	}
	return all
}

func fingerprints(cmd *cobra.Command, args []string, _ string) (all []string) {
	for _, g := range asked[api.Groups[crash.Group]](cmd, path("crashes"), wholePage(nil)).Groups {
		if !slices.Contains(args, g.Fingerprint) {
			all = append(all, about(g.Fingerprint, strings.TrimSpace(string(g.Model)+" "+g.TopFrame)))
		}
	}
	return all
}

func chains(cmd *cobra.Command, args []string, _ string) (all []string) {
	type group struct {
		Members []struct {
			Fingerprint string   `json:"fingerprint"`
			Frames      []string `json:"frames"`
		} `json:"members"`
	}
	for _, c := range asked[group](cmd, path("crashes", args[0]), nil).Members {
		if !slices.Contains(args, c.Fingerprint) {
			all = append(all, about(c.Fingerprint, strings.Join(c.Frames, " ")))
		}
	}
	return all
}

func plans(*cobra.Command, []string, string) []string { return []string{"standard", "urgent", "small"} }

// kinds are those of events, and their nouns; behind a comma another.
func kinds(_ *cobra.Command, _ []string, begun string) (all []string) {
	before := begun[:strings.LastIndexByte(begun, ',')+1]
	for _, kind := range event.Names() {
		noun, _, _ := strings.Cut(kind, ".")
		all = append(all, before+noun, before+kind)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func drops(cmd *cobra.Command, _ []string, _ string) (all []string) {
	for _, d := range asked[api.Drops](cmd, path("drops"), wholePage(nil)).Drops {
		all = append(all, about(d.Name, ""))
	}
	return all
}

func webhookIDs(cmd *cobra.Command, _ []string, _ string) (all []string) {
	for _, one := range asked[api.Webhooks](cmd, path("webhooks"), wholePage(nil)).Webhooks {
		all = append(all, about(one.ID, strings.TrimSpace(hostOf(one.URL)+" "+one.Name)))
	}
	return all
}

func tokenIDs(cmd *cobra.Command, _ []string, _ string) (all []string) {
	for _, t := range asked[api.Tokens](cmd, path("tokens"), wholePage(nil)).Tokens {
		all = append(all, about(t.ID, strings.TrimSpace(t.Role+" "+t.Name)))
	}
	return all
}
