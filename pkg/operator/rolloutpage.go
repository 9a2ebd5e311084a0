package operator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
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

// rolloutPage is what the template shows.
type rolloutPage struct {
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

func (d *door) rolloutPage(w http.ResponseWriter, r *http.Request) error {
	if ok, err := d.mayRead(w, r); !ok {
		return err
	}
	one, err := d.rollout(r)
	if err != nil {
		return visible(err)
	}
	why, err := d.Rollouts.Explain(one.Model, one.Number)
	if err != nil {
		return visible(err)
	}
	shown := api.ShowRollout(one)
	p := rolloutPage{
		Rollout: shown, Sentence: shown.Sentence(why, d.Now()), All: shown.All(), Have: shown.Have(), Waves: wavesOf(shown), Commands: commandsOf(shown),
		Bad: one.State == fleet.RolloutHalted || one.State == fleet.RolloutRetreated, Good: one.State == fleet.RolloutFinished, Evidence: evidenceOf(shown.Evidence),
	}
	if err := errors.Join(d.addLines(&p), d.addTrouble(&p, fleet.MemberLost, "Lost"), d.addTrouble(&p, fleet.MemberBack, "Back at the build before")); err != nil {
		return visible(err)
	}
	return render(w, http.StatusOK, "rollout.html", p)
}

// wavesOf are the waves as a bar, each with what it waits for.
func wavesOf(r api.Rollout) []shownWave {
	waves := make([]shownWave, len(r.Plan.Waves))
	for i, wave := range r.Plan.Waves {
		one := &waves[i]
		one.Size = api.SizeText(wave)
		if rest := api.SpanText(wave.Rest); rest != "" {
			one.Then = "rests " + rest
		}
		if out := api.RulesOutText(wave); out != "" {
			one.Then = strings.TrimPrefix(one.Then+", rules out: "+out, ", ")
		}
		switch {
		case i+1 < r.Wave || r.State == fleet.RolloutFinished:
			one.Class = "done"
		case i+1 == r.Wave:
			one.Class = "open"
		}
	}
	return waves
}

// commandsOf are what a person may do with it now.
func commandsOf(r api.Rollout) (commands []shownCommand) {
	add := func(verb, what string) {
		commands = append(commands, shownCommand{"slipway rollout " + verb, what})
	}
	code := string(r.Model)
	switch r.State {
	case fleet.RolloutRunning, fleet.RolloutHeld:
		add("pause "+code, "offers it to nobody else for now.")
		add("halt "+code+" --reason …", "stops it; whoever has it keeps it.")
	case fleet.RolloutPaused, fleet.RolloutDraft:
		add("resume "+code, "goes on.")
		add("halt "+code+" --reason …", "stops it; whoever has it keeps it.")
	case fleet.RolloutHalted:
		add("retreat "+code+" --reason …", fmt.Sprintf("offers %s to whoever has %s.", r.Base, r.Version))
		add("resume "+code+" --reason … --accept …", "goes on, and what is accepted counts no more.")
	}
	return commands
}

func evidenceOf(e fleet.RolloutEvidence) []shownEvidence {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	return []shownEvidence{
		{"together", text(e.Total)}, {"ends badly", text(e.Loss)}, {"crashes", text(e.Crash)}, {"falls silent", text(e.Silence)}, {"signature", text(e.Signature)},
	}
}

// markCrashed is the column of the mark that stands beside the state.
const markCrashed fleet.MemberState = "crashed"

// addLines counts members by line, and has the rollout's own counts above them.
func (d *door) addLines(p *rolloutPage) error {
	members, next, err := d.Rollouts.Members(p.Rollout.Model, p.Rollout.Number, fleet.MemberFilter{Limit: readMembers})
	if err != nil {
		return err
	}
	c := p.Rollout.Counts
	all := map[fleet.MemberState]int{
		fleet.MemberWaiting: c.Waiting, fleet.MemberOffered: c.Offered, fleet.MemberFetching: c.Fetching, fleet.MemberFetched: c.Fetched, fleet.MemberUp: c.Up,
		fleet.MemberHealthy: c.Healthy, fleet.MemberLost: c.Lost, fleet.MemberBack: c.Back, fleet.MemberOff: c.Off, fleet.MemberSkipped: c.Skipped, markCrashed: c.Crashed,
	}
	lines := map[string]map[fleet.MemberState]int{}
	for _, m := range members {
		if lines[m.Line] == nil {
			lines[m.Line] = map[fleet.MemberState]int{}
		}
		lines[m.Line][m.State]++
		if m.Crash != nil && m.Crash.New {
			lines[m.Line][markCrashed]++
		}
	}
	for _, state := range append(slices.Clone(fleet.MemberStates), markCrashed) {
		if all[state] > 0 {
			p.States = append(p.States, state)
		}
	}
	row := func(name string, counts map[fleet.MemberState]int) shownLine {
		line := shownLine{Name: cmp.Or(name, "no line")}
		for _, state := range p.States {
			line.Cells = append(line.Cells, shownCell{state, counts[state]})
		}
		return line
	}
	p.Lines = append(p.Lines, row("all", all))
	names := slices.Sorted(maps.Keys(lines))
	for _, name := range names[:min(len(names), shownLines)] {
		p.Lines = append(p.Lines, row(name, lines[name]))
	}
	switch {
	case next != "":
		p.Unread = fmt.Sprintf("The lines are those of the first %s of %s devices: slipway rollout devices %s has all.",
			humanize.Comma(readMembers), humanize.Comma(int64(p.All)), p.Rollout.Model)
	case len(names) > shownLines:
		p.Unread = fmt.Sprintf("There are %d more lines: slipway rollout devices %s has all.", len(names)-shownLines, p.Rollout.Model)
	}
	return nil
}

// addTrouble has the members in a state, with what was last heard of them.
func (d *door) addTrouble(p *rolloutPage, state fleet.MemberState, title string) error {
	members, next, err := d.Rollouts.Members(p.Rollout.Model, p.Rollout.Number, fleet.MemberFilter{State: state, Limit: shownRows})
	if err != nil || len(members) == 0 {
		return err
	}
	at := func(t time.Time) string { return t.UTC().Format("2 Jan 15:04") + " UTC" }
	t := shownTrouble{Title: title, More: next != "", Command: fmt.Sprintf("slipway rollout devices %s --state %s", p.Rollout.Model, state)}
	for _, m := range members {
		seen, _ := d.Sightings.Sighting(m.Device)
		t.Members = append(t.Members, shownMember{m.Device, m.Line, api.ShowMember(m).Story(p.Rollout.Version, seen, at)})
	}
	p.Trouble = append(p.Trouble, t)
	return nil
}

// newestRollouts are the newest one of each model.
func (d *door) newestRollouts(models []fleet.Model) (newest []api.Rollout, err error) {
	for _, m := range models {
		r, err := d.Rollouts.Rollout(m.Code, 0)
		switch {
		case errors.Is(err, fleet.ErrUnknown):
		case err != nil:
			return nil, err
		default:
			newest = append(newest, api.ShowRollout(r))
		}
	}
	return newest, nil
}
