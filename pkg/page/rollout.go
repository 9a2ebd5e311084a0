package page

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The page of a rollout reads and does nothing: what may be done stands there as a command.

const (
	readMembers = 1000 // for the table of lines: more would make the page slow on a phone
	shownLines  = 100
)

// rolloutView is what the template shows.
type rolloutView struct {
	Rollout   api.Rollout
	Sentence  string
	All, Have int
	Bad, Good bool
	Waves     []shownWave
	Commands  []shownCommand
	States    []fleet.MemberState // in which there are members, and "crashed"
	Lines     []shownLine
	Unread    string // members that are not in the lines
	Evidence  []shownEvidence
	Trouble   []shownTrouble
}

type shownWave struct{ Size, Then, Class string }

type shownCommand struct{ Line, What string }

type shownLine struct {
	Name  string
	Cells []shownCell
}

type shownCell struct {
	State fleet.MemberState
	Count int
}

type shownEvidence struct{ Name, Value string }

type shownTrouble struct {
	Title   string
	Members []shownMember
	More    bool
	Command string
}

type shownMember struct {
	Device fleet.DeviceKey
	Line   string
	Story  string
}

func (p *Page) rollout(v *visit) (shown, error) {
	code, err := fleet.ParseModelCode(v.r.PathValue("code"))
	if err != nil {
		return shown{}, fleet.Unknown("%s", err)
	}
	if _, err := p.Records.Model(code); err != nil {
		return shown{}, err
	}
	number, err := strconv.Atoi(v.r.PathValue("number"))
	if err != nil || number < 1 {
		return shown{}, fleet.Unknown("rollout %q of %s: want its number", v.r.PathValue("number"), code)
	}
	one, err := p.Rollouts.Rollout(code, number)
	if err != nil {
		return shown{}, err
	}
	why, err := p.Rollouts.Explain(one.Model, one.Number)
	if err != nil {
		return shown{}, err
	}
	shows := api.ShowRollout(one)
	view := rolloutView{
		Rollout: shows, Sentence: shows.Sentence(why, p.Now()), All: shows.All(), Have: shows.Have(), Waves: wavesOf(shows), Commands: commandsOf(shows),
		Bad: one.State == fleet.RolloutHalted || one.State == fleet.RolloutRetreated, Good: one.State == fleet.RolloutFinished, Evidence: evidenceOf(shows.Evidence),
	}
	err = errors.Join(p.addLines(&view), p.addTrouble(&view, fleet.MemberLost, "Lost"), p.addTrouble(&view, fleet.MemberBack, "Back at the build before"))
	return shown{fmt.Sprintf("%s for %s, %s", one.Version, one.Model, one.State), view}, err
}

// wavesOf are the waves as a bar, each with what it waits for.
func wavesOf(r api.Rollout) []shownWave {
	var waves []shownWave
	for _, row := range r.WaveRows() {
		one := shownWave{Size: row.Size, Class: row.State}
		if row.Rest != "" {
			one.Then = "rests " + row.Rest
		}
		if row.RulesOut != "" {
			one.Then = strings.TrimPrefix(one.Then+", rules out: "+row.RulesOut, ", ")
		}
		waves = append(waves, one)
	}
	return waves
}

// commandsOf are what a person may do with it now. Each names its number, as a page may stay open until the next rollout is
// the newest one.
func commandsOf(r api.Rollout) (commands []shownCommand) {
	add := func(verb fleet.RolloutVerb, flags, what string) {
		line := fmt.Sprintf("slipway rollout %s %s --number %d", verb, r.Model, r.Number)
		if api.NeedsReason(verb, r.State) {
			line += " --reason …"
		}
		commands = append(commands, shownCommand{line + flags, what})
	}
	untested := ""
	if !r.Tested {
		untested = " --untested"
	}
	back := func() {
		if r.NoRetreat == "" {
			add(fleet.RolloutRetreat, untested, fmt.Sprintf("offers %s to whoever has %s.", r.Base, r.Version))
		}
	}
	switch r.State {
	case fleet.RolloutRunning, fleet.RolloutHeld:
		add(fleet.RolloutPause, "", "offers it to nobody else for now.")
		add(fleet.RolloutHalt, "", "stops it; whoever has it keeps it.")
		back()
	case fleet.RolloutPaused:
		add(fleet.RolloutResume, "", "goes on.")
		add(fleet.RolloutHalt, "", "stops it; whoever has it keeps it.")
		back()
	case fleet.RolloutDraft:
		add(fleet.RolloutResume, "", "begins.")
		add(fleet.RolloutHalt, "", "gives it up.")
	case fleet.RolloutHalted:
		back()
		accept := ""
		if r.Signature != nil {
			accept = " --accept " + r.Signature.Fingerprint
		}
		add(fleet.RolloutResume, accept, "goes on, and what --accept names counts no more.")
	case fleet.RolloutRetreating:
		add(fleet.RolloutHalt, "", "stops it: nobody else is offered "+string(r.Base)+".")
		add(fleet.RolloutFinish, "", "ends it as it is.")
	}
	return commands
}

func evidenceOf(e fleet.RolloutEvidence) []shownEvidence {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	return []shownEvidence{
		{"together", text(e.Total)}, {"ends badly", text(e.Loss)}, {"crashes", text(e.Crash)}, {"falls silent", text(e.Silence)}, {"signature", text(e.Signature)},
	}
}

// addLines counts members by line, and has the rollout's own counts above them.
func (p *Page) addLines(view *rolloutView) error {
	members, next, err := p.Rollouts.Members(view.Rollout.Model, view.Rollout.Number, fleet.MemberFilter{Limit: readMembers})
	if err != nil {
		return err
	}
	lines := map[string]map[fleet.MemberState]int{}
	for _, m := range members {
		if lines[m.Line] == nil {
			lines[m.Line] = map[fleet.MemberState]int{}
		}
		lines[m.Line][m.State]++
		if m.Crash != nil && m.Crash.New {
			lines[m.Line][fleet.MarkCrashed]++
		}
	}
	for _, state := range append(slices.Clone(fleet.MemberStates), fleet.MarkCrashed) {
		if view.Rollout.Counts.Of(state) > 0 {
			view.States = append(view.States, state)
		}
	}
	row := func(name string, count func(fleet.MemberState) int) shownLine {
		line := shownLine{Name: cmp.Or(name, "no line")}
		for _, state := range view.States {
			line.Cells = append(line.Cells, shownCell{state, count(state)})
		}
		return line
	}
	view.Lines = append(view.Lines, row("all", view.Rollout.Counts.Of))
	names := slices.Sorted(maps.Keys(lines))
	for _, name := range names[:min(len(names), shownLines)] {
		view.Lines = append(view.Lines, row(name, func(s fleet.MemberState) int { return lines[name][s] }))
	}
	switch {
	case next != "":
		view.Unread = fmt.Sprintf("The lines are those of the first %s of %s devices: slipway rollout devices %s --number %d has all.",
			humanize.Comma(readMembers), humanize.Comma(int64(view.All)), view.Rollout.Model, view.Rollout.Number)
	case len(names) > shownLines:
		view.Unread = fmt.Sprintf("There are %d more lines: slipway rollout devices %s --number %d has all.", len(names)-shownLines, view.Rollout.Model, view.Rollout.Number)
	}
	return nil
}

// addTrouble has the members in a state, with what was last heard of them.
func (p *Page) addTrouble(view *rolloutView, state fleet.MemberState, title string) error {
	members, next, err := p.Rollouts.Members(view.Rollout.Model, view.Rollout.Number, fleet.MemberFilter{State: state, Limit: shownRows})
	if err != nil || len(members) == 0 {
		return err
	}
	at := func(t time.Time) string { return t.UTC().Format("2 Jan 15:04") + " UTC" }
	t := shownTrouble{Title: title, More: next != "", Command: fmt.Sprintf("slipway rollout devices %s --number %d --state %s", view.Rollout.Model, view.Rollout.Number, state)}
	for _, m := range members {
		seen, _ := p.Sightings.Sighting(m.Device)
		t.Members = append(t.Members, shownMember{m.Device, m.Line, api.ShowMember(m).Story(view.Rollout.Version, seen, at)})
	}
	view.Trouble = append(view.Trouble, t)
	return nil
}
