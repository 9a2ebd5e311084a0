package page

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// stock is what the catalog knows of builds besides their records.
type stock interface {
	Build(fleet.ModelCode, fleet.Version) (fleet.Build, error)
	Pins(fleet.ModelCode) (map[fleet.Version][]fleet.DeviceKey, error)
	DecodedDumps(fleet.ModelCode) (map[fleet.Version]int, error) // that are here
}

// modelView is a model with its builds, the newest first.
type modelView struct {
	fleet.Model
	Devices int
	Rows    []buildRow
	Rollout *fleet.Rollout // the newest, nil where there was none
	Upload  uploadPart
	Refused *refusal   // of the upload that was just sent
	Default configView // configuration
	Values  []provisioned
}

// refusal is why a firmware was not taken, and how that is mended.
type refusal struct {
	File, Why, Mend string
	Lacks           fleet.ModelCode // the model that has to be made first, "" for none
}

// provisioned is a value that devices are handed out. Only who may change it sees it: it may be a password.
type provisioned struct{ Name, Value string }

// buildRow is one build: where it came from, who runs it, and how often that crashes.
type buildRow struct {
	fleet.Build
	Published bool
	Devices   int
	Crashes   int    // of 7 days
	Rate      string // crashes a device-day of 7 days, with the interval of 90 %; "" where no device was heard
	Dumps     int    // that were read with its symbols
	Image     string // addresses of the files
	ZIP, ELF  string // "" of a plain image
	Address   string // of its own view
}

// Title is what people call the model.
func (m modelView) Title() string {
	if m.Name == "" {
		return string(m.Code)
	}
	return m.Name
}

func (p *Page) model(v *visit) (shown, error) {
	m, err := p.modelOf(v)
	if err != nil {
		return shown{}, err
	}
	view, err := p.showModel(m)
	return shown{view.Title(), view}, err
}

func (p *Page) showModel(m fleet.Model) (view modelView, err error) {
	view = modelView{Model: m, Upload: uploadPart{Code: m.Code, Publishes: p.publishes(m)}, Default: configView{Own: m.Config != nil, Text: pretty(m.Config), Bytes: len(m.Config)}}
	if m.Config == nil {
		view.Default.Text = ""
	}
	for _, name := range slices.Sorted(maps.Keys(m.Provisioning)) {
		view.Values = append(view.Values, provisioned{name, m.Provisioning[name]})
	}
	builds, err := p.Records.Builds(m.Code)
	if err != nil {
		return view, err
	}
	facts, err := p.factsOf(m.Code)
	if err != nil {
		return view, err
	}
	view.Devices = facts.devices
	for _, b := range slices.Backward(builds) {
		view.Rows = append(view.Rows, facts.row(b, m))
	}
	view.Rollout, err = p.newestRollout(m.Code)
	return view, err
}

// newestRollout is nil where there was none.
func (p *Page) newestRollout(code fleet.ModelCode) (*fleet.Rollout, error) {
	r, err := p.Rollouts.Rollout(code, 0)
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &r, nil
}

// buildFacts are what is known of a model's builds besides their records.
type buildFacts struct {
	devices int
	runs    map[string]int
	weeks   map[string]crash.Count
	dumps   map[fleet.Version]int
}

func (p *Page) factsOf(code fleet.ModelCode) (f buildFacts, err error) {
	stored, err := p.Crashes.Counters(code)
	if err != nil {
		return f, err
	}
	if f.dumps, err = p.decodedDumps(code); err != nil {
		return f, err
	}
	now := p.Now()
	f.runs, f.weeks = map[string]int{}, map[string]crash.Count{}
	for version, one := range crash.Counted(stored, p.Sightings.Hours(), code, now) {
		f.weeks[version] = one.LastDays(daysOfWeek, now)
	}
	for _, r := range p.Sightings.Versions(code) {
		f.runs[r.Version] += r.Devices
		f.devices += r.Devices
	}
	return f, nil
}

func (f buildFacts) row(b fleet.Build, m fleet.Model) buildRow {
	week := f.weeks[string(b.Version)]
	row := buildRow{
		Build: b, Published: b.Version == m.FirmwareVersion, Devices: f.runs[string(b.Version)], Crashes: week.Crashes, Rate: perDay(week),
		Dumps: f.dumps[b.Version], Image: fileOf(b, ""), Address: buildAddress(b.Model, b.Version),
	}
	if b.BundleSize > 0 {
		row.ZIP, row.ELF = fileOf(b, "zip"), fileOf(b, "elf")
	}
	return row
}

// publishes says what becomes of a build that is uploaded.
func (p *Page) publishes(m fleet.Model) string {
	if r, err := p.newestRollout(m.Code); err == nil && r != nil && r.State.Unfinished() {
		return fmt.Sprintf("It is stored, and not published: rollout %d of %s has to end first.", r.Number, r.Version)
	}
	how := p.publishSetting()
	switch {
	case how == "manual":
		return "It is stored, and published by a person (firmware.publish: manual)."
	case how == "rollout" && m.FirmwareVersion != "":
		return "A rollout brings it to devices in waves (firmware.publish: rollout)."
	}
	return fmt.Sprintf("It is published at once: %s offered it (firmware.publish: automatic).", plural(p.offered(m), "device is", "devices are"))
}

// publishSetting is how builds that come in are published, as the settings say.
func (p *Page) publishSetting() string {
	for _, s := range p.Gateway.Settings() {
		if s.Key == "firmware.publish" {
			return s.Value
		}
	}
	return "automatic"
}

// perDay is a rate with its interval.
func perDay(c crash.Count) string {
	r := crash.RateOf(c, 0)
	if r.PerDay == nil {
		return ""
	}
	return fmt.Sprintf("%.3g (%.3g to %.3g)", *r.PerDay, *r.Low, *r.High)
}

func fileOf(b fleet.Build, format string) string {
	q := url.Values{"version": {string(b.Version)}}
	if format != "" {
		q.Set("format", format)
	}
	return "/api/device-models/" + url.PathEscape(string(b.Model)) + "/firmware?" + q.Encode()
}
