package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/event"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// changes are what is done to devices; what a change may be the API says, too.
type changes interface {
	UpdateDevice(context.Context, fleet.DeviceKey, func(*fleet.Device) error) (fleet.Device, error)
	RemoveDevice(context.Context, fleet.DeviceKey) error
	AddModel(context.Context, fleet.Model) error
}

// issuer gives devices new secrets.
type issuer interface {
	ReplaceSecret(context.Context, fleet.DeviceKey) (string, error)
	MakePathSecret(context.Context, fleet.DeviceKey) (string, error)
	RevokePathSecret(context.Context, fleet.DeviceKey) error
	HasPathSecret(fleet.DeviceKey) (bool, error)
}

// deviceView is one device.
type deviceView struct {
	deviceRow
	ModelName string
	Labels    string
	Config    configView
	Timeline  []moment
	Dumps     []crash.Listed
	Builds    []fleet.Version // that it may be pinned to
	Secret    string          // that was just made; "" else
	Path      string          // likewise, with the path secret that was just made
	HasPath   bool            // it has a path secret
	Values    []provisioned   // that it is handed out besides its model's
}

// configView is what the device is told.
type configView struct {
	Own     bool // else it is its model's
	Members []member
	Text    string // as it is edited
	Bytes   int    // of what the device is told
	Diff    string // what saving would change, "" for none
	Said    string // why what was entered is refused, or what is odd in it
	Refused bool
}

// member is one of the configuration, and where it comes from.
type member struct{ Name, Value, From string }

// moment is one line of the timeline.
type moment struct {
	At    time.Time
	What  string
	Who   string
	Where string // an address, "" for none
}

const (
	mostMoments = 60
	mostDumps   = 20
)

func deviceAddress(key fleet.DeviceKey) string { return "/devices/" + string(key) }

func (p *Page) deviceOf(v *visit) (fleet.Device, error) {
	key, err := fleet.ParseDeviceKey(v.r.PathValue("key"))
	if err != nil {
		return fleet.Device{}, fleet.Unknown("%s", err)
	}
	return p.Records.Device(key)
}

func (p *Page) device(v *visit) (shown, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return shown{}, err
	}
	view, err := p.showDevice(d)
	return shown{cmp.Or(d.Name, string(d.Key)), view}, err
}

func (p *Page) showDevice(d fleet.Device) (view deviceView, err error) {
	rows, err := p.deviceRows([]fleet.DeviceKey{d.Key})
	if err != nil {
		return view, err
	}
	if len(rows) == 0 {
		return view, fleet.Unknown("device %s is gone", d.Key)
	}
	view.deviceRow = rows[0]
	view.Rollout = api.ShowMembership(p.Members.MemberOf(d))
	m, err := p.Records.Model(d.Model)
	if err != nil {
		return view, err
	}
	if view.HasPath, err = p.Issuer.HasPathSecret(d.Key); err != nil {
		return view, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Provisioning)) {
		view.Values = append(view.Values, provisioned{name, d.Provisioning[name]})
	}
	view.ModelName, view.Labels = m.Name, strings.Join(d.Labels, " ")
	if view.Config, err = configOf(m, d); err != nil {
		return view, err
	}
	builds, err := p.Records.Builds(d.Model)
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
	if view.Dumps, _, err = p.Crashes.Dumps(crash.DumpFilter{Device: d.Key, Limit: mostDumps}); err != nil {
		return view, err
	}
	view.Timeline, err = p.timeline(view)
	return view, err
}

// configOf says what a device is told, and where each member comes from.
func configOf(m fleet.Model, d fleet.Device) (c configView, err error) {
	config, err := fleet.Configuration(m, d)
	if err != nil {
		return c, err
	}
	c = configView{Own: d.Config != nil, Text: pretty(config), Bytes: len(config)}
	var told, ofModel map[string]json.RawMessage
	if err := json.Unmarshal(config, &told); err != nil {
		return c, err
	}
	if m.Config != nil {
		if err := json.Unmarshal(m.Config, &ofModel); err != nil {
			return c, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		from := "Slipway, as firmware needs it"
		if _, set := ofModel[name]; set {
			from = "the default of " + string(m.Code)
		}
		if c.Own {
			from = "this device"
		}
		c.Members = append(c.Members, member{name, string(told[name]), from})
	}
	return c, nil
}

// pretty is JSON as people read it; what is none stays as it is.
func pretty(raw []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String() + "\n"
}

// timeline is what is known to have happened to a device, newest first.
func (p *Page) timeline(view deviceView) ([]moment, error) {
	var all []moment
	add := func(at time.Time, what, who, where string) {
		if !at.IsZero() {
			all = append(all, moment{at, what, who, where})
		}
	}
	s := view.Sighting
	booted := fmt.Sprintf("booted, %s in all", plural(s.Boots, "time", "times"))
	if s.Reset != "" {
		booted += "; it says why: " + string(s.Reset)
	}
	add(s.BootedAt, booted, "", "")
	if s.Runs != "" {
		add(s.RunsSince, "runs "+s.Runs+" since then: "+cmp.Or(api.ProofText(s.RunsBy), "nobody knows how that is known"), "", "")
	}
	if d := s.Download; d != nil {
		add(d.At, fmt.Sprintf("download of %s %s: %d of %d bytes", d.Version, d.Outcome, d.Bytes, d.Size), "", "")
	}
	if b := s.WentBack; b != nil {
		add(b.At, "went back from "+string(b.Version), "", "")
	}
	add(view.CreatedAt, "came to this gateway", "", "")
	for _, l := range view.Dumps {
		add(l.Dump.UploadedAt, "crashed: "+cmp.Or(l.Crash.Reason, l.Crash.Why, string(l.Crash.State))+" "+l.Crash.TopFrame, "", dumpAddress(l.Dump))
	}
	newest, err := p.Events.Events(event.Filter{Limit: 1})
	if err != nil {
		return nil, err
	}
	page, err := p.Events.Events(event.Filter{Before: newest.Head.Seq + 1, Object: view.Key.ObjectOf(), Limit: mostMoments})
	if err != nil {
		return nil, err
	}
	for _, e := range page.Events {
		add(e.At, tell(e.Event), whoOf(e.Event), "")
	}
	slices.SortStableFunc(all, func(a, b moment) int { return b.At.Compare(a.At) })
	return all[:min(len(all), mostMoments)], nil
}

// changed changes a device, and says so.
func (p *Page) changed(v *visit, change api.DeviceChange, text, undo, line string) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	var warnings []string
	_, err = p.Changes.UpdateDevice(v.r.Context(), d.Key, func(device *fleet.Device) (err error) {
		warnings, err = change.Apply(device, p.Now())
		return err
	})
	if len(warnings) > 0 {
		text += " But " + strings.Join(warnings, "; ") + "."
	}
	return done{To: deviceAddress(d.Key), Said: said{text, undo, line}}, err
}

func (p *Page) nameDevice(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	name, line, labels := strings.TrimSpace(v.r.PostForm.Get("name")), strings.TrimSpace(v.r.PostForm.Get("line")), strings.Fields(v.r.PostForm.Get("labels"))
	command := fmt.Sprintf("slipway device set %s --name %s --line %s", d.Key, quoted(name), quoted(line))
	for _, l := range labels {
		command += " --label " + quoted(l)
	}
	return p.changed(v, api.DeviceChange{Name: &name, Line: &line, Labels: &labels}, "Its name, line and labels are as you said.",
		fmt.Sprintf("it was %q on line %q with the labels %q.", d.Name, d.Line, strings.Join(d.Labels, " ")), command)
}

func (p *Page) pinDevice(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	pin := v.r.PostForm.Get("pin")
	if pin == "" {
		return p.changed(v, api.DeviceChange{Pin: &pin}, "It is offered what its model is offered.", undoPin(d), fmt.Sprintf("slipway device set %s --unpin", d.Key))
	}
	builds, err := p.Records.Builds(d.Model)
	if err != nil {
		return done{}, err
	}
	if !slices.ContainsFunc(builds, func(b fleet.Build) bool { return string(b.Version) == pin }) {
		return done{}, fleet.Unknown("model %s has no build %q", d.Model, pin)
	}
	return p.changed(v, api.DeviceChange{Pin: &pin}, "It is offered "+pin+", whatever others are offered.", undoPin(d), fmt.Sprintf("slipway device set %s --pin %s", d.Key, quoted(pin)))
}

func undoPin(d fleet.Device) string {
	if d.Pin == "" {
		return "choose what its model is offered."
	}
	return "choose " + string(d.Pin) + "."
}

func (p *Page) revokeDevice(v *visit) (done, error) {
	yes, no := true, false
	key := v.r.PathValue("key")
	if v.r.PostForm.Get("revoked") == "true" {
		return p.changed(v, api.DeviceChange{Revoked: &yes}, "It is revoked: it and the tokens that it has are refused from now on.",
			"welcome it again; tokens from before stay refused, and it asks for a new one.", "slipway device set "+key+" --revoked")
	}
	return p.changed(v, api.DeviceChange{Revoked: &no}, "It is welcome again.", "revoke it.", "slipway device set "+key+" --revoked=false")
}

// typed refuses what cannot be undone until the person has typed the device's key.
func typed(v *visit, d fleet.Device) error {
	if strings.TrimSpace(v.r.PostForm.Get("typed")) != string(d.Key) {
		return fleet.Refused("this cannot be undone: type the key of the device, %s, to confirm it", d.Key)
	}
	return nil
}

// replaceSecret shows the new secret at once: nobody can show it again.
func (p *Page) replaceSecret(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	if err := typed(v, d); err != nil {
		return done{}, err
	}
	secret, err := p.Issuer.ReplaceSecret(v.r.Context(), d.Key)
	if err != nil {
		return done{}, err
	}
	if d, err = p.Records.Device(d.Key); err != nil {
		return done{}, err
	}
	view, err := p.showDevice(d)
	view.Secret = secret
	return done{View: "device", Shows: shown{"New secret of " + string(d.Key), view}}, err
}

func (p *Page) removeDevice(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	if err := typed(v, d); err != nil {
		return done{}, err
	}
	return done{
		To: "/devices", Said: said{fmt.Sprintf("Device %s is removed, with what was known of it. Its secret and tokens are refused.", d.Key), "", fmt.Sprintf("slipway device rm %s", d.Key)},
	}, p.Changes.RemoveDevice(v.r.Context(), d.Key)
}

// configureDevice checks a configuration and shows what it would change, or saves it. What is refused stays in the form.
func (p *Page) configureDevice(v *visit) (done, error) {
	d, err := p.deviceOf(v)
	if err != nil {
		return done{}, err
	}
	form := v.r.PostForm
	entered := strings.ReplaceAll(form.Get("config"), "\r\n", "\n") // as a form sends lines
	if form.Get("do") == "default" {
		return p.changed(v, api.DeviceChange{Config: json.RawMessage("null")}, "It is told its model's default again.", undoConfig(d), fmt.Sprintf("slipway device set %s --default-config", d.Key))
	}
	config, warnings, err := fleet.ParseConfiguration(compact(entered))
	if err == nil && form.Get("do") != "check" {
		return p.changed(v, api.DeviceChange{Config: config}, fmt.Sprintf("It is told this configuration, %d bytes, when it asks next.", len(config)), undoConfig(d),
			fmt.Sprintf("slipway device set %s --config FILE", d.Key))
	}
	view, failed := p.showDevice(d)
	if failed != nil {
		return done{}, failed
	}
	view.Config.enter(entered, config, warnings, err)
	return done{View: "device", Shows: shown{"Configuration of " + cmp.Or(d.Name, string(d.Key)), view}}, nil
}

// enter says what has become of a configuration that somebody has entered: why it is refused, or what it would change.
func (c *configView) enter(entered string, config []byte, warnings []string, err error) {
	if err != nil {
		c.Said, c.Refused = err.Error(), true
		var syntax *json.SyntaxError
		if bad := json.Unmarshal([]byte(entered), new(any)); bad != nil {
			c.Said = "this is no JSON: " + bad.Error()
			if syntaxAt(bad, &syntax) {
				c.Said = fmt.Sprintf("this is no JSON: %v, in line %d", bad, 1+strings.Count(entered[:min(int(syntax.Offset), len(entered))], "\n"))
			}
		}
	} else {
		c.Said = strings.Join(warnings, "; ")
		c.Diff = string(diff.Diff("now", []byte(c.Text), "then", []byte(pretty(config))))
		if c.Diff == "" {
			c.Said = cmp.Or(c.Said, "This changes nothing.")
		}
	}
	c.Text = entered
}

func syntaxAt(err error, to **json.SyntaxError) bool {
	s, ok := err.(*json.SyntaxError) //nolint:errorlint // encoding/json hands it out bare
	*to = s
	return ok
}

// compact takes away the blanks that the form has added: a device takes 4 KiB. What is no JSON stays for the refusal.
func compact(text string) []byte {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return []byte(text)
	}
	return b.Bytes()
}

func undoConfig(d fleet.Device) string {
	if d.Config == nil {
		return "go back to its model's default."
	}
	return "what it was stands in the events of this device."
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/:") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
