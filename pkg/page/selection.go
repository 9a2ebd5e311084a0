package page

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// roster takes in devices as the API does.
type roster interface {
	Add(context.Context, api.NewDevice) (api.AddedDevice, error)
	Import(ctx context.Context, csv []byte) (api.Imported, error)
}

// mostSelected devices are changed by one form.
const mostSelected = mostDeviceRows

// selection reads which devices a form names.
func selection(v *visit) ([]fleet.DeviceKey, error) {
	named := v.r.PostForm["key"]
	if len(named) == 0 {
		return nil, fleet.Refused("choose at least one device: mark it in the list")
	}
	if len(named) > mostSelected {
		return nil, fleet.Refused("%d devices: a form changes %d at most", len(named), mostSelected)
	}
	keys := make([]fleet.DeviceKey, len(named))
	for i, name := range named {
		key, err := fleet.ParseDeviceKey(name)
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
}

// selected is what a form asks for, in a change, in words, and as flags of slipway device set.
type selected struct {
	change           api.DeviceChange
	text, undo, flag string
}

// selectedChange reads what a form asks for.
func selectedChange(v *visit) (s selected, err error) {
	form := v.r.PostForm
	yes, no, none := true, false, ""
	value := strings.TrimSpace(form.Get("value"))
	switch act := form.Get("do"); act {
	case "revoke":
		return selected{api.DeviceChange{Revoked: &yes}, "revoked", "choose them again, and welcome them.", "--revoked"}, nil
	case "welcome":
		return selected{api.DeviceChange{Revoked: &no}, "welcome again", "choose them again, and revoke them.", "--revoked=false"}, nil
	case "pin":
		if value == "" {
			return s, fleet.Refused("pin: name the build that they are to be offered")
		}
		return selected{api.DeviceChange{Pin: &value}, "pinned to " + value, "choose them again, and unpin them.", "--pin " + quoted(value)}, nil
	case "unpin":
		return selected{api.DeviceChange{Pin: &none}, "offered what their model is offered", "pin them again.", "--unpin"}, nil
	case "line":
		return selected{api.DeviceChange{Line: &value}, fmt.Sprintf("on the line %q", value), "the events of each say where it stood.", "--line=" + quoted(value)}, nil
	case "labels":
		labels := strings.Fields(value)
		flags := make([]string, len(labels))
		for i, l := range labels {
			flags[i] = "--label " + quoted(l)
		}
		return selected{api.DeviceChange{Labels: &labels}, fmt.Sprintf("labelled %q", strings.Join(labels, " ")), "the events of each say which it had.", strings.Join(flags, " ")}, nil
	case "config":
		return selected{api.DeviceChange{Config: compact(value)}, "told this configuration when they ask next", "what each was told stands in its events.", "--config FILE"}, nil
	case "default-config":
		return selected{api.DeviceChange{Config: []byte("null")}, "told their model's default again", "what each was told stands in its events.", "--default-config"}, nil
	default:
		return s, fleet.Refused("do %q: choose what is to be done with them", act)
	}
}

// changeSelection changes the devices that are marked, one after another. Where one is refused those before it are changed,
// and the page says how many.
func (p *Page) changeSelection(v *visit) (done, error) {
	keys, err := selection(v)
	if err != nil {
		return done{}, err
	}
	back := local(v.r.PostForm.Get("to"))
	if v.r.PostForm.Get("do") == "remove" {
		return p.removeSelection(v, keys, back)
	}
	s, err := selectedChange(v)
	if err != nil {
		return done{}, err
	}
	if s.change.Pin != nil && *s.change.Pin != "" {
		if err := p.buildOfAll(keys, *s.change.Pin); err != nil {
			return done{}, err
		}
	}
	var odd []string
	for i, key := range keys {
		_, err := p.Changes.UpdateDevice(v.r.Context(), key, func(d *fleet.Device) (err error) {
			odd, err = s.change.Apply(d, p.Now())
			return err
		})
		if err != nil {
			return done{}, stoppedAt(err, i, len(keys), key)
		}
	}
	text := fmt.Sprintf("%s: %s.", plural(len(keys), "device", "devices"), s.text)
	if len(odd) > 0 {
		text += " But " + strings.Join(odd, "; ") + "."
	}
	return done{To: back, Said: said{text, s.undo, "slipway device set " + oneOf(keys) + " " + s.flag}}, nil
}

// buildOfAll says whether a version is a build of each device's model.
func (p *Page) buildOfAll(keys []fleet.DeviceKey, version string) error {
	known := map[fleet.ModelCode]bool{}
	for _, key := range keys {
		d, err := p.Records.Device(key)
		if err != nil {
			return err
		}
		if known[d.Model] {
			continue
		}
		builds, err := p.Records.Builds(d.Model)
		if err != nil {
			return err
		}
		for _, b := range builds {
			known[d.Model] = known[d.Model] || string(b.Version) == version
		}
		if !known[d.Model] {
			return fleet.Unknown("model %s, of device %s, has no build %q: nothing was changed", d.Model, key, version)
		}
	}
	return nil
}

// removeSelection removes devices once their number is typed.
func (p *Page) removeSelection(v *visit, keys []fleet.DeviceKey, back string) (done, error) {
	if strings.TrimSpace(v.r.PostForm.Get("value")) != fmt.Sprint(len(keys)) {
		return done{}, fleet.Refused("this cannot be undone: type the number of marked devices, %d, to confirm it", len(keys))
	}
	for i, key := range keys {
		if err := p.Changes.RemoveDevice(v.r.Context(), key); err != nil {
			return done{}, stoppedAt(err, i, len(keys), key)
		}
	}
	return done{To: back, Said: said{plural(len(keys), "device is", "devices are") + " removed. Their secrets and tokens are refused.", "", "slipway device rm " + oneOf(keys)}}, nil
}

// stoppedAt says how far a change of many has come.
func stoppedAt(err error, done, of int, key fleet.DeviceKey) error {
	var e *fleet.Error
	if !errors.As(err, &e) || of == 1 {
		return err
	}
	return &fleet.Error{Kind: e.Kind, Reason: fmt.Sprintf("device %s: %s. %d of %d were changed before it", key, e.Reason, done, of)}
}

func oneOf(keys []fleet.DeviceKey) string {
	if len(keys) == 1 {
		return string(keys[0])
	}
	return "KEY"
}

// newDevices is what is shown once of devices that were added.
type newDevices struct {
	Made []api.Credentials
	Text string
	Odd  []string
	Line string
	CSV  string // of what was made, to be copied
}

func (p *Page) addDevice(v *visit) (done, error) {
	form := v.r.PostForm
	field := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	in := api.NewDevice{Model: field("model"), Key: field("key"), Name: field("name"), Line: field("line"), Secret: form.Get("secret")}
	added, err := p.Roster.Add(v.r.Context(), in)
	if err != nil {
		return done{}, err
	}
	line := "slipway device add --model " + quoted(in.Model)
	if in.Name != "" {
		line += " --name " + quoted(in.Name)
	}
	view := newDevices{Made: []api.Credentials{added.Credentials}, Text: fmt.Sprintf("Device %s is added. To undo it, remove it.", added.Key), Odd: added.Warnings, Line: line}
	view.CSV = csvOf(view.Made)
	return done{View: "added", Shows: shown{"Added", view}}, nil
}

func (p *Page) importDevices(v *visit) (done, error) {
	in, err := p.Roster.Import(v.r.Context(), []byte(v.r.PostForm.Get("csv")))
	if err != nil {
		return done{}, err
	}
	view := newDevices{
		Made: in.Made, Odd: in.Warnings, Line: "slipway device import FILE --secrets FILE", CSV: csvOf(in.Made),
		Text: fmt.Sprintf("%s added, %d changed, %d were there already. To undo it, remove those that were added.", plural(in.Added, "device", "devices"), in.Changed, in.Unchanged),
	}
	return done{View: "added", Shows: shown{"Added", view}}, nil
}

// csvOf has the credentials as an import takes them; none of their parts has a comma.
func csvOf(made []api.Credentials) string {
	if len(made) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("model_code,device_key,client_secret\n")
	for _, c := range made {
		fmt.Fprintf(&b, "%s,%s,%s\n", c.Model, c.Key, c.Secret)
	}
	return b.String()
}
