package page

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// rolling starts rollouts and acts on them, as the API does.
type rolling interface {
	Start(context.Context, fleet.ModelCode, api.NewRollout) (fleet.Rollout, error)
	Forecast(context.Context, fleet.ModelCode, api.NewRollout) (fleet.Forecast, error)
	Act(ctx context.Context, one fleet.Rollout, verb fleet.RolloutVerb, in api.RolloutAct, sparing bool) (fleet.Rollout, error)
}

// shownAct is something that a person may do with a rollout now.
type shownAct struct {
	Verb   fleet.RolloutVerb
	Title  string
	What   string // happens then
	Undo   string // "" where it cannot be undone
	Line   string // of the command line
	Asks   bool   // for a reason; what asks for nothing is one button
	Bad    bool   // it takes something from devices
	Accept string // the fingerprint that may be accepted, "" for none
	Frame  string // of it
	Share  bool   // a share of updates may be accepted
	Tests  bool   // it asks whether it may be done untested
	Picks  bool   // it asks for devices
}

// deed is what is said of an act that is done, and of how it is undone.
type deed struct{ done, undo string }

func deedOf(verb fleet.RolloutVerb) deed {
	return map[fleet.RolloutVerb]deed{
		fleet.RolloutPause:   {"It is paused: nobody else is offered it for now.", "go on with it."},
		fleet.RolloutResume:  {"It goes on.", "pause it, or halt it."},
		fleet.RolloutHalt:    {"It is halted: nobody else is offered it, and who has it keeps it.", "go on with it, with a reason, while no other version is published."},
		fleet.RolloutAdvance: {"The rest of this wave and what it waits for are skipped.", "pause it; a wave that has opened stays open."},
		fleet.RolloutExcuse:  {"Their slots are free for others.", ""},
		fleet.RolloutRetreat: {"It is taken back, in waves.", "halt it: then nobody else is taken back."},
		fleet.RolloutFinish:  {"It is over.", "start a rollout of the other version."},
	}[verb]
}

// actsOn are what a person may do with a rollout now, the quick ones first.
func actsOn(r api.Rollout) (acts []shownAct) {
	add := func(one shownAct) {
		one.Asks = api.NeedsReason(one.Verb, r.State) && one.Verb != fleet.RolloutHalt
		one.Undo = deedOf(one.Verb).undo
		one.Line = commandOf(r, one.Verb)
		acts = append(acts, one)
	}
	back := shownAct{Verb: fleet.RolloutRetreat, Title: "Take it back", What: fmt.Sprintf("Whoever has %s is offered %s, in waves.", r.Version, r.Base), Bad: true, Tests: !r.Tested}
	halt := shownAct{Verb: fleet.RolloutHalt, Title: "Halt", What: "It stops; whoever has it keeps it.", Bad: true}
	excuse := shownAct{Verb: fleet.RolloutExcuse, Title: "Excuse devices", What: "Their slots are free for others: for devices of which you know that the build is not to blame.", Picks: true}
	advance := shownAct{Verb: fleet.RolloutAdvance, Title: "Open the next wave", What: "Skips the rest of this wave, and what it waits for."}
	finish := shownAct{Verb: fleet.RolloutFinish, Title: "Finish", What: fmt.Sprintf("All devices of %s are offered %s at once.", r.Model, r.Version), Bad: true}
	switch r.State {
	case fleet.RolloutRunning, fleet.RolloutHeld:
		add(shownAct{Verb: fleet.RolloutPause, Title: "Pause", What: "Nobody else is offered it for now."})
		add(halt)
		if r.Wave < len(r.Plan.Waves) {
			add(advance)
		}
		add(excuse)
	case fleet.RolloutPaused:
		add(shownAct{Verb: fleet.RolloutResume, Title: "Go on", What: "It goes on as it was."})
		add(halt)
		if r.Wave < len(r.Plan.Waves) {
			add(advance)
		}
		add(excuse)
	case fleet.RolloutDraft:
		add(shownAct{Verb: fleet.RolloutResume, Title: "Begin", What: "It begins now."})
		add(shownAct{Verb: fleet.RolloutHalt, Title: "Give it up", What: "It never begins.", Bad: true})
		return acts
	case fleet.RolloutHalted:
		on := shownAct{Verb: fleet.RolloutResume, Title: "Go on", What: "Evidence against it starts anew.", Share: true}
		if r.Signature != nil {
			on.Accept, on.Frame = r.Signature.Fingerprint, r.Signature.Frame
		}
		add(on)
	case fleet.RolloutRetreating:
		add(shownAct{Verb: fleet.RolloutHalt, Title: "Halt", What: fmt.Sprintf("Nobody else is offered %s.", r.Base), Bad: true})
		finish.What = "What is still open is not waited for."
		add(finish)
		return acts
	default:
		return nil
	}
	if r.NoRetreat == "" {
		add(back)
	}
	if r.State != fleet.RolloutHalted {
		add(finish)
	}
	return acts
}

// commandOf is the command that does the same. It names its number, as a page may stay open until the next rollout is the
// newest one.
func commandOf(r api.Rollout, verb fleet.RolloutVerb) string {
	line := fmt.Sprintf("slipway rollout %s %s", verb, r.Model)
	if verb == fleet.RolloutExcuse {
		line += " DEVICE…"
	}
	line += fmt.Sprintf(" --number %d", r.Number)
	if api.NeedsReason(verb, r.State) {
		line += " --reason …"
	}
	switch {
	case verb == fleet.RolloutRetreat && !r.Tested:
		line += " --untested"
	case verb == fleet.RolloutResume && r.State == fleet.RolloutHalted && r.Signature != nil:
		line += " --accept " + r.Signature.Fingerprint
	}
	return line
}

// byHand is the reason of a halt for which the person gave none: a halt is not to wait for words.
const byHand = "on the page"

// actOnRollout does what a person says.
func (p *Page) actOnRollout(verb fleet.RolloutVerb) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		one, err := p.rolloutOf(v)
		if err != nil {
			return done{}, err
		}
		form := v.r.PostForm
		in := api.RolloutAct{Reason: strings.TrimSpace(form.Get("reason")), Untested: form.Get("untested") != ""}
		line := fmt.Sprintf("slipway rollout %s %s", verb, one.Model)
		if verb == fleet.RolloutHalt && in.Reason == "" {
			in.Reason = byHand
		}
		if verb == fleet.RolloutExcuse {
			in.Devices = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(form["device"]), words(form.Get("devices"))...))))
			for _, key := range in.Devices {
				line += " " + quoted(key)
			}
		}
		line += fmt.Sprintf(" --number %d", one.Number)
		for _, accepted := range append(slices.Clone(form["accept"]), words(form.Get("share"))...) {
			in.Accept = append(in.Accept, accepted)
			line += " --accept " + quoted(accepted)
		}
		if in.Reason != "" {
			line += " --reason " + quoted(in.Reason)
		}
		if in.Untested {
			line += " --untested"
		}
		if _, err := p.Rolling.Act(v.r.Context(), one, verb, in, false); err != nil {
			return done{}, err
		}
		deed := deedOf(verb)
		return done{To: rolloutAddress(one), Said: said{deed.done, deed.undo, line}}, nil
	}
}

// words are separated by blanks or commas.
func words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' })
}

// rolloutOf is the one that an address names.
func (p *Page) rolloutOf(v *visit) (fleet.Rollout, error) {
	code, err := fleet.ParseModelCode(v.r.PathValue("code"))
	if err != nil {
		return fleet.Rollout{}, fleet.Unknown("%s", err)
	}
	if _, err := p.Records.Model(code); err != nil {
		return fleet.Rollout{}, err
	}
	number, err := strconv.Atoi(v.r.PathValue("number"))
	if err != nil || number < 1 {
		return fleet.Rollout{}, fleet.Unknown("rollout %q of %s: want its number", v.r.PathValue("number"), code)
	}
	return p.Rollouts.Rollout(code, number)
}
