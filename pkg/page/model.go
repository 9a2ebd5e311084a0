package page

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// modelView is a model with its builds, the newest first.
type modelView struct {
	fleet.Model
	Devices int
	Rows    []buildRow
	Rollout *fleet.Rollout // the newest, nil where there was none
}

// buildRow is one build: where it came from, who runs it, and how often that crashes.
type buildRow struct {
	fleet.Build
	Published bool
	Devices   int
	Crashes   int    // of 7 days
	Rate      string // crashes a device-day of 7 days, with the interval of 90 %; "" where no device was heard
	Image     string // addresses of the files
	ZIP       string // "" of a plain image
}

func (p *Page) model(v *visit) (shown, error) {
	code, err := fleet.ParseModelCode(v.r.PathValue("code"))
	if err != nil {
		return shown{}, fleet.Unknown("%s", err)
	}
	view := modelView{}
	if view.Model, err = p.Records.Model(code); err != nil {
		return shown{}, err
	}
	builds, err := p.Records.Builds(code)
	if err != nil {
		return shown{}, err
	}
	stored, err := p.Crashes.Counters(code)
	if err != nil {
		return shown{}, err
	}
	now := p.Now()
	counted := crash.Counted(stored, p.Sightings.Hours(), code, now)
	runs := map[string]int{}
	for _, r := range p.Sightings.Versions(code) {
		runs[r.Version] += r.Devices
		view.Devices += r.Devices
	}
	for _, b := range slices.Backward(builds) {
		week := counted[string(b.Version)].LastDays(daysOfWeek, now)
		row := buildRow{
			Build: b, Published: b.Version == view.FirmwareVersion, Devices: runs[string(b.Version)], Crashes: week.Crashes, Rate: perDay(week),
			Image: fileOf(b, ""),
		}
		if b.BundleSize > 0 {
			row.ZIP = fileOf(b, "zip")
		}
		view.Rows = append(view.Rows, row)
	}
	newest, err := p.Rollouts.Rollout(code, 0)
	switch {
	case err == nil:
		view.Rollout = &newest
	case !errors.Is(err, fleet.ErrUnknown):
		return shown{}, err
	}
	title := view.Name
	if title == "" {
		title = string(code)
	}
	return shown{title, view}, nil
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
