package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// aliasDevice takes all that a device calls itself in protocols with ids of their own.
func (p *Page) aliasDevice(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	aliases := words(v.r.PostForm.Get("aliases"))
	command := fmt.Sprintf("slipway device set %s", d.Key)
	for _, a := range aliases {
		command += " --alias " + quoted(a)
	}
	if len(aliases) == 0 {
		command += " --alias="
	}
	was := make([]string, len(d.Aliases))
	for i, a := range d.Aliases {
		was[i] = string(a)
	}
	return p.changed(v, api.DeviceChange{Aliases: &aliases}, "It is known by: "+cmp.Or(strings.Join(aliases, ", "), "its key and its client id only")+".",
		fmt.Sprintf("it was known by %q.", strings.Join(was, " ")), command)
}

// provisionDevice takes the whole set, a name=value in each line.
func (p *Page) provisionDevice(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	values, names, err := enteredValues(v.r.PostForm.Get("values"), d.Provisioning)
	if err != nil {
		return done{}, err
	}
	return p.changed(v, api.DeviceChange{Provisioning: values}, "It is handed out besides: "+cmp.Or(strings.Join(names, ", "), "what its model is, and no more")+".",
		"enter what was there: values are in no event.", fmt.Sprintf("slipway device set %s --provisioning NAME=VALUE", d.Key))
}

// pathSecret makes a new one, which is shown at once and never again, or revokes the one that there is.
func (p *Page) pathSecret(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	if v.r.PostForm.Get("do") == "revoke" {
		return done{To: deviceAddress(d.Key), Said: said{
			"Its path secret is revoked: nothing is answered below it.", "make a new one; the old one stays refused.", fmt.Sprintf("slipway device path-secret %s --revoke", d.Key),
		}}, p.Issuer.RevokePathSecret(v.r.Context(), d.Key)
	}
	if err := typed(v, d); err != nil {
		return done{}, err
	}
	secret, err := p.Issuer.MakePathSecret(v.r.Context(), d.Key)
	if err != nil {
		return done{}, err
	}
	view, err := p.showDevice(d)
	view.Path = api.ShowPathSecret(d, secret).Path
	return done{View: "device", Shows: shown{"Path secret of " + string(d.Key), view}}, err
}

// enteredValues reads a name=value in each line, as a change of what there was.
func enteredValues(text string, had map[string]string) (values map[string]*string, names []string, err error) {
	values = map[string]*string{}
	for name := range had {
		values[name] = nil // unless it is among the lines
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, nil, fleet.Refused("provisioning: want name=value in each line, such as mqtt_url=mqtts://broker.example, and %.40q is none", line)
		}
		if slices.Contains(names, name) {
			return nil, nil, fleet.Refused("provisioning: %.40q stands there twice", name)
		}
		if value != "" { // as slipway model set has it, NAME= removes it
			values[name] = &value
			names = append(names, name)
		}
	}
	return values, names, nil
}
