package page

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// newRolloutView is the form that starts a rollout, and what its plan would do once that was asked for.
type newRolloutView struct {
	Model      fleet.Model
	Builds     []fleet.Version // the newest first
	Plans      []string
	Lines      []string
	Entered    url.Values // what the person has entered
	Unfinished *fleet.Rollout
	Refused    string // why nothing was played, "" for none
	Forecast   *shownForecast
	Line       string
}

// shownForecast is what a plan would do.
type shownForecast struct {
	fleet.Forecast
	Waves []api.WaveRow
	Takes string // of a good build
	At    time.Time
	Kept  []kept // the order, for the form that starts it
	Rows  []forecastRow
}

type forecastRow struct{ Build, Halted, Have, Most, Days string }

// plansOffered are those that come with the gateway, in the order in which they are thought of. The model's own is none of them.
var plansOffered = []string{"standard", "urgent", "small"}

// orderFields are what the form has.
var orderFields = []string{"version", "plan", "first", "lines", "labels", "keys", "window", "start_at", "retreat", "untested", "again", "halt_first", "draft", "reason"}

func (p *Page) newRollout(v *visit) (shown, error) {
	view, err := p.orderForm(v, url.Values{"version": {v.r.URL.Query().Get("version")}})
	return shown{"Start a rollout", view}, err
}

func (p *Page) orderForm(v *visit, entered url.Values) (view newRolloutView, err error) {
	code, err := fleet.ParseModelCode(v.r.PathValue("code"))
	if err != nil {
		return view, fleet.Unknown("%s", err)
	}
	view = newRolloutView{Entered: entered, Plans: plansOffered}
	if view.Model, err = p.Records.Model(code); err != nil {
		return view, err
	}
	builds, err := p.Records.Builds(code)
	if err != nil {
		return view, err
	}
	slices.SortFunc(builds, func(a, b fleet.Build) int {
		if a.Newer(b) {
			return -1
		}
		return 1
	})
	for _, b := range builds {
		view.Builds = append(view.Builds, b.Version)
	}
	for _, l := range p.Sightings.Facets(fleet.DeviceFilter{Model: code}).Lines {
		view.Lines = append(view.Lines, l.Word)
	}
	newest, err := p.Rollouts.Rollout(code, 0)
	switch {
	case errors.Is(err, fleet.ErrUnknown):
	case err != nil:
		return view, err
	case newest.State.Unfinished():
		view.Unfinished = &newest
	}
	return view, nil
}

// Has is what was entered in a field.
func (v newRolloutView) Has(field string) string { return v.Entered.Get(field) }

// orderOf reads the form, and has the command that does the same.
func orderOf(code fleet.ModelCode, form url.Values) (in api.NewRollout, line string, err error) {
	field := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	in = api.NewRollout{Version: field("version"), Window: field("window"), Reason: field("reason")}
	line = fmt.Sprintf("slipway rollout start %s %s", code, quoted(in.Version))
	flag := func(name, value string) {
		if value != "" {
			line += " --" + name + " " + quoted(value)
		}
	}
	if plan := field("plan"); plan != "" {
		in.Plan = &fleet.Plan{Name: plan}
		flag("plan", plan)
	}
	if first := words(field("first")); len(first) > 0 {
		in.First = &api.First{Keys: make([]fleet.DeviceKey, len(first))}
		for i, one := range first {
			in.First.Keys[i] = fleet.DeviceKey(one)
		}
		flag("first", strings.Join(first, ","))
	}
	in.Target.Lines = words(field("lines"))
	in.Target.Labels = words(field("labels"))
	for _, key := range words(field("keys")) {
		in.Target.Keys = append(in.Target.Keys, fleet.DeviceKey(key))
	}
	for _, one := range []struct {
		name   string
		values []string
	}{{"line", in.Target.Lines}, {"label", in.Target.Labels}, {"device", words(field("keys"))}} {
		for _, value := range one.values {
			flag(one.name, value)
		}
	}
	flag("window", in.Window)
	if at := field("start_at"); at != "" {
		if in.StartAt, err = time.Parse("2006-01-02T15:04", at); err != nil {
			return in, line, fleet.Refused("start_at %q: want a time such as 2026-05-04T22:00, in UTC", at)
		}
		flag("start-at", in.StartAt.Format(time.RFC3339))
	}
	for _, one := range []struct {
		name string
		to   *bool
	}{{"retreat", &in.Retreat}, {"untested", &in.Untested}, {"again", &in.Again}, {"halt_first", &in.HaltFirst}, {"draft", &in.Draft}} {
		if *one.to = form.Get(one.name) != ""; *one.to {
			line += " --" + strings.ReplaceAll(one.name, "_", "-")
		}
	}
	flag("reason", in.Reason)
	return in, line, nil
}

// startRollout shows what the plan would do, and starts it once that was read.
func (p *Page) startRollout(v *visit) (done, error) {
	form := v.r.PostForm
	view, err := p.orderForm(v, form)
	if err != nil {
		return done{}, err
	}
	again := func(refused string) (done, error) {
		view.Refused = refused
		return done{View: "rolloutnew", Shows: shown{"Start a rollout", view}}, nil
	}
	in, line, err := orderOf(view.Model.Code, form)
	if err == nil && in.First != nil {
		in.First = firstOf(in.First, view.Lines)
	}
	if err != nil {
		return again(err.Error())
	}
	view.Line = line
	if form.Get("do") == "start" {
		started, err := p.Rolling.Start(v.r.Context(), view.Model.Code, in)
		if told := (*fleet.Error)(nil); errors.As(err, &told) {
			return again(told.Reason)
		}
		if err != nil {
			return done{}, err
		}
		text := fmt.Sprintf("The rollout of %s has started.", started.Version)
		if started.State == fleet.RolloutDraft {
			text = fmt.Sprintf("The rollout of %s is a draft.", started.Version)
		}
		return done{To: rolloutAddress(started), Said: said{text, "halt it; whoever has the build by then keeps it, or is taken back.", line}}, nil
	}
	f, err := p.Rolling.Forecast(v.r.Context(), view.Model.Code, in)
	if told := (*fleet.Error)(nil); errors.As(err, &told) {
		return again(told.Reason)
	}
	if err != nil {
		return done{}, err
	}
	view.Forecast = showForecast(f, in, form)
	return done{View: "rolloutnew", Shows: shown{fmt.Sprintf("%s for %s: what the plan would do", in.Version, view.Model.Code), view}}, nil
}

// firstOf tells a line from keys of devices: one word that is a line's name is that line.
func firstOf(first *api.First, lines []string) *api.First {
	if len(first.Keys) == 1 && slices.Contains(lines, string(first.Keys[0])) {
		return &api.First{Line: string(first.Keys[0])}
	}
	return first
}

func showForecast(f fleet.Forecast, in api.NewRollout, form url.Values) *shownForecast {
	view := &shownForecast{Forecast: f, Waves: api.WaveRows(f.Plan), Takes: api.DaysText(f.Days), At: in.StartAt}
	for _, name := range orderFields {
		if given := form.Get(name); given != "" {
			view.Kept = append(view.Kept, kept{name, given})
		}
	}
	for _, b := range f.Builds {
		row := forecastRow{Build: b.Build, Halted: fmt.Sprintf("%d of %d", b.Halted, b.Rounds)}
		if b.Halted > 0 {
			row.Have, row.Most, row.Days = fmt.Sprint(b.Have), fmt.Sprint(b.HaveMost), api.DaysText(b.Days)
		}
		view.Rows = append(view.Rows, row)
	}
	return view
}
