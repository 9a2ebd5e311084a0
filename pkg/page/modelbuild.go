package page

import (
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// buildView is one build, with what becomes of whom when it is published or removed: it is the page that is read before either.
type buildView struct {
	buildRow
	Pinned  []fleet.DeviceKey // some that are pinned to it
	Pins    int
	Publish publishing
	Remove  removing
}

// publishing is what publishing a build would do.
type publishing struct {
	Rollout *fleet.Rollout // that stands before it, nil for none
	Fetch   int            // devices that will fetch it
	Has     int            // that run it already
	Pinned  int            // to another one
	Revoked int
	Back    fleet.Version // what is published now, "" for nothing
	Stays   bool          // for going back: a plain image does not
}

// removing is what stands before it, or what breaks.
type removing struct {
	Why string // it cannot be removed, and the way on; "" where it can
}

// mostPinned are named.
const mostPinned = 10

func (p *Page) buildOf(v *visit) (m fleet.Model, b fleet.Build, err error) {
	if m, err = p.modelOf(v); err != nil {
		return m, b, err
	}
	version, err := fleet.ParseVersion(v.r.PathValue("version"))
	if err != nil {
		return m, b, fleet.Unknown("%s", err)
	}
	b, err = p.Stock.Build(m.Code, version)
	return m, b, err
}

func (p *Page) build(v *visit) (shown, error) {
	m, b, err := p.buildOf(v)
	if err != nil {
		return shown{}, err
	}
	facts, err := p.factsOf(m.Code)
	if err != nil {
		return shown{}, err
	}
	view := buildView{buildRow: facts.row(b, m)}
	pins, err := p.Stock.Pins(m.Code)
	if err != nil {
		return shown{}, err
	}
	view.Pins = len(pins[b.Version])
	view.Pinned = pins[b.Version][:min(view.Pins, mostPinned)]
	rollout, err := p.newestRollout(m.Code)
	if err != nil {
		return shown{}, err
	}
	if view.Publish, err = p.publishing(m, b, pins); err != nil {
		return shown{}, err
	}
	if rollout != nil && rollout.State.Unfinished() {
		view.Publish.Rollout = rollout
	}
	view.Remove = removingOf(view, rollout)
	return shown{string(m.Code) + " " + string(b.Version), view}, nil
}

// publishing counts who will fetch a build. Devices that are revoked, or pinned to another one, do not.
func (p *Page) publishing(m fleet.Model, b fleet.Build, pins map[fleet.Version][]fleet.DeviceKey) (n publishing, err error) {
	all := p.Sightings.Facets(fleet.DeviceFilter{Model: m.Code})
	has := p.Sightings.Facets(fleet.DeviceFilter{Model: m.Code, Version: string(b.Version)})
	n.Revoked, n.Has = all.Revoked, has.Total-has.Revoked
	n.Fetch = all.Total - all.Revoked - n.Has
	for version, keys := range pins {
		if version == b.Version {
			continue
		}
		for _, key := range keys {
			d, err := p.Records.Device(key)
			if errors.Is(err, fleet.ErrUnknown) || err == nil && d.Revoked {
				continue
			}
			if err != nil {
				return n, err
			}
			n.Pinned++
			if seen, _ := p.Sightings.Sighting(key); seen.Runs != string(b.Version) {
				n.Fetch--
			}
		}
	}
	n.Fetch = max(n.Fetch, 0) // what is counted moves meanwhile
	n.Back, n.Stays = m.FirmwareVersion, m.ImageSHA256 == ""
	return n, nil
}

// removingOf says what keeps a build from being removed; the depot and the catalog have the last word.
func removingOf(view buildView, newest *fleet.Rollout) (r removing) {
	switch {
	case view.Published:
		r.Why = "Devices are offered it: publish another build first."
	case view.Pins > 0:
		r.Why = fmt.Sprintf("%s pinned to it: let them go first, on their own pages.", plural(view.Pins, "device is", "devices are"))
	case newest != nil && newest.State.Unfinished() && (newest.Version == view.Version || newest.Base == view.Version):
		r.Why = fmt.Sprintf("Rollout %d needs it, which brings %s in place of %s: it has to end first.", newest.Number, newest.Version, newest.Base)
	}
	return r
}

func (p *Page) publishBuild(v *visit) (done, error) {
	m, b, err := p.buildOf(v)
	if err != nil {
		return done{}, err
	}
	halt := v.r.PostForm.Get("halt_first") == "true"
	if _, err := p.Models.Publish(v.r.Context(), m.Code, b.Version, halt); err != nil {
		return done{}, err
	}
	s := said{Text: fmt.Sprintf("%s is published: %s offered it now.", b.Version, plural(p.offered(m), "device is", "devices are")), Line: fmt.Sprintf("slipway firmware publish %s %s", m.Code, b.Version)}
	if halt {
		s.Line += " --halt-first"
	}
	switch {
	case m.FirmwareVersion == b.Version:
		s.Text = string(b.Version) + " was published already: nothing changed."
	case m.FirmwareVersion == "" || m.ImageSHA256 != "":
		s.Undo = "publish another build; what was offered before is not here."
	default:
		s.Undo = fmt.Sprintf("publish %s again: devices go back to it.", m.FirmwareVersion)
	}
	return done{To: modelAddress(m.Code), Said: s}, nil
}

func (p *Page) noteBuild(v *visit) (done, error) {
	m, b, err := p.buildOf(v)
	if err != nil {
		return done{}, err
	}
	noted, err := p.Models.Note(v.r.Context(), m.Code, b.Version, strings.ReplaceAll(v.r.PostForm.Get("note"), "\r\n", "\n"))
	if err != nil {
		return done{}, err
	}
	s := said{Text: "The note is kept.", Undo: "remove it again.", Line: fmt.Sprintf("slipway firmware note %s %s TEXT", m.Code, b.Version)}
	if noted.Note == "" {
		s.Text = "There is no note now."
	}
	if b.Note != "" {
		s.Undo = "what it was stands in the events of this build."
	}
	return done{To: buildAddress(m.Code, b.Version), Said: s}, nil
}

func (p *Page) removeBuild(v *visit) (done, error) {
	m, b, err := p.buildOf(v)
	if err != nil {
		return done{}, err
	}
	if strings.TrimSpace(v.r.PostForm.Get("typed")) != string(b.Version) {
		return done{}, fleet.Refused("type the version of the build, %s, to confirm that it is removed", b.Version)
	}
	return done{
		To:   modelAddress(m.Code),
		Said: said{fmt.Sprintf("Build %s is removed.", b.Version), "upload its bundle again.", fmt.Sprintf("slipway firmware rm %s %s", m.Code, b.Version)},
	}, p.Models.RemoveBuild(v.r.Context(), m.Code, b.Version)
}
