package page

import (
	"cmp"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// deviceQuery is what the address of the list may say.
var deviceQuery = []string{"q", "model", "version", "state", "line", "label", "revoked", "crash", "after", "limit"}

const (
	deviceRows     = 100 // of a page
	mostDeviceRows = 500
)

// devicesView is a page of devices.
type devicesView struct {
	Search string
	Kept   []kept // what else the filter has, for the form of the search
	Chosen []link // what the filter has, each with the address without it
	Facets []facet
	Rows   []deviceRow
	Total  int
	First  string // the address of the first page, "" on it
	Next   string // of the next one, "" on the last
	CSV    string // the address of all that the filter picks, for a spreadsheet
	Here   string // the address with the filter
	Models []fleet.Model
	InOne  bool // all of one group of crashes: a further device may be in it at any time
}

type kept struct{ Name, Value string }

type link struct {
	Text    string
	Address string
}

// facet is one place of the filter with the words that it may have.
type facet struct {
	Name  string
	Title string
	Words []facetWord
	More  int // words that are not shown
}

type facetWord struct {
	Word, Address string
	Count         int
	Chosen        bool
}

// deviceRow is one device.
type deviceRow struct {
	api.Device
	Crashes int // of 7 days
}

// Offers is what it is offered, where it does not run that already; "" else.
func (d deviceRow) Offers() string {
	if d.Offered == nil || string(*d.Offered) == d.Sighting.Runs {
		return ""
	}
	return string(*d.Offered)
}

// filterOf reads the address of the list, and has the group of crashes that it names, nil for none.
func (p *Page) filterOf(q url.Values) (f fleet.DeviceFilter, in *crash.Group, err error) {
	if f, err = deviceWords(q); err != nil || q.Get("crash") == "" {
		return f, nil, err
	}
	g, devices, err := p.Crashes.CrashedOn(q.Get("crash"))
	f.Among = devices
	return f, &g, err
}

func deviceWords(q url.Values) (f fleet.DeviceFilter, err error) {
	f = fleet.DeviceFilter{
		Version: q.Get("version"), Line: q.Get("line"), Label: q.Get("label"), Search: q.Get("q"), Revoked: q.Get("revoked") == "true", Limit: deviceRows,
	}
	if given := q.Get("model"); given != "" {
		if f.Model, err = fleet.ParseModelCode(given); err != nil {
			return f, err
		}
	}
	if given := q.Get("state"); given != "" {
		if f.State, err = fleet.ParseDeviceState(given); err != nil {
			return f, err
		}
	}
	if given := q.Get("after"); given != "" {
		if f.After, err = fleet.ParseDeviceKey(given); err != nil {
			return f, err
		}
	}
	if given := q.Get("limit"); given != "" {
		if f.Limit, err = strconv.Atoi(given); err != nil || f.Limit < 1 || f.Limit > mostDeviceRows {
			return f, fleet.Refused("limit %q: want a number from 1 to %d", given, mostDeviceRows)
		}
	}
	return f, nil
}

func (p *Page) devices(v *visit) (shown, error) {
	q := v.r.URL.Query()
	f, in, err := p.filterOf(q)
	if err != nil {
		return shown{}, err
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there is another page
	keys := p.Sightings.Devices(f)
	view := devicesView{Search: f.Search, Here: with(q, "after", "")}
	view.CSV = strings.Replace(view.Here, "/devices", "/devices.csv", 1)
	if len(keys) > limit {
		keys = keys[:limit]
		view.Next = with(q, "after", string(keys[limit-1]))
	}
	if f.After != "" {
		view.First = with(q, "after", "")
	}
	if view.Rows, err = p.deviceRows(keys); err != nil {
		return shown{}, err
	}
	view.filter(q, p.Sightings.Facets(f))
	if view.InOne = in != nil; view.InOne {
		view.Chosen = append(view.Chosen, link{"Crashed in: " + cmp.Or(in.TopFrame, in.Fingerprint), with(q, "crash", "")})
		view.Kept = append(view.Kept, kept{"crash", q.Get("crash")})
	}
	view.Models, err = p.Records.Models()
	return shown{"Devices", view}, err
}

// with is the address of the list with another word in one place; each other one than the place "after" begins anew.
func with(q url.Values, name, value string) string {
	changed := url.Values{}
	for _, known := range deviceQuery {
		if given := q.Get(known); given != "" && known != "after" {
			changed.Set(known, given)
		}
	}
	changed.Del(name)
	if value != "" {
		changed.Set(name, value)
	}
	if len(changed) == 0 {
		return "/devices"
	}
	return "/devices?" + changed.Encode()
}

// inWords is what a filter's word is called where people read it.
func inWords(filter, word string) string {
	switch filter {
	case "state":
		return stateWord(fleet.DeviceState(word))
	case "revoked":
		return "yes"
	}
	return word
}

// mostWords of a facet are shown.
const mostWords = 12

func (view *devicesView) filter(q url.Values, all fleet.DeviceFacets) {
	view.Total = all.Total
	revoked := []fleet.Facet{}
	if all.Revoked > 0 || q.Get("revoked") == "true" {
		revoked = append(revoked, fleet.Facet{Word: "true", Count: all.Revoked})
	}
	for _, one := range []struct {
		name, title string
		words       []fleet.Facet
	}{
		{"state", "State", all.States}, {"model", "Model", all.Models}, {"version", "Runs", all.Versions}, {"line", "Line", all.Lines}, {"label", "Label", all.Labels},
		{"revoked", "Revoked", revoked},
	} {
		chosen := q.Get(one.name)
		if chosen != "" {
			view.Chosen = append(view.Chosen, link{one.title + ": " + inWords(one.name, chosen), with(q, one.name, "")})
			view.Kept = append(view.Kept, kept{one.name, chosen})
		}
		f := facet{Name: one.name, Title: one.title}
		for _, w := range one.words {
			if len(f.Words) == mostWords && w.Word != chosen {
				f.More++
				continue
			}
			word := facetWord{inWords(one.name, w.Word), with(q, one.name, w.Word), w.Count, w.Word == chosen}
			if word.Chosen {
				word.Address = with(q, one.name, "")
			}
			f.Words = append(f.Words, word)
		}
		if len(f.Words) > 1 || chosen != "" || one.name == "revoked" && len(f.Words) > 0 {
			view.Facets = append(view.Facets, f)
		}
	}
	if view.Search != "" {
		view.Chosen = append(view.Chosen, link{"“" + view.Search + "”", with(q, "q", "")})
	}
}

// deviceRows reads the devices. Each model is read once.
func (p *Page) deviceRows(keys []fleet.DeviceKey) ([]deviceRow, error) {
	models := map[fleet.ModelCode]fleet.Model{}
	ofModel := map[fleet.ModelCode][]fleet.DeviceKey{}
	rows := make([]deviceRow, 0, len(keys))
	for _, key := range keys {
		d, err := p.Records.Device(key)
		if errors.Is(err, fleet.ErrUnknown) {
			continue // removed in between
		}
		if err != nil {
			return nil, err
		}
		m, read := models[d.Model]
		if !read {
			if m, err = p.Records.Model(d.Model); err != nil {
				return nil, err
			}
			models[d.Model] = m
		}
		seen, line := p.Sightings.Sighting(key)
		offered, _ := p.Offers.Offer(d, m)
		rows = append(rows, deviceRow{Device: api.ShowDevice(d, seen, line, offered)})
		ofModel[d.Model] = append(ofModel[d.Model], key)
	}
	crashes := map[fleet.DeviceKey]int{}
	for code, some := range ofModel {
		counts, err := p.Crashes.DeviceCrashes(code, some, daysOfWeek)
		if err != nil {
			return nil, err
		}
		for key, n := range counts {
			crashes[key] = n
		}
	}
	for i := range rows {
		rows[i].Crashes = crashes[rows[i].Key]
	}
	return rows, nil
}
