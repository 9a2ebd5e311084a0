package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// nowView is what needs somebody, and how each model is.
type nowView struct {
	Status api.Status
	Needs  []fleet.Trouble
	Seen   []fleet.Trouble // that somebody has seen, and that are no worse since
	Models []nowModel
}

// troubles are the things that need somebody, worst first, those that somebody has seen last.
type troubles interface {
	List() ([]fleet.Trouble, error)
	Note(ctx context.Context, id string) (fleet.Trouble, error)
	Unnote(ctx context.Context, id string) error
}

// nowModel is how a model is.
type nowModel struct {
	fleet.Model
	Devices, Live, Late, Silent, Never, BootsOnly int
	Versions                                      []nowVersion
	Rollout                                       *api.Rollout // that is not over
}

// nowVersion is one of what a model's devices run.
type nowVersion struct {
	Version string // "" where nobody knows
	Devices int
	From    string // where its piece of the bar begins, and how wide it is: "12.5%"
	Width   string
	Shade   int // of its piece
	Day     crashRate
	Week    crashRate
	Offered bool
}

// Word is the version as the address of a list has it.
func (v nowVersion) Word() string { return cmp.Or(v.Version, fleet.UnknownVersion) }

// crashRate is how many crashes there were, and how many an hour.
type crashRate struct {
	Crashes int
	Hourly  string
}

func rateOf(crashes, hours int) crashRate {
	if crashes == 0 {
		return crashRate{Hourly: "0"}
	}
	return crashRate{crashes, strconv.FormatFloat(float64(crashes)/float64(hours), 'g', 2, 64)}
}

func (p *Page) now(*visit) (shown, error) {
	status, err := p.Gateway.Status()
	if err != nil {
		return shown{}, err
	}
	models, err := p.Records.Models()
	if err != nil {
		return shown{}, err
	}
	view := nowView{Status: status}
	for _, m := range models {
		one, err := p.nowModel(m)
		if err != nil {
			return shown{}, err
		}
		view.Models = append(view.Models, one)
	}
	slices.SortStableFunc(view.Models, func(a, b nowModel) int { return b.Devices - a.Devices })
	all, err := p.Troubles.List()
	for _, t := range all {
		if t.Seen != nil {
			view.Seen = append(view.Seen, t)
		} else {
			view.Needs = append(view.Needs, t)
		}
	}
	return shown{"Now", view}, err
}

// mostBars of a model have a piece of their own.
const mostBars = 8

func (p *Page) nowModel(m fleet.Model) (nowModel, error) {
	one := nowModel{Model: m}
	runs := map[string]fleet.VersionRuns{}
	for _, v := range p.Sightings.Versions(m.Code) {
		one.Devices += v.Devices
		one.Live += v.Live
		one.Late += v.Late
		one.Silent += v.Silent
		one.Never += v.Never
		one.BootsOnly += v.BootsOnly
		runs[v.Version] = v
	}
	now := p.Now()
	waiting := p.Sightings.Hours()
	stored, err := p.Crashes.Counters(m.Code)
	if err != nil {
		return one, err
	}
	counted := crash.Counted(stored, waiting, m.Code, now)
	for version := range runs {
		if _, known := counted[version]; !known {
			counted[version] = crash.Series{}
		}
	}
	for version, s := range counted {
		v := nowVersion{
			Version: version, Devices: runs[version].Devices, Offered: version != "" && version == string(m.FirmwareVersion),
			Day: rateOf(s.LastHours(hoursOfDay, now).Crashes, hoursOfDay), Week: rateOf(s.LastDays(daysOfWeek, now).Crashes, daysOfWeek*hoursOfDay),
		}
		if v.Devices > 0 || v.Week.Crashes > 0 {
			one.Versions = append(one.Versions, v)
		}
	}
	slices.SortFunc(one.Versions, func(a, b nowVersion) int { return cmp.Or(b.Devices-a.Devices, cmp.Compare(a.Version, b.Version)) })
	from := 0.0
	for i := range one.Versions {
		v := &one.Versions[i]
		width := 100 * float64(v.Devices) / float64(max(one.Devices, 1))
		v.From, v.Width, v.Shade = fmt.Sprintf("%.2f%%", from), fmt.Sprintf("%.2f%%", width), min(i, mostBars-1)
		from += width
	}
	newest, err := p.Rollouts.Rollout(m.Code, 0)
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		return one, nil
	case err != nil:
		return one, err
	case newest.State.Unfinished():
		shows := api.ShowRollout(newest)
		one.Rollout = &shows
	}
	return one, nil
}

func rolloutAddress(r fleet.Rollout) string {
	return fmt.Sprintf("/models/%s/rollouts/%d", r.Model, r.Number)
}

// devicesAt is the address of the list with a filter: name, value, name, value.
func devicesAt(filter ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(filter); i += 2 {
		q.Set(filter[i], filter[i+1])
	}
	return "/devices?" + q.Encode()
}

func dumpAddress(d fleet.Dump) string { return fmt.Sprintf("/dumps/%s/%s", d.Device, d.Name()) }

// noteTrouble sets a trouble apart for all.
func (p *Page) noteTrouble(v *visit) (done, error) {
	t, err := p.Troubles.Note(v.r.Context(), v.r.PathValue("id"))
	return done{To: "/", Said: said{t.Text + " is seen: it stands apart until it is worse, or begins anew.", "say below that it needs somebody again.", "slipway trouble seen " + t.ID}}, err
}

func (p *Page) unnoteTrouble(v *visit) (done, error) {
	id := v.r.PathValue("id")
	return done{To: "/", Said: said{"It needs somebody again.", "say that it is seen.", "slipway trouble unseen " + quoted(id)}}, p.Troubles.Unnote(v.r.Context(), id)
}
