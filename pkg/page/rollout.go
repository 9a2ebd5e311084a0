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
	Acts      []shownAct
	States    []fleet.MemberState // in which there are members, and "crashed"
	Lines     []shownLine
	Unread    string // members that are not in the lines
	Evidence  []shownEvidence
	Trouble   []shownTrouble
}

type shownWave struct{ Size, Then, Class string }

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
	one, err := p.rolloutOf(v)
	if err != nil {
		return shown{}, err
	}
	why, err := p.Rollouts.Explain(one.Model, one.Number)
	if err != nil {
		return shown{}, err
	}
	shows := api.ShowRollout(one)
	view := rolloutView{
		Rollout: shows, Sentence: shows.Sentence(why, p.Now()), All: shows.All(), Have: shows.Have(), Waves: wavesOf(shows), Acts: actsOn(shows),
		Bad: one.State == fleet.RolloutHalted || one.State == fleet.RolloutRetreated, Good: one.State == fleet.RolloutFinished, Evidence: evidenceOf(shows.Evidence),
	}
	err = errors.Join(p.addLines(&view), p.addTrouble(&view, fleet.MemberFilter{State: fleet.MemberLost}, "Lost", "--state lost"),
		p.addTrouble(&view, fleet.MemberFilter{Back: true}, "Back at the build before", "--went-back"))
	return shown{fmt.Sprintf("%s for %s", one.Version, one.Model), view}, err // no state: a title does not stay true
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

func evidenceOf(e fleet.RolloutEvidence) []shownEvidence {
	text := func(v float64) string {
		switch {
		case v >= 1e6: // nobody asks for more
			return "over a million"
		case v >= 1000:
			return humanize.Comma(int64(v))
		}
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
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

// addTrouble has the members that a filter picks, with what was last heard of them; flag has the command line pick them.
func (p *Page) addTrouble(view *rolloutView, f fleet.MemberFilter, title, flag string) error {
	f.Limit = shownRows
	members, next, err := p.Rollouts.Members(view.Rollout.Model, view.Rollout.Number, f)
	if err != nil || len(members) == 0 {
		return err
	}
	at := func(t time.Time) string { return t.UTC().Format("2 Jan 15:04") + " UTC" }
	t := shownTrouble{Title: title, More: next != "", Command: fmt.Sprintf("slipway rollout devices %s --number %d %s", view.Rollout.Model, view.Rollout.Number, flag)}
	for _, m := range members {
		seen, _ := p.Sightings.Sighting(m.Device)
		story := api.ShowMember(m).Story(view.Rollout.Version, seen, at)
		if m.WentBack() && (m.State == fleet.MemberOffered || m.State == fleet.MemberFetching) {
			story = "went back " + at(m.JudgedAt) + ", and is offered it once more · " + story
		}
		t.Members = append(t.Members, shownMember{m.Device, m.Line, story})
	}
	view.Trouble = append(view.Trouble, t)
	return nil
}
