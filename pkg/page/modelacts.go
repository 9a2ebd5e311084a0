package page

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// modelChanges are what is done to models and their builds, as the API does it.
type modelChanges interface {
	Add(context.Context, api.NewModel) (fleet.Model, error)
	Change(context.Context, fleet.ModelCode, api.ModelChange) (fleet.Model, error)
	Remove(context.Context, fleet.ModelCode) error
	Upload(context.Context, fleet.Submission) (fleet.Accepted, error)
	Publish(ctx context.Context, code fleet.ModelCode, v fleet.Version, haltFirst bool) (fleet.Model, error)
	RemoveBuild(context.Context, fleet.ModelCode, fleet.Version) error
	Note(ctx context.Context, code fleet.ModelCode, v fleet.Version, note string) (fleet.Build, error)
}

func modelAddress(code fleet.ModelCode) string { return "/models/" + string(code) }

// modelOf is the one that the address names.
func (p *Page) modelOf(v *visit) (fleet.Model, error) {
	code, err := fleet.ParseModelCode(v.r.PathValue("code"))
	if err != nil {
		return fleet.Model{}, fleet.Unknown("%s", err)
	}
	return p.Records.Model(code)
}

func (p *Page) addModel(v *visit) (done, error) {
	in := api.NewModel{Code: strings.TrimSpace(v.r.PostForm.Get("code")), Name: strings.TrimSpace(v.r.PostForm.Get("name"))}
	m, err := p.Models.Add(v.r.Context(), in)
	if err != nil {
		return done{}, err
	}
	line := "slipway model add " + in.Code
	if in.Name != "" {
		line += " --name " + quoted(in.Name)
	}
	return done{To: modelAddress(m.Code), Said: said{"Model " + in.Code + " is added. Upload its first build here.", "remove it.", line}}, nil
}

func (p *Page) changeModel(v *visit) (done, error) {
	m, err := p.modelOf(v)
	if err != nil {
		return done{}, err
	}
	field := func(name string) *string { return new(strings.TrimSpace(v.r.PostForm.Get(name))) }
	in := api.ModelChange{Name: field("name"), Chip: field("chip"), Project: field("project")}
	if _, err = p.Models.Change(v.r.Context(), m.Code, in); err != nil {
		return done{}, err
	}
	return done{To: modelAddress(m.Code), Said: said{
		"Its name, chip and project are as you said.", fmt.Sprintf("it was %q, for the chip %q and the project %q.", m.Name, m.Chip, m.Project),
		fmt.Sprintf("slipway model set %s --name %s --chip %s --project %s", m.Code, quoted(*in.Name), quoted(*in.Chip), quoted(*in.Project)),
	}}, nil
}

// configureModel checks a default configuration and shows what it would change, or saves it. What is refused stays in the form.
func (p *Page) configureModel(v *visit) (done, error) {
	m, err := p.modelOf(v)
	if err != nil {
		return done{}, err
	}
	undo := "remove it again."
	if m.Config != nil {
		undo = "what it was stands in the events of this model."
	}
	form := v.r.PostForm
	if form.Get("do") == "default" {
		if _, err := p.Models.Change(v.r.Context(), m.Code, api.ModelChange{Config: json.RawMessage("null")}); err != nil {
			return done{}, err
		}
		return done{To: modelAddress(m.Code), Said: said{"Devices without a configuration of their own are told what firmware needs, and no more.", undo, fmt.Sprintf("slipway model set %s --config - <<< null", m.Code)}}, nil
	}
	entered := strings.ReplaceAll(form.Get("config"), "\r\n", "\n") // as a form sends lines
	config, _, err := fleet.ParseConfiguration(compact(entered))    // what it lacks is filled in for each device
	if err == nil && form.Get("do") != "check" {
		if _, err := p.Models.Change(v.r.Context(), m.Code, api.ModelChange{Config: config}); err != nil {
			return done{}, err
		}
		return done{To: modelAddress(m.Code), Said: said{
			fmt.Sprintf("This is the default configuration, %d bytes, when a device without one of its own asks next.", len(config)), undo, fmt.Sprintf("slipway model set %s --config FILE", m.Code),
		}}, nil
	}
	view, failed := p.showModel(m)
	if failed != nil {
		return done{}, failed
	}
	view.Default.enter(entered, config, nil, err)
	return done{View: "model", Shows: shown{"Default configuration of " + view.Title(), view}}, nil
}

// provisionModel takes the whole set, a name=value in each line.
func (p *Page) provisionModel(v *visit) (done, error) {
	m, err := p.modelOf(v)
	if err != nil {
		return done{}, err
	}
	values, names, err := enteredValues(v.r.PostForm.Get("values"), m.Provisioning)
	if err != nil {
		return done{}, err
	}
	if _, err = p.Models.Change(v.r.Context(), m.Code, api.ModelChange{Provisioning: values}); err != nil {
		return done{}, err
	}
	return done{To: modelAddress(m.Code), Said: said{
		"Devices of this model are handed out: " + cmp.Or(strings.Join(names, ", "), "what the settings say, and no more") + ".",
		"enter what was there: values are in no event.", fmt.Sprintf("slipway model set %s --provisioning NAME=VALUE", m.Code),
	}}, nil
}

func (p *Page) removeModel(v *visit) (done, error) {
	m, err := p.modelOf(v)
	if err != nil {
		return done{}, err
	}
	if strings.TrimSpace(v.r.PostForm.Get("typed")) != string(m.Code) {
		return done{}, fleet.Refused("this cannot be undone: type the code of the model, %s, to confirm it", m.Code)
	}
	return done{
		To: "/models", Said: said{fmt.Sprintf("Model %s is removed.", m.Code), "", fmt.Sprintf("slipway model rm %s", m.Code)},
	}, p.Models.Remove(v.r.Context(), m.Code)
}
