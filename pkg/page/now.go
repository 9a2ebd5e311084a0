package page

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// nowView is what needs somebody, and how each model is.
type nowView struct {
	Status api.Status
	Needs  []needed
	Models []nowModel
}

// needed is one thing that needs somebody.
type needed struct {
	Bad    bool   // else it can wait until the coffee
	Kind   string // in a word or two
	Text   string
	Where  string // the address where more of it is, "" for none
	Detail string
	At     time.Time // since when, zero where nobody knows
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
	view.Needs, err = p.needs(models, status)
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

// Bounds of what the first view looks at: it is a page and no archive.
const (
	mostNeeds  = 12 // of each kind
	newestSeen = 30 // dumps that are looked at for what loops, and for what is wanted
	loopsFrom  = 3  // dumps of a device within the hour
	fresh      = 24 * time.Hour
)

// needs are the things that need somebody, worst first.
func (p *Page) needs(models []fleet.Model, status api.Status) (all []needed, err error) {
	for _, find := range []func() ([]needed, error){
		func() ([]needed, error) { return p.halted(models) }, p.newsOfCrashes, func() ([]needed, error) { return p.missing(), nil }, p.looping, p.wanted, p.rejected,
	} {
		found, err := find()
		if err != nil {
			return nil, err
		}
		all = append(all, found[:min(len(found), mostNeeds)]...)
	}
	for _, t := range status.Trouble {
		all = append(all, needed{Bad: true, Kind: "gateway", Text: t})
	}
	for _, t := range status.Warnings {
		all = append(all, needed{Kind: "symbols", Text: t, Where: "/models"})
	}
	slices.SortStableFunc(all, func(a, b needed) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	return all, nil
}

// halted are rollouts that have stopped and wait for a person.
func (p *Page) halted(models []fleet.Model) (all []needed, err error) {
	for _, m := range models {
		r, err := p.Rollouts.Rollout(m.Code, 0)
		switch {
		case errors.Is(err, fleet.ErrUnknown):
		case err != nil:
			return nil, err
		case r.State == fleet.RolloutHalted, r.State == fleet.RolloutHeld, r.State == fleet.RolloutPaused:
			all = append(all, needed{
				Bad: r.State == fleet.RolloutHalted, Kind: "rollout " + string(r.State), Text: fmt.Sprintf("%s for %s", r.Version, r.Model),
				Where: rolloutAddress(r), Detail: r.Why, At: r.EndedAt,
			})
		}
	}
	return all, nil
}

func rolloutAddress(r fleet.Rollout) string {
	return fmt.Sprintf("/models/%s/rollouts/%d", r.Model, r.Number)
}

// newsOfCrashes are regressions, and what is new since yesterday and on more than one device.
func (p *Page) newsOfCrashes() (all []needed, err error) {
	groups, _, err := p.Crashes.UrgentGroups(2 * mostNeeds)
	if err != nil {
		return nil, err
	}
	now := p.Now()
	for _, g := range groups {
		one := needed{
			Bad: true, Text: cmp.Or(g.TopFrame, g.Reason, g.Fingerprint), Where: "/crashes/" + url.PathEscape(g.Fingerprint), At: g.LastSeen,
			Detail: fmt.Sprintf("%s, on %s of %s", plural(g.Count, "crash", "crashes"), plural(g.Devices, "device", "devices"), g.Model),
		}
		switch {
		case g.Regressed:
			one.Kind = "regression in " + string(g.RegressedIn)
		case g.State == crash.Open && now.Sub(g.FirstSeen) < fresh && g.Devices > 1:
			one.Kind = "new crash that spreads"
		case g.State == crash.Open && now.Sub(g.FirstSeen) < fresh:
			one.Kind, one.Bad = "new crash", false
		default:
			continue
		}
		all = append(all, one)
	}
	return all, nil
}

// missing are lines that are dark, and such as have silent devices.
func (p *Page) missing() (all []needed) {
	dark := p.Sightings.DarkLines()
	for _, line := range dark {
		all = append(all, needed{Bad: true, Kind: "dark line", Text: line, Where: devicesAt("line", line), Detail: "its devices fell silent together"})
	}
	for _, line := range p.Sightings.Facets(fleet.DeviceFilter{State: fleet.Silent}).Lines {
		if !slices.Contains(dark, line.Word) {
			all = append(all, needed{Kind: "silent", Text: plural(line.Count, "device", "devices") + " on " + line.Word, Where: devicesAt("state", string(fleet.Silent), "line", line.Word)})
		}
	}
	return all
}

// devicesAt is the address of the list with a filter: name, value, name, value.
func devicesAt(filter ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(filter); i += 2 {
		q.Set(filter[i], filter[i+1])
	}
	return "/devices?" + q.Encode()
}

// looping are devices that have crashed again and again within the hour.
func (p *Page) looping() (all []needed, err error) {
	newest, _, err := p.Crashes.Dumps(crash.DumpFilter{Limit: newestSeen})
	if err != nil {
		return nil, err
	}
	now := p.Now()
	count := map[fleet.DeviceKey]int{}
	for _, l := range newest {
		if now.Sub(l.Dump.UploadedAt) > time.Hour {
			break
		}
		if count[l.Dump.Device]++; count[l.Dump.Device] == loopsFrom {
			all = append(all, needed{Bad: true, Kind: "crash loop", Text: string(l.Dump.Device), Where: deviceAddress(l.Dump.Device), At: l.Dump.UploadedAt})
		}
	}
	for i := range all {
		n := count[fleet.DeviceKey(all[i].Text)]
		all[i].Detail = plural(n, "dump", "dumps") + " within the hour"
		if d, err := p.Records.Device(fleet.DeviceKey(all[i].Text)); err == nil && d.Name != "" {
			all[i].Text = d.Name + ", " + all[i].Text
		}
	}
	return all, nil
}

// wanted are the builds for which dumps wait.
func (p *Page) wanted() (all []needed, err error) {
	missing, _, err := p.Crashes.Dumps(crash.DumpFilter{State: crash.Missing, Limit: newestSeen})
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	counts := []int{}
	for _, l := range missing {
		wants := l.Crash.Wants()
		i, known := at[wants]
		if !known {
			i = len(all)
			at[wants] = i
			counts = append(counts, 0)
			all = append(all, needed{Kind: "wanted firmware", Text: wants, Where: dumpAddress(l.Dump), At: l.Dump.UploadedAt})
		}
		counts[i]++
		all[i].Detail = plural(counts[i], "dump waits", "dumps wait") + " for it"
		if len(missing) == newestSeen {
			all[i].Detail = fmt.Sprintf("of the newest %d dumps that wait, %d wait for it", newestSeen, counts[i])
		}
	}
	return all, nil
}

func dumpAddress(d fleet.Dump) string { return fmt.Sprintf("/dumps/%s/%s", d.Device, d.Name()) }

// rejected are dropped files that were refused since yesterday.
func (p *Page) rejected() (all []needed, err error) {
	page, err := p.Events.Events(event.Filter{Limit: 1})
	if err != nil {
		return nil, err
	}
	page, err = p.Events.Events(event.Filter{Before: page.Head.Seq + 1, Kinds: []string{string(event.DropRejected)}, Limit: mostNeeds})
	if err != nil {
		return nil, err
	}
	for _, e := range page.Events {
		if p.Now().Sub(e.At) < fresh {
			all = append(all, needed{Kind: "rejected drop", Text: e.Object.ID, Detail: reasonOf(e.Event), At: e.At})
		}
	}
	return all, nil
}
